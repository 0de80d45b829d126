//! Equal to the reference's host on the wire: `http-transcripts.json`, both of the host's ports.
//!
//! The enclave behind it is the stub, told to answer what the reference's enclave answered. Of
//! headers the reference's are compared, save `Date`; ours may add some.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

#[expect(dead_code, unreachable_pub, reason = "the stub serves several files of tests")]
mod stub;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use crypto::sign::SigningKey;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use protocol::{compute::SignedComputeRequest, ids::RequestHash, json};
use serde_json::Value;
use stub::{CONFIG, Running, member, send, text};
use vectors::Deviations;

const FILE: &str = "http-transcripts.json";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Transcripts {
    schema: u32,
    source: String,
    exchanges: Vec<Exchange>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    name: String,
    target: String,
    phase: String,
    request: Request,
    response: Response,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    path: String,
    #[serde(default, rename = "headers")]
    _headers: Value,
    body: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    status: u16,
    headers: BTreeMap<String, Vec<String>>,
    body: String,
}

#[tokio::test(start_paused = true)]
async fn both_ports_answer_as_the_reference() {
    let Some(text) = vectors::text(FILE) else { return };
    let transcripts: Transcripts = serde_json::from_str(&text).unwrap();
    assert!(transcripts.schema == 1 && !transcripts.source.is_empty());
    let bridge = Running::start(&format!("{CONFIG}[batch]\nquorum_timeout_ms = 3000\n"));
    let (mut walked, mut answered) = (0_u32, BTreeSet::new());
    for exchange in &transcripts.exchanges {
        match exchange.target.as_str() {
            "enclave" => {}
            "host" | "host-config" => {
                walked += 1;
                if exchange.phase == "down" {
                    bridge.stub.stop();
                }
                let ours = play(&bridge, exchange, &mut answered).await;
                compare(exchange, &ours);
            }
            other => panic!("{}: unknown target {other}", exchange.name),
        }
    }
    assert!(walked > 0 || !vectors::folder().1);
}

/// Sends the request of an exchange, with the placeholders filled.
async fn play(
    bridge: &Running,
    exchange: &Exchange,
    answered: &mut BTreeSet<RequestHash>,
) -> http::Response<Bytes> {
    let dialer = if exchange.target == "host" { &bridge.nodes } else { &bridge.operator };
    let method: Method = exchange.request.method.parse().unwrap();
    let path = &exchange.request.path;
    let is_execution = path == "/requests" && method == Method::POST;
    let Some(signed) = is_execution.then(|| request(bridge, &exchange.request.body)).flatten()
    else {
        plan(bridge, exchange, &method);
        return send(dialer, method, path, exchange.request.body.clone()).await;
    };
    let answer = &exchange.response.body;
    if answer.starts_with("invalid signature") {
        let stranger = SigningKey::from_seed(&[9; 32]);
        return bridge.submit(&signed(1).request.sign(&stranger)).await;
    }
    let is_sent = answer.contains(" enclave returned error: ") || exchange.response.status == 200;
    if is_sent && answered.insert(signed(1).request.hash()) {
        plan(bridge, exchange, &method);
        let (first, second) = (signed(1), signed(2));
        return tokio::join!(bridge.submit(&first), bridge.submit(&second)).0;
    }
    // Alone, or late: then the answer is there already and nothing reaches the enclave.
    bridge.submit(&signed(3)).await
}

/// The request of a body, signed by the member with this number; `None` if the body is none.
fn request(bridge: &Running, body: &str) -> Option<impl Fn(u8) -> SignedComputeRequest> {
    let signature = "A".repeat(86) + "==";
    let key = protocol::base64::encode(bridge.stub.key().public().as_bytes());
    let body = body.replace("{{SIGNATURE_B64}}", &signature).replace("{{EPHEMERAL_PK_B64}}", &key);
    let signed: SignedComputeRequest = json::from_slice(body.as_bytes()).ok()?;
    Some(move |number| signed.request.clone().sign(&member(number)))
}

/// Has the stub answer as the reference's enclave did, where the host passes that on.
fn plan(bridge: &Running, exchange: &Exchange, method: &Method) {
    let Response { status, headers, body } = &exchange.response;
    let path = exchange.request.path.as_str();
    let is_passed_on = match (exchange.target.as_str(), path, method) {
        ("host", "/memory", &Method::GET) | ("host", "/config", &Method::PATCH) => true,
        ("host", _, &Method::GET) if path.starts_with("/publicKeys") => *status != 200,
        ("host", "/requests", _) => body.contains("enclave returned error") || *status == 200,
        ("host-config", "/settings", _) => true,
        ("host-config", "/config", _) => *status != 200,
        _ => false,
    };
    if !is_passed_on || exchange.phase == "down" {
        return;
    }
    let mut planned = HeaderMap::new();
    let (status, answer) = enclaves_answer(*status, body);
    for name in ["Content-Type", "X-Content-Type-Options"] {
        if let Some(values) = headers.get(name).filter(|_| answer == *body) {
            let name: HeaderName = name.parse().unwrap();
            planned.insert(name, HeaderValue::from_str(&values[0]).unwrap());
        }
    }
    if answer != *body {
        planned.insert("content-type", HeaderValue::from_static("application/json"));
    }
    let status = StatusCode::from_u16(status).unwrap();
    bridge.stub.state().next.push_back((status, planned, answer.into()));
}

/// What the enclave had said when the host said this: not wrapped (W-13), and without the line break
/// of the host's encoder (W-53).
fn enclaves_answer(status: u16, body: &str) -> (u16, String) {
    if let Some((_, wrapped)) = body.split_once(" enclave returned error: ") {
        let (status, body) = wrapped.split_once(" - ").unwrap();
        let status = status.split(' ').next().unwrap().parse().unwrap();
        return (status, body.trim_end_matches('\n').to_owned());
    }
    if body.starts_with("{\"requestID\":") {
        return (status, body.trim_end_matches('\n').to_owned());
    }
    (status, body.to_owned())
}

fn compare(exchange: &Exchange, ours: &http::Response<Bytes>) {
    let Exchange { name, response, .. } = exchange;
    let is_other = Deviations::read().may_answer(FILE, &exchange.target, &response.body);
    let (status, body) = if is_other {
        enclaves_answer(response.status, &response.body)
    } else {
        (response.status, response.body.clone())
    };
    assert_eq!(ours.status().as_u16(), status, "{name}: {}", text(ours));
    compare_body(name, &body, text(ours));
    for (header, values) in &response.headers {
        let got = ours.headers().get(header).map(|value| value.to_str().unwrap());
        match header.as_str() {
            "Content-Length" if is_other || values[0].starts_with("{{") => {
                assert_eq!(got.unwrap(), ours.body().len().to_string(), "{name}");
            }
            "Content-Length" if is_library_text(&body) => {}
            "Content-Length" if body.contains(FAKE_ATTESTATION) => {}
            "Date" => assert!(got.is_some(), "{name}"),
            _ if is_other => {}
            _ => assert_eq!(got, Some(values[0].as_str()), "{name}: {header}"),
        }
    }
    let is_sniffable = !ours.headers().contains_key("x-content-type-options");
    if is_other {
        assert_eq!(ours.headers()["content-type"], "application/json", "{name}");
    } else {
        assert_ne!(is_sniffable, response.headers.contains_key("X-Content-Type-Options"), "{name}");
    }
}

/// Equal but for what the enclave's key and clock decide, and the words of another JSON library.
fn compare_body(name: &str, theirs: &str, ours: &str) {
    if is_library_text(theirs) {
        let prefix = theirs.split(": ").next().unwrap();
        assert!(ours.starts_with(prefix), "{name}: {ours}");
    } else if theirs.starts_with('{') {
        let (theirs, ours) =
            (serde_json::from_str(theirs).unwrap(), serde_json::from_str(ours).unwrap());
        compare_json(name, &theirs, &ours);
    } else {
        assert_eq!(ours, theirs, "{name}");
    }
}

fn compare_json(name: &str, theirs: &Value, ours: &Value) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            assert_eq!(
                theirs.keys().collect::<Vec<_>>(),
                ours.keys().collect::<Vec<_>>(),
                "{name}"
            );
            for (theirs, ours) in theirs.values().zip(ours.values()) {
                compare_json(name, theirs, ours);
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            assert_eq!(theirs.len(), ours.len(), "{name}");
            theirs.iter().zip(ours).for_each(|(theirs, ours)| compare_json(name, theirs, ours));
        }
        // A placeholder, or the recorder's stand-in for a document.
        (Value::String(text), _) if text.starts_with("{{") || text == FAKE_ATTESTATION => {}
        (theirs, ours) => assert_eq!(theirs, ours, "{name}"),
    }
}

/// Texts of Go's JSON library behind a prefix that the specification fixes.
fn is_library_text(body: &str) -> bool {
    body.starts_with("failed to parse ")
}

const FAKE_ATTESTATION: &str = "ZmFrZS1hdHRlc3RhdGlvbg==";
