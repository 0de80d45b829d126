//! Rooms 1 and 2: one signed request after the other, into batches and back.
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
use crypto::sign::SigningKey;
use http::{HeaderMap, Method, StatusCode};
use protocol::{answer::ExecuteResponse, compute::ComputeRequest, json};
use stub::{CONFIG, Running, config_toml, member, plain, request, send, text};

const SECOND: Duration = Duration::from_secs(1);

fn config(batch: &str) -> String {
    format!("{CONFIG}{}[batch]\n{batch}\n", config_toml())
}

async fn start(batch: &str) -> Running {
    let bridge = Running::start(&config(batch));
    bridge.ready().await;
    bridge
}

fn code(response: &http::Response<Bytes>) -> &str {
    response.headers()["x-error-code"].to_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn f_plus_one_requests_are_one_batch_and_all_hear_the_same_bytes() {
    let bridge = start("").await;
    let [first, second, third] = [1, 2, 3].map(|number| request(1).sign(&member(number)));
    let (first, second) = tokio::join!(bridge.submit(&first), bridge.submit(&second));
    let late = bridge.submit(&third).await;
    for response in [&first, &second, &late] {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.body(), first.body());
        assert_eq!(response.headers()["content-type"], "application/json");
    }
    let answer: ExecuteResponse = json::from_slice(first.body()).unwrap();
    assert_eq!(answer.request_hash, request(1).hash());
    let state = bridge.stub.state();
    assert_eq!(state.batches.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
}

#[tokio::test(start_paused = true)]
async fn the_answer_says_where_its_time_went() {
    let bridge = start("").await;
    bridge.stub.state().delay = 2 * SECOND;
    let [first, second] = [1, 2].map(|number| request(1).sign(&member(number)));
    let later = async {
        tokio::time::sleep(SECOND).await;
        bridge.submit(&second).await
    };
    let (first, _second) = tokio::join!(bridge.submit(&first), later);
    assert_eq!(first.headers()["server-timing"], "batch;dur=1000, enclave;dur=2000");
}

#[tokio::test(start_paused = true)]
async fn one_signer_twice_is_one_voice() {
    let bridge = start("quorum_timeout_ms = 1000").await;
    let signed = request(1).sign(&member(1));
    let (first, second) = tokio::join!(bridge.submit(&signed), bridge.submit(&signed));
    for response in [first, second] {
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(text(&response).contains("received 1 of 2 required signatures within 1s"));
    }
    assert!(bridge.stub.state().batches.is_empty());
}

#[tokio::test(start_paused = true)]
async fn too_few_signers_in_time_are_a_quorum_timeout_with_its_code_w_55() {
    let bridge = start("quorum_timeout_ms = 1500").await;
    let response = bridge.submit(&request(7).sign(&member(1))).await;
    assert_eq!((response.status().as_u16(), code(&response)), (500, "quorum_timeout"));
    let id = "07".repeat(32);
    let expected = format!(
        "error for request ID {id}: quorum_timeout: received 1 of 2 required signatures within 1.5s\n"
    );
    assert_eq!(text(&response), expected);
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_refused() {
    let config = CONFIG.replace("[nodes]", "[nodes]\nmax_body_bytes = 1024");
    let bridge = Running::start(&format!("{config}{}", config_toml()));
    bridge.ready().await;
    let response = send(&bridge.nodes, Method::POST, "/requests", vec![b' '; 1025]).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(text(&response), "failed to read request body\n");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_request_is_refused_w_37() {
    let bridge = start("").await;
    let one = json::to_vec(&request(1).sign(&member(1)));
    let a_list = [b"[", one.as_slice(), b"]"].concat();
    for body in [&b""[..], b"{", b"null null", b"7", &a_list, b"{\"requestID\":[1]}", b"\xff"] {
        let response = send(&bridge.nodes, Method::POST, "/requests", body.to_vec()).await;
        assert_eq!((response.status().as_u16(), text(&response)), (400, "invalid json\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_strangers_signature_is_refused() {
    let bridge = start("").await;
    let response = bridge.submit(&request(1).sign(&SigningKey::from_seed(&[9; 32]))).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(text(&response), "invalid signature: signature not from any allowed signer\n");
}

#[tokio::test(start_paused = true)]
async fn a_signature_for_another_request_is_refused() {
    let bridge = start("").await;
    let mut signed = request(1).sign(&member(1));
    signed.request.public_data = b"other".as_slice().into();
    assert_eq!(bridge.submit(&signed).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn w_13_the_enclaves_status_and_error_are_passed_on() {
    let bridge = start("").await;
    let [first, second] = [1, 2].map(|number| request(1).sign(&member(number)));
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("retry-after", "3".parse().unwrap());
    let body = Bytes::from_static(br#"{"error":"busy","code":"busy","retryable":true}"#);
    let planned = (StatusCode::TOO_MANY_REQUESTS, headers, body.clone());
    bridge.stub.state().next.push_back(planned);
    let (first, second) = tokio::join!(bridge.submit(&first), bridge.submit(&second));
    for response in [first, second] {
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["retry-after"], "3");
        assert_eq!(response.body(), &body);
    }
}

#[tokio::test(start_paused = true)]
async fn w_53_bytes_are_passed_on_though_no_reader_knows_them() {
    let bridge = start("").await;
    let [first, second] = [1, 2].map(|number| request(1).sign(&member(number)));
    let body = Bytes::from_static(br#"{ "metrics": {"x": 10000000000000000000001}, "later":1 }"#);
    bridge.stub.state().next.push_back((StatusCode::OK, HeaderMap::new(), body.clone()));
    let (first, _second) = tokio::join!(bridge.submit(&first), bridge.submit(&second));
    assert_eq!(first.body(), &body);
}

#[tokio::test(start_paused = true)]
async fn w_22_a_request_lives_as_long_as_it_takes() {
    let bridge = start("").await;
    bridge.stub.state().delay = 11 * 60 * SECOND;
    let [first, second, late] = [1, 2, 3].map(|number| request(1).sign(&member(number)));
    let later = async {
        tokio::time::sleep(10 * 60 * SECOND).await;
        bridge.submit(&late).await
    };
    let all = tokio::join!(bridge.submit(&first), bridge.submit(&second), later);
    for response in [all.0, all.1, all.2] {
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(bridge.stub.state().batches.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn w_59_a_result_is_gone_before_its_document_is_too_old() {
    let bridge = start("quorum_timeout_ms = 1000").await;
    let [first, second, late] = [1, 2, 3].map(|number| request(1).sign(&member(number)));
    tokio::join!(bridge.submit(&first), bridge.submit(&second));
    tokio::time::sleep(239 * SECOND).await;
    assert_eq!(bridge.submit(&late).await.status(), StatusCode::OK);
    tokio::time::sleep(SECOND).await;
    assert!(text(&bridge.submit(&late).await).contains("quorum_timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_kept_and_may_be_tried_again() {
    let bridge = start("").await;
    let [first, second] = [1, 2].map(|number| request(1).sign(&member(number)));
    bridge.stub.state().next.push_back(plain(500, "no"));
    let (failed, _) = tokio::join!(bridge.submit(&first), bridge.submit(&second));
    assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let (answered, _) = tokio::join!(bridge.submit(&first), bridge.submit(&second));
    assert_eq!(answered.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn w_49_one_signer_has_a_bounded_number_of_waiting_requests() {
    let bridge = start("pending_per_signer = 2").await;
    let waiting = |number: u8| request(number).sign(&member(1));
    let (one, two) = (waiting(1), waiting(2));
    let third = async {
        tokio::time::sleep(SECOND).await;
        let refused = bridge.submit(&waiting(3)).await;
        assert_eq!((refused.status().as_u16(), code(&refused)), (429, "busy"));
        assert!(refused.headers().contains_key("retry-after"));
        // Another signer is not affected, and makes a quorum that frees a place.
        let answered = bridge.submit(&request(1).sign(&member(2))).await;
        assert_eq!(answered.status(), StatusCode::OK);
        let timed_out = bridge.submit(&waiting(3)).await;
        assert!(text(&timed_out).contains("quorum_timeout"));
    };
    tokio::join!(bridge.submit(&one), bridge.submit(&two), third);
}

#[tokio::test(start_paused = true)]
async fn w_26_waiting_requests_share_a_budget_of_bytes() {
    let bridge = start("pending_bytes = 1048576\nquorum_timeout_ms = 2000").await;
    let large = |number: u8| {
        let public_data = vec![number; 500_000].into();
        ComputeRequest { public_data, ..request(number) }.sign(&member(number))
    };
    let (one, two) = (large(1), large(2));
    let refused = async {
        tokio::time::sleep(SECOND).await;
        let refused = bridge.submit(&two).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    };
    tokio::join!(bridge.submit(&one), refused);
    assert!(text(&bridge.submit(&two).await).contains("quorum_timeout"), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn bft_waits_for_two_f_plus_one() {
    let bridge = start("require_bft_quorum = true").await;
    let [first, second, third] = [1, 2, 3].map(|number| request(1).sign(&member(number)));
    let last = async {
        tokio::time::sleep(SECOND).await;
        assert!(bridge.stub.state().batches.is_empty());
        bridge.submit(&third).await
    };
    let all = tokio::join!(bridge.submit(&first), bridge.submit(&second), last);
    assert_eq!(all.2.status(), StatusCode::OK);
    assert_eq!(bridge.stub.state().batches[0].len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_leaves_its_vote() {
    let bridge = start("").await;
    let [first, second] = [1, 2].map(|number| request(1).sign(&member(number)));
    let left = tokio::time::timeout(SECOND, bridge.submit(&first)).await;
    assert!(left.is_err());
    assert_eq!(bridge.submit(&second).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_enclave_that_is_gone_is_said_so() {
    let bridge = start("").await;
    bridge.stub.stop();
    let [first, second] = [1, 2].map(|number| request(1).sign(&member(number)));
    let (response, _) = tokio::join!(bridge.submit(&first), bridge.submit(&second));
    assert_eq!((response.status().as_u16(), code(&response)), (502, "enclave_unreachable"));
}

#[tokio::test(start_paused = true)]
async fn an_enclave_that_takes_too_long_is_said_so() {
    let config = CONFIG.replace("[enclave]", "[enclave]\nrequest_timeout_ms = 5000");
    let bridge = Running::start(&format!("{config}{}", config_toml()));
    bridge.ready().await;
    bridge.stub.state().delay = 60 * SECOND;
    let [first, second] = [1, 2].map(|number| request(1).sign(&member(number)));
    let (response, _) = tokio::join!(bridge.submit(&first), bridge.submit(&second));
    assert_eq!((response.status().as_u16(), code(&response)), (504, "enclave_timeout"));
}

const IN_FLIGHT: &str = "{\"error\":\"request is already being processed\",\"code\":\"x\"}\n";
const REPLAY: &str =
    "{\"error\":\"replay detected: request hash has already been executed\",\"code\":\"x\"}\n";
const NOT_STORED: &str = "no stored result for this request\n";

/// Answers to `POST /requests` and `GET /results/..`, in turn.
async fn with_outcomes(planned: &[(u16, &str)]) -> (http::Response<Bytes>, Vec<String>) {
    let bridge = start("").await;
    let [first, second] = [1, 2].map(|number| request(1).sign(&member(number)));
    {
        let mut state = bridge.stub.state();
        state.calls.clear();
        state.next.extend(planned.iter().map(|(status, text)| plain(*status, text)));
    }
    let (first, second) = tokio::join!(bridge.submit(&first), bridge.submit(&second));
    assert_eq!(first.body(), second.body());
    let results = format!("GET /results/{}", request(1).hash());
    let calls = bridge.stub.state().calls.clone();
    (
        first,
        calls
            .into_iter()
            .map(|call| if call == results { "GET".to_owned() } else { call })
            .collect(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_restarted_fetches_the_outcome_of_what_its_predecessor_sent() {
    let planned = [
        (409, IN_FLIGHT),
        (404, NOT_STORED),
        (409, IN_FLIGHT),
        (404, NOT_STORED),
        (409, REPLAY),
        (200, "stored"),
    ];
    let (response, calls) = with_outcomes(&planned).await;
    assert_eq!((response.status(), text(&response)), (StatusCode::OK, "stored"));
    let pair = ["POST /requests", "GET"];
    assert_eq!(calls, [pair, pair, pair].concat());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_its_predecessor_failed_to_run_is_run() {
    let (response, calls) = with_outcomes(&[(409, IN_FLIGHT), (404, NOT_STORED)]).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(calls, ["POST /requests", "GET", "POST /requests"]);
}

#[tokio::test(start_paused = true)]
async fn an_enclave_of_version_1_is_not_asked_again_for_what_runs() {
    let (response, calls) = with_outcomes(&[(409, IN_FLIGHT), (404, "404 page not found\n")]).await;
    assert_eq!((response.status(), text(&response)), (StatusCode::CONFLICT, IN_FLIGHT));
    assert_eq!(calls.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_replay_whose_outcome_is_not_stored_stays_a_conflict() {
    let (response, calls) = with_outcomes(&[(409, REPLAY), (404, NOT_STORED)]).await;
    assert_eq!((response.status(), text(&response)), (StatusCode::CONFLICT, REPLAY));
    assert_eq!(calls.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn stopping_fails_what_waits_and_finishes_what_runs() {
    let bridge = start("").await;
    bridge.stub.state().delay = 5 * SECOND;
    let [first, second] = [1, 2].map(|number| request(1).sign(&member(number)));
    let waiting = request(2).sign(&member(1));
    let stop = async {
        tokio::time::sleep(SECOND).await;
        bridge.stop.cancel();
    };
    let all =
        tokio::join!(bridge.submit(&first), bridge.submit(&second), bridge.submit(&waiting), stop);
    assert_eq!((all.0.status(), all.1.status()), (StatusCode::OK, StatusCode::OK));
    assert_eq!((all.2.status().as_u16(), code(&all.2)), (503, "server_shutdown"));
    let expected = "server_shutdown: request cancelled due to server shutdown\n";
    assert!(text(&all.2).ends_with(expected));
    bridge.task.await.unwrap().unwrap();
}
