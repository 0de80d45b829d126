//! What runs share, and what they must not.

use std::{sync::Arc, time::Duration};

use enclave_workflow::{
    AdmitError, BinaryHash, BinaryLimits, Capacity, Engine, Limits, Module, ModuleCache, Request,
};
use tokio_util::sync::CancellationToken;

use crate::support::{CALL, ENGINE, Embedder, guest, numbers, payload, text};

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
    let binary = wat::parse_str(text(start)).unwrap();
    let module = Module::compile(engine, &binary, &BinaryLimits::default()).unwrap();
    let (services, limits) = (Arc::new(Embedder::default()), Limits::default());
    let request = Request::new(Vec::new(), "");
    let ended = engine.run(&module, request, services, &limits, &CancellationToken::new()).await;
    numbers(&ended.unwrap())
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
    let binary = wat::parse_str(text(sleep)).unwrap();
    let module = Module::compile(&engine, &binary, &BinaryLimits::default()).unwrap();
    let run = async |timeout_ms| {
        let limits = Limits { timeout: Duration::from_millis(timeout_ms), ..Limits::default() };
        let services = Arc::new(Embedder::default());
        let request = Request::new(Vec::new(), "");
        engine.run(&module, request, services, &limits, &CancellationToken::new()).await
    };
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
            ENGINE.run(&module, request, services, &limits, &cancel).await
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap().unwrap();
    }
    // One thread runs all of this; if a run held it, the others would wait a second each.
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

fn binary(number: u32) -> Vec<u8> {
    let start = format!(
        r#"(func (export "_start") (call $put (i32.const 0) (i64.const {number})) (call $done))"#
    );
    wat::parse_str(text(&start)).unwrap()
}

fn cache(budget_bytes: u64) -> ModuleCache {
    ModuleCache::new(ENGINE.clone(), BinaryLimits::default(), budget_bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn w_14_a_binary_is_compiled_once_whoever_asks() {
    let cache = cache(u64::MAX);
    let binary = binary(1);
    let hash = BinaryHash::of(&binary);
    assert!(cache.find(&hash).is_none());
    let loads: Vec<_> = (0..16)
        .map(|_| {
            let (cache, binary) = (cache.clone(), binary.clone());
            tokio::spawn(async move { cache.load(hash, binary).await })
        })
        .collect();
    let mut modules = Vec::new();
    for load in loads {
        modules.push(load.await.unwrap().unwrap());
    }
    assert!(modules.iter().all(|module| Arc::ptr_eq(module, &modules[0])));
    assert!(Arc::ptr_eq(&cache.find(&hash).unwrap(), &modules[0]));
    assert_eq!(cache.resident_bytes(), modules[0].facts().resident_bytes);
}

#[tokio::test]
async fn a_compilation_goes_on_when_the_first_to_ask_leaves() {
    let cache = cache(u64::MAX);
    let binary = binary(2);
    let hash = BinaryHash::of(&binary);
    {
        let mut first = std::pin::pin!(cache.load(hash, binary.clone()));
        tokio::select! {
            biased;
            _ = &mut first => panic!("compiled too fast to leave"),
            () = std::future::ready(()) => {}
        }
    }
    // These bytes would be refused: the answer can only come from the compilation under way.
    let module = cache.load(hash, Vec::new()).await.unwrap();
    assert_eq!(module.hash(), hash);
}

#[tokio::test]
async fn bytes_of_another_hash_are_not_compiled() {
    let cache = cache(u64::MAX);
    let hash = BinaryHash::of(&binary(3));
    assert!(matches!(cache.load(hash, binary(4)).await, Err(AdmitError::WrongHash)));
    assert!(cache.find(&hash).is_none());
    cache.load(hash, binary(3)).await.unwrap();
}

#[tokio::test]
async fn a_refused_binary_leaves_nothing_behind() {
    let cache = cache(u64::MAX);
    let hash = BinaryHash::of(b"\0asm");
    for _ in 0..2 {
        let refused = cache.load(hash, b"\0asm".to_vec()).await;
        assert!(matches!(refused, Err(AdmitError::Compile(_))));
    }
    assert_eq!(cache.resident_bytes(), 0);
}

#[tokio::test]
async fn what_was_used_longest_ago_is_forgotten_first() {
    let probe = cache(u64::MAX);
    let size = probe.load(BinaryHash::of(&binary(5)), binary(5)).await.unwrap();
    let size = size.facts().resident_bytes;
    let cache = cache(size * 2);
    let load = async |number| {
        let binary = binary(number);
        cache.load(BinaryHash::of(&binary), binary).await.unwrap()
    };
    let kept = load(6).await;
    load(7).await;
    assert!(cache.find(&kept.hash()).is_some());
    load(8).await;
    assert!(cache.find(&BinaryHash::of(&binary(7))).is_none());
    assert!(cache.find(&kept.hash()).is_some());
    assert!(cache.resident_bytes() <= size * 2);
}

#[tokio::test]
async fn a_module_beyond_the_whole_budget_runs_but_is_not_kept() {
    let cache = cache(10);
    let binary = binary(9);
    let hash = BinaryHash::of(&binary);
    cache.load(hash, binary).await.unwrap();
    assert!(cache.find(&hash).is_none());
    assert_eq!(cache.resident_bytes(), 0);
}
