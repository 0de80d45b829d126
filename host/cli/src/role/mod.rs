//! One role in the foreground: `enclavectl bridge`, `gateway`, `relay`, `vault`.

pub(crate) mod bridge;
pub(crate) mod gateway;
pub(crate) mod relay;
pub(crate) mod vault;

use std::path::{Path, PathBuf};

use attestation::TrustRoot;

use crate::{
    exit::{Exit, Failure, OrFail as _},
    files, output,
    process::ProcessArgs,
};

/// Options of every role.
// The parser fills no group of arguments around another one; without members it never counts as given.
#[derive(Debug, clap::Args)]
#[group(args = ["config"])]
pub(crate) struct RoleArgs {
    /// The configuration: a TOML file. Unknown keys are refused, and everything that is wrong is said
    /// at once.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
}

impl RoleArgs {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// [`Exit::Input`] with everything that is wrong with it.
    pub(crate) fn config<C, E>(
        &self,
        parse: impl FnOnce(&str) -> Result<C, E>,
    ) -> Result<C, Failure>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let text = files::read_text(&self.config, LONGEST_CONFIG_BYTES)?;
        parse(&text).or_fail(Exit::Input, || self.config.display().to_string())
    }
}

/// Reads a root that is trusted instead of AWS's, and says so.
///
/// # Errors
///
/// [`Exit::Input`] if the file holds no root certificate.
fn dangerous_root(path: Option<&Path>) -> Result<Option<TrustRoot>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let root = read_root(path)?;
    warn_of_root(path, &root);
    Ok(Some(root))
}

/// Says that a root is not AWS's, if it is not.
pub(crate) fn warn_of_root(path: &Path, root: &TrustRoot) {
    if *root != TrustRoot::aws() {
        output::note(format_args!(
            "warning: attestation documents are believed under the root in {} instead of AWS's; \
             whoever holds its key can claim to be any enclave",
            path.display()
        ));
    }
}

/// Reads the certificate of a root: DER.
///
/// # Errors
///
/// [`Exit::Input`] if the file holds no root certificate.
pub(crate) fn read_root(path: &Path) -> Result<TrustRoot, Failure> {
    let der = files::read(path, LONGEST_ROOT_BYTES)?;
    TrustRoot::dangerous_from_der(&der).or_fail(Exit::Input, || {
        format!("{} is not the certificate of a root, in DER", path.display())
    })
}

/// Room for a committee of thousands.
const LONGEST_CONFIG_BYTES: u64 = 1024 * 1024;

/// AWS's root takes 533 bytes.
const LONGEST_ROOT_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RoleArgs,
    }

    #[test]
    fn a_bad_configuration_is_refused_with_its_name_and_all_that_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        std::fs::write(&path, "extra = 1\n[users]\nlisten = 5\n").unwrap();
        let line = Line::parse_from(["x", "--config", path.to_str().unwrap()]);
        let failure = line.args.config(host_gateway::Config::parse).unwrap_err();
        assert_eq!(failure.exit, Exit::Input);
        let text = failure.to_string();
        assert!(text.starts_with(&format!("{}: ", path.display())), "{text}");
        for part in ["extra", "users.listen", "nodes.members"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_no_root_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let failure = dangerous_root(Some(file.path())).unwrap_err();
        assert_eq!(failure.exit, Exit::Input);
        assert!(failure.to_string().contains("is not the certificate of a root"), "{failure}");
        assert!(dangerous_root(None).unwrap().is_none());
        std::fs::write(file.path(), TrustRoot::aws().der()).unwrap();
        assert!(dangerous_root(Some(file.path())).unwrap().is_some());
    }
}
