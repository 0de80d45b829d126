//! A document with a statement is to version 1 what one without is: its validators look at neither
//! `public_key` nor `nonce` (relay-protocol 13).
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{
    AttestationRequest, Attestor, Challenge, Document, Freshness, Nonce, Policy, UserData,
    Verified,
    cose::Sign1,
    statement::{AnswerStatement, NAME_LIMIT_BYTES, Statement},
};
use serde_cbor::Value;
use testkit::{
    chain::TestRoot,
    nsm::{MockNsm, measurements_of},
};

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_787_140_800)
}

fn device() -> MockNsm {
    let root = TestRoot::generate(now()).unwrap();
    MockNsm::new(root, &measurements_of("workflows"), Arc::new(now))
}

fn said() -> UserData {
    UserData::from([7; 32])
}

/// Statements from the shortest to the longest.
fn statements() -> [Statement; 3] {
    let short = Statement {
        boot_id: [1; 16],
        config_hash: [2; 32],
        config_epoch: 0,
        settings_hash: None,
        hpke_public_key: None,
        answer: None,
    };
    let text = "x".repeat(NAME_LIMIT_BYTES);
    let answer = AnswerStatement {
        shares_hash: None,
        telemetry_hash: [7; 32],
        application_request_id: "execution".into(),
        request_version: "0.0.6".into(),
    };
    let usual = Statement { answer: Some(answer.clone()), ..short };
    let longest = AnswerStatement {
        shares_hash: Some([6; 32]),
        application_request_id: text.as_str().into(),
        request_version: text.as_str().into(),
        ..answer
    };
    let long = Statement {
        config_epoch: u64::MAX,
        settings_hash: Some([4; 32]),
        hpke_public_key: Some([5; 32]),
        answer: Some(longest),
        ..short
    };
    [short, usual, long]
}

fn document(device: &MockNsm, statement: Option<&Statement>, nonce: Option<&[u8]>) -> Vec<u8> {
    let mut request = AttestationRequest::from(said());
    if let Some(statement) = statement {
        request = request.with_public_key(&statement.encode()).unwrap();
    }
    if let Some(nonce) = nonce {
        request = request.with_nonce(nonce).unwrap();
    }
    device.attest(&request).unwrap()
}

fn verify(device: &MockNsm, document: &[u8], nonce: Nonce) -> Verified<Document> {
    let root = device.root().trust().unwrap();
    let policy = Policy::new(root, measurements_of("workflows"), said(), nonce);
    let policy = policy.with_freshness(Freshness::reference());
    attestation::verify(document, &policy, now()).unwrap()
}

/// The payload's fields, by another reader of CBOR.
fn fields(document: &[u8]) -> BTreeMap<String, Value> {
    let Ok(Value::Array(items)) = serde_cbor::from_slice(document) else { panic!("no array") };
    let [protected, unprotected, Value::Bytes(payload), Value::Bytes(signature)] = items.as_slice()
    else {
        panic!("not the four items");
    };
    assert_eq!(*protected, Value::Bytes(vec![0xa1, 0x01, 0x38, 0x22]));
    assert_eq!(*unprotected, Value::Map(BTreeMap::new()));
    assert_eq!(signature.len(), 96);
    serde_cbor::from_slice(payload).unwrap()
}

#[test]
fn validators_of_version_1_accept_documents_with_both_fields() {
    let cases = vectors::cases("attestation-nitro.json");
    let accepted = cases.iter().filter_map(|case| case.output.as_ref());
    let has = |name: &str| accepted.clone().filter(|output| !output[name].is_null()).count();
    assert!(has("public_key") > 0 && has("nonce") > 0 || !vectors::folder().1);
}

/// The rules of sections 13.1 and 13.2 that such a validator holds a document to before it looks at
/// certificates.
#[test]
fn the_rules_of_version_1_hold_on_documents_with_a_statement() {
    let device = device();
    let nonce = [9; 512];
    for statement in statements() {
        let fields = fields(&document(&device, Some(&statement), Some(&nonce)));
        assert_eq!(fields.len(), 9);
        assert!(matches!(&fields["module_id"], Value::Text(id) if !id.is_empty()));
        assert_eq!(fields["digest"], Value::Text("SHA384".to_owned()));
        let Value::Integer(ms) = fields["timestamp"] else { panic!("no time") };
        assert!((1..=i128::from(i64::MAX)).contains(&ms));
        let Value::Map(pcrs) = &fields["pcrs"] else { panic!("no registers") };
        assert!((1..=32).contains(&pcrs.len()));
        for (index, value) in pcrs {
            assert!(matches!(index, Value::Integer(0..=31)));
            assert!(matches!(value, Value::Bytes(value) if value.len() == 48));
        }
        let Value::Array(bundle) = &fields["cabundle"] else { panic!("no bundle") };
        let fits =
            |item: &Value| matches!(item, Value::Bytes(der) if (1..=1024).contains(&der.len()));
        assert!(!bundle.is_empty() && bundle.iter().all(fits));
        let said = [
            ("public_key", statement.encode()),
            ("user_data", said().as_bytes().to_vec()),
            ("nonce", nonce.to_vec()),
        ];
        for (name, bytes) in said {
            assert!(bytes.len() <= 1024);
            assert_eq!(fields[name], Value::Bytes(bytes));
        }
    }
}

#[test]
fn a_statement_changes_the_bytes_of_its_field_and_no_others() {
    let device = device();
    let payload = |bytes: &[u8]| Sign1::decode(bytes).unwrap().payload().to_vec();
    let without = payload(&document(&device, None, None));
    for statement in statements() {
        let with = payload(&document(&device, Some(&statement), None));
        let bytes = statement.encode();
        let at = with.windows(bytes.len()).position(|part| part == bytes).unwrap();
        let head = if bytes.len() > 255 { 3 } else { 2 };
        let null = [&with[..at - head], &[0xf6], &with[at + bytes.len()..]].concat();
        assert_eq!(null, without);
    }
}

#[test]
fn a_verifier_that_knows_no_statement_believes_the_same() {
    let device = device();
    let without = verify(&device, &document(&device, None, None), Nonce::NotUsed);
    assert_eq!(without.statement(), Ok(None));
    for statement in statements() {
        for nonce in [None, Some(b"challenge".as_slice())] {
            let with = document(&device, Some(&statement), nonce);
            let with = verify(&device, &with, Nonce::NotUsed);
            assert_eq!(with.statement(), Ok(Some(statement.clone())));
            assert_eq!(with.matched_set(), without.matched_set());
            let rest = Document { public_key: None, nonce: None, ..with.into_inner() };
            assert_eq!(&rest, without.get());
        }
    }
}

#[test]
fn a_verifier_that_knows_both_reads_both() {
    let device = device();
    let [statement, ..] = statements();
    let challenge = Challenge::try_from(b"challenge".as_slice()).unwrap();
    let bytes = document(&device, Some(&statement), Some(challenge.as_bytes()));
    let verified = verify(&device, &bytes, Nonce::Expected(challenge));
    assert_eq!(verified.statement(), Ok(Some(statement)));
}

#[test]
fn a_field_that_holds_something_else_is_no_statement() {
    let device = device();
    for key in [&b"another key"[..], &[], &[0xa0]] {
        let request = AttestationRequest::from(said()).with_public_key(key).unwrap();
        let verified = verify(&device, &device.attest(&request).unwrap(), Nonce::NotUsed);
        assert!(verified.statement().is_err(), "{key:?}");
    }
}
