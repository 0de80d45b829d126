//! What runs share, and what they must not.

use std::{sync::Arc, time::Duration};

use enclave_workflow::{Capacity, Engine, Limits, Request};
use tokio_util::sync::CancellationToken;

use crate::support::{
    CALL, ENGINE, Embedder, compile, guest, meter_in, numbers, payload, text, timeout_ms,
};

/// Fills a page with a pattern.
const WRITER: &str = r#"(func (export "_start")
    (memory.fill (i32.const 4096) (i32.const 0x5a) (i32.const 61440))
    (memory.fill (i32.mul (memory.grow (i32.const 3)) (i32.const 65536)) (i32.const 0x5a) (i32.const 196608))
    (call $done))"#;

/// Grows as far and counts bytes that are not zero where no data is.
const READER: &str = r#"(func (export "_start") (local $at i32) (local $found i64)
    (drop (memory.grow (i32.const 3)))
    (local.set $at (i32.const 4096))
    (loop $again
        (if (i32.load8_u (local.get $at)) (then
            (local.set $found (i64.add (local.get $found) (i64.const 1)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $at) (i32.const 262144))))
    (call $put (i32.const 0) (local.get $found))
    (call $done))"#;

async fn run(engine: &Engine, start: &str) -> [i64; 8] {
    let module = compile(engine, &text(start)).unwrap();
    let ended = meter_in(engine, &module, &Arc::default(), &Limits::default()).await;
    numbers(&ended.result.unwrap())
}

#[tokio::test]
async fn a_place_is_zeroed_before_it_serves_another_workflow() {
    let engine = Engine::new(Capacity { instances: 1, ..Capacity::default() }).unwrap();
    assert!(engine.is_pooled());
    for _ in 0..3 {
        run(&engine, WRITER).await;
        assert_eq!(run(&engine, READER).await[0], 0);
    }
}

#[tokio::test]
async fn a_run_waits_for_a_place_and_no_longer_than_its_deadline() {
    let engine = Engine::new(Capacity { instances: 1, ..Capacity::default() }).unwrap();
    let sleep = r#"(data (i32.const 2024) "\00\e1\f5\05\00\00\00\00")
        (func (export "_start")
            (drop (call $poll_oneoff (i32.const 2000) (i32.const 3000) (i32.const 1) (i32.const 3100)))
            (call $done))"#;
    let module = compile(&engine, &text(sleep)).unwrap();
    let run = async |ms| meter_in(&engine, &module, &Arc::default(), &timeout_ms(ms)).await.result;
    tokio::time::pause();
    let (first, second, third) = tokio::join!(run(1_000), run(1_000), run(150));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(third.unwrap_err().to_string(), "context deadline exceeded");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_holds_no_thread() {
    let module = Arc::new(guest(&format!(
        r#"(func (export "_start")
            (drop (call $call_capability {CALL} (i32.const 0) (i32.const 0)))
            (drop (call $await_capabilities (i32.const 1100) (i32.const 3) (i32.const 2000) (i32.const 64)))
            (call $done))"#
    )));
    let embedder = Arc::new(Embedder::answering(|_request, _before| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(payload(Default::default()))
        })
    }));
    let start = tokio::time::Instant::now();
    let runs = (0..200).map(|_| {
        let (module, services) = (Arc::clone(&module), Arc::clone(&embedder));
        tokio::spawn(async move {
            let request = Request::new(Vec::new(), "");
            let (limits, cancel) = (Limits::default(), CancellationToken::new());
            ENGINE.run(&module, request, services, &limits, &cancel).await.result
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap().unwrap();
    }
    // One thread runs all of this; if a run held it, the others would wait a second each.
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}
