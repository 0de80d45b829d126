//! Seeds of what is signed, sealed and encrypted, by keys that the targets know.

use crypto::{
    seal::EphemeralKey,
    sign::{Domain, SigningKey},
    tdh2::{self, Label},
};
use fuzz::known::{CIPHERTEXT, OCR_KEYS, Repeated, SECRET, SHARES, SIGNERS, VAULT};
use protocol::{
    base64,
    ids::ExecutionId,
    messages::{
        self,
        capabilities::{
            AttributedSignature, CapabilityResponse, MeteringReportNodeDetail, OcrAttestation,
            ResponseMetadata,
        },
        well_known::Any,
    },
    ocr,
};
use serde_json::Value;

use crate::{Corpus, bytes, cases, chosen, piece, text, vectors};

pub fn all() -> Vec<Corpus> {
    vec![
        Corpus { target: "bundle", seeds: bundles() },
        Corpus { target: "compute_batch", seeds: batches() },
        Corpus { target: "tdh2", seeds: tdh2() },
        Corpus { target: "sealed_box", seeds: boxes() },
        Corpus { target: "signatures", seeds: signatures() },
    ]
}

fn bundles() -> Vec<Vec<u8>> {
    let kinds = [("capability_bundle", 0), ("secrets_bundle", 1)];
    let mut seeds = Vec::new();
    for (op, kind) in kinds {
        let of_cases = cases("quorum.json", &[op]).into_iter().step_by(3);
        seeds.extend(of_cases.map(|(_, input)| chosen(&[kind], text(&input, "bundle"))));
    }
    // Results, then for each entry: the result, what is signed, by whom, as whom, and over what.
    let error = [&[0][..], &piece("no")].concat();
    let payload = [&[1][..], &piece([10, 2, 8, 1])].concat();
    let report = |signatures: &[u8]| {
        let one = |signer: &u8| [&piece([9; 4])[..], &[*signer]].concat();
        let count = signatures.len() as u8;
        [&[2, 5, count][..], &signatures.iter().flat_map(one).collect::<Vec<_>>()].concat()
    };
    let by = |result: u8, signer: u8| vec![result, result, signer, signer, 9];
    let secret = [piece("API_KEY"), piece("Y3Q="), vec![1], piece("czE=")].concat();
    let structured: Vec<Vec<Vec<u8>>> = vec![
        vec![vec![2, 0], error.clone(), by(0, 0), by(0, 1)],
        vec![vec![2, 1], payload.clone(), error, by(0, 0), by(1, 1), by(0, 2), by(1, 4)],
        vec![vec![2, 1], report(&[1, 2]), report(&[3]), by(0, 0), by(1, 1), by(1, 2)],
        vec![vec![2, 0], payload, by(0, 3), vec![0, 0, 3, 2, 0], piece([7; 64]), by(0, 3)],
        vec![vec![3, 0], secret.clone(), by(0, 0), by(0, 1)],
        vec![vec![3, 1], secret.clone(), secret, by(0, 0), by(1, 0), by(1, 4)],
    ];
    seeds.extend(structured.into_iter().map(|parts| parts.concat()));
    seeds
}

fn batches() -> Vec<Vec<u8>> {
    let of_cases = cases("quorum.json", &["enclave_batch"]);
    let mut seeds: Vec<_> = of_cases
        .iter()
        .flat_map(|(_, input)| [0, 1].map(|kind| chosen(&[kind], text(input, "body"))))
        .collect();
    // For each: version, what differs, who signs, and whether the signature is replaced.
    let equal = |signer: u8| vec![1, 9, signer, 1];
    let shares = |signer: u8| [&[1, 3][..], &piece([signer; 4]), &[signer, 1]].concat();
    let other = [&[1, 0][..], &piece("other"), &[2, 1]].concat();
    let replaced = [&[1, 9, 2, 0][..], &piece([5; 64])].concat();
    let structured: Vec<Vec<Vec<u8>>> = vec![
        vec![equal(0), equal(1)],
        vec![equal(0), equal(0)],
        vec![shares(0), shares(1), shares(2)],
        vec![equal(0), equal(1), other],
        vec![equal(0), equal(1), equal(4)],
        vec![equal(0), equal(1), replaced],
    ];
    seeds.extend(structured.into_iter().map(|parts| chosen(&[2], parts.concat())));
    seeds
}

fn tdh2() -> Vec<Vec<u8>> {
    let file = vectors("tdh2.json");
    let list = |name: &str| file[name].as_array().cloned().unwrap_or_default();
    let mut seeds = vec![
        chosen(&[0], VAULT.public_key.as_bytes()),
        chosen(&[1], CIPHERTEXT.as_bytes()),
        chosen(&[2], inner(CIPHERTEXT.as_bytes())),
        chosen(&[3], &SHARES[0]),
        chosen(&[3], &SHARES[3]),
        chosen(&[4], VAULT.shares[1].to_json().expose()),
        vec![5, 0, 0, 0, 2],
        [&[5, 0, 1, 1][..], &piece(&SHARES[2])].concat(),
        [&[5, 1][..], &piece(&SHARES[1]), &[2], &piece(&SHARES[1]), &[0, 3]].concat(),
        [&[5, 1][..], &piece("{}"), &[0, 1, 0, 0]].concat(),
    ];
    let empty = tdh2::encrypt(&VAULT.public_key, Label::NONE, b"", &mut Repeated(8));
    seeds.push(chosen(&[1], empty.expect("it is short").as_bytes()));
    for keys in list("keysets").iter().take(3) {
        seeds.push(chosen(&[0], text(keys, "public_key")));
        seeds.push(chosen(&[4], text(&keys["private_shares"], "0")));
    }
    for case in list("unmarshal").iter().step_by(2) {
        let input = base64::decode(&text(case, "input_b64")).unwrap_or_default();
        seeds.extend([0, 3].map(|kind| chosen(&[kind], &input)));
    }
    for case in list("unmarshal_verify").iter().step_by(8) {
        let input = base64::decode(&text(case, "ciphertext_b64")).unwrap_or_default();
        seeds.push(chosen(&[2], inner(&input)));
    }
    seeds
}

/// The inner object of a ciphertext.
fn inner(ciphertext: &[u8]) -> Vec<u8> {
    let outer: Value = serde_json::from_slice(ciphertext).unwrap_or_default();
    base64::decode(&text(&outer, "TDH2Ctxt")).unwrap_or_default()
}

fn boxes() -> Vec<Vec<u8>> {
    let enclave = EphemeralKey::from_bytes(&[9; 32]).public();
    let sealed = |message: &[u8]| enclave.seal(message, &mut Repeated(9)).expect("it fits");
    let mut seeds: Vec<_> = [&b""[..], b"a", SECRET, &[7; 1000]].map(sealed).into();
    seeds.extend(
        cases("sealed-box.json", &["open"]).iter().map(|(_, input)| bytes(input, "sealed")),
    );
    let mut seeds: Vec<_> = seeds.into_iter().map(|sealed| chosen(&[0], sealed)).collect();
    seeds.push([&[1][..], enclave.as_bytes(), b"message"].concat());
    seeds.push([&[1][..], &[0; 32], b"message"].concat());
    seeds.push(chosen(&[2], enclave.to_string()));
    seeds.push(chosen(&[2], enclave.to_string().to_uppercase()));
    seeds
}

fn signatures() -> Vec<Vec<u8>> {
    let signed = |key: &SigningKey, domain, message: &[u8]| *key.sign(domain, message).as_bytes();
    let key = &SIGNERS[0];
    let signature = signed(key, Domain::ConfigVote, b"message");
    let public = key.public();
    let mut seeds = vec![
        [&[0][..], public.as_bytes(), &signature, b"message"].concat(),
        [&[0][..], public.as_bytes(), &[0; 64], b"message"].concat(),
        [&[0][..], &[0; 32], &signature, b"message"].concat(),
        [&[1, 0][..], &piece("message"), &signed(key, Domain::RelayResponse, b"message")].concat(),
    ];
    for (_, input) in cases("ocr-attestation.json", &["verify_blob"]).iter().step_by(3) {
        seeds.push([&[2][..], &bytes(input, "sig_data"), &bytes(input, "signature")].concat());
    }
    let of_cases = cases("ocr-attestation.json", &["decode", "verify"]).into_iter().step_by(3);
    seeds.extend(of_cases.map(|(_, input)| chosen(&[3], bytes(&input, "response_hex"))));
    seeds.extend([2, 4, 1].map(|count| chosen(&[3], attested(count))));
    seeds
}

/// An answer of a capability DON with so many signatures.
fn attested(count: usize) -> Vec<u8> {
    let spent = MeteringReportNodeDetail {
        spend_unit: "unit".to_owned(),
        spend_value: "42".to_owned(),
        ..MeteringReportNodeDetail::default()
    };
    let payload =
        Any { type_url: "type.googleapis.com/google.protobuf.Empty".to_owned(), value: vec![1] };
    let execution = ExecutionId::from("2".repeat(64));
    let metering = std::slice::from_ref(&spent);
    let report = ocr::report_data(&execution, "7", &payload.value, metering).expect("one record");
    let digest = ocr::signing_digest(&report, &[6; 32], 5);
    let sign = |(signer, key): (usize, &crypto::ocr::OcrSigningKey)| AttributedSignature {
        signature: key.sign(&digest).expect("it can be signed").to_vec(),
        signer: signer as u32,
    };
    let attestation = OcrAttestation {
        config_digest: vec![6; 32],
        sequence_number: 5,
        signatures: OCR_KEYS.iter().enumerate().take(count).map(sign).collect(),
    };
    messages::encode(&CapabilityResponse {
        payload: Some(payload),
        metadata: Some(ResponseMetadata { metering: vec![spent], ..ResponseMetadata::default() }),
        ocr_attestation: Some(attestation),
        ..CapabilityResponse::default()
    })
}
