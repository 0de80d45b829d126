//! The ciphertexts, in a file that is replaced as a whole.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use protocol::{base64, ids::Owner};

/// All ciphertexts, by owner, namespace and name.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    secrets: BTreeMap<SecretName, Vec<u8>>,
}

/// The full name of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SecretName {
    pub(super) owner: Owner,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// A part of a secret's name cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} is not {want}")]
pub(super) struct NameError {
    part: &'static str,
    want: &'static str,
}

/// Why the file is of no use, or was not written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be read.
    #[error("the secrets file cannot be read")]
    Read(#[source] io::Error),
    /// The file cannot be written; what it held, it still holds.
    #[error("the secrets file cannot be written")]
    Write(#[source] io::Error),
    /// The file is not in its form.
    #[error("the secrets file is not in its form; move it away to begin with an empty one")]
    Form,
    /// The file is longer than a full store.
    #[error("the secrets file is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// There are as many secrets as there can be, of the owner or in all.
    #[error("there is no room for another secret, the limit is {limit}")]
    Full {
        /// The limit.
        limit: usize,
    },
}

#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    secrets: Vec<Entry>,
}

#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    owner: String,
    namespace: String,
    name: String,
    ciphertext: String,
}

impl SecretName {
    /// A name whose parts are 1 to 64 bytes without control characters.
    pub(super) fn new(owner: &str, namespace: &str, name: &str) -> Result<Self, NameError> {
        let owner = Owner::parse(owner).map_err(|_error| NameError {
            part: "the owner",
            want: "an address of 40 hexadecimal digits",
        })?;
        for (part, text) in [("the namespace", namespace), ("the name", name)] {
            let is_sized = (1..=LONGEST_PART_BYTES).contains(&text.len());
            if !is_sized || text.chars().any(char::is_control) {
                return Err(NameError { part, want: "1 to 64 bytes of text" });
            }
        }
        Ok(Self { owner, namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl Store {
    /// Reads the file; where there is none, the store is empty.
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let secrets = match fs::File::open(&path) {
            Ok(file) => read(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(StoreError::Read(error)),
        };
        Ok(Self { path, secrets })
    }

    pub(super) fn get(&self, name: &SecretName) -> Option<&[u8]> {
        self.secrets.get(name).map(Vec::as_slice)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.secrets.keys()
    }

    /// Stores a ciphertext, in place of one of the same name. Blocks until the file is on the disk.
    pub(super) fn put(&mut self, name: SecretName, ciphertext: Vec<u8>) -> Result<(), StoreError> {
        if !self.secrets.contains_key(&name) {
            let of_owner = self.secrets.keys().filter(|other| other.owner == name.owner).count();
            for (got, limit) in [(of_owner, SECRETS_PER_OWNER), (self.secrets.len(), SECRETS)] {
                if got >= limit {
                    return Err(StoreError::Full { limit });
                }
            }
        }
        let before = self.secrets.insert(name.clone(), ciphertext);
        let written = write(&self.path, &self.secrets);
        if written.is_err() {
            match before {
                Some(before) => self.secrets.insert(name, before),
                None => self.secrets.remove(&name),
            };
        }
        written.map_err(StoreError::Write)
    }
}

fn read(file: fs::File) -> Result<BTreeMap<SecretName, Vec<u8>>, StoreError> {
    let mut text = Vec::new();
    let limit = LONGEST_FILE_BYTES;
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut text);
    if read.map_err(StoreError::Read)? as u64 > limit {
        return Err(StoreError::TooLong { limit });
    }
    let file: File = serde_json::from_slice(&text).map_err(|_error| StoreError::Form)?;
    if file.version != VERSION {
        return Err(StoreError::Form);
    }
    let entries = file.secrets.into_iter().map(|entry| {
        let name = SecretName::new(&entry.owner, &entry.namespace, &entry.name);
        let ciphertext = base64::decode(&entry.ciphertext);
        Some((name.ok()?, ciphertext.ok()?))
    });
    entries.collect::<Option<_>>().ok_or(StoreError::Form)
}

/// Writes a new file that nobody else may read, and puts it in the place of the old one.
fn write(path: &Path, secrets: &BTreeMap<SecretName, Vec<u8>>) -> io::Result<()> {
    let entries = secrets.iter().map(|(name, ciphertext)| Entry {
        owner: name.owner.to_string(),
        namespace: name.namespace.clone(),
        name: name.name.clone(),
        ciphertext: base64::encode(ciphertext),
    });
    let text = serde_json::to_vec(&File { version: VERSION, secrets: entries.collect() })?;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Bytes of a secret's name or namespace (tdh2 13).
const LONGEST_PART_BYTES: usize = 64;

/// Secrets of one owner (tdh2 13).
const SECRETS_PER_OWNER: usize = 100;

/// Secrets in all: every one may take 3 KB of the file.
const SECRETS: usize = 10_000;

/// A full store.
const LONGEST_FILE_BYTES: u64 = 32 * 1024 * 1024;

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn name(owner: u8, name: &str) -> SecretName {
        SecretName::new(&hex::encode([owner; 20]), "main", name).unwrap()
    }

    #[test]
    fn what_is_put_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        let mut store = Store::open(path.clone()).unwrap();
        store.put(name(1, "a"), b"old".to_vec()).unwrap();
        store.put(name(1, "a"), b"new".to_vec()).unwrap();
        store.put(name(2, "a"), b"other".to_vec()).unwrap();
        let store = Store::open(path.clone()).unwrap();
        assert_eq!(store.get(&name(1, "a")), Some(&b"new"[..]));
        assert_eq!(store.names().count(), 2);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_in_another_form_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        for text in
            ["", "{}", r#"{"version":2,"secrets":[]}"#, r#"{"version":1,"secrets":[],"x":1}"#]
        {
            fs::write(&path, text).unwrap();
            assert!(matches!(Store::open(path.clone()), Err(StoreError::Form)), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_store_that_cannot_write_keeps_what_it_had() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path().join("nowhere/secrets.json")).unwrap();
        assert!(matches!(store.put(name(1, "a"), vec![1]), Err(StoreError::Write(_))));
        assert_eq!(store.get(&name(1, "a")), None);
    }

    #[test]
    fn an_owner_has_room_for_a_hundred_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path().join("secrets.json")).unwrap();
        for number in 0..SECRETS_PER_OWNER {
            store.secrets.insert(name(1, &number.to_string()), Vec::new());
        }
        let full = store.put(name(1, "one more"), Vec::new());
        assert!(matches!(full, Err(StoreError::Full { limit: SECRETS_PER_OWNER })));
        store.put(name(1, "7"), vec![1]).unwrap();
        store.put(name(2, "a"), vec![1]).unwrap();
    }

    #[test]
    fn parts_of_a_name_are_bounded() {
        let owner = hex::encode([1; 20]);
        for (namespace, name) in
            [("", "a"), ("main", ""), ("main", "a\n"), ("main", &*"a".repeat(65))]
        {
            assert!(SecretName::new(&owner, namespace, name).is_err(), "{namespace:?} {name:?}");
        }
        assert!(SecretName::new("alice", "main", "a").is_err());
    }
}
