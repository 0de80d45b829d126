//! What is compiled, when, and for how long it is kept.

use std::sync::Arc;

use enclave_workflow::{
    AdmitError, Binary, BinaryHash, BinaryLimits, Capacity, Module, ModuleCache,
};

use crate::support::{ENGINE, text};

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

#[tokio::test(flavor = "multi_thread")]
async fn w_14_a_binary_is_compiled_once_whoever_asks() {
    let cache = cache(u64::MAX);
    let binary = binary(1);
    let hash = binary.hash();
    assert!(find(&cache, hash).is_none());
    let loads: Vec<_> = (0..16)
        .map(|_| {
            let (cache, binary) = (cache.clone(), binary.clone());
            tokio::spawn(async move { load(&cache, binary).await })
        })
        .collect();
    let mut modules = Vec::new();
    for load in loads {
        modules.push(load.await.unwrap().unwrap());
    }
    assert!(modules.iter().all(|module| Arc::ptr_eq(module, &modules[0])));
    assert!(Arc::ptr_eq(&find(&cache, hash).unwrap(), &modules[0]));
    assert_eq!(cache.resident_bytes(), modules[0].facts().resident_bytes);
}

#[tokio::test]
async fn a_compilation_that_was_begun_goes_on_when_nobody_waits() {
    let cache = cache(u64::MAX);
    let begun = cache.warm("owner", binary(2), &BinaryLimits::default());
    drop(begun);
    let module = load(&cache, binary(2)).await.unwrap();
    assert!(Arc::ptr_eq(&module, &find(&cache, binary(2).hash()).unwrap()));
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
    let engine = enclave_workflow::Engine::new(Capacity { instances: 1, ..Capacity::default() });
    let cache = ModuleCache::new(engine.unwrap(), u64::MAX);
    let limits = BinaryLimits::default();
    // More than the compiler can take from the queue before all are in it.
    let greedy: Vec<_> =
        (0..100).map(|number| cache.warm("greedy", binary(number), &limits)).collect();
    let modest = cache.warm("modest", binary(1_000), &limits).module().await;
    assert!(modest.is_ok());
    let mut busy = 0;
    for loading in greedy {
        busy += usize::from(matches!(loading.module().await, Err(AdmitError::Busy)));
    }
    assert!((50..92).contains(&busy), "{busy}");
    let again = cache.load("greedy", binary(99), &limits).await;
    assert!(again.is_ok());
}

#[tokio::test]
async fn what_was_used_longest_ago_is_forgotten_first() {
    let size = load(&cache(u64::MAX), binary(5)).await.unwrap().facts().resident_bytes;
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
    let size = load(&cache, binary(9)).await.unwrap().facts().resident_bytes;
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
