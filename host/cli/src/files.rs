//! Files: read with a limit, written as a whole or not at all.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::exit::{Exit, Failure, OrFail as _};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Whoever may read its folder.
    All,
    /// Its owner.
    Owner,
}

/// Reads a file of at most `limit_bytes`.
///
/// # Errors
///
/// [`Exit::Input`] with a sentence that names the file.
pub(crate) fn read(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    let file = fs::File::open(path).or_fail(Exit::Input, || format!("{name} cannot be read"))?;
    let metadata = file.metadata().or_fail(Exit::Input, || format!("{name} cannot be read"))?;
    if metadata.is_dir() {
        return Err(Failure::new(Exit::Input, format!("{name} is a folder, a file is needed")));
    }
    let mut contents = Vec::new();
    file.take(limit_bytes.saturating_add(1))
        .read_to_end(&mut contents)
        .or_fail(Exit::Input, || format!("{name} cannot be read"))?;
    if contents.len() as u64 > limit_bytes {
        let text = format!("{name} is longer than {limit_bytes} bytes");
        return Err(Failure::new(Exit::Input, text));
    }
    Ok(contents)
}

/// Reads a file of at most `limit_bytes` that is text.
///
/// # Errors
///
/// [`Exit::Input`] with a sentence that names the file.
pub(crate) fn read_text(path: &Path, limit_bytes: u64) -> Result<String, Failure> {
    String::from_utf8(read(path, limit_bytes)?)
        .or_fail(Exit::Input, || format!("{} is not UTF-8 text", path.display()))
}

/// Replaces a file: whoever reads it sees the old contents or the new, never a part.
///
/// # Errors
///
/// What the system reports; the old contents are still there.
pub(crate) fn write(path: &Path, contents: &[u8], readers: Readers) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let mode = match readers {
        Readers::All => 0o644,
        Readers::Owner => 0o600,
    };
    let written = (|| {
        // What a process of the same id left over, perhaps readable for others.
        fs::remove_file(&temporary).ok();
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(contents)?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        fs::remove_file(&temporary).ok();
    }
    written
}

/// Makes a folder that only its owner may look into, unless it is there.
///
/// # Errors
///
/// What the system reports.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_with_keys_is_the_owners_from_its_first_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        write(&path, b"old", Readers::All).unwrap();
        write(&path, b"new", Readers::Owner).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("there");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("x"), "").unwrap();
        write(&path, b"contents", Readers::All).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_a_long_and_a_wrong_file_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let missing = read(&path, 4).unwrap_err();
        assert_eq!(missing.exit, Exit::Input);
        assert!(missing.to_string().contains(path.to_str().unwrap()));
        fs::write(&path, b"12345").unwrap();
        assert!(read(&path, 4).unwrap_err().to_string().ends_with("is longer than 4 bytes"));
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let is_folder = read(folder.path(), 4).unwrap_err().to_string();
        assert!(is_folder.ends_with("is a folder, a file is needed"), "{is_folder}");
        fs::write(&path, [0xff]).unwrap();
        assert!(read_text(&path, 4).unwrap_err().to_string().contains("is not UTF-8"));
    }
}
