//! How runs end: by themselves, by their limits, by their caller.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use enclave_workflow::{Limits, LinkError, Request, RunError};
use protocol::messages::sdk::Outcome as Answer;
use tokio_util::sync::CancellationToken;

use crate::support::{
    CALL, ENGINE, Embedder, answer, guest, meter, numbers, payload, run, run_with, timeout_ms,
    try_guest,
};

/// Runs a body of `_start`.
async fn ending(start: &str) -> RunError {
    run(&guest(start)).await.unwrap_err()
}

#[tokio::test]
async fn exit_codes_decide() {
    let text = async |code: i32| {
        let start = format!(
            r#"(func (export "_start") (call $done) (call $proc_exit (i32.const {code})))"#
        );
        run(&guest(&start)).await.map_or_else(|error| error.to_string(), |_| "ok".to_owned())
    };
    assert_eq!(text(0).await, "ok");
    assert_eq!(text(2).await, "Exited with i32 exit status 2");
    assert_eq!(text(110).await, "invariant violation: error marshaling response");
    assert_eq!(text(125).await, "Exited with i32 exit status 125");
    assert_eq!(text(126).await, "exit with invalid exit status outside of [0..126)");
    assert_eq!(text(-1).await, "exit with invalid exit status outside of [0..126)");
}

#[tokio::test]
async fn a_good_end_without_result_is_an_error() {
    let error = ending(r#"(func (export "_start"))"#).await;
    assert_eq!(error.to_string(), "could not find response for execution");
    let error = ending(r#"(func (export "_start") (call $proc_exit (i32.const 0)))"#).await;
    assert!(matches!(error, RunError::NoResponse));
}

#[tokio::test]
async fn a_result_does_not_save_a_guest_that_traps_afterwards() {
    let error = ending(r#"(func (export "_start") (call $done) unreachable)"#).await;
    assert_eq!(error.to_string(), "wasm trap: wasm `unreachable` instruction executed");
}

#[tokio::test]
async fn the_last_valid_result_counts() {
    let module = guest(
        r#"(data (i32.const 3000) "\12\05later")
        (func (export "_start")
            (call $done)
            (if (call $send_response (i32.const 3000) (i32.const 7)) (then unreachable))
            (if (i32.ne (call $send_response (i32.const 3000) (i32.const 6)) (i32.const 21))
                (then unreachable)))"#,
    );
    let outcome = run(&module).await.unwrap();
    assert_eq!(answer(&outcome), Some(Answer::Error("later".to_owned())));
    assert_eq!(outcome.encoded, b"\x12\x05later");
}

#[tokio::test]
async fn recursion_without_end_is_a_trap() {
    let error = ending(r#"(func $again (export "_start") (call $again) (call $again))"#).await;
    assert_eq!(error.to_string(), "wasm trap: call stack exhausted");
}

#[tokio::test]
async fn a_start_section_that_traps_fails_to_link() {
    let error = ending(r#"(func $init unreachable) (start $init) (func (export "_start"))"#).await;
    assert!(matches!(error, RunError::Link(LinkError::Trap(_))), "{error}");
    assert!(error.to_string().starts_with("error linking wasm: "));
}

#[tokio::test]
async fn data_outside_the_memory_fails_to_link() {
    let error = ending(r#"(data (i32.const 65535) "ab") (func (export "_start"))"#).await;
    assert!(matches!(error, RunError::Link(_)), "{error}");
}

#[tokio::test]
async fn memory_ends_at_the_limit() {
    let module = guest(
        r#"(func (export "_start")
            (call $put (i32.const 0) (i64.extend_i32_s (memory.grow (i32.const 29))))
            (call $put (i32.const 1) (i64.extend_i32_s (memory.grow (i32.const 1))))
            (call $put (i32.const 2) (i64.extend_i32_s (memory.grow (i32.const 65000))))
            (call $done))"#,
    );
    let limits = Limits { memory_bytes: 2_000_000, ..Limits::default() };
    let ended = meter(&module, &Arc::default(), &limits).await;
    assert_eq!(numbers(&ended.result.unwrap())[..3], [1, -1, -1]);
    assert_eq!(ended.metering.peak_memory_bytes, 30 * 65_536);
}

#[tokio::test]
async fn memory_declared_beyond_the_limit_fails_to_link() {
    let module = try_guest(
        r#"(module (import "env" "version_v2" (func)) (memory (export "memory") 21)
            (func (export "_start")))"#,
    );
    let limits = Limits { memory_bytes: 1_000_000, ..Limits::default() };
    let error = run_with(&module.unwrap(), &Arc::default(), &limits).await.unwrap_err();
    let want = "error linking wasm: memory minimum size of 21 pages exceeds memory limits";
    assert_eq!(error.to_string(), want);
}

#[tokio::test]
async fn a_table_grows_no_further_than_the_pool() {
    let module = try_guest(
        r#"(module (import "env" "version_v2" (func))
            (import "env" "send_response" (func $send_response (param i32 i32) (result i32)))
            (memory (export "memory") 1) (table $t 1 funcref)
            (func (export "_start")
                (if (i32.ne (table.grow $t (ref.null func) (i32.const 0x7fffffff)) (i32.const -1))
                    (then unreachable))
                (drop (call $send_response (i32.const 0) (i32.const 0)))))"#,
    );
    assert_eq!(answer(&run(&module.unwrap()).await.unwrap()), None);
}

#[tokio::test]
async fn a_result_beyond_the_limit_ends_the_run() {
    let limits = Limits { result_bytes: 67, ..Limits::default() };
    let module = guest(r#"(func (export "_start") (call $done))"#);
    let error = run_with(&module, &Arc::default(), &limits).await.unwrap_err();
    assert!(matches!(error, RunError::ResultTooLarge { got: 68, limit: 67 }));
    let enough = Limits { result_bytes: 68, ..Limits::default() };
    run_with(&module, &Arc::default(), &enough).await.unwrap();
}

const SPIN: &str = r#"(func (export "_start") (loop $again (br $again)))"#;

/// Sleeps for an hour.
const SLEEP: &str = r#"(data (i32.const 2024) "\00\a0\b8\30\46\03\00\00")
    (func (export "_start")
        (drop (call $poll_oneoff (i32.const 2000) (i32.const 3000) (i32.const 1) (i32.const 3100)))
        (call $done))"#;

#[tokio::test]
async fn a_guest_that_only_computes_ends_at_its_deadline() {
    let start = Instant::now();
    let error = run_with(&guest(SPIN), &Arc::default(), &timeout_ms(150)).await.unwrap_err();
    assert_eq!(error.to_string(), "context deadline exceeded");
    assert!(start.elapsed().as_millis() >= 150);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_sleeps_ends_at_its_deadline() {
    let start = tokio::time::Instant::now();
    let error = run_with(&guest(SLEEP), &Arc::default(), &timeout_ms(1_000)).await.unwrap_err();
    assert!(matches!(error, RunError::Deadline));
    assert_eq!(start.elapsed().as_millis(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_guest_sleeps_as_long_as_it_asks() {
    let start = tokio::time::Instant::now();
    let limits = timeout_ms(2 * 3_600_000);
    run_with(&guest(SLEEP), &Arc::default(), &limits).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3_600));
}

#[tokio::test]
async fn below_the_grain_of_time_nothing_runs() {
    for ms in [0, 99] {
        let embedder = Arc::new(Embedder::default());
        let call = format!(
            r#"(func (export "_start")
                (drop (call $call_capability {CALL} (i32.const 0) (i32.const 0))))"#
        );
        let error = run_with(&guest(&call), &embedder, &timeout_ms(ms)).await.unwrap_err();
        assert!(matches!(error, RunError::Deadline));
        assert_eq!(embedder.calls.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn w_45_a_caller_who_leaves_ends_the_run_wherever_it_is() {
    let hang = format!(
        r#"(func (export "_start")
            (drop (call $call_capability {CALL} (i32.const 0) (i32.const 0)))
            (drop (call $await_capabilities (i32.const 1100) (i32.const 3) (i32.const 0) (i32.const 0))))"#
    );
    for start in [SPIN, SLEEP, &hang] {
        let embedder =
            Arc::new(Embedder::answering(|_request, _before| Box::pin(std::future::pending())));
        let cancel = CancellationToken::new();
        let (module, limits) = (guest(start), Limits::default());
        let request = Request::new(Vec::new(), "");
        let run = ENGINE.run(&module, request, embedder, &limits, &cancel);
        let leave = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(run, leave);
        assert!(matches!(ended.result, Err(RunError::Deadline)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_pool_of_calls_ends_at_the_deadline_too() {
    let module = guest(&format!(
        r#"(func (export "_start")
            (drop (call $call_capability {CALL} (i32.const 0) (i32.const 0))))"#
    ));
    let limits = Limits { pending_calls: 0, ..timeout_ms(1_000) };
    let error = run_with(&module, &Arc::default(), &limits).await.unwrap_err();
    assert!(matches!(error, RunError::Deadline));
}

#[tokio::test]
async fn a_panic_in_a_service_ends_the_run_and_nothing_else() {
    let log = r#"(func (export "_start")
        (call $switch_modes (i32.const 1)) (call $log (i32.const 0) (i32.const 1)) (call $done))"#;
    let embedder = Embedder { on_log: |_line| panic!("log is gone"), ..Embedder::default() };
    let error = run_with(&guest(log), &Arc::new(embedder), &Limits::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "panic during wasm execution: log is gone");

    let wait = format!(
        r#"(func (export "_start")
            (drop (call $call_capability {CALL} (i32.const 0) (i32.const 0)))
            (drop (call $await_capabilities (i32.const 1100) (i32.const 3) (i32.const 0) (i32.const 0))))"#
    );
    let embedder = Embedder::answering(|_request, _before| {
        Box::pin(async {
            tokio::task::yield_now().await;
            panic!("call is gone")
        })
    });
    let error = run_with(&guest(&wait), &Arc::new(embedder), &Limits::default()).await;
    assert_eq!(error.unwrap_err().to_string(), "panic during wasm execution: call is gone");
    run(&guest(r#"(func (export "_start") (call $done))"#)).await.unwrap();
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let module = guest(r#"(func (export "_start") (call $done))"#);
    let request = Request::new(b"\xff".to_vec(), "");
    let (services, limits) = (Arc::new(Embedder::default()), Limits::default());
    let ended = ENGINE.run(&module, request, services, &limits, &CancellationToken::new()).await;
    let want = "invalid request: not an ExecuteRequest";
    assert_eq!(ended.result.unwrap_err().to_string(), want);
}

#[tokio::test]
async fn what_a_run_used_is_told() {
    let module = guest(&format!(
        r#"(func (export "_start")
            (drop (call $call_capability {CALL} (i32.const 0) (i32.const 0)))
            (drop (call $await_capabilities (i32.const 1100) (i32.const 3) (i32.const 2000) (i32.const 64)))
            (call $done))"#
    ));
    let embedder = Embedder::answering(|_request, _before| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(40)).await;
            Ok(payload(Default::default()))
        })
    });
    let used = meter(&module, &Arc::new(embedder), &Limits::default()).await.metering;
    assert_eq!((used.host_calls, used.peak_memory_bytes), (3, 65_536));
    assert_eq!((used.bytes_out, used.bytes_in), (12 + 3 + 68, 8));
    assert!(used.wall.as_millis() >= 40 && used.cpu < used.wall && !used.cpu.is_zero());
}
