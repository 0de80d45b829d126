//! The mock of the Nitro Secure Module: requests of any bytes, one after another.
//!
//! Holds: every answer is one, and fits the driver's buffer; a document that it gives out is believed
//! under its root, and says what was asked for.
//!
//! Memory: 16 times. A request is copied into its fields, the payload, the envelope and the answer, of which
//! the latter three take three times their length while they grow; the constant is for keys and chains.

#![no_main]

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{Document, Measurements, Nonce, Policy, UserData};
use fuzz::{Bound, Input};
use testkit::{
    chain::TestRoot,
    nsm::{MockNsm, RESPONSE_LIMIT_BYTES, Request, Response, measurements_of},
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (root, image) = (&*ROOT, &*IMAGE);
    let root = TestRoot::from_parts(root.key_der(), root.der()).expect("it was made here");
    let nsm = MockNsm::new(root, image, Arc::new(now));
    BOUND.hold(input, || {
        let mut input = Input::new(input);
        for _ in 0..MOST_REQUESTS {
            if input.is_empty() {
                break;
            }
            let request = input.piece();
            let room_bytes = input.pick(&[RESPONSE_LIMIT_BYTES, 4096, 64]);
            let answer = nsm.exchange(request, room_bytes);
            assert!(answer.len() <= room_bytes);
            let answer: Response = serde_cbor::from_slice(&answer).expect("the device answers");
            if let Response::Attestation { document } = answer {
                let request = serde_cbor::from_slice(request).expect("it was answered");
                check(&nsm, image, &request, &document);
            }
        }
    });
});

fn check(nsm: &MockNsm, image: &Measurements, request: &Request, document: &[u8]) {
    let Request::Attestation { user_data, nonce, public_key } = request else {
        panic!("a document without a request")
    };
    let bytes = |field: &Option<serde_bytes::ByteBuf>| field.as_ref().map(|bytes| bytes.to_vec());
    let read = Document::decode_unverified(document).expect("it is a document");
    assert_eq!(read.user_data, bytes(user_data));
    assert_eq!(read.nonce, bytes(nonce));
    assert_eq!(read.public_key, bytes(public_key));
    let Ok(said) = UserData::try_from(read.user_data.as_deref().unwrap_or_default()) else {
        return;
    };
    let root = nsm.root().trust().expect("it is a root");
    let policy = Policy::new(root, image.clone(), said, Nonce::NotUsed);
    assert!(attestation::verify(document, &policy, now()).is_ok());
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_787_140_800)
}

static ROOT: LazyLock<TestRoot> =
    LazyLock::new(|| TestRoot::generate(now()).expect("there is randomness"));

static IMAGE: LazyLock<Measurements> = LazyLock::new(|| measurements_of("fuzz"));

/// Each may cost a chain of certificates and a signature.
const MOST_REQUESTS: usize = 8;

const BOUND: Bound = Bound { times: 16, plus: 256 * 1024 };
