//! Runs of modules that are compiled.

use std::time::Duration;

use enclave_workflow::{
    Binary, BinaryHash, BinaryLimits, Capacity, Engine, Module, ModuleCache, Tier,
};
use protocol::limits;

use crate::{
    floor::Floor,
    guests, in_turn, row, time,
    world::{World, run as run_in},
};

/// A workflow's first handler, against instantiating and `_start` alone.
pub(crate) async fn run(name: &str, binary: &[u8], rounds: usize) {
    let engine = Engine::new(Capacity::default()).expect("an engine");
    let module = compile(&engine, binary);
    let floor = Floor::new(engine.capacity().instances);
    let guest = floor.link(&floor.compile(binary));
    let (request, sized) = (guests::event(0), guests::event(limits::WORKFLOW_ANSWER_BYTES));
    let ours = async || run_in(&engine, &module, &request, World(Duration::ZERO)).await;
    let alone = async || floor.run(&guest, &sized).await;
    assert_eq!(ours().await, alone().await, "both do the same");
    let times = in_turn(rounds, async || drop(alone().await), async || drop(ours().await)).await;
    row(name, times);
}

/// Calls that are answered at once, against imports that answer nothing.
pub(crate) async fn awaits(name: &str) {
    let binary = guests::awaiting(20, limits::WORKFLOW_ANSWER_BYTES as u32);
    run(name, &binary, 500).await;
}

/// One small run among 1, 100 and 1,000 modules, against the same without a cache. A module that runs
/// twice in a row finds its memory's image where it left it, which is why one alone is fastest.
pub(crate) async fn cached() {
    let engine = Engine::new(Capacity::default()).expect("an engine");
    let modules = ModuleCache::new(engine.clone(), u64::MAX);
    let floor = Floor::new(engine.capacity().instances);
    let (mut hashes, mut guests, limits) = (Vec::new(), Vec::new(), BinaryLimits::default());
    for count in [1, 100, 1_000] {
        for number in hashes.len()..count {
            let bytes = guests::small(number as u32);
            guests.push(floor.link(&floor.compile(&bytes)));
            let binary = Binary::new(bytes);
            hashes.push(binary.hash());
            modules.load("owner", binary, &limits).await.expect("a module");
        }
        while !are_optimized(&modules, &hashes) {
            engine.wait_for_optimizer();
        }
        let mut times = [Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS)];
        for round in 0..ROUNDS {
            // A prime, so that all of them have their turn, and none soon again.
            let index = round * 7_919 % count;
            times[0].push(time(&async || drop(floor.run(&guests[index], &[]).await)).await);
            let ours = async || {
                let module = modules.find(&hashes[index], &limits).expect("a module that is kept");
                run_in(&engine, &module, &[], World(Duration::ZERO)).await;
            };
            times[1].push(time(&ours).await);
        }
        let [floor, ours] = times.map(|mut times| {
            times.sort_unstable();
            times[ROUNDS / 2]
        });
        row(&format!("cached {count}, median"), (floor, ours));
    }
}

/// Whether all are; by asking, those that are not come closer.
fn are_optimized(modules: &ModuleCache, hashes: &[BinaryHash]) -> bool {
    let limits = BinaryLimits::default();
    let found = hashes.iter().filter_map(|hash| modules.find(hash, &limits));
    found.filter(|module| module.facts().tier == Tier::Optimized).count() == hashes.len()
}

pub(crate) fn compile(engine: &Engine, binary: &[u8]) -> Module {
    let binary = Binary::new(binary.to_vec());
    Module::compile(engine, &binary, &BinaryLimits::default(), Tier::Optimized).expect("a module")
}

const ROUNDS: usize = 4_000;
