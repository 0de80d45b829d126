//! First runs: until a binary that nobody has seen has answered.

use std::{sync::Arc, time::Duration};

use enclave_workflow::{Binary, BinaryLimits, Capacity, Engine, Module, ModuleCache};

use crate::{
    floor::Floor,
    in_turn, row,
    world::{World, run},
};

/// From the bytes to the end of the first run, against compiling alone.
pub(crate) async fn first_run(name: &str, binary: &[u8], rounds: usize) {
    let engine = Engine::new(Capacity::default()).expect("an engine");
    let floor = Floor::new(1);
    let ours = async || {
        let module = load(&ModuleCache::new(engine.clone(), u64::MAX), binary).await;
        run(&engine, &module, &[], World(Duration::ZERO)).await;
    };
    let alone = async || drop(floor.compile(binary));
    row(&named(name, binary), in_turn(rounds, alone, ours).await);
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

async fn load(modules: &ModuleCache, binary: &[u8]) -> Arc<Module> {
    let (binary, limits) = (Binary::new(binary.to_vec()), BinaryLimits::default());
    modules.load("owner", binary, &limits).await.expect("a module")
}

fn named(name: &str, binary: &[u8]) -> String {
    format!("{name}, {:.1} MB", binary.len() as f64 / 1e6)
}
