//! The program as a person uses it.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value as Json;

/// Runs the program and returns its exit code and what it printed to standard output.
pub(crate) fn enclavectl<A: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = A>,
) -> (i32, String, String) {
    let program = env!("CARGO_BIN_EXE_enclavectl");
    let Output { status, stdout, stderr } = Command::new(program).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// The same with `--json`: its exit code and the one object it printed.
pub(crate) fn object(arguments: &[&str]) -> (i32, Json) {
    let (code, stdout, stderr) = enclavectl(arguments.iter().chain(&["--json"]));
    let object = serde_json::from_str(&stdout);
    (code, object.unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")))
}

/// A path for the command line.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
