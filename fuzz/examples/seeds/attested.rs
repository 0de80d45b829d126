//! Seeds of what attestation reads and the mock writes.

use attestation::{
    Document, Measurements,
    cbor::Writer,
    cose::Sign1,
    statement::{AnswerStatement, Statement},
};
use fuzz::known::document;
use testkit::nsm::{Request, measurements_of};

use crate::{Corpus, cases, chosen, piece, text};

pub fn all() -> Vec<Corpus> {
    vec![
        Corpus { target: "document", seeds: documents() },
        Corpus { target: "cbor", seeds: cbor() },
        Corpus { target: "certificates", seeds: certificates() },
        Corpus { target: "measurements", seeds: measurements() },
        Corpus { target: "nsm", seeds: requests() },
    ]
}

/// Documents at their time and others; then changes that keep the form.
fn documents() -> Vec<Vec<u8>> {
    let at = |seconds: i32| seconds.to_le_bytes();
    let raw = |(_, document): (String, Vec<u8>)| chosen(&[0, 0, 0, 0, 0], document);
    let mut seeds: Vec<_> = document::all().into_iter().step_by(6).map(raw).collect();
    let good = &document::GOOD.bytes;
    for seconds in [-301, -60, 299, 86_400] {
        seeds.push([&[0][..], &at(seconds), good].concat());
    }
    let put = |certificate: u8, position: u16, byte: u8| {
        [&[certificate, 1][..], &position.to_le_bytes(), &[byte]].concat()
    };
    let changes: Vec<Vec<u8>> = vec![
        put(0, 20, 1),
        put(4, 200, 2),
        [&[0, 3], &put(1, 30, 0)[..]].concat(),
        vec![0, 4, 1, 0, 5, 2],
        [&[3, 6][..], &1_787_140_800_000_u64.to_le_bytes()].concat(),
        [&[0, 7][..], &piece([1; 32])].concat(),
        [&[0, 8][..], &piece([2; 64])].concat(),
        [&[0, 9, 0][..], &[3; 48]].concat(),
        [&[1, 0][..], &piece(&good[500..900])].concat(),
    ];
    seeds.extend(changes.into_iter().map(|change| chosen(&[1, 0, 0, 0, 0], change)));
    seeds
}

fn cbor() -> Vec<Vec<u8>> {
    let (_, document) = document::all().swap_remove(0);
    let payload = Sign1::decode(&document).expect("it is good").payload().to_vec();
    let answer = AnswerStatement {
        shares_hash: Some([4; 32]),
        telemetry_hash: [5; 32],
        application_request_id: "id".into(),
        request_version: "0.0.7".into(),
    };
    let mut statement = Statement {
        boot_id: [1; 16],
        config_hash: [2; 32],
        config_epoch: 300,
        settings_hash: Some([3; 32]),
        hpke_public_key: Some([6; 32]),
        answer: None,
    };
    let short = statement.encode();
    statement.answer = Some(answer);
    let long = statement.encode();
    let tagged = chosen(&[0xd2], &document);
    let nested = Writer::new().array(2).map(1).text("a").array(1).null().bytes(&[1]).finish();
    let mut seeds = vec![document, tagged, payload, short, long, nested];
    seeds.extend([vec![0xf6], vec![0xf5], vec![0x38, 0x22], vec![0xfb, 1, 2, 3, 4, 5, 6, 7, 8]]);
    seeds.extend([vec![0x9f, 0x01, 0xff], vec![0x18, 0x01], vec![0xa2, 0x01, 0xf6, 0x01, 0xf6]]);
    seeds
}

/// Leaf, issuers and roots of a few documents.
fn certificates() -> Vec<Vec<u8>> {
    let documents = document::all().into_iter().step_by(5);
    let read = documents.filter_map(|(_, document)| Document::decode_unverified(&document).ok());
    read.flat_map(|document| document.cabundle.into_iter().chain([document.certificate])).collect()
}

fn measurements() -> Vec<Vec<u8>> {
    let of_cases = cases("attestation-nitro.json", &["validate"]);
    let mut seeds: Vec<_> =
        of_cases.iter().map(|(_, input)| text(input, "measurements").into_bytes()).collect();
    let image = measurements_of("seed").with_role(document_pcr()).with_instance(document_pcr());
    seeds.push(image.to_registry_json().into_bytes());
    seeds.push(image.to_nitro_cli_json().into_bytes());
    assert!(seeds.iter().any(|seed| Measurements::parse(seed).is_ok()));
    seeds
}

fn document_pcr() -> attestation::Pcr {
    attestation::Pcr::from([7; 48])
}

fn requests() -> Vec<Vec<u8>> {
    let field = |bytes: &[u8]| Some(serde_bytes::ByteBuf::from(bytes));
    let attestation =
        |user_data, nonce, public_key| Request::Attestation { user_data, nonce, public_key };
    let requests = [
        Request::DescribeNSM,
        Request::DescribePCR { index: 0 },
        Request::ExtendPCR { index: 16, data: vec![1; 32] },
        Request::LockPCR { index: 16 },
        Request::LockPCRs { range: 32 },
        Request::GetRandom,
        attestation(field(&[1; 32]), None, None),
        attestation(field(&[2; 512]), field(&[3; 512]), field(&[4; 1024])),
        attestation(None, field(&[5; 513]), None),
    ];
    let encode = |request: &Request| piece(serde_cbor::to_vec(request).expect("it has a form"));
    let mut seeds: Vec<_> = requests.iter().map(encode).collect();
    seeds.push(requests.iter().flat_map(encode).collect());
    seeds
}
