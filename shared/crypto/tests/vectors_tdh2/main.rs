//! Walks over every section of `tdh2.json`.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::{
    secret::Secret,
    tdh2::{Ciphertext, DecryptionShare, MasterPublicKey, PrivateShare, Threshold},
};
use schema::{Encrypted, File, KeySet};

mod boxes;
mod class;
mod outcomes;
mod outputs;
mod schema;
#[path = "../../src/scripted.rs"]
mod scripted;

/// The file, or `None` where a folder from outside does not hold it.
static FILE: LazyLock<Option<File>> = LazyLock::new(|| {
    let text = vectors::text("tdh2.json")?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("tdh2.json: {error}")))
});

impl File {
    fn keyset(&self, id: &str) -> &KeySet {
        self.keysets.iter().find(|keys| keys.id == id).unwrap_or_else(|| panic!("no key set {id}"))
    }

    fn encrypted(&self, id: &str) -> &Encrypted {
        let found = self.ciphertexts.iter().find(|encrypted| encrypted.id == id);
        found.unwrap_or_else(|| panic!("no ciphertext {id}"))
    }
}

impl KeySet {
    fn key(&self) -> MasterPublicKey {
        MasterPublicKey::parse(self.public_key.as_bytes()).unwrap()
    }

    fn party(&self, index: usize) -> PrivateShare {
        PrivateShare::parse(self.private_shares[index].as_bytes()).unwrap()
    }
}

impl Encrypted {
    fn under(&self, key: &MasterPublicKey) -> Ciphertext {
        Ciphertext::parse(self.ciphertext.as_bytes(), key).unwrap()
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

fn threshold(shares: usize) -> Result<Threshold, crypto::tdh2::ThresholdError> {
    Threshold::new(u32::try_from(shares).unwrap())
}

/// Fresh shares of these parties, as bytes.
fn shares_of(keys: &KeySet, ciphertext: &Ciphertext, parties: &[usize]) -> Vec<Secret> {
    let share = |index: &usize| {
        DecryptionShare::create(&keys.party(*index), ciphertext, &mut rand_core::OsRng).to_json()
    };
    parties.iter().map(share).collect()
}

/// Runs `case` on every case and reports all differences together.
fn walk<C>(
    section: &str,
    cases: &[C],
    name: impl Fn(&C) -> String,
    case: impl Fn(&C) -> Result<(), String>,
) {
    let differ = |c: &C| case(c).err().map(|difference| format!("{}: {difference}", name(c)));
    let differences: Vec<String> = cases.iter().filter_map(differ).collect();
    let all = cases.len();
    assert!(
        differences.is_empty(),
        "{section}: {} of {all} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(all > 0 || !vectors::folder().1, "{section}: no case");
}
