//! Equal to the reference's host: batching (`quorum.json`, `host_batch`).
//!
//! The recorded answers of the enclave are not in the file; the reference's host re-encoded them. The
//! stand-in here gives the same values as the reference's enclave writes them, without a line break.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    response::{IntoResponse as _, Response},
    routing::post,
};
use bytes::Bytes;
use host_bridge::{
    batch::{BatchLimits, Collector, SubmitError, Unchecked},
    enclave::Link,
};
use http::{StatusCode, header};
use protocol::{committee::Committee, ids::FaultBound, json};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transport::{
    http::{ClientLimits, ServerLimits, serve},
    memory,
};
use vectors::{Answer, Case, Deviations, Text, model};

const FILE: &str = "quorum.json";

/// Kinds of the file that other crates answer.
const OTHERS: &[&str] = &[
    "call_capability",
    "canonical_payload",
    "capability_bundle",
    "config_sequence",
    "describe",
    "enclave_batch",
    "get_secrets",
    "secrets_bundle",
];

#[test]
fn requests_are_batched_as_the_reference_batches_them() {
    let deviations = Deviations::read();
    vectors::run(
        FILE,
        &["host_batch"],
        OTHERS,
        |_case| Text::Exact,
        |case| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap();
            Answer::Value(runtime.block_on(host_batch(case, &deviations)))
        },
    );
}

async fn host_batch(case: &Case, deviations: &Deviations) -> Value {
    let input = &case.input;
    let expected = case.output.as_ref().unwrap();
    let signers = model::list(&input["config"]["signers"], |key| model::bytes(key).unwrap());
    let faults = FaultBound::new(u32::try_from(input["config"]["f"].as_u64().unwrap()).unwrap());
    let keys = signers.unwrap();
    let committee = Arc::new(Committee::parse(keys.iter().map(Vec::as_slice), faults).unwrap());
    let (link, batches) = enclave(input, expected);
    let limits = BatchLimits {
        require_bft_quorum: input["require_bft_quorum"].as_bool().unwrap(),
        ..LIMITS
    };
    let collector = Collector::new(limits, link, EXCHANGE, CancellationToken::new());

    let started = Instant::now();
    let mut waiting = Vec::new();
    for step in input["steps"].as_array().unwrap() {
        let at = Duration::from_millis(step["at_ms"].as_u64().unwrap());
        tokio::time::sleep_until(started + at).await;
        let body = Bytes::from(step["body"].as_str().unwrap().to_owned());
        let (collector, committee) = (collector.clone(), Arc::clone(&committee));
        waiting.push(tokio::spawn(async move {
            let response = submit(&collector, &committee, &body).await;
            let when_ms = u64::try_from(started.elapsed().as_millis()).unwrap();
            outcome(when_ms, response).await
        }));
        // Steps of one moment arrive in their order.
        tokio::task::yield_now().await;
    }
    let mut outcomes = Vec::new();
    for (task, theirs) in waiting.into_iter().zip(expected["outcomes"].as_array().unwrap()) {
        outcomes.push(held_to_rules(task.await.unwrap(), theirs, deviations));
    }
    let batches = batches.lock().unwrap().clone();
    json!({ "batches": batches, "outcomes": outcomes })
}

async fn submit(collector: &Collector, committee: &Committee, body: &[u8]) -> Response {
    let request = match Unchecked::decode(body) {
        Ok(request) => request,
        Err(error) => return SubmitError::from(error).into_response(),
    };
    match collector.submit(request, committee).await {
        Ok(answer) => answer.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn outcome(when_ms: u64, response: Response) -> Value {
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    json!({ "when_ms": when_ms, "status": status, "body": body })
}

/// Where a rule lets us answer otherwise, our answer has to be exactly what the rule says: what the
/// enclave sent. The reference's own words for it stand in for ours then.
fn held_to_rules(ours: Value, theirs: &Value, deviations: &Deviations) -> Value {
    let (our_body, their_body) = (ours["body"].as_str().unwrap(), theirs["body"].as_str().unwrap());
    if ours == *theirs || !deviations.may_answer(FILE, "host_batch", their_body) {
        return ours;
    }
    let status = StatusCode::from_u16(u16::try_from(ours["status"].as_u64().unwrap()).unwrap());
    let relayed = if status.as_ref().is_ok_and(StatusCode::is_success) {
        format!("{our_body}\n") == their_body && ours["status"] == theirs["status"]
    } else {
        let wrapped = format!(" enclave returned error: {} - {our_body}\n", status.unwrap());
        their_body.ends_with(&wrapped) && our_body == ENCLAVE_ERROR
    };
    if relayed && ours["when_ms"] == theirs["when_ms"] { theirs.clone() } else { ours }
}

/// An enclave that answers after `enclave_delay_ms`, and the step numbers of the batches it was sent.
fn enclave(input: &Value, expected: &Value) -> (Link, Arc<std::sync::Mutex<Vec<Value>>>) {
    let batches = Arc::new(std::sync::Mutex::new(Vec::new()));
    let delay = Duration::from_millis(input["enclave_delay_ms"].as_u64().unwrap());
    let status = u16::try_from(input["enclave_status"].as_u64().unwrap()).unwrap();
    let success = expected["outcomes"].as_array().unwrap().iter();
    let success = success.filter(|outcome| outcome["status"] == 200);
    let mut success =
        success.map(|outcome| outcome["body"].as_str().unwrap().trim_end().to_owned());
    let success = success.next_back().unwrap_or_default();
    let sent = Arc::clone(&batches);
    let steps: Vec<Value> = input["steps"].as_array().unwrap().clone();
    let handler = move |body: Bytes| async move {
        sent.lock().unwrap().push(step_numbers(&body, &steps));
        tokio::time::sleep(delay).await;
        let body = if status == 200 { success } else { ENCLAVE_ERROR.to_owned() };
        let status = StatusCode::from_u16(status).unwrap();
        (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body))
    };
    let (dialer, listener) = memory::pair();
    let router = Router::new().route("/requests", post(handler));
    tokio::spawn(serve(Box::new(listener), router, SERVER, CancellationToken::new()));
    (Link::new(Arc::new(dialer)), batches)
}

/// Which steps a batch holds, by their signatures.
fn step_numbers(batch: &[u8], steps: &[Value]) -> Value {
    let batch: protocol::compute::Batch = json::from_slice(batch).unwrap();
    let number = |signature: &[u8]| {
        let is_it = |step: &Value| {
            let body = step["body"].as_str().unwrap().as_bytes();
            let request = json::from_slice::<protocol::compute::SignedComputeRequest>(body);
            request.is_ok_and(|request| request.signature.as_slice() == signature)
        };
        steps.iter().position(is_it).unwrap()
    };
    batch.iter().map(|request| number(request.signature.as_slice())).collect::<Vec<_>>().into()
}

const ENCLAVE_ERROR: &str = r#"{"error":"e"}"#;

const LIMITS: BatchLimits = BatchLimits {
    quorum_timeout: Duration::from_secs(20),
    require_bft_quorum: false,
    result_age: Duration::from_secs(240),
    results_bytes: 1 << 20,
    pending_per_signer: 16,
    pending_bytes_per_signer: 1 << 20,
    pending_bytes: 1 << 20,
};

const EXCHANGE: ClientLimits =
    ClientLimits { head_bytes: 16 * 1024, body_bytes: 1 << 20, timeout: Duration::from_secs(720) };

const SERVER: ServerLimits = ServerLimits {
    connections: 16,
    head_bytes: 8192,
    head_timeout: Duration::from_secs(30),
    write_stall: Duration::from_secs(30),
    drain: Duration::ZERO,
};
