//! A document of the vectors, with the root, the image and the time under which it is believed.

use std::{
    collections::BTreeSet,
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{Measurements, Nonce, Policy, TrustRoot, UserData, cose::Sign1};
use protocol::base64;
use serde_json::Value;

/// The first document of the vectors.
#[derive(Debug)]
pub struct Known {
    /// The document.
    pub bytes: Vec<u8>,
    /// What it is verified against.
    pub policy: Policy,
    /// When it is fresh.
    pub now: SystemTime,
    /// Every payload of the vectors that somebody below the root signed: there are no others that
    /// may be believed.
    pub signed: BTreeSet<Vec<u8>>,
}

/// See [`Known`].
pub static GOOD: LazyLock<Known> = LazyLock::new(|| read().expect("the file of the vectors"));

/// The documents of the vectors with their names.
#[must_use]
pub fn all() -> Vec<(String, Vec<u8>)> {
    let file: Value = serde_json::from_str(VECTORS).expect("JSON");
    let cases = file["cases"].as_array().expect("a list");
    let named = |case: &Value| Some((case["name"].as_str()?.to_owned(), document(case)?));
    cases.iter().filter_map(named).collect()
}

fn read() -> Option<Known> {
    let file: Value = serde_json::from_str(VECTORS).ok()?;
    let cases = file["cases"].as_array()?;
    let first = cases.first()?;
    let input = &first["input"];
    let pem = input["ca_roots_pem"].as_str()?;
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let root = TrustRoot::dangerous_from_der(&base64::decode(&base64).ok()?).ok()?;
    let image = Measurements::parse(input["measurements"].as_str()?.as_bytes()).ok()?;
    let said = hex::decode(input["expected_user_data"].as_str()?).ok()?;
    let said = UserData::try_from(said.as_slice()).ok()?;
    let now = UNIX_EPOCH + Duration::from_millis(input["now_ms"].as_u64()?);
    let good = cases.iter().filter(|case| !case["output"].is_null()).filter_map(document);
    let payload = |document: Vec<u8>| Some(Sign1::decode(&document).ok()?.payload().to_vec());
    Some(Known {
        bytes: document(first)?,
        policy: Policy::new(root, image, said, Nonce::NotUsed),
        now,
        signed: good.filter_map(payload).collect(),
    })
}

fn document(case: &Value) -> Option<Vec<u8>> {
    hex::decode(case["input"]["document_hex"].as_str()?).ok()
}

const VECTORS: &str = include_str!("../../../tests/vectors/attestation-nitro.json");
