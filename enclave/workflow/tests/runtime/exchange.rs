//! Calls, waits, log lines and metrics at their edges.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use enclave_workflow::{Engine, Limits, MetricLimits, Request};
use tokio_util::sync::CancellationToken;

use crate::support::{
    AWAIT, CALL, ENGINE, Embedder, Flight, guest, meter, numbers, payload, run, run_with, text,
    try_guest,
};

#[tokio::test]
async fn a_call_that_starts_leaves_both_buffers_alone() {
    let module = guest(&format!(
        r#"(func (export "_start")
            (i64.store (i32.const 2000) (i64.const 77))
            (call $put (i32.const 0) (call $call_capability {CALL} (i32.const 2000) (i32.const 64)))
            (call $put (i32.const 1) (i64.load (i32.const 2000)))
            (call $put (i32.const 2) (i64.load (i32.const 1000)))
            (call $done))"#
    ));
    let probe = i64::from_le_bytes(*b"\x0a\x05probe\x1a");
    assert_eq!(numbers(&run(&module).await.unwrap())[..3], [0, 77, probe]);
}

#[tokio::test]
async fn an_answer_under_id_zero_has_the_bytes_of_the_reference() {
    let module = guest(&format!(
        r#"(func (export "_start")
            (i32.store8 (i32.const 1011) (i32.const 0))
            (i32.store8 (i32.const 1102) (i32.const 0))
            (drop (call $call_capability {CALL} (i32.const 2000) (i32.const 64)))
            (call $put (i32.const 0) (call $await_capabilities {AWAIT} (i32.const 2000) (i32.const 64)))
            (call $put (i32.const 1) (i64.load (i32.const 2000)))
            (call $done))"#
    ));
    // Key and value of a map entry are written also where they are defaults.
    let answer = i64::from_le_bytes(*b"\x0a\x06\x08\x00\x12\x02\x0a\x00");
    assert_eq!(numbers(&run(&module).await.unwrap())[..2], [8, answer]);
}

#[tokio::test]
async fn garbage_is_refused_in_the_response_buffer() {
    let module = guest(
        r#"(data (i32.const 3000) "\0a\ff\ff\ff")
        (func (export "_start") (local $code i64)
            (local.set $code (call $call_capability (i32.const 3000) (i32.const 4) (i32.const 4) (i32.const 64)))
            (call $put (i32.const 7) (local.get $code))
            (if (i32.ne (i32.load (i32.const 3000)) (i32.const 0xffffff0a)) (then unreachable))
            (call $done))"#,
    );
    let outcome = run(&module).await.unwrap();
    assert_eq!(numbers(&outcome)[7], -64, "the text is cut to the buffer, then overwritten");
    let text = String::from_utf8_lossy(&outcome.encoded[4..60]).into_owned();
    assert!(text.starts_with("error calling proto unmarshal: proto: cannot parse"), "{text}");
}

#[tokio::test]
async fn the_older_call_writes_its_refusal_over_the_request() {
    let start = r#"(data (i32.const 3000) "\0a\ff\ff\ff")
        (func (export "_start")
            (call $put (i32.const 0) (call $call_capability (i32.const 3000) (i32.const 4)))
            (call $put (i32.const 1) (i64.load32_u (i32.const 3000)))
            (call $done))"#;
    let older = text(start).replacen("(param i32 i32 i32 i32)", "(param i32 i32)", 1);
    let outcome = run(&try_guest(&older).unwrap()).await.unwrap();
    let erro = i64::from(u32::from_le_bytes(*b"erro"));
    assert_eq!(numbers(&outcome)[..2], [-4, erro]);
}

#[tokio::test]
async fn pointers_at_the_edges_do_no_harm() {
    let module = guest(
        r#"(func (export "_start")
            (call $put (i32.const 0) (call $call_capability (i32.const 100) (i32.const 0x7fffff9c) (i32.const 0) (i32.const 0)))
            (call $put (i32.const 1) (call $await_capabilities (i32.const -1) (i32.const -1) (i32.const -1) (i32.const -1)))
            (call $put (i32.const 2) (i64.extend_i32_s (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0x7ffffffc))))
            (call $put (i32.const 3) (i64.extend_i32_s (call $now (i32.const 0x7ffffffc))))
            (call $put (i32.const 4) (i64.extend_i32_s (call $random_get (i32.const 65535) (i32.const 2))))
            (call $put (i32.const 5) (i64.extend_i32_s (call $random_get (i32.const 65536) (i32.const 0))))
            (call $put (i32.const 6) (i64.extend_i32_s (call $fd_write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0))))
            (call $log (i32.const -1) (i32.const 0x7fffffff))
            (call $done))"#,
    );
    let outcome = run(&module).await.unwrap();
    assert_eq!(numbers(&outcome)[..7], [0, -1, 0, 0, 21, 0, 28]);
}

#[tokio::test]
async fn polls_of_impossible_counts_touch_nothing() {
    let polls: String = [-1, 0, 129, 2_083_333, 44_739_241, 44_739_242]
        .iter()
        .zip(0..)
        .map(|(count, slot)| {
            format!(
                "(call $put (i32.const {slot}) (i64.extend_i32_s (call $poll_oneoff \
                 (i32.const 0) (i32.const 0) (i32.const {count}) (i32.const 0))))"
            )
        })
        .collect();
    let module = guest(&format!(r#"(func (export "_start") {polls} (call $done))"#));
    assert_eq!(numbers(&run(&module).await.unwrap())[..6], [28; 6]);
}

#[tokio::test]
async fn a_hundred_pairs_of_call_and_wait_succeed() {
    let module = guest(&pairs(100));
    let embedder = Arc::new(Embedder::default());
    let limits = Limits { pending_calls: 2, ..Limits::default() };
    let outcome = run_with(&module, &embedder, &limits).await.unwrap();
    assert_eq!(numbers(&outcome)[0], 100);
    assert_eq!(embedder.calls.load(Ordering::SeqCst), 100);
}

/// A guest that calls and waits so many times, each time under the next id, and counts successes.
fn pairs(times: u32) -> String {
    format!(
        r#"(func (export "_start") (local $id i32) (local $good i64)
            (loop $again
                (local.set $id (i32.add (local.get $id) (i32.const 1)))
                (i32.store8 (i32.const 1011) (local.get $id))
                (i32.store8 (i32.const 1102) (local.get $id))
                (if (i64.eqz (call $call_capability {CALL} (i32.const 2000) (i32.const 64))) (then
                    (if (i64.gt_s (call $await_capabilities {AWAIT} (i32.const 2000) (i32.const 500)) (i64.const 0)) (then
                        (local.set $good (i64.add (local.get $good) (i64.const 1)))))))
                (br_if $again (i32.lt_u (local.get $id) (i32.const {times}))))
            (call $put (i32.const 0) (local.get $good))
            (call $done))"#
    )
}

/// A guest that starts calls under so many ids and never waits.
fn starts(times: u32) -> String {
    format!(
        r#"(func (export "_start") (local $id i32)
            (loop $again
                (local.set $id (i32.add (local.get $id) (i32.const 1)))
                (i32.store8 (i32.const 1011) (local.get $id))
                (drop (call $call_capability {CALL} (i32.const 2000) (i32.const 64)))
                (br_if $again (i32.lt_u (local.get $id) (i32.const {times}))))
            (call $done))"#
    )
}

#[tokio::test(start_paused = true)]
async fn runs_of_one_workflow_share_the_calls_in_flight() {
    let in_flight = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&in_flight), Arc::clone(&most));
    let embedder = Arc::new(Embedder::answering(move |_request, _before| {
        let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
        Box::pin(async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let _flight = Flight(now);
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(payload(Default::default()))
        })
    }));
    let module = Arc::new(guest(&starts(20)));
    let limits = Limits { pending_calls: 3, ..Limits::default() };
    let engine: &Engine = &ENGINE;
    let run = || {
        let (module, services, limits) =
            (Arc::clone(&module), Arc::clone(&embedder), limits.clone());
        async move {
            let request = Request::new(Vec::new(), "shared");
            let cancel = CancellationToken::new();
            engine.run(&module, request, services, &limits, &cancel).await.result.unwrap()
        }
    };
    tokio::join!(run(), run(), run());
    assert_eq!(embedder.calls.load(Ordering::SeqCst), 60);
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_and_earlier_ones_stand() {
    let module = guest(&pairs(10));
    let embedder = Arc::new(Embedder::default());
    let limits = Limits { capability_calls: 4, ..Limits::default() };
    let outcome = run_with(&module, &embedder, &limits).await.unwrap();
    assert_eq!((numbers(&outcome)[0], embedder.calls.load(Ordering::SeqCst)), (4, 4));
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    let module = guest(&pairs(1));
    let limits = Limits { message_bytes: 11, ..Limits::default() };
    let outcome = run_with(&module, &Arc::default(), &limits).await.unwrap();
    assert_eq!(numbers(&outcome)[0], 0);
}

#[tokio::test]
async fn log_lines_end_at_their_length_and_count() {
    let lines = [(2000, 11), (2100, 34), (2200, 11), (2300, 11)];
    let log: String =
        lines.map(|(ptr, len)| format!("(call $log (i32.const {ptr}) (i32.const {len}))")).concat();
    let module = guest(&format!(
        r#"(data (i32.const 2000) "short log 1")
        (data (i32.const 2100) "a log line of thirty-four bytes...")
        (data (i32.const 2200) "short log 3")
        (data (i32.const 2300) "short log 4")
        (func (export "_start") {log} (call $switch_modes (i32.const 1)) {log}
            (call $switch_modes (i32.const 2)) {log} (call $done))"#
    ));
    let embedder = Arc::new(Embedder::default());
    let limits =
        Limits { log_line_bytes: 20, log_lines_don: 3, log_lines_node: 1, ..Limits::default() };
    let ended = meter(&module, &embedder, &limits).await;
    assert_eq!(*embedder.logs.lock().unwrap(), ["short log 1", "short log 3", "short log 1"]);
    assert_eq!((ended.metering.dropped_events, ended.metering.bytes_out), (5, 33 + 68));
}

#[tokio::test]
async fn w_15_all_log_lines_together_end_at_their_bytes() {
    let module = guest(
        r#"(func (export "_start") (local $n i32)
            (call $switch_modes (i32.const 1))
            (loop $again
                (call $log (i32.const 1000) (i32.const 10))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $n) (i32.const 100000))))
            (call $done))"#,
    );
    let embedder = Arc::new(Embedder::default());
    let limits = Limits { log_bytes: 35, ..Limits::default() };
    let ended = meter(&module, &embedder, &limits).await;
    assert_eq!(embedder.logs.lock().unwrap().len(), 3);
    assert_eq!(ended.metering.dropped_events, 100_000 - 3);
}

#[tokio::test]
async fn metrics_pass_an_open_gate_within_their_limits() {
    let names =
        ["thirteen-long", "a-name-of-twenty-five-by.", "eleven-long", "nine-long", "ten-a-long"];
    let mut data = String::new();
    let mut emit = String::new();
    for (index, name) in names.iter().enumerate() {
        let ptr = 2000 + index * 100;
        data += &format!(r#"(data (i32.const {ptr}) "\2a\{:02x}{name}")"#, name.len());
        emit += &format!(
            "(call $put (i32.const {index}) (i64.extend_i32_s (call $emit_metric (i32.const {ptr}) \
             (i32.const {}))))",
            name.len() + 2
        );
    }
    let module = guest(&format!(r#"{data} (func (export "_start") {emit} (call $done))"#));
    let embedder = Arc::new(Embedder::default());
    let metrics = MetricLimits { name_bytes: 15, ..MetricLimits::default() };
    let limits = Limits { metrics: Some(metrics), ..Limits::default() };
    let outcome = run_with(&module, &embedder, &limits).await.unwrap();
    assert_eq!(numbers(&outcome)[..5], [0, -1, 0, 0, 0]);
    assert_eq!(embedder.metrics.lock().unwrap().len(), 4);
    let closed = run_with(&module, &embedder, &Limits::default()).await.unwrap();
    assert_eq!(numbers(&closed)[..5], [-1; 5]);
    assert_eq!(embedder.metrics.lock().unwrap().len(), 4);
}
