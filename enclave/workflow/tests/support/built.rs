//! Where built workflows are.

use std::path::{Path, PathBuf};

/// The folder of our own workflows, if they are built; otherwise says what to run.
pub(crate) fn workflows(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("WORKFLOWS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/workflows/built"),
        PathBuf::from,
    );
    if folder.join("hello.wasm").is_file() {
        return Some(folder);
    }
    vectors::skip(test, "workflows are not built: run scripts/build-workflows");
    None
}
