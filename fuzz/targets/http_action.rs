//! Requests of the capability `http-actions`: any bytes, and requests of the right form.
//!
//! Holds: a request that may leave goes to a public name over HTTPS, with a body within the limit;
//! what a workflow is answered instead is short, and repeats nothing of path, query, headers or body.
//!
//! Memory: `proto::EXPANSION` and a quarter of it: that much for the request as a struct, and no
//! more than thirty-two copies of its texts, on their way to what is sent.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use enclave_server::{
    EgressPolicy,
    capabilities::{HttpAction, HttpLimits},
};
use fuzz::{Bound, Input};
use protocol::{
    limits,
    messages::{
        self,
        http::{HeaderValues, Request},
        well_known::Any,
    },
    proto,
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let policy = &*POLICY;
    BOUND.hold(input, || {
        let mut input = Input::new(input);
        let (payload, is_marked) = match input.below(2) {
            0 => (raw(input.rest()), false),
            _ => (messages::pack(&request(&mut input)), true),
        };
        check(policy, &payload, is_marked);
    });
});

fn raw(bytes: &[u8]) -> Any {
    let type_url = "type.googleapis.com/capabilities.networking.http.v1alpha.Request";
    Any { type_url: type_url.to_owned(), value: bytes.to_vec() }
}

/// A request whose path, query, headers and body hold a word that nothing may repeat.
fn request(input: &mut Input<'_>) -> Request {
    let text = |input: &mut Input<'_>| String::from_utf8_lossy(input.piece()).into_owned();
    let scheme = input.pick(&["https://", "http://", "HTTPS://", ""]);
    let mut request = Request {
        url: format!("{scheme}{}/{MARK}?key={MARK}", text(input)),
        method: input.pick(&["GET", "post", " put ", "DELETE", "HEAD", ""]).to_owned(),
        body: [MARK.as_bytes(), input.piece()].concat(),
        ..Request::default()
    };
    for _ in 0..input.below(4) {
        let (name, value) = (text(input), format!("{MARK}{}", text(input)));
        if input.below(2) == 0 {
            request.headers.insert(name, value);
        } else {
            request.multi_headers.insert(name, HeaderValues { values: vec![value] });
        }
    }
    request
}

fn check(policy: &EgressPolicy, payload: &Any, is_marked: bool) {
    match HttpAction::prepare(payload, policy, Duration::from_secs(30), &HttpLimits::default()) {
        Ok(action) => {
            assert!(["GET", "POST", "PUT", "DELETE", "PATCH"].contains(&action.method()));
            assert!(action.expose_url().starts_with("https://"), "{}", action.expose_url());
            assert!(action.expose_url().is_ascii());
            assert!(!action.host().is_empty() && !action.host().ends_with('.'));
            assert!(action.host() != "localhost" && !action.host().ends_with(".localhost"));
            assert!(action.expose_body().len() <= limits::HTTP_ACTION_BYTES);
            assert!(!is_marked || !format!("{action:?}").contains(MARK));
        }
        Err(answer) => {
            let encoded = messages::encode(&answer);
            assert!(encoded.len() < 1024);
            let is_repeated = encoded.windows(MARK.len()).any(|bytes| bytes == MARK.as_bytes());
            assert!(!is_marked || !is_repeated);
        }
    }
}

/// In no host, which is written in lower case, no method, and no text of the program.
const MARK: &str = "Hunter2Hunter2";

static POLICY: LazyLock<EgressPolicy> = LazyLock::new(EgressPolicy::production);

const BOUND: Bound = Bound { times: proto::EXPANSION / 4 * 5, plus: 16 * 1024 };
