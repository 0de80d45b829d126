//! The registry as a file, in the form that the parent module shows.

use std::{io, path::Path};

use attestation::Measurements;
use crypto::{
    sign::SignerKey,
    tdh2::{MasterPublicKey, ParseError, Threshold},
};
use protocol::ids::FaultBound;
use serde_json::value::RawValue;
use tokio::{fs, io::AsyncReadExt as _};

use super::{RegistryError, Snapshot, WorkflowDon};

#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct File<M> {
    version: u32,
    workflow_don: Don,
    enclaves: Vec<Enclave<M>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    master_public_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<u32>,
}

#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Don {
    f: u32,
    members: Vec<String>,
}

#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Enclave<M> {
    #[serde(rename = "trustedValues")]
    trusted_values: Vec<M>,
}

/// Reads a file of at most [`LONGEST_FILE_BYTES`].
pub(super) async fn read(path: &Path) -> Result<Snapshot, RegistryError> {
    let file = fs::File::open(path).await.map_err(RegistryError::Read)?;
    let mut text = Vec::new();
    let read = file.take(LONGEST_FILE_BYTES.saturating_add(1)).read_to_end(&mut text).await;
    let read = read.map_err(RegistryError::Read)?;
    if read as u64 > LONGEST_FILE_BYTES {
        return Err(RegistryError::TooLong { limit: LONGEST_FILE_BYTES });
    }
    parse(&text)
}

/// Parses the text of a registry file; unknown members and broken measurements are refused.
///
/// # Errors
///
/// [`RegistryError`], saying what is wrong where.
pub fn parse(text: &[u8]) -> Result<Snapshot, RegistryError> {
    let file: File<&RawValue> = serde_json::from_slice(text)?;
    if file.version != VERSION {
        return Err(RegistryError::Version { got: file.version, want: VERSION });
    }
    let mut members = Vec::new();
    for (index, member) in file.workflow_don.members.iter().enumerate() {
        let key: Result<SignerKey, _> = member.parse();
        members.push(key.map_err(|source| RegistryError::Member { index, source })?);
    }
    let mut measurements = Vec::new();
    for (enclave, Enclave { trusted_values }) in file.enclaves.iter().enumerate() {
        for (index, value) in trusted_values.iter().enumerate() {
            let set = Measurements::parse(value.get().as_bytes());
            let wrong = |source| RegistryError::Measurements { enclave, index, source };
            measurements.push(Ok(set.map_err(wrong)?));
        }
    }
    let master_public_key = file.master_public_key.as_deref().map(master_public_key).transpose();
    Ok(Snapshot {
        don: WorkflowDon::new(members, FaultBound::new(file.workflow_don.f)),
        measurements,
        master_public_key: master_public_key.map_err(RegistryError::MasterPublicKey)?,
        threshold: file.threshold.map(Threshold::new).transpose()?,
    })
}

/// Writes what [`parse`] reads; measurements that did not parse are left out.
///
/// # Errors
///
/// [`io::Error`] only if memory runs out.
pub fn to_json(snapshot: &Snapshot) -> io::Result<Vec<u8>> {
    let members = snapshot.don.members().iter().map(ToString::to_string).collect();
    let sets = snapshot.measurements.iter().flatten();
    let sets = sets.map(|set| RawValue::from_string(set.to_registry_json()));
    let key = snapshot.master_public_key.as_ref();
    let file = File {
        version: VERSION,
        workflow_don: Don { f: snapshot.don.faults().get(), members },
        enclaves: vec![Enclave { trusted_values: sets.collect::<Result<Vec<_>, _>>()? }],
        master_public_key: key.map(|key| hex::encode(key.as_bytes())),
        threshold: snapshot.threshold.map(Threshold::get),
    };
    Ok(serde_json::to_vec_pretty(&file)?)
}

fn master_public_key(digits: &str) -> Result<MasterPublicKey, ParseError> {
    // What is no hexadecimal text is no key either: the empty text is refused as malformed.
    MasterPublicKey::parse(&hex::decode(digits).unwrap_or_default())
}

/// Room for a thousand enclaves: a set of measurements takes about 700 bytes, a key 64 KiB at most.
const LONGEST_FILE_BYTES: u64 = 1024 * 1024;

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use crypto::{sign::SigningKey, tdh2};
    use serde_json::{Value, json};

    use super::*;

    fn example() -> Value {
        let member = SigningKey::from_seed(&[1; 32]).public().to_string();
        let set =
            json!({ "pcr0": "01".repeat(48), "pcr1": "02".repeat(48), "pcr2": "03".repeat(48) });
        json!({
            "version": 1,
            "workflow_don": { "f": 1, "members": [member] },
            "enclaves": [{ "trustedValues": [set] }],
        })
    }

    fn parse(file: &Value) -> Result<Snapshot, RegistryError> {
        super::parse(file.to_string().as_bytes())
    }

    #[test]
    fn what_is_written_is_read() {
        let threshold = Threshold::new(1).unwrap();
        let deal = tdh2::deal(threshold, 2, &mut rand_core::OsRng).unwrap();
        let mut snapshot = parse(&example()).unwrap();
        snapshot.master_public_key = Some(deal.public_key.clone());
        snapshot.threshold = Some(threshold);
        let read = super::parse(&to_json(&snapshot).unwrap()).unwrap();
        assert_eq!(read.don, snapshot.don);
        assert_eq!(read.measurements, snapshot.measurements);
        assert_eq!(read.master_public_key, Some(deal.public_key));
        assert_eq!(read.threshold, Some(threshold));
    }

    #[test]
    fn unknown_members_and_other_versions_are_refused() {
        for (pointer, name) in
            [("", "extra"), ("/workflow_don", "n"), ("/enclaves/0", "caRootsPEM")]
        {
            let mut file = example();
            file.pointer_mut(pointer).unwrap()[name] = json!("x");
            assert!(matches!(parse(&file), Err(RegistryError::Form(_))), "{name}");
        }
        let mut file = example();
        file["version"] = json!(2);
        assert!(matches!(parse(&file), Err(RegistryError::Version { got: 2, want: 1 })));
    }

    #[test]
    fn every_value_that_trust_rests_on_is_checked() {
        let change = |pointer: &str, value: Value| {
            let mut file = example();
            *file.pointer_mut(pointer).unwrap() = value;
            parse(&file).unwrap_err()
        };
        let zero = "00".repeat(48);
        assert!(matches!(
            change("/workflow_don/members/0", json!("00")),
            RegistryError::Member { index: 0, .. }
        ));
        for broken in [json!("x"), json!({}), json!({ "pcr0": zero })] {
            assert!(matches!(
                change("/enclaves/0/trustedValues/0", broken),
                RegistryError::Measurements { enclave: 0, index: 0, .. }
            ));
        }
        let mut file = example();
        file["master_public_key"] = json!("zz");
        assert!(matches!(parse(&file), Err(RegistryError::MasterPublicKey(_))));
    }

    #[test]
    fn w_54_a_threshold_of_zero_is_refused() {
        let mut file = example();
        file["threshold"] = json!(0);
        assert!(matches!(parse(&file), Err(RegistryError::Threshold(_))));
    }

    #[tokio::test]
    async fn a_file_is_read_again_for_every_request() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.json");
        let registry = super::super::Registry::file(path.clone());
        assert!(matches!(registry.read().await, Err(RegistryError::Read(_))));
        std::fs::write(&path, example().to_string()).unwrap();
        assert_eq!(registry.read().await.unwrap().measurements.len(), 1);
        let mut none = example();
        none["enclaves"] = json!([]);
        std::fs::write(&path, none.to_string()).unwrap();
        assert!(registry.read().await.unwrap().measurements.is_empty());
        let long = vec![b' '; usize::try_from(LONGEST_FILE_BYTES).unwrap() + 1];
        std::fs::write(&path, long).unwrap();
        assert!(matches!(registry.read().await, Err(RegistryError::TooLong { .. })));
    }
}
