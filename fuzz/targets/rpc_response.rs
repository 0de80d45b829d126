//! What a gateway answers: status and body.
//!
//! Holds: an answer is a result, or an error whose text is no longer than what came and a few words;
//! what is decoded is written, decoded again, and is the same.
//!
//! Memory: three times `json::EXPANSION`: that much for the tree of a digest, of which there is one
//! at a time; the rest is for copies of the text and for its escapes.

#![no_main]

use fuzz::{Bound, Input};
use protocol::{
    json,
    rpc::{self, Response},
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| BOUND.hold(input, || {
    let mut input = Input::new(input);
    let status = input.pick(&[200, 404, 500, 504]);
    let body = input.rest();
    match rpc::interpret(status, body) {
        Ok(result) => {
            assert!(status == 200 && result.is_none_or(|r| r.as_str().len() <= body.len()))
        }
        Err(error) => assert!(error.to_string().len() < 600 + body.len()),
    }
    let Ok(response) = json::from_slice::<Response>(body) else { return };
    let text = json::to_vec(&response);
    let again: Response = json::from_slice(&text).expect("it was decoded before");
    assert_eq!(json::to_vec(&again), text);
    assert_eq!(rpc::digest_response(&again), rpc::digest_response(&response));
}));

const BOUND: Bound = Bound { times: 3 * json::EXPANSION, plus: 8192 };
