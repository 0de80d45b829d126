//! Files that hold a secret: a key's seed, a share, a token.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crypto::{secret::Secret, sign::SigningKey};

/// Why a file does not give a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read the file.
    #[error("{} has mode {mode:o}; nobody but its owner may read it: chmod 600", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is empty or too long.
    #[error("{} has to hold 1 to {limit_bytes} bytes", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// The most that it may hold.
        limit_bytes: usize,
    },
    /// The file holds no seed.
    #[error("{} does not hold a seed of 64 hexadecimal digits", path.display())]
    Seed {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a key, a share or a token from a file that only its owner may read, without white space
/// around it.
///
/// # Errors
///
/// [`SecretFileError`], never with a byte of the contents.
pub fn read(path: &Path) -> Result<Secret, SecretFileError> {
    read_up_to(path, LONGEST_SECRET_BYTES)
}

/// As [`read`], for a file of at most `limit_bytes`.
///
/// # Errors
///
/// [`SecretFileError`], never with a byte of the contents.
pub fn read_up_to(path: &Path, limit_bytes: usize) -> Result<Secret, SecretFileError> {
    let read = |source| SecretFileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    let mode = file.metadata().map_err(read)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretFileError::Open { path: path.to_owned(), mode });
    }
    // Room for one byte more, so that the buffer never moves and leaves a copy behind.
    let mut contents = Vec::with_capacity(limit_bytes.saturating_add(1));
    let limit = limit_bytes.saturating_add(1) as u64;
    file.take(limit).read_to_end(&mut contents).map_err(read)?;
    let contents = Secret::new(contents);
    let trimmed = contents.expose().trim_ascii();
    if trimmed.is_empty() || contents.len() > limit_bytes {
        return Err(SecretFileError::Size { path: path.to_owned(), limit_bytes });
    }
    Ok(Secret::new(trimmed.to_vec()))
}

/// Reads the ed25519 key of a node from its seed: 64 hexadecimal digits.
///
/// # Errors
///
/// [`SecretFileError`].
pub fn read_signing_key(path: &Path) -> Result<SigningKey, SecretFileError> {
    let digits = read(path)?;
    let mut seed = [0; 32];
    let decoded = hex::decode_to_slice(digits.expose(), &mut seed);
    let key = SigningKey::from_seed(&seed);
    zeroize::Zeroize::zeroize(&mut seed);
    decoded.map(|()| key).map_err(|_error| SecretFileError::Seed { path: path.to_owned() })
}

/// Room for every key, share and token there is.
const LONGEST_SECRET_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn file(contents: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_seed_is_read_without_the_line_break_behind_it() {
        let (_folder, path) = file(format!("{}\n", "01".repeat(32)).as_bytes(), 0o600);
        let key = read_signing_key(&path).unwrap();
        assert_eq!(key.public(), SigningKey::from_seed(&[1; 32]).public());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        for mode in [0o644, 0o640, 0o604] {
            let (_folder, path) = file(b"secret", mode);
            assert!(matches!(read(&path), Err(SecretFileError::Open { .. })), "{mode:o}");
        }
    }

    #[test]
    fn no_error_repeats_the_contents() {
        for contents in [&b"hunter2"[..], b"", &[b'a'; LONGEST_SECRET_BYTES + 1]] {
            let (_folder, path) = file(contents, 0o600);
            let error = read_signing_key(&path).unwrap_err();
            assert!(matches!(error, SecretFileError::Seed { .. } | SecretFileError::Size { .. }));
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        assert!(matches!(read(Path::new("/nonexistent")), Err(SecretFileError::Read { .. })));
    }
}
