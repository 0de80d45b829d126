use std::fs;

use crypto::tdh2::{self, Threshold};
use rand_core::OsRng;
use serde_json::{Value, json};

use super::*;

/// The file of a devnet that does not run.
pub(crate) fn example() -> File {
    let keys: Vec<_> = (1..=4).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
    let deal = tdh2::deal(Threshold::new(2).unwrap(), 4, &mut OsRng).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let set = json!({ "pcr0": "a1".repeat(48), "pcr1": "a2".repeat(48), "pcr2": "a3".repeat(48) });
    File {
        version: VERSION,
        addresses: Addresses {
            bridge: address,
            operator: address,
            gateway: address,
            gateway_nodes: address,
            vault: address,
            workflows: address,
            echo: address,
            enclave: address,
        },
        committee: CommitteeFile {
            f: 1,
            threshold: 2,
            signers: keys.iter().map(|key| key.public().to_string()).collect(),
            seeds: (1..=4_u8).map(|seed| hex::encode([seed; 32]).into()).collect(),
        },
        master_public_key: base64::encode(deal.public_key.as_bytes()),
        test_root: base64::encode(TrustRoot::aws().der()),
        measurements: RawValue::from_string(set.to_string()).unwrap(),
        vault_token: "hunter2".to_owned().into(),
        echo_ca: String::new(),
        pids: BTreeMap::new(),
    }
}

fn load(change: impl FnOnce(&mut Value)) -> Result<Network, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devnet.json");
    let mut file = serde_json::to_value(example()).unwrap();
    change(&mut file);
    fs::write(&path, file.to_string()).unwrap();
    Network::load(&path)
}

fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let failure = load(change).unwrap_err();
    assert_eq!(failure.exit, Exit::Input);
    failure.to_string()
}

#[test]
fn what_is_stored_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devnet.json");
    example().store(&path).unwrap();
    let network = Network::load(&path).unwrap();
    assert_eq!(network.keys.len(), 4);
    assert_eq!(network.committee().fault_bound().get(), 1);
    assert_eq!(network.config.threshold().get(), 2);
    assert_eq!(network.vault_token.expose(), "hunter2");
    let debug = format!("{network:?}");
    assert!(!debug.contains("hunter2") && !debug.contains(&"01".repeat(32)), "{debug}");
}

#[test]
fn another_version_is_told_from_a_damaged_file() {
    let other = refusal(|file| file["version"] = json!(2));
    assert!(other.contains("is of version 2, this enclavectl reads version 1"), "{other}");
    let none = refusal(|file| *file = json!({ "name": "x" }));
    assert!(none.contains("is not a devnet.json"), "{none}");
    let extra = refusal(|file| file["extra"] = json!(1));
    assert!(extra.contains("take the file that `enclavectl devnet` writes"), "{extra}");
}

#[test]
fn a_damaged_member_is_named_and_not_shown() {
    for (pointer, value, member) in [
        ("/committee/seeds/0", json!("hunter2"), "committee.seeds"),
        ("/committee/seeds/0", json!("09".repeat(32)), "committee.seeds"),
        ("/committee/signers/0", json!("zz"), "committee.signers"),
        ("/committee/f", json!(9), "committee"),
        ("/committee/threshold", json!(0), "committee"),
        ("/master_public_key", json!("AQI="), "committee"),
        ("/master_public_key", json!("hunter2!"), "master_public_key"),
        ("/test_root", json!("AQI="), "test_root"),
        ("/measurements/pcr0", json!("00"), "measurements"),
    ] {
        let text = refusal(|file| *file.pointer_mut(pointer).unwrap() = value);
        assert!(text.contains(&format!(": {member} is damaged; ")), "{pointer}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn no_error_quotes_the_file() {
    for change in [json!({ "vault_token": "hunter2", "version": 1 }), json!("hunter2")] {
        let text = refusal(|file| *file = change);
        assert!(!text.contains("hunter2"), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let missing = Network::load(&folder.path().join("devnet.json")).unwrap_err();
    assert_eq!(missing.exit, Exit::Input);
    assert!(missing.to_string().contains("start a devnet with"), "{missing}");
}
