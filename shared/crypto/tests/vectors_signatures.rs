//! Payloads, signatures and the verifier's answers of the reference.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crypto::sign::{
    Domain, Signature, SignatureError, SignerKey, SigningKey, find_signer_of_payload, payload,
    payload_with_prefix,
};
use serde::Deserialize;
use serde_json::json;
use vectors::{Answer, Case, Text, model::hex};

const FILE: &str = "signatures.json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PayloadInput {
    domain: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashInput {
    hash: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignInput {
    domain: String,
    message: String,
    seed: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyInput {
    payload: String,
    signature: String,
    signers: Vec<String>,
}

impl VerifyInput {
    fn keys(&self) -> Vec<Result<SignerKey, crypto::sign::SignerKeyError>> {
        self.signers.iter().map(|signer| SignerKey::from_slice(&hex(signer))).collect()
    }
}

fn input<T: for<'de> Deserialize<'de>>(case: &Case) -> T {
    serde_json::from_value(case.input.clone()).unwrap()
}

#[test]
fn payloads_are_the_reference_s() {
    let ops = ["payload", "compute_payload", "relay_payload"];
    vectors::run(
        FILE,
        &ops,
        &["sign", "verify"],
        |_| Text::Exact,
        |case| {
            let made = match case.op.as_str() {
                "payload" => {
                    let PayloadInput { domain, message } = input(case);
                    payload_with_prefix(&domain, &hex(&message))
                }
                "compute_payload" => {
                    payload(Domain::ComputeRequest, &hex(&input::<HashInput>(case).hash))
                }
                _ => payload(Domain::RelayResponse, &hex(&input::<HashInput>(case).hash)),
            };
            Answer::Value(json!({ "payload": hex::encode(made) }))
        },
    );
}

#[test]
fn signatures_are_the_reference_s() {
    let others = ["payload", "compute_payload", "relay_payload", "verify"];
    vectors::run(
        FILE,
        &["sign"],
        &others,
        |_| Text::Exact,
        |case| {
            let SignInput { domain, message, seed } = input(case);
            let key = SigningKey::from_seed(&hex(&seed).try_into().unwrap());
            let payload = payload_with_prefix(&domain, &hex(&message));
            let signature = key.sign_payload(&payload);
            Answer::Value(json!({
                "public_key": key.public().to_string(),
                "payload": hex::encode(payload),
                "signature": hex::encode(signature.as_bytes()),
            }))
        },
    );
}

/// Keys that do not parse are never the signer (a configuration with one is refused before). Where
/// the reference finds a signer among them, the reason why it does not parse is our refusal.
#[test]
fn the_verifier_answers_like_the_reference() {
    let others = ["payload", "compute_payload", "relay_payload", "sign"];
    let text = |case: &Case| {
        let all_parse = input::<VerifyInput>(case).keys().iter().all(Result::is_ok);
        if all_parse { Text::Exact } else { Text::Any }
    };
    vectors::run(FILE, &["verify"], &others, text, |case| {
        let input: VerifyInput = input(case);
        let (payload, signature) = (hex(&input.payload), hex(&input.signature));
        let keys: Vec<SignerKey> = input.keys().into_iter().flatten().collect();
        let found = find_signer_of_payload(&keys, None, &payload, &signature);
        let signers: Vec<Vec<u8>> = input.signers.iter().map(|signer| hex(signer)).collect();
        for claimed in &signers {
            let hinted = find_signer_of_payload(&keys, Some(claimed), &payload, &signature);
            assert_eq!(hinted, found, "{}: a claim changed the answer", case.name);
        }
        match (found, input.keys().into_iter().find_map(Result::err)) {
            (Ok(signer), _) => Answer::Value(json!({ "signer": signer.to_string() })),
            (Err(SignatureError::NotAllowed), Some(unparsable)) => Answer::refused(&unparsable),
            (Err(refusal), _) => Answer::refused(&refusal),
        }
    });
}

#[test]
fn each_signature_of_the_file_survives_its_type() {
    for case in vectors::cases(FILE).iter().filter(|case| case.op == "verify") {
        let bytes = hex(&input::<VerifyInput>(case).signature);
        let same = Signature::from_slice(&bytes).map(|signature| *signature.as_bytes() == *bytes);
        assert_eq!(
            same,
            if bytes.len() == 64 {
                Ok(true)
            } else {
                Err(SignatureError::Length { got: bytes.len() })
            }
        );
    }
}
