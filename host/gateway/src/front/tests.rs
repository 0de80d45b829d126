//! Every refusal of the front with its status, code and text, and its limits in bytes and time.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use axum::body::to_bytes;
use protocol::ids::FaultBound;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::*;
use crate::{
    config::Relay,
    handler::{NodeId, Rate, SendTo, Settings},
};

const METHOD: &str = "confidential.capability.execute";

/// A front before one node, and what was sent to it.
fn front(max_active: usize) -> (Front, Arc<Mutex<Vec<String>>>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&sent);
    let send: SendTo = Arc::new(move |_node, text| {
        sink.lock().unwrap().push(String::from_utf8(text.to_vec()).unwrap());
        Box::pin(std::future::ready(Ok(())))
    });
    let settings = Settings {
        members: BTreeSet::from([NodeId::from("node")]),
        faults: FaultBound::new(0),
        relay: Relay::from_value(Value::Null).unwrap(),
        node_rate: Rate::PER_NODE,
        total_rate: Rate::TOTAL,
        max_frame_bytes: 2000,
        max_active,
        shared_nodes: false,
    };
    let users = Users {
        listen: ([127, 0, 0, 1], 0).into(),
        max_request_bytes: 1000,
        max_connections: 1,
        max_waiting: max_active,
        request_timeout: Duration::from_secs(32),
    };
    (Front::new(Handler::new(settings, send), &users), sent)
}

fn body(id: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": METHOD, "params": {}}).to_string()
}

fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("/").body(body.into()).unwrap()
}

async fn read(response: Response<Body>) -> (u16, String, String) {
    let (head, body) = response.into_parts();
    let content_type = head.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.map_or("", |value| value.to_str().unwrap()).to_owned();
    let body = to_bytes(body, 1_000_000).await.unwrap();
    (head.status.as_u16(), content_type, String::from_utf8(body.to_vec()).unwrap())
}

/// The status and the error of an answer.
async fn error(front: &Front, body: impl Into<Body>) -> (u16, Value) {
    let (status, content_type, body) = read(front.serve(post(body)).await).await;
    assert_eq!(content_type, "application/jsonrpc");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["method"], "");
    (status, body["error"].clone())
}

/// Asks in a task of its own, until the request was sent.
async fn asked(front: &Front, id: &str) -> tokio::task::JoinHandle<Response<Body>> {
    let (asking, request) = (front.clone(), post(body(id)));
    let task = tokio::spawn(async move { asking.serve(request).await });
    while !front.handler.active_ids().contains(&id.to_owned()) {
        tokio::task::yield_now().await;
    }
    task
}

#[tokio::test(start_paused = true)]
async fn an_answered_request_is_a_bundle() {
    let (front, sent) = front(9);
    let asked = asked(&front, "q").await;
    let result = r#"{"result":{"payload":"AQI="},"signature":{"signer":null,"signature":null}}"#;
    let frame = format!(r#"{{"id":"q","result":{result}}}"#);
    front.handler.frame(&"node".into(), frame.as_bytes()).unwrap();
    let (status, content_type, answer) = read(asked.await.unwrap()).await;
    assert_eq!((status, content_type.as_str()), (200, "application/jsonrpc"));
    let want = format!(
        r#"{{"jsonrpc":"2.0","id":"q","method":"{METHOD}","result":{{"responses":[{result}]}}}}"#
    );
    assert_eq!(answer, want);
    let forwarded = format!(r#"{{"jsonrpc":"2.0","id":"q","method":"{METHOD}","params":{{}}}}"#);
    assert_eq!(*sent.lock().unwrap(), [forwarded]);
}

#[tokio::test(start_paused = true)]
async fn refusals_before_the_handler_have_their_code_and_no_data() {
    let (front, sent) = front(9);
    let long = "i".repeat(201);
    for (request, code, text) in [
        ("{".to_owned(), -32700, "not JSON at line 1, column 1"),
        (String::new(), -32700, "not JSON at line 1, column 0"),
        ("[]".to_owned(), -32700, "value has the wrong type"),
        (format!("{}x", body("q")), -32700, "something follows the value"),
        (r#"{"id":"q","id":"q"}"#.to_owned(), -32700, "id occurs twice"),
        (r#"{"ID":"q"}"#.to_owned(), -32700, "id is spelt in other letters"),
        (r#"{"id":7}"#.to_owned(), -32700, "id has the wrong type"),
        (body("q").replace("2.0", "1.0"), -32700, "incorrect jsonrpc version"),
        (body("q").replace(METHOD, ""), -32700, "empty method field"),
        (body("q").replace("{}", "null"), -32700, "invalid params"),
        (
            body("q").replace("{}", "[1]"),
            -32700,
            "params are not an object, or conflict with the old message form",
        ),
        (
            body("q").replace("{}", r#"{"body":{"don_id":"x"}}"#),
            -32700,
            "invalid hex-encoded signature length",
        ),
        (body(&long), -32700, "request ID is too long: 201. max is 200 characters"),
        (body("q").replace("confidential.", "other."), -32600, "Service name not found: other"),
        (body(""), -32600, "request ID cannot be empty"),
    ] {
        let (status, error) = error(&front, request.clone()).await;
        assert_eq!(status, 400, "{request}");
        assert_eq!(error, json!({"code": code, "message": text}), "{request}");
    }
    let signature = "0".repeat(132);
    let old = format!(r#"{{"signature":"{signature}","body":{{"don_id":"x"}}}}"#);
    let (status, error) = error(&front, body("q").replace("{}", &old)).await;
    assert_eq!(status, 400);
    assert_eq!(error, json!({"code": -32602, "message": "Unsupported DON ID: x"}));
    assert!(sent.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn refusals_of_the_handler_have_their_code_and_status() {
    let (front, _sent) = front(1);
    let sweeper = front.handler.clone();
    tokio::spawn(async move { sweeper.sweep().await });
    let expiring = asked(&front, "q").await;
    let exists = json!({"code": -32600, "message": "request ID already exists: q"});
    assert_eq!(error(&front, body("q")).await, (400, exists));
    let full = "1 requests are waiting for answers, try again later";
    let full = json!({"code": -32002, "message": full});
    assert_eq!(error(&front, body("r")).await, (429, full));
    let (status, _, answer) = read(expiring.await.unwrap()).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["error"]["code"]), (504, &json!(-32000)));
    assert_eq!(answer["error"]["data"], Value::Null);
    assert!(answer["error"].as_object().unwrap().contains_key("data"));

    let failing = asked(&front, "q").await;
    let frame = r#"{"id":"q","error":{"code":-32602,"message":"of the node"}}"#;
    front.handler.frame(&"node".into(), frame.as_bytes()).unwrap();
    let (status, _, answer) = read(failing.await.unwrap()).await;
    assert_eq!(status, 500);
    assert!(answer.contains(r#""code":-32603,"message":"relay quorum unreachable: 0 signed"#));
    assert!(!answer.contains("of the node"));
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_gets_no_text() {
    let (front, sent) = front(9);
    let padded = |bytes: usize| {
        let body = body("q");
        let padding = " ".repeat(bytes.checked_sub(body.len()).unwrap());
        body + &padding
    };
    let refused = read(front.serve(post(padded(1001))).await).await;
    assert_eq!(refused, (400, String::new(), String::new()));
    assert!(sent.lock().unwrap().is_empty());
    let taken = timeout(Duration::from_secs(1), front.serve(post(padded(1000)))).await;
    assert!(taken.is_err());
    assert_eq!(sent.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fits_into_no_frame_is_refused() {
    let (front, sent) = front(9);
    // Escaped as the nodes get it, each of these takes six bytes.
    let swelling = body("q").replace("{}", &format!("{{\"a\":\"{}\"}}", "<".repeat(400)));
    let (status, error) = error(&front, swelling).await;
    assert_eq!((status, &error["code"]), (429, &json!(-32002)));
    let text = "the request takes 2487 bytes on its way to the nodes, which take 2000";
    assert_eq!(error["message"], text);
    assert!(sent.lock().unwrap().is_empty());
    assert!(front.handler.active_ids().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_ends_at_its_deadline_for_the_user_only() {
    let (front, _sent) = front(9);
    let started = Instant::now();
    let late = read(front.serve(post(body("q"))).await).await;
    assert_eq!(late, (503, String::new(), "Request timed out".to_owned()));
    assert_eq!(started.elapsed(), Duration::from_secs(32));
    assert_eq!(front.handler.active_ids(), ["q"]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_ends_at_the_deadline() {
    let (front, sent) = front(9);
    let never = futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>();
    let late = read(front.serve(post(Body::from_stream(never))).await).await;
    assert_eq!(late, (503, String::new(), "Request timed out".to_owned()));
    assert!(sent.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_token_of_the_header_is_forwarded_unless_the_body_has_one() {
    let (front, sent) = front(9);
    let in_body = body("b").replace("{}", r#"{},"auth":"body""#);
    for (body, header, auth) in [
        (body("a"), "Bearer token", Some("token")),
        (in_body, "Bearer token", Some("body")),
        (body("c"), "Basic <abc>", Some("Basic \\u003cabc\\u003e")),
        (body("d"), "bearer token", Some("bearer token")),
        (body("e"), "Bearer ", None),
    ] {
        let mut request = post(body);
        let header = HeaderValue::from_static(header);
        request.headers_mut().insert(header::AUTHORIZATION, header);
        assert!(timeout(Duration::from_secs(1), front.serve(request)).await.is_err());
        let forwarded = sent.lock().unwrap().pop().unwrap();
        match auth {
            Some(auth) => assert!(forwarded.ends_with(&format!(r#","auth":"{auth}"}}"#))),
            None => assert!(!forwarded.contains("auth")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_no_text_is_refused() {
    let (front, sent) = front(9);
    let mut request = post(body("q"));
    let header = HeaderValue::from_bytes(b"Bearer \xff").unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, header);
    let (status, _, answer) = read(front.serve(request).await).await;
    assert_eq!(status, 400);
    let want = r#""error":{"code":-32700,"message":"the authorization header is not text"}"#;
    assert!(answer.contains(want), "{answer}");
    assert!(sent.lock().unwrap().is_empty());
}
