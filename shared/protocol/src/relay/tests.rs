use crypto::sign::{Signature, SignerKey};

pub(crate) use super::hash::tests::HASHES;
use super::*;
use crate::{
    committee::Committee,
    ids::FaultBound,
    json::{RawJson, from_slice},
    messages::sdk::{GetSecretsRequest, SecretRequest},
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// Vector S of relay-protocol 3.8.
fn params() -> SecretsRequestParams {
    let id = |key: &str, namespace: &str| SecretIdentifier {
        key: key.to_owned(),
        namespace: namespace.to_owned(),
    };
    let signers = (1..=4).map(|seed| key(seed).public().as_bytes().as_slice().into());
    SecretsRequestParams {
        workflow_id: "1".repeat(64),
        owner: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".to_owned(),
        execution_id: "2".repeat(64),
        org_id: "org-1".to_owned(),
        secrets: Some(vec![id("API_KEY", "main"), id("a&b", "alpha")]),
        enclave_public_key: "3".repeat(64),
        enclave_config: Some(EnclaveConfig {
            signers: Some(signers.collect()),
            master_public_key: b"mpk".as_slice().into(),
            t: 2,
            f: 1,
        }),
        ..SecretsRequestParams::default()
    }
}

/// The result of relay-protocol 5.2.
fn result() -> SecretsResult {
    let entry = |id: &SecretIdentifier, ciphertext: &str, shares: &[&str]| SecretEntry {
        id: id.clone(),
        ciphertext: crate::base64::encode(ciphertext.as_bytes()),
        encrypted_shares: Some(
            shares.iter().map(|share| crate::base64::encode(share.as_bytes())).collect(),
        ),
    };
    let ids = params().secrets.unwrap();
    SecretsResult {
        secrets: Some(vec![
            entry(&ids[0], "ct-1", &["share-b", "share-a"]),
            entry(&ids[1], "ct-2", &["share-c"]),
        ]),
    }
}

#[test]
fn the_worked_example_has_its_length_its_hashes_and_its_signature() {
    let params = params();
    assert_eq!(params.attested_bytes().len(), 668);
    let user_data = "2d32eb621a8763d108d91dd10e86cb6784e67e831883d704570d9db4075525c5";
    assert_eq!(params.user_data().to_string(), user_data);
    let hash = params.hash_result(&result()).unwrap();
    let want = "06eefa2b09ec4bfb90e77db08c0b140cce20bdf39641f03a9394b15ffa152bdd";
    assert_eq!(hash.to_string(), want);
    let bare = SecretsRequestParams { enclave_config: None, ..params.clone() };
    let want = "ce1db0ac27448c7079d6f0d4fdf3ab07034d3850b516fff280e0c5f51c78e2fe";
    assert_eq!(bare.hash_result(&result()).unwrap().to_string(), want);
    let signed = SignedResult::sign(&params, result(), &key(1)).unwrap();
    let signature = "39e90aa97ab6da781f269091a31fedb113013f081fd61da15497b78935441bc3\
                     595df740067b953736f64a21042516c9a3eae7637e9fe21fec1a37c4a24ee90f";
    assert_eq!(hex::encode(signed.signature.signature.as_slice()), signature);
    assert_eq!(signed.signatures, Some(vec![signed.signature]));
}

#[test]
fn the_attestation_covers_all_but_itself() {
    let bare = params();
    let mut attested = bare.clone();
    attested.set_attestation("ZG9j".to_owned());
    assert_eq!(attested.attested_bytes(), bare.attested_bytes());
    assert_eq!(attested.user_data(), bare.user_data());
    let text = String::from_utf8(json::to_vec(&attested)).unwrap();
    assert!(text.ends_with("},\"attestation\":\"ZG9j\"}"));
    assert_eq!(from_slice(text.as_bytes()), Ok(attested));
    let mut other = bare.clone();
    other.org_id.push('x');
    assert_ne!(other.user_data(), bare.user_data());
}

#[test]
fn a_node_signs_nothing_for_params_that_are_not_valid() {
    let params = SecretsRequestParams { owner: "0X".to_owned(), ..params() };
    let error = SignedResult::sign(&params, result(), &key(1)).unwrap_err();
    assert_eq!(error, HashResultError::Secrets(ParamsError::Owner));
}

#[test]
fn a_signature_binds_the_result_to_its_params() {
    let verifies = |params: &SecretsRequestParams, signer: &SignerKey| {
        let signed = SignedResult::sign(&self::params(), result(), &key(1)).unwrap();
        let signature = Signature::from_slice(signed.signature.signature.as_slice()).unwrap();
        let hash = params.hash_result(&signed.result).unwrap();
        signer.verify(Domain::RelayResponse, hash.as_bytes(), &signature).is_ok()
    };
    assert!(verifies(&params(), &key(1).public()));
    assert!(!verifies(&params(), &key(2).public()));
    let other = SecretsRequestParams { execution_id: "e".to_owned(), ..params() };
    assert!(!verifies(&other, &key(1).public()));
}

#[test]
fn an_empty_namespace_means_main_and_repeats_stay() {
    let secret = |id: &str, namespace: &str| SecretRequest {
        id: id.to_owned(),
        namespace: namespace.to_owned(),
    };
    let requests = vec![secret("a", ""), secret("b", "ns"), secret("a", "main")];
    let requested = requested(&GetSecretsRequest { requests, callback_id: 3 });
    let names: Vec<_> =
        requested.iter().map(|id| (id.key.as_str(), id.namespace.as_str())).collect();
    assert_eq!(names, [("a", "main"), ("b", "ns"), ("a", "main")]);
    // One output for each input, though the secret comes once (W-21).
    let entries = [SecretEntry { id: requested[0].clone(), ..SecretEntry::default() }];
    let reconciled = reconcile(&requested, &entries).unwrap();
    assert_eq!(reconciled.by_request().collect::<Vec<_>>(), [0, 1, 0]);
    let found: Vec<_> = reconciled.distinct().map(|(_id, entry)| entry.is_some()).collect();
    assert_eq!(found, [true, false]);
}

#[test]
fn answers_that_are_no_bundle_are_refused_in_words_that_workflows_know() {
    let committee =
        Committee::new(vec![key(1).public(), key(2).public()], FaultBound::new(1)).unwrap();
    let read = |text: &str| {
        let raw = RawJson::parse(text.to_owned()).unwrap();
        params().read_answer(Some(&raw), &committee).unwrap_err().to_string()
    };
    let none = params().read_answer(None, &committee).unwrap_err().to_string();
    assert_eq!(none, "unmarshalling secrets response bundle: unexpected end of JSON input");
    assert!(read("[]").starts_with("unmarshalling secrets response bundle: "));
    assert!(read("{}").starts_with("verifying secrets response: no relay-DON result"));
    let signed = |seed| SignedResult::sign(&params(), result(), &key(seed)).unwrap();
    let bundle = Bundle { responses: Some(vec![signed(1), signed(2)]) };
    let agreed = params().read_answer(Some(&RawJson::of(&bundle)), &committee).unwrap();
    assert_eq!(agreed.get(), &result());
    assert_eq!(agreed.signers().len(), 2);
}

#[test]
fn a_bad_share_says_nothing_about_the_others() {
    let entry = SecretEntry {
        encrypted_shares: Some(vec!["AQ==".to_owned(), "%".to_owned(), String::new()]),
        ciphertext: "%".to_owned(),
        ..SecretEntry::default()
    };
    let shares: Vec<_> = entry.sealed_shares().collect();
    assert_eq!((&shares[0], &shares[2]), (&Ok(vec![1]), &Ok(vec![])));
    let error = shares[1].clone().unwrap_err().to_string();
    assert_eq!(error, "decoding share 1: illegal base64 data at input byte 0");
    let error = entry.ciphertext_bytes().unwrap_err().to_string();
    assert_eq!(error, "decoding ciphertext: illegal base64 data at input byte 0");
}
