//! First runs: until a binary that nobody has seen has answered.

use std::{sync::Arc, time::Duration};

use enclave_workflow::{Binary, BinaryLimits, Capacity, Engine, Module, ModuleCache, Tier};

use crate::{
    floor::Floor,
    in_turn, row,
    taken::Taken,
    warm,
    world::{World, run},
};

/// From the bytes to the end of the first run, against Cranelift alone: in the baseline tier, as it
/// comes, and optimized.
pub(crate) async fn first_run(name: &str, binary: &[u8], request: &[u8], rounds: usize) {
    let engine = Engine::new(Capacity::default()).expect("an engine");
    let floor = Floor::new(1);
    let alone = async || drop(floor.compile(binary));
    let baseline = async || {
        let module = load(&ModuleCache::new(engine.clone(), u64::MAX), binary).await;
        run(&engine, &module, request, World(Duration::ZERO)).await;
    };
    row(&named(name, binary), in_turn(rounds, alone, baseline).await);
    let optimized = async || {
        let module = warm::compile(&engine, binary);
        run(&engine, &module, request, World(Duration::ZERO)).await;
    };
    row(&format!("{name}, optimized"), in_turn(rounds, alone, optimized).await);
}

/// The same for sixteen who ask at once, against compiling once.
pub(crate) async fn sixteen(name: &str, binary: &[u8], rounds: usize) {
    let engine = Engine::new(Capacity::default()).expect("an engine");
    let floor = Floor::new(1);
    let ours = async || {
        let modules = ModuleCache::new(engine.clone(), u64::MAX);
        let runs = (0..16).map(|_| {
            let (engine, modules, binary) = (engine.clone(), modules.clone(), binary.to_vec());
            tokio::spawn(async move {
                let module = load(&modules, &binary).await;
                run(&engine, &module, &[], World(Duration::ZERO)).await;
                module
            })
        });
        let mut seen = Vec::new();
        for run in runs.collect::<Vec<_>>() {
            seen.push(run.await.expect("a run"));
        }
        assert!(seen.iter().all(|module| Arc::ptr_eq(module, &seen[0])), "compiled once");
    };
    let alone = async || drop(floor.compile(binary));
    row(&named(name, binary), in_turn(rounds, alone, ours).await);
}

/// The most that compiling takes at any time; of one tier in one process, because what is freed stays
/// with the process.
pub(crate) async fn memory(name: &str, binary: &[u8], tier: Tier) {
    let engine = Engine::new(Capacity::default()).expect("an engine");
    let binary = Binary::new(binary.to_vec());
    let before = Taken::now();
    let compile = move || Module::compile(&engine, &binary, &BinaryLimits::default(), tier);
    let mut compiled = tokio::task::spawn_blocking(compile);
    let (mut most, mut clock) = (before, tokio::time::interval(Duration::from_millis(5)));
    let module = loop {
        tokio::select! {
            _now = clock.tick() => most = most.or_more(Taken::now()),
            module = &mut compiled => break module.expect("it ends").expect("a module"),
        }
    };
    let mib = |bytes: u64| bytes >> 20;
    let peak = mib(most.anonymous_kib.saturating_sub(before.anonymous_kib) << 10);
    let facts = module.facts();
    let (code, kept) = (mib(facts.survey.code_bytes), mib(facts.resident_bytes));
    println!("{name:<44}{peak} MiB at most, {kept} MiB kept, {code} MiB of code");
}

async fn load(modules: &ModuleCache, binary: &[u8]) -> Arc<Module> {
    let (binary, limits) = (Binary::new(binary.to_vec()), BinaryLimits::default());
    modules.load("owner", binary, &limits).await.expect("a module")
}

fn named(name: &str, binary: &[u8]) -> String {
    format!("{name}, {:.1} MB", binary.len() as f64 / 1e6)
}
