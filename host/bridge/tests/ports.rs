//! The two ports: which paths they have, what they pass on, and what they turn away.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

#[expect(dead_code, unreachable_pub, reason = "the stub serves several files of tests")]
mod stub;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use protocol::{answer::ConfigRequest, json};
use stub::{CONFIG, Running, config_toml, enclave_config, plain, send, text};
use transport::Dial as _;

const SECOND: Duration = Duration::from_secs(1);

async fn start() -> Running {
    let bridge = Running::start(&format!("{CONFIG}{}", config_toml()));
    bridge.ready().await;
    bridge.stub.state().calls.clear();
    bridge
}

fn seen(response: &http::Response<Bytes>) -> (u16, &str) {
    (response.status().as_u16(), text(response))
}

#[tokio::test(start_paused = true)]
async fn unknown_paths_and_methods_are_refused_in_the_words_of_the_reference() {
    let bridge = start().await;
    for (method, path, expected, allowed) in [
        (Method::GET, "/nothing", (404, "404 page not found\n"), None),
        (Method::GET, "/requests/", (404, "404 page not found\n"), None),
        (Method::POST, "/settings", (404, "404 page not found\n"), None),
        (Method::GET, "/requests", (405, "method not allowed\n"), None),
        (Method::POST, "/publicKeys", (405, "method not allowed\n"), None),
        (Method::POST, "/config", (405, "Method Not Allowed\n"), Some("PATCH")),
        (Method::POST, "/memory", (405, "Method Not Allowed\n"), Some("GET, HEAD")),
    ] {
        let response = send(&bridge.nodes, method, path, "{}").await;
        assert_eq!(seen(&response), expected, "{path}");
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers().get("allow").map(|value| value.to_str().unwrap()), allowed);
    }
    for (path, method) in [("/config", Method::PATCH), ("/settings", Method::GET)] {
        let response = send(&bridge.operator, method, path, "{}").await;
        assert_eq!(seen(&response), (405, "Method Not Allowed\n"));
        assert_eq!(response.headers()["allow"], "POST");
    }
    let response = send(&bridge.operator, Method::POST, "/requests", "{}").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(bridge.stub.state().calls.is_empty(), "nothing of it reached the enclave");
}

#[tokio::test(start_paused = true)]
async fn w_03_w_26_nodes_reach_neither_settings_nor_the_first_configuration() {
    let bridge = Running::start(CONFIG);
    let settings = send(&bridge.nodes, Method::POST, "/settings", "{}").await;
    let config = send(&bridge.nodes, Method::POST, "/config", "{}").await;
    assert_eq!((settings.status().as_u16(), config.status().as_u16()), (404, 405));
    assert!(bridge.stub.state().calls.is_empty());
}

#[tokio::test(start_paused = true)]
async fn keys_of_a_request_are_passed_on_with_that_question_only() {
    let bridge = start().await;
    let path = "/publicKeys?a=b&requestID=07&config=x&nonce=00ff";
    let response = send(&bridge.nodes, Method::GET, path, "").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(bridge.stub.state().calls, ["GET /publicKeys?requestID=07&nonce=00ff"]);
}

#[tokio::test(start_paused = true)]
async fn keys_that_do_not_verify_are_not_passed_on() {
    let bridge = start().await;
    let mut forged = bridge.stub.public_keys();
    forged.ttls = Some(vec![1]);
    bridge.stub.state().next.push_back(stub::answer(&forged));
    let response = send(&bridge.nodes, Method::GET, "/publicKeys?requestID=07", "").await;
    assert_eq!(seen(&response), (503, "the attestation of the enclave was refused\n"));
    let next = send(&bridge.nodes, Method::GET, "/publicKeys?requestID=07", "").await;
    assert_eq!(next.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_enclaves_refusals_are_passed_on() {
    let bridge = start().await;
    let text = "invalid requestID: must be 32 bytes hex-encoded or base64-encoded\n";
    bridge.stub.state().next.push_back(plain(400, text));
    let response = send(&bridge.nodes, Method::GET, "/publicKeys?requestID=zz", "").await;
    assert_eq!(seen(&response), (400, text));
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test(start_paused = true)]
async fn headers_of_the_connection_stay_on_it() {
    let bridge = start().await;
    let mut headers = HeaderMap::new();
    for (name, value) in [("keep-alive", "timeout=9"), ("te", "trailers"), ("x-kept", "1")] {
        headers.insert(name, value.parse().unwrap());
    }
    bridge.stub.state().next.push_back((StatusCode::OK, headers, Bytes::from_static(b"{}")));
    let response = send(&bridge.nodes, Method::GET, "/memory", "").await;
    assert_eq!(response.headers()["x-kept"], "1");
    assert!(!response.headers().contains_key("keep-alive"));
    assert!(!response.headers().contains_key("te"));
}

#[tokio::test(start_paused = true)]
async fn memory_is_asked_with_get() {
    let bridge = start().await;
    let estimate = "{\"usedMB\":12,\"rssMB\":34}\n";
    bridge.stub.state().next.push_back(plain(200, estimate));
    assert_eq!(seen(&send(&bridge.nodes, Method::GET, "/memory", "").await), (200, estimate));
    let head = send(&bridge.nodes, Method::HEAD, "/memory", "").await;
    assert_eq!(head.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(start_paused = true)]
async fn a_memory_estimate_over_its_limit_is_refused() {
    let bridge = start().await;
    bridge.stub.state().next.push_back(plain(200, &" ".repeat(64 * 1024 + 1)));
    let response = send(&bridge.nodes, Method::GET, "/memory", "").await;
    assert_eq!(seen(&response), (500, "failed to communicate with enclave\n"));
}

#[tokio::test(start_paused = true)]
async fn without_an_enclave_every_path_says_so() {
    let bridge = start().await;
    bridge.stub.stop();
    for (method, path) in
        [(Method::GET, "/publicKeys"), (Method::GET, "/memory"), (Method::PATCH, "/config")]
    {
        let response = send(&bridge.nodes, method, path, "").await;
        assert_eq!(seen(&response), (500, "failed to communicate with enclave\n"), "{path}");
        assert_eq!(response.headers()["x-error-code"], "enclave_unreachable");
    }
    let response = send(&bridge.operator, Method::POST, "/settings", "{}").await;
    assert_eq!(seen(&response), (502, "failed to reach enclave\n"));
}

#[tokio::test(start_paused = true)]
async fn a_configuration_posted_by_the_operator_is_in_force_when_it_is_answered() {
    let bridge = Running::start(CONFIG);
    let config = ConfigRequest { config: json::to_vec(&enclave_config()).into() };
    let posted = send(&bridge.operator, Method::POST, "/config", json::to_vec(&config)).await;
    assert_eq!(posted.status(), StatusCode::OK);
    let ready = send(&bridge.operator, Method::GET, "/readyz", "").await;
    assert_eq!(ready.status(), StatusCode::OK);

    // After a restart the enclave gets it again, though no file holds it.
    bridge.stub.restart();
    tokio::time::sleep(11 * SECOND).await;
    assert_eq!(bridge.stub.state().config, Some(enclave_config()));
}

#[tokio::test(start_paused = true)]
async fn settings_posted_by_the_operator_are_given_to_the_next_enclave_too() {
    let bridge = start().await;
    let posted = send(&bridge.operator, Method::POST, "/settings", "{\"a\":1}").await;
    assert_eq!((posted.status(), posted.body().len()), (StatusCode::NO_CONTENT, 0));
    assert!(!posted.headers().contains_key("content-type"));
    bridge.stub.restart();
    tokio::time::sleep(11 * SECOND).await;
    assert_eq!(bridge.stub.state().settings.as_deref(), Some(&b"{\"a\":1}"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_vote_is_handed_over_though_its_sender_leaves() {
    let bridge = start().await;
    let mut stream = bridge.nodes.dial().await.unwrap();
    let vote = b"PATCH /config HTTP/1.1\r\nhost: b\r\ncontent-length: 2\r\n\r\n{}";
    tokio::io::AsyncWriteExt::write_all(&mut stream, vote).await.unwrap();
    tokio::time::sleep(SECOND).await;
    drop(stream);
    tokio::time::sleep(SECOND).await;
    assert_eq!(bridge.stub.state().calls, ["PATCH /config"]);
}

#[tokio::test(start_paused = true)]
async fn an_applied_vote_is_known_when_it_is_answered() {
    let bridge = start().await;
    let voted = protocol::config::EnclaveConfig { f: 0, ..enclave_config() };
    bridge.stub.state().config = Some(voted);
    bridge.stub.state().next.push_back(plain(200, "{\"applied\":true}"));
    let vote = send(&bridge.nodes, Method::PATCH, "/config", "{}").await;
    assert_eq!(vote.status(), StatusCode::OK);
    let alone = bridge.submit(&stub::request(1).sign(&stub::member(1))).await;
    assert_eq!(alone.status(), StatusCode::OK, "F + 1 is 1 now");
}

#[tokio::test(start_paused = true)]
async fn status_tells_what_is_known_and_nothing_secret() {
    let settings = "[enclave.settings]\nstorageKey = \"secret-storage-key\"\n";
    let bridge = Running::start(&format!("{CONFIG}{}{settings}", config_toml()));
    bridge.ready().await;
    let response = send(&bridge.nodes, Method::GET, "/status", "").await;
    let status: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(status["enclave"]["condition"], "ready");
    assert_eq!(status["enclave"]["attested"]["members"], 4);
    assert_eq!(status["enclave"]["attested"]["config_hash"], enclave_config().hash().to_string());
    assert_eq!(status["requests"], serde_json::json!({ "running": 0, "waiting": 0 }));
    assert!(!text(&response).contains("secret-storage-key"));
}
