//! Many workflows that wait: their time, their threads, their memory.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use enclave_workflow::{Capacity, Engine, Module};
use tokio::task::JoinSet;

use crate::{
    guests::{self, TOUCHED_BYTES},
    taken::Taken,
    warm,
    world::{World, run},
};

/// A thousand workflows wait 1 s for a capability, twice: the second time in places that were used.
pub(crate) async fn a_thousand() {
    let engine = Engine::new(Capacity { instances: COUNT, ..Capacity::default() });
    let engine = engine.expect("an engine");
    let module = Arc::new(warm::compile(&engine, &guests::awaiting(1, 65_536)));
    for name in ["1,000 waiting 1 s", "1,000 waiting 1 s, again"] {
        wait(name, &engine, &module).await;
    }
}

async fn wait(name: &str, engine: &Engine, module: &Arc<Module>) {
    let (before, start) = (Taken::now(), Instant::now());
    let mut runs = JoinSet::new();
    for _ in 0..COUNT {
        let (engine, module) = (engine.clone(), Arc::clone(module));
        runs.spawn(async move { run(&engine, &module, &[], World(WAIT)).await });
    }
    let mut most = before;
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            _now = clock.tick() => most = most.or_more(Taken::now()),
            ended = runs.join_next() => match ended {
                Some(ended) => drop(ended.expect("a run")),
                None => break,
            },
        }
    }
    let wall_ms = start.elapsed().as_secs_f64() * 1e3;
    let each = most.anonymous_kib.saturating_sub(before.anonymous_kib) / u64::from(COUNT);
    let beyond = each.saturating_sub(u64::from(TOUCHED_BYTES) / 1024);
    println!(
        "{name:<44}{:>12.3}{wall_ms:>12.3}{:>10.3}{:>8.3}   {} threads, {each} KiB each, {beyond} KiB beyond what it touched",
        WAIT.as_secs_f64() * 1e3,
        wall_ms - WAIT.as_secs_f64() * 1e3,
        wall_ms / (WAIT.as_secs_f64() * 1e3),
        most.threads,
    );
}

const COUNT: u32 = 1_000;

const WAIT: Duration = Duration::from_secs(1);
