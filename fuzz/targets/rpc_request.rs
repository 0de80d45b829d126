//! JSON-RPC requests as a gateway and a relay node read them.
//!
//! Holds: what is decoded is written, decoded again, and is the same; so is its digest.
//!
//! Memory: three times `json::EXPANSION`: that much for the tree of a digest, of which there is one
//! at a time; the rest is for copies of the text and for its escapes.

#![no_main]

use fuzz::Bound;
use protocol::{
    json,
    rpc::{self, Request},
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| BOUND.hold(input, || {
    let Ok(request) = Request::decode(input, "token") else { return };
    let text = json::to_vec(&request);
    let again = Request::decode(&text, "another").expect("it was decoded before");
    assert_eq!(json::to_vec(&again), text);
    assert!(request.method.starts_with(request.service()));
    assert_eq!(rpc::digest_request(&again), rpc::digest_request(&request));
    if request.check_id().is_ok() {
        assert!((1..=protocol::limits::RPC_ID_BYTES).contains(&request.id.len()));
    }
}));

const BOUND: Bound = Bound { times: 3 * json::EXPANSION, plus: 8192 };
