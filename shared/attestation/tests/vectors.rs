//! Verifies every document of the reference's vectors as the reference does.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

use std::{
    collections::BTreeSet,
    time::{Duration, UNIX_EPOCH},
};

use attestation::{
    CertificateError, Check, Document, DocumentError, Freshness, Measurements, Nonce, Pcr, Policy,
    TrustRoot, UserData, Verified, VerifyError, cose::CoseError,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use vectors::{Answer, Case, Refusal, Text, variant_of};
use x509_cert::der::{Decode, Encode};

#[test]
fn documents_of_the_nitro_file_are_judged_as_by_the_reference() {
    vectors::run(NITRO, &["validate"], &[], |_| Text::Any, |case| validate(case, Clone::clone));
}

/// Texts of the reference differ from ours, and so does the order of checks; but a document with
/// one fault is refused by the check that is about that fault.
#[test]
fn documents_of_the_nitro_file_are_refused_by_the_check_the_reference_names() {
    let mut differences = Vec::new();
    let cases = vectors::cases(NITRO);
    for case in &cases {
        let Some(theirs) = &case.error else { continue };
        let Err(Refused::Verify(error)) = judge(case, Clone::clone) else { continue };
        let class = CLASSES.iter().find(|(text, _)| theirs.contains(text));
        let (_, checks) = class.unwrap_or_else(|| panic!("{}: {theirs}", case.name));
        if !checks.contains(&error.check()) {
            differences.push(format!("{}: {theirs}: {}", case.name, error.check()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The file's structurally valid documents have an unprotected header of `null`, which no device
/// writes and `deviations.toml` refuses.
#[test]
fn structurally_valid_documents_of_the_fake_file_are_refused_or_judged_alike() {
    vectors::run(
        FAKE,
        &["nitro_fake"],
        FAKE_TEXT,
        |_| Text::Any,
        |case| validate(case, Clone::clone),
    );
}

/// No signature covers the unprotected header, so with an empty one the same documents are judged
/// by all the other checks.
#[test]
fn structurally_valid_documents_with_an_empty_header_are_judged_as_by_the_reference() {
    let with_empty_header = |document: &Vec<u8>| {
        let mut document = document.clone();
        assert_eq!(document.get(..7), Some([0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xf6].as_slice()));
        document[6] = 0xa0;
        document
    };
    let mut refused = 0;
    vectors::run(
        FAKE,
        &["nitro_fake"],
        FAKE_TEXT,
        |_| Text::Any,
        |case| {
            let answer = validate(case, with_empty_header);
            if case.error.is_none() && !matches!(answer, Answer::Value(_)) {
                refused += 1;
            }
            answer
        },
    );
    assert_eq!(refused, 0, "a deviation is left that the header does not explain");
}

/// Here is no attestor that makes the fixed text, and no validator that believes it or anything
/// (W-10), so these kinds of case have no answer of ours: no document in them is believed.
#[test]
fn documents_of_the_fake_attestor_are_never_believed() {
    let mut kinds = BTreeSet::new();
    for case in vectors::cases(FAKE).iter().filter(|case| case.op != "nitro_fake") {
        let document = match case.op.as_str() {
            "fake_create" => case.output.as_ref().map(|output| &output["document_hex"]),
            "fake_validate" | "passthrough_validate" => Some(&case.input["document_hex"]),
            other => panic!("{}: unknown kind {other}", case.name),
        };
        let [pcr0, pcr1, pcr2] = [1, 2, 3].map(|byte| Pcr::from([byte; 48]));
        let image = Measurements::new(pcr0, pcr1, pcr2).unwrap();
        let said = UserData::from([0; 32]);
        let policy = Policy::new(TrustRoot::aws(), image, said, Nonce::NotUsed);
        let refusal = attestation::verify(&bytes(document.unwrap()), &policy, UNIX_EPOCH);
        let check = refusal.map(|_| ()).unwrap_err().check();
        assert!(check <= Check::Envelope, "{}: {check}", case.name);
        kinds.insert(case.op.clone());
    }
    assert!(kinds.iter().eq(FAKE_TEXT) || !vectors::folder().1, "{kinds:?}");
}

/// Why a case is refused: before there is a policy, or by `verify`.
enum Refused {
    Before(Answer),
    Verify(VerifyError),
}

fn judge(case: &Case, change: impl Fn(&Vec<u8>) -> Vec<u8>) -> Result<Verified<Document>, Refused> {
    let policy = policy(&case.input).map_err(Refused::Before)?;
    let now = UNIX_EPOCH + Duration::from_millis(case.input["now_ms"].as_u64().unwrap());
    let document = change(&bytes(&case.input["document_hex"]));
    attestation::verify(&document, &policy, now).map_err(Refused::Verify)
}

fn validate(case: &Case, change: impl Fn(&Vec<u8>) -> Vec<u8>) -> Answer {
    match judge(case, change) {
        Ok(verified) => Answer::Value(fields(verified.get())),
        Err(Refused::Before(answer)) => answer,
        Err(Refused::Verify(error)) => {
            Answer::Refused(Refusal { variant: reason(&error), text: error.to_string() })
        }
    }
}

fn policy(input: &Value) -> Result<Policy, Answer> {
    let mut roots = roots(&input["ca_roots_pem"])?.into_iter();
    let measurements = input["measurements"].as_str().unwrap();
    let measurements =
        Measurements::parse(measurements.as_bytes()).map_err(|e| Answer::refused(&e))?;
    let user_data = bytes(&input["expected_user_data"]);
    let user_data = UserData::try_from(user_data.as_slice()).map_err(|e| Answer::refused(&e))?;
    let first = roots.next().unwrap();
    let policy = Policy::new(first, measurements, user_data, Nonce::NotUsed);
    Ok(roots.fold(policy, Policy::or_root).with_freshness(Freshness::reference()))
}

/// The roots of a text. As in the reference, blocks that are no root are passed over unless none is.
fn roots(pem: &Value) -> Result<Vec<TrustRoot>, Answer> {
    let Some(pem) = pem.as_str() else { return Ok(vec![TrustRoot::aws()]) };
    let mut roots = Vec::new();
    let text = "no certificate in the roots".to_owned();
    let mut refusal = Answer::Refused(Refusal { variant: "Roots::None".to_owned(), text });
    for der in CertificateDer::pem_slice_iter(pem.as_bytes()).flatten() {
        match TrustRoot::dangerous_from_der(&der) {
            Ok(root) => roots.push(root),
            Err(error) => refusal = Answer::refused(&error),
        }
    }
    if roots.is_empty() { Err(refusal) } else { Ok(roots) }
}

/// The innermost variant: what `deviations.toml` names.
fn reason(error: &VerifyError) -> String {
    match error {
        VerifyError::Cose(CoseError::Cbor(cbor)) => variant_of(cbor),
        VerifyError::Payload(DocumentError::Cbor(cbor)) => variant_of(cbor),
        VerifyError::Cose(cose) => variant_of(cose),
        VerifyError::Payload(payload) => variant_of(payload),
        VerifyError::Freshness(freshness) => variant_of(freshness),
        VerifyError::UserData(binding) | VerifyError::Nonce(binding) => variant_of(binding),
        VerifyError::Measurements(mismatch) => variant_of(&mismatch.reason),
        VerifyError::Certificate { reason, .. } => variant_of::<CertificateError>(reason),
        VerifyError::Chain(chain) => variant_of(chain),
        VerifyError::Size { .. } | VerifyError::Signature => variant_of(error),
    }
}

/// The document in the form of the file.
fn fields(document: &Document) -> Value {
    let optional = |field: &Option<Vec<u8>>| field.as_ref().map(hex::encode);
    let pcrs = document.pcrs.iter().map(|(index, pcr)| (index.to_string(), json!(pcr.to_string())));
    let leaf = x509_cert::Certificate::from_der(&document.certificate).unwrap();
    let key = leaf.tbs_certificate.subject_public_key_info.to_der().unwrap();
    json!({
        "leaf_public_key": hex::encode(key),
        "module_id": document.module_id,
        "nonce": optional(&document.nonce),
        "pcrs": pcrs.collect::<serde_json::Map<_, _>>(),
        "public_key": optional(&document.public_key),
        "user_data": optional(&document.user_data),
    })
}

/// Bytes in hexadecimal; absent is empty.
fn bytes(value: &Value) -> Vec<u8> {
    value.as_str().map(vectors::model::hex).unwrap_or_default()
}

const NITRO: &str = "attestation-nitro.json";

const FAKE: &str = "attestation-fake.json";

/// Kinds of case about the fixed text that stands for a document in the reference's tests.
const FAKE_TEXT: &[&str] = &["fake_create", "fake_validate", "passthrough_validate"];

/// What a text of the reference is about, and the checks here that are about the same.
const CLASSES: &[(&str, &[Check])] = &[
    ("data is not a COSE Sign1 array", &[Check::Size, Check::Envelope, Check::Header]),
    ("protected section is nil or empty", &[Check::Envelope, Check::Header]),
    ("algorithm is not ECDSA P-384", &[Check::Header]),
    ("payload section is nil or empty", &[Check::Envelope, Check::Payload]),
    ("bad attestation document", &[Check::Payload]),
    ("missing mandatory fields", &[Check::Payload]),
    ("digest is not SHA384", &[Check::Payload]),
    ("attestation pcr", &[Check::Payload]),
    ("attestation cabundle", &[Check::Payload]),
    ("length is invalid", &[Check::Payload]),
    ("timestamp is zero or out of range", &[Check::Payload]),
    ("timestamp is outside the allowed window", &[Check::Freshness]),
    ("expected user data", &[Check::UserData]),
    ("PCRs, need at least 3", &[Check::Measurements]),
    ("mismatch: expected", &[Check::Measurements]),
    ("malformed certificate", &[Check::Payload, Check::Certificates]),
    ("trailing data", &[Check::Certificates]),
    // A longer key makes a longer signature, which shows first.
    ("certificate public key", &[Check::Envelope, Check::Certificates]),
    ("certificate signature algorithm", &[Check::Certificates]),
    ("has expired or is not yet valid", &[Check::Validity]),
    ("parent certificate cannot sign", &[Check::KeyUsage, Check::Chain]),
    ("too many intermediates", &[Check::Chain]),
    ("unhandled critical extension", &[Check::Chain]),
    ("certificate signed by unknown authority", &[Check::Path, Check::Chain]),
    // So does an exchanged payload, where that changes what it says.
    (
        "signature does not match certificate",
        &[Check::Envelope, Check::UserData, Check::Measurements, Check::Signature],
    ),
];
