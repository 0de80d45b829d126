//! What is compiled, when, and for how long it is kept.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use enclave_workflow::{
    AdmitError, Binary, BinaryHash, BinaryLimits, Capacity, Engine, Limits, Loading, Module,
    ModuleCache, NoRoom, Room, Survey, Tier, TooComplex,
};

use crate::support::{ENGINE, Embedder, meter, text};

fn binary(number: u32) -> Binary {
    let start = format!(
        r#"(func (export "_start") (call $put (i32.const 0) (i64.const {number})) (call $done))"#
    );
    Binary::new(wat::parse_str(text(&start)).unwrap())
}

fn cache(budget_bytes: u64) -> ModuleCache {
    ModuleCache::new(ENGINE.clone(), budget_bytes)
}

fn find(cache: &ModuleCache, hash: BinaryHash) -> Option<Arc<Module>> {
    cache.find(&hash, &BinaryLimits::default())
}

async fn load(cache: &ModuleCache, binary: Binary) -> Result<Arc<Module>, AdmitError> {
    cache.load("owner", binary, &BinaryLimits::default()).await
}

/// Keeps the compiler busy for so long that what is queued next waits.
fn occupy(cache: &ModuleCache) -> Loading {
    let add = "(local.set 0 (i64.add (local.get 0) (local.get 0)))".repeat(500);
    let functions = format!("(func (local i64) {add})").repeat(1_000);
    let module = text(&format!(r#"{functions} (func (export "_start"))"#));
    cache.warm("first", Binary::new(wat::parse_str(module).unwrap()), &BinaryLimits::default())
}

#[tokio::test]
async fn w_14_a_binary_is_compiled_once_whoever_asks() {
    let cache = ModuleCache::new(Engine::new(Capacity::default()).unwrap(), u64::MAX);
    let (binary, limits) = (binary(1), BinaryLimits::default());
    assert!(find(&cache, binary.hash()).is_none());
    let _busy = occupy(&cache);
    let loading: Vec<_> = (0..16).map(|_| cache.warm("owner", binary.clone(), &limits)).collect();
    let mut modules = Vec::new();
    for loading in loading {
        modules.push(loading.module().await.unwrap());
    }
    assert!(modules.iter().all(|module| Arc::ptr_eq(module, &modules[0])));
    assert!(Arc::ptr_eq(&find(&cache, binary.hash()).unwrap(), &modules[0]));
}

#[tokio::test]
async fn a_module_is_optimized_once_it_is_asked_for_again() {
    let engine = Engine::new(Capacity::default()).unwrap();
    let cache = ModuleCache::new(engine.clone(), u64::MAX);
    let binary = binary(20);
    let first = load(&cache, binary.clone()).await.unwrap();
    assert_eq!(first.facts().tier, Tier::Baseline);
    let kept = first.facts().resident_bytes + binary.bytes().len() as u64;
    assert_eq!(cache.resident_bytes(), kept);
    // Nobody came back yet.
    engine.wait_for_optimizer();
    assert!(Arc::ptr_eq(&first, &find(&cache, binary.hash()).unwrap()));
    engine.wait_for_optimizer();
    let second = load(&cache, binary.clone()).await.unwrap();
    assert_eq!(second.facts().tier, Tier::Optimized);
    assert_eq!(second.hash(), binary.hash());
    assert_eq!(cache.resident_bytes(), second.facts().resident_bytes);
    // That is the end of it.
    engine.wait_for_optimizer();
    assert!(Arc::ptr_eq(&second, &find(&cache, binary.hash()).unwrap()));
    // Whoever has the first one still runs it.
    let embedder = Arc::new(Embedder::default());
    let mut answers = Vec::new();
    for module in [first, second] {
        let request = enclave_workflow::Request::new(Vec::new(), "");
        let cancel = tokio_util::sync::CancellationToken::new();
        let services = Arc::clone(&embedder);
        let ended = engine.run(&module, request, services, &Limits::default(), &cancel).await;
        answers.push(ended.result.unwrap().encoded);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_module_that_was_forgotten_meanwhile_does_not_come_back_optimized() {
    let engine = Engine::new(Capacity::default()).unwrap();
    let cache = ModuleCache::new(engine.clone(), u64::MAX);
    load(&cache, binary(21)).await.unwrap();
    assert!(find(&cache, binary(21).hash()).is_some());
    cache.set_budget(0);
    cache.set_budget(u64::MAX);
    engine.wait_for_optimizer();
    assert!(find(&cache, binary(21).hash()).is_none());
    assert_eq!(cache.resident_bytes(), 0);
}

#[tokio::test]
async fn each_module_of_an_owner_with_many_is_optimized_sooner_or_later() {
    let engine = Engine::new(Capacity::default()).unwrap();
    let cache = ModuleCache::new(engine.clone(), u64::MAX);
    let mut hashes = Vec::new();
    for number in 0..30 {
        hashes.push(load(&cache, binary(number)).await.unwrap().hash());
    }
    let mut optimized = 0;
    // At least eight at a time wait their turn, the rest is asked for again.
    for _round in 0..5 {
        let found = hashes.iter().map(|hash| find(&cache, *hash).unwrap().facts().tier);
        optimized = found.filter(|tier| *tier == Tier::Optimized).count();
        engine.wait_for_optimizer();
    }
    assert_eq!(optimized, hashes.len());
}

/// Decides about room, and remembers what it was asked for.
#[derive(Clone, Default)]
struct Landlord(Arc<House>);

#[derive(Default)]
struct House {
    /// The owner who gets nothing.
    refused: Mutex<Option<(&'static str, NoRoom)>>,
    spares_nothing: AtomicBool,
    asked: Mutex<Vec<u64>>,
}

impl Room for Landlord {
    fn take(&self, owner: &str, bytes: u64) -> Result<Box<dyn Send>, NoRoom> {
        self.0.asked.lock().unwrap().push(bytes);
        match *self.0.refused.lock().unwrap() {
            Some((refused, no_room)) if refused == owner => Err(no_room),
            Some(_) | None => Ok(Box::new(())),
        }
    }

    fn take_spare(&self, _owner: &str, bytes: u64) -> Option<Box<dyn Send>> {
        self.0.asked.lock().unwrap().push(bytes);
        let spares_nothing = self.0.spares_nothing.load(Ordering::Relaxed);
        (!spares_nothing).then(|| Box::new(()) as _)
    }
}

const LATER: NoRoom = NoRoom::Now { retry_after: Duration::from_secs(7) };

#[tokio::test]
async fn nothing_is_compiled_without_room_and_everything_once_there_is_some() {
    let (engine, landlord) = (Engine::new(Capacity::default()).unwrap(), Landlord::default());
    let cache = ModuleCache::within(engine.clone(), u64::MAX, Box::new(landlord.clone()));
    let refuse = |no_room| *landlord.0.refused.lock().unwrap() = no_room;

    refuse(Some(("owner", LATER)));
    let refused = load(&cache, binary(22)).await;
    let told = Some(Duration::from_secs(7));
    assert!(matches!(refused, Err(AdmitError::Busy { retry_after }) if retry_after == told));
    refuse(Some(("owner", NoRoom::Ever)));
    let refused = load(&cache, binary(22)).await;
    assert!(matches!(refused, Err(AdmitError::TooComplex(TooComplex::Memory { .. }))));
    assert_eq!(cache.resident_bytes(), 0);
    refuse(None);
    let module = load(&cache, binary(22)).await.unwrap();

    // Three for those who waited, from here on for the optimizer.
    assert_eq!(landlord.0.asked.lock().unwrap().len(), 3);
    landlord.0.spares_nothing.store(true, Ordering::Relaxed);
    let tier = || find(&cache, binary(22).hash()).unwrap().facts().tier;
    for _ask in 0..2 {
        assert_eq!(tier(), Tier::Baseline);
        engine.wait_for_optimizer();
    }
    landlord.0.spares_nothing.store(false, Ordering::Relaxed);
    assert_eq!(tier(), Tier::Baseline);
    engine.wait_for_optimizer();
    assert_eq!(tier(), Tier::Optimized);

    let asked = landlord.0.asked.lock().unwrap();
    assert_eq!(asked.len(), 6);
    let Survey { code_bytes, function_bytes, .. } = module.facts().survey;
    assert!(asked.iter().all(|bytes| *bytes > code_bytes * 10), "{asked:?}");
    assert!(asked[5] - asked[2] > function_bytes * 100, "{asked:?}");
}

#[tokio::test]
async fn an_owner_without_room_is_no_trouble_for_others_who_want_the_same() {
    let landlord = Landlord::default();
    *landlord.0.refused.lock().unwrap() = Some(("poor", LATER));
    let engine = Engine::new(Capacity::default()).unwrap();
    let cache = ModuleCache::within(engine, u64::MAX, Box::new(landlord));
    let limits = BinaryLimits::default();
    let _busy = occupy(&cache);
    let poor = cache.warm("poor", binary(23), &limits);
    let rich = cache.warm("rich", binary(23), &limits);
    assert!(matches!(poor.module().await, Err(AdmitError::Busy { .. })));
    assert_eq!(rich.module().await.unwrap().hash(), binary(23).hash());
}

#[tokio::test]
async fn what_the_baseline_cannot_compile_is_optimized_at_once() {
    let cache = cache(u64::MAX);
    let tail = r#"(func $f (result i64) (i64.const 5)) (func $g (result i64) (return_call $f))
        (func (export "_start") (call $put (i32.const 0) (call $g)) (call $done))"#;
    let relaxed = r#"(func (export "_start") (call $put (i32.const 0) (i64x2.extract_lane 0
        (f64x2.relaxed_min (v128.const i64x2 5 5) (v128.const i64x2 5 5)))) (call $done))"#;
    for start in [tail, relaxed] {
        let binary = Binary::new(wat::parse_str(text(start)).unwrap());
        let module = load(&cache, binary).await.unwrap();
        assert_eq!(module.facts().tier, Tier::Optimized);
        let ended = meter(&module, &Arc::new(Embedder::default()), &Limits::default()).await;
        assert!(ended.result.is_ok());
    }
}

#[tokio::test]
async fn a_compilation_that_was_begun_goes_on_when_nobody_waits() {
    let cache = cache(u64::MAX);
    let begun = cache.warm("owner", binary(2), &BinaryLimits::default());
    drop(begun);
    let module = load(&cache, binary(2)).await.unwrap();
    assert_eq!(module.hash(), find(&cache, binary(2).hash()).unwrap().hash());
}

#[tokio::test]
async fn those_who_wait_go_on_when_the_first_to_ask_leaves() {
    let cache = cache(u64::MAX);
    let first = cache.warm("first", binary(3), &BinaryLimits::default());
    let second = cache.warm("second", binary(3), &BinaryLimits::default());
    drop(first);
    assert_eq!(second.module().await.unwrap().hash(), binary(3).hash());
}

#[tokio::test]
async fn a_refused_binary_leaves_nothing_behind() {
    let cache = cache(u64::MAX);
    for _ in 0..2 {
        let refused = load(&cache, Binary::new(b"\0asm".to_vec())).await;
        assert!(matches!(refused, Err(AdmitError::Compile(_))));
    }
    assert_eq!(cache.resident_bytes(), 0);
}

#[tokio::test]
async fn limits_are_those_of_whoever_asks() {
    let cache = cache(u64::MAX);
    let small = BinaryLimits { decompressed_bytes: 10, ..BinaryLimits::default() };
    // Joining a compilation does not mean joining its limits, whichever came first.
    let refused = cache.warm("a", binary(4), &small);
    let allowed = cache.warm("b", binary(4), &BinaryLimits::default());
    assert!(matches!(refused.module().await, Err(AdmitError::TooLarge(_))));
    let hash = allowed.module().await.unwrap().hash();
    assert!(matches!(cache.load("a", binary(4), &small).await, Err(AdmitError::TooLarge(_))));
    assert!(cache.find(&hash, &small).is_none());
    assert!(find(&cache, hash).is_some());
    for limits in [
        BinaryLimits { functions: 1, ..BinaryLimits::default() },
        BinaryLimits { code_bytes: 10, ..BinaryLimits::default() },
        BinaryLimits { function_bytes: 5, ..BinaryLimits::default() },
        BinaryLimits { effort: 10, ..BinaryLimits::default() },
        BinaryLimits { function_effort: 5, ..BinaryLimits::default() },
    ] {
        let refused = cache.load("a", binary(4), &limits).await;
        assert!(matches!(refused, Err(AdmitError::TooComplex(_))), "{limits:?}");
        let other = ModuleCache::new(ENGINE.clone(), u64::MAX);
        let refused = other.load("a", binary(4), &limits).await;
        assert!(matches!(refused, Err(AdmitError::TooComplex(_))), "{limits:?}");
    }
}

#[tokio::test]
async fn an_owner_with_too_many_binaries_waiting_is_refused_and_others_are_served() {
    let engine = Engine::new(Capacity { instances: 1, ..Capacity::default() });
    let cache = ModuleCache::new(engine.unwrap(), u64::MAX);
    let limits = BinaryLimits::default();
    let _busy = occupy(&cache);
    let greedy: Vec<_> =
        (0..100).map(|number| cache.warm("greedy", binary(number), &limits)).collect();
    let modest = cache.warm("modest", binary(1_000), &limits).module().await;
    assert!(modest.is_ok());
    let mut busy = 0;
    for loading in greedy {
        busy += usize::from(matches!(loading.module().await, Err(AdmitError::Busy { .. })));
    }
    assert_eq!(busy, 92);
    let again = cache.load("greedy", binary(99), &limits).await;
    assert!(again.is_ok());
}

#[tokio::test]
async fn what_was_used_longest_ago_is_forgotten_first() {
    let alone = cache(u64::MAX);
    load(&alone, binary(5)).await.unwrap();
    let size = alone.resident_bytes();
    let cache = cache(size * 2);
    let kept = load(&cache, binary(6)).await.unwrap();
    load(&cache, binary(7)).await.unwrap();
    assert!(find(&cache, kept.hash()).is_some());
    load(&cache, binary(8)).await.unwrap();
    assert!(find(&cache, binary(7).hash()).is_none());
    assert!(find(&cache, kept.hash()).is_some());
    assert!(cache.resident_bytes() <= size * 2);
}

#[tokio::test]
async fn a_smaller_budget_forgets_at_once_and_a_larger_one_nothing() {
    let cache = cache(u64::MAX);
    load(&cache, binary(9)).await.unwrap();
    let size = cache.resident_bytes();
    load(&cache, binary(10)).await.unwrap();
    cache.set_budget(size);
    assert!(find(&cache, binary(9).hash()).is_none());
    assert!(find(&cache, binary(10).hash()).is_some());
    cache.set_budget(u64::MAX);
    assert!(find(&cache, binary(10).hash()).is_some());
}

#[tokio::test]
async fn a_module_beyond_the_whole_budget_runs_but_is_not_kept() {
    let cache = cache(10);
    load(&cache, binary(11)).await.unwrap();
    assert!(find(&cache, binary(11).hash()).is_none());
    assert_eq!(cache.resident_bytes(), 0);
}
