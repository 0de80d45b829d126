//! What the emulator keeps between starts: the root under which it signs, and what it measures.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    time::SystemTime,
};

use attestation::{Measurements, MeasurementsError, Pcr};
use sha2::{Digest as _, Sha384};
use testkit::chain::{ChainError, TestRoot};

/// The emulator's identity.
#[derive(Debug)]
pub(crate) struct State {
    /// The root, with its key.
    pub(crate) root: TestRoot,
    /// What its documents say about the image.
    pub(crate) measurements: Measurements,
}

/// Why there is no state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// A file or the folder cannot be read or written.
    #[error("{file} cannot be read or written")]
    File {
        /// Its name.
        file: &'static str,
        /// What the system reports.
        source: io::Error,
    },
    /// The measurements are none.
    #[error("{MEASUREMENTS} holds no measurements; delete it to measure anew")]
    Measurements(#[from] MeasurementsError),
    /// The root is none.
    #[error("{KEY} and {ROOT} are no test root; delete both to make a new one")]
    Root(#[from] ChainError),
}

impl State {
    /// Reads the state in `folder`; what is missing is made and written.
    ///
    /// # Errors
    ///
    /// [`StateError`]. Files that are there are never replaced.
    pub(crate) fn open(folder: &Path, now: SystemTime) -> Result<Self, StateError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| StateError::File { file: "the folder", source })?;
        Ok(Self { root: root(folder, now)?, measurements: measurements(folder)? })
    }
}

fn root(folder: &Path, now: SystemTime) -> Result<TestRoot, StateError> {
    if let (Some(key), Some(certificate)) = (read(folder, KEY)?, read(folder, ROOT)?) {
        return Ok(TestRoot::from_parts(&key, &certificate)?);
    }
    let root = TestRoot::generate(now)?;
    write(folder, KEY, root.key_der(), 0o600)?;
    write(folder, ROOT, root.der(), 0o644)?;
    Ok(root)
}

/// The stored measurements, else those of this program: PCR0 is its own file, the other two stand for
/// what an emulator does not have.
fn measurements(folder: &Path) -> Result<Measurements, StateError> {
    if let Some(json) = read(folder, MEASUREMENTS)? {
        return Ok(Measurements::parse(&json)?);
    }
    let program = std::env::current_exe().and_then(fs::read);
    let program = program.map_err(|source| StateError::File { file: "this program", source })?;
    let pcr = |bytes: &[u8]| Pcr::from(<[u8; 48]>::from(Sha384::digest(bytes)));
    let measured =
        Measurements::new(pcr(&program), pcr(b"emulated kernel"), pcr(b"emulated application"));
    let measured = measured.map_err(MeasurementsError::from)?;
    write(folder, MEASUREMENTS, measured.to_nitro_cli_json().as_bytes(), 0o644)?;
    Ok(measured)
}

fn read(folder: &Path, file: &'static str) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(folder.join(file)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::File { file, source }),
    }
}

/// Writes a file as a whole: under another name first, so that nobody reads half of it.
fn write(folder: &Path, file: &'static str, bytes: &[u8], mode: u32) -> Result<(), StateError> {
    let partial = folder.join(format!("{file}.partial"));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&partial)
        .and_then(|mut to| to.write_all(bytes).and_then(|()| to.sync_all()))
        .and_then(|()| fs::rename(&partial, folder.join(file)));
    written.map_err(|source| StateError::File { file, source })
}

const KEY: &str = "root.key";
const ROOT: &str = "root.der";
const MEASUREMENTS: &str = "measurements.json";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use protocol::clock::{Clock as _, SystemClock};

    use super::*;

    fn open(folder: &Path) -> Result<State, StateError> {
        State::open(folder, SystemClock.now())
    }

    #[test]
    fn a_second_start_has_the_same_identity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/state");
        let (first, second) = (open(&path).unwrap(), open(&path).unwrap());
        assert_eq!(first.root.der(), second.root.der());
        assert_eq!(first.measurements, second.measurements);
        assert_eq!(fs::read(path.join(ROOT)).unwrap(), first.root.der());
    }

    #[test]
    fn only_the_owner_reads_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        open(&path).unwrap();
        let mode = |name: &str| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(KEY), mode(".")), (0o600, 0o700));
        assert!(!path.join("root.key.partial").exists());
    }

    #[test]
    fn measurements_are_in_the_form_of_nitro_cli() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join(MEASUREMENTS)).unwrap();
        assert!(text.contains("\"Measurements\"") && text.contains("\"PCR0\""), "{text}");
    }

    #[test]
    fn spoilt_state_is_refused_and_not_replaced() {
        for file in [KEY, ROOT, MEASUREMENTS] {
            let folder = tempfile::tempdir().unwrap();
            open(folder.path()).unwrap();
            fs::write(folder.path().join(file), b"spoilt").unwrap();
            let text = open(folder.path()).unwrap_err().to_string();
            assert!(text.contains(file) && text.contains("delete"), "{text}");
            assert_eq!(fs::read(folder.path().join(file)).unwrap(), b"spoilt");
        }
    }
}
