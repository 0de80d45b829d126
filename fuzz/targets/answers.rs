//! What enclaves answer and what operators send them, as JSON.
//!
//! Holds: what is decoded is written, decoded again, and written as the same; so is what
//! its attestation binds.
//!
//! Memory: four times `json::EXPANSION`: that much for what is read, for what is read again, and
//! for the text of each, which is about as long as they are large.

#![no_main]

use std::fmt::Debug;

use fuzz::{Bound, Input};
use protocol::{
    answer::{
        ConfigRequest, EnclaveErrorResponse, ExecuteResponse, ListedEnclave,
        MemoryEstimateResponse, PublicKeyResponse, SetConfigResponse, UpdateConfigRequest,
        UpdateConfigResponse, enclaves_list_hash,
    },
    json,
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| BOUND.hold(input, || {
    let mut input = Input::new(input);
    let kind = input.below(9);
    let text = input.rest();
    match kind {
        0 => check(text, |answer: &ExecuteResponse| answer.user_data("0.0.7")),
        1 => check(text, PublicKeyResponse::user_data),
        2 => check(text, |enclaves: &Vec<ListedEnclave>| enclaves_list_hash(enclaves)),
        3 => check(text, |_: &EnclaveErrorResponse| ()),
        4 => check(text, |_: &ConfigRequest| ()),
        5 => check(text, |answer: &SetConfigResponse| answer.config.hash()),
        6 => check(text, |_: &UpdateConfigRequest| ()),
        7 => check(text, |answer: &UpdateConfigResponse| answer.config.hash()),
        _ => check(text, |_: &MemoryEstimateResponse| ()),
    }
}));

fn check<T: json::Wire, H: PartialEq + Debug>(text: &[u8], hash: impl Fn(&T) -> H) {
    let Ok(value) = json::from_slice::<T>(text) else { return };
    let written = json::to_vec(&value);
    let again: T = json::from_slice(&written).expect("it was decoded before");
    assert_eq!(json::to_vec(&again), written);
    assert_eq!(hash(&again), hash(&value));
}

const BOUND: Bound = Bound { times: 4 * json::EXPANSION, plus: 32 * 1024 };
