//! The params of both kinds of call, as enclaves write and relay nodes read them.
//!
//! Holds: what is decoded is written, decoded again, and written as the same; the bytes that an attestation
//! covers are the same then, and hold no attestation; only valid params can be hashed.
//!
//! Memory: six times `json::EXPANSION`: that much for what is read, for what is read again with an
//! attestation and without, and for the text of each, which is about as long as they are large.

#![no_main]

use fuzz::{Bound, Input};
use protocol::{
    json,
    relay::{CapabilityRequestParams, Params, SecretsRequestParams},
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| BOUND.hold(input, || {
    let mut input = Input::new(input);
    match input.below(2) {
        0 => check::<SecretsRequestParams>(input.rest()),
        _ => check::<CapabilityRequestParams>(input.rest()),
    }
}));

fn check<P: Params>(text: &[u8]) {
    let Ok(params) = json::from_slice::<P>(text) else { return };
    let written = json::to_vec(&params);
    let again: P = json::from_slice(&written).expect("it was decoded before");
    assert_eq!(json::to_vec(&again), written);

    let attested = params.attested_bytes();
    let bare: P = json::from_slice(&attested).expect("it was decoded before");
    assert_eq!(bare.attestation(), "");
    assert_eq!(bare.attested_bytes(), attested);
    assert_eq!(bare.user_data(), params.user_data());

    let hash = params.hash_result(&P::Result::default());
    assert_eq!(hash.is_ok(), params.validate().is_ok());
}

const BOUND: Bound = Bound { times: 6 * json::EXPANSION, plus: 32 * 1024 };
