//! The folder of a devnet, and who may use it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::files;

/// The folder of a running devnet. Nobody else uses it as long as this value lives.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    /// The lock of the folder; the system lets go of it when the process ends in whatever way.
    _lock: File,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayoutError {
    /// Another devnet runs in it.
    #[error("a devnet is running in {}; stop it, or name another folder", .0.display())]
    Live(PathBuf),
    /// There is something in it that no devnet made.
    #[error("{} is not empty and no devnet made it; name a folder that is", .0.display())]
    Foreign(PathBuf),
    /// Its path cannot stand in a configuration.
    #[error("{} is not UTF-8; name another folder", .0.display())]
    NotUtf8(PathBuf),
    /// The system refuses.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Layout {
    /// Takes a folder: makes it if it is not there, and clears what an earlier devnet left.
    ///
    /// # Errors
    ///
    /// [`LayoutError`]; nothing was removed.
    pub(crate) fn take(folder: &Path) -> Result<Self, LayoutError> {
        let io = |source| LayoutError::Io { path: folder.to_owned(), source };
        files::create_folder(folder).map_err(io)?;
        let root = folder.canonicalize().map_err(io)?;
        if root.to_str().is_none() {
            return Err(LayoutError::NotUtf8(root));
        }
        let lock_file = root.join(LOCK);
        if !lock_file.exists() && fs::read_dir(&root).map_err(io)?.next().is_some() {
            return Err(LayoutError::Foreign(root));
        }
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600).open(lock_file);
        let lock = lock.map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LayoutError::Live(root)),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        clear(&root).map_err(io)?;
        for folder in FOLDERS {
            files::create_folder(&root.join(folder)).map_err(io)?;
        }
        Ok(Self { root, _lock: lock })
    }

    /// What the commands of a network read.
    pub(crate) fn network(&self) -> PathBuf {
        self.root.join(NETWORK)
    }

    /// The registry that relay nodes read.
    pub(crate) fn registry(&self) -> PathBuf {
        self.root.join(REGISTRY)
    }

    /// A role's configuration.
    pub(crate) fn config(&self, role: &str) -> PathBuf {
        self.root.join("config").join(format!("{role}.toml"))
    }

    /// A file with a key or a certificate.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.root.join("keys").join(name)
    }

    /// A role's log.
    pub(crate) fn log(&self, role: &str) -> PathBuf {
        self.root.join("logs").join(format!("{role}.log"))
    }

    /// A file or folder that one role keeps.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.root.join("state").join(name)
    }
}

/// Removes what an earlier devnet made here, and nothing else.
fn clear(root: &Path) -> io::Result<()> {
    let gone = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    for folder in FOLDERS {
        gone(fs::remove_dir_all(root.join(folder)))?;
    }
    for file in [NETWORK, REGISTRY] {
        gone(fs::remove_file(root.join(file)))?;
    }
    Ok(())
}

const NETWORK: &str = "devnet.json";
const REGISTRY: &str = "registry.json";
const LOCK: &str = "devnet.lock";
const FOLDERS: [&str; 4] = ["config", "keys", "logs", "state"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_a_devnet_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::take(folder.path()).unwrap();
        fs::write(layout.network(), "old").unwrap();
        fs::write(layout.key("old.key"), "old").unwrap();
        let mine = folder.path().join("receipt.json");
        fs::write(&mine, "mine").unwrap();
        drop(layout);
        let layout = Layout::take(folder.path()).unwrap();
        assert!(!layout.network().exists() && !layout.key("old.key").exists());
        assert!(mine.exists());
    }

    #[test]
    fn the_folder_of_a_running_devnet_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let running = Layout::take(folder.path()).unwrap();
        fs::write(running.network(), "live").unwrap();
        assert!(matches!(Layout::take(folder.path()), Err(LayoutError::Live(_))));
        assert_eq!(fs::read(running.network()).unwrap(), b"live");
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        fs::create_dir(&logs).unwrap();
        assert!(matches!(Layout::take(folder.path()), Err(LayoutError::Foreign(_))));
        assert!(logs.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_that_is_a_file_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Layout::take(file.path()), Err(LayoutError::Io { .. })));
    }
}
