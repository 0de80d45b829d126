//! What the rules of the protocol cost: `cargo bench -p protocol`.
//!
//! Bundles, against what cannot be saved: hashing each distinct result once, and F + 1 signatures.
//!
//! | Column | Meaning |
//! |---|---|
//! | floor | the hashes and the signatures alone, measured in turn with ours |
//! | ours | all of it: comparing, hashing, grouping, checking, counting |
//! | ratio | ours divided by the floor; the goal is at most 1.2 for the first line |
//!
//! JSON, in bytes of output per second, against copying them; the goal is 1 GB/s for the first line.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints, and what goes wrong has to stop it"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use crypto::sign::{Domain, Signature, SigningKey, payload};
use protocol::{
    base64,
    committee::Committee,
    compute::ForwardedComputeRequest,
    ids::FaultBound,
    json::{self, RawJson},
    messages::{
        self,
        sdk::{AttributedSignature, CapabilityOutcome, CapabilityResponse, ReportResponse},
    },
    quorum::select,
    relay::{
        Bundle, CapabilityRequestParams, CapabilityResult, Params as _, SecretsRequestParams,
        SignedResult,
    },
};

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // As part of `cargo test` there is nothing to measure.
        return;
    }
    println!(
        "{:<52}{:>12}{:>12}{:>8}",
        "bundle of 16 results of 100 kB, F = 5", "floor us", "ours us", "ratio"
    );
    bundle("one result", (1, F + 1), |_node| plain(0));
    bundle("one of them differs", (2, F + 1), |node| plain(u8::from(node == 3)));
    bundle("two results, eight times each", (2, N), |node| plain(u8::from(node % 2 == 0)));
    // Each with the signatures of its own node, so each is hashed with and without them.
    bundle("a consensus report", (2 * N, F + 1), report);
    println!("\n{:<52}{:>12}{:>12}", "JSON", "copy GB/s", "ours GB/s");
    let params = params();
    let call = CapabilityRequestParams { payload: base64::encode(&noise(1 << 20)), ..params };
    written("params of a call with 1 MiB of payload", &call);
    let request = ForwardedComputeRequest::default();
    let mut secrets = SecretsRequestParams::default();
    let mut signed = request;
    signed.signed.request.public_data = noise(1 << 20).into();
    secrets.signed_compute_requests = Some(vec![signed]);
    written("params for secrets with a request of 1 MiB", &secrets);
    let text = "<a href=\"https://example.com\">\u{2028}\n".repeat(1 << 15);
    written(
        "a text full of what is escaped",
        &CapabilityResult { error: text, ..Default::default() },
    );
}

/// A bundle to which each node adds its result, against its hashes and signatures.
fn bundle(
    name: &str,
    (hashes, checks): (usize, usize),
    result: impl Fn(usize) -> CapabilityResult,
) {
    let params = params();
    let keys: Vec<_> = (1..=N).map(|seed| SigningKey::from_seed(&[seed as u8; 32])).collect();
    let members = keys.iter().map(SigningKey::public).collect();
    let committee = Committee::new(members, FaultBound::new(F as u32)).expect("distinct keys");
    let sign = |(node, key)| SignedResult::sign(&params, result(node), key).expect("valid params");
    let responses: Vec<_> = keys.iter().enumerate().map(sign).collect();
    let hasher = params.hasher().expect("valid params");
    let hash = hasher.hash(&result(0));
    let message = payload(Domain::RelayResponse, hash.as_bytes());
    let results: Vec<_> = responses.iter().map(|response| response.result.clone()).collect();
    let signature = Signature::from_slice(
        SignedResult::sign(&params, result(0), &keys[0])
            .expect("valid params")
            .signature
            .signature
            .as_slice(),
    )
    .expect("64 bytes");
    let floor = || {
        for result in results.iter().cycle().take(hashes) {
            black_box(hasher.hash(black_box(result)));
        }
        for _check in 0..checks {
            black_box(keys[0].public().verify_payload(black_box(&message), &signature))
                .expect("valid");
        }
    };
    let bundle = Bundle { responses: Some(responses) };
    let ours = || {
        black_box(select(&params, black_box(&bundle), &committee).expect("a quorum"));
    };
    let (floor_us, ours_us) = in_turn(floor, ours);
    println!("{name:<52}{floor_us:>12.0}{ours_us:>12.0}{:>8.2}", ours_us / floor_us);
}

/// Writing a value, against copying what is written.
fn written<T: json::Wire>(name: &str, value: &T) {
    let text = json::to_vec(value);
    let copy = || {
        black_box(black_box(&text).to_vec());
    };
    let ours = || {
        black_box(json::to_vec(black_box(value)));
    };
    let (copy_us, ours_us) = in_turn(copy, ours);
    let rate = |us: f64| text.len() as f64 / us / 1000.0;
    println!("{name:<52}{:>12.1}{:>12.2}", rate(copy_us), rate(ours_us));
    black_box(RawJson::of(value));
}

/// Measures both in turn, so that what else the machine does meets them alike; medians in
/// microseconds.
fn in_turn(floor: impl Fn(), ours: impl Fn()) -> (f64, f64) {
    let time = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let mut times = [Vec::new(), Vec::new()];
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        times[0].push(time(&floor));
        times[1].push(time(&ours));
    }
    let [floor, ours] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    });
    (floor, ours)
}

fn params() -> CapabilityRequestParams {
    CapabilityRequestParams {
        workflow_id: "1".repeat(64),
        owner: format!("0x{}", "0".repeat(40)),
        execution_id: "2".repeat(64),
        reference_id: "1".to_owned(),
        capability_id: "c@1.0.0".to_owned(),
        payload: "AQ==".to_owned(),
        ..CapabilityRequestParams::default()
    }
}

fn plain(kind: u8) -> CapabilityResult {
    let mut bytes = noise(RESULT_BYTES);
    bytes[0] = kind;
    let error = CapabilityOutcome::Error(base64::encode(&bytes[..RESULT_BYTES / 4 * 3]));
    result(&CapabilityResponse { response: Some(error) })
}

fn report(node: usize) -> CapabilityResult {
    let sigs = vec![AttributedSignature { signature: vec![node as u8; 65], signer_id: 1 }; 6];
    let raw_report = noise(RESULT_BYTES / 4 * 3);
    let report = ReportResponse { raw_report, sigs, ..ReportResponse::default() };
    let payload = CapabilityOutcome::Payload(messages::pack(&report));
    result(&CapabilityResponse { response: Some(payload) })
}

fn result(response: &CapabilityResponse) -> CapabilityResult {
    let payload = base64::encode(&messages::encode(response));
    CapabilityResult { payload, error: String::new() }
}

/// Bytes that look like nothing.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_index| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..bytes).map(next).collect()
}

/// Nodes, and how many of them may be faulty.
const N: usize = 16;
const F: usize = 5;

/// What one node answers.
const RESULT_BYTES: usize = 100_000;
