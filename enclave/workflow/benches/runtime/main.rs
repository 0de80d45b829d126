//! What the runtime costs beside what wasmtime and the guest cost alone:
//! `cargo bench --workspace --bench runtime`, with words to choose rows by their names.
//!
//! | Column | Meaning |
//! |---|---|
//! | floor | wasmtime with the same settings and imports that do nothing, measured in turn with ours |
//! | ours | all of it: admission, limits, metering, calls, the request, the result |
//! | ratio | ours divided by the floor |
//!
//! | Rows | Goal |
//! |---|---|
//! | warm | hello at most 1.2; of a TypeScript workflow at most 1 ms more than the floor |
//! | cold | at most 1.1, also when sixteen ask at once; in the baseline tier at most 0.5 |
//! | awaits | at most 2 ms more than the floor |
//! | cached | the same beyond the floor with 1, 100 and 1,000 modules, within noise |
//! | memory | compiling 15 MB; true where it is the only row that is chosen |
//! | waiting | 1,000 in under 2 s with fewer than 20 threads, at most 1 MB each |
//!
//! Built workflows come from `scripts/build-workflows` or the folder in `WORKFLOWS_DIR`, TypeScript
//! workflows from that in `TS_WORKFLOWS_DIR`; rows without theirs are skipped.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints, reads where workflows are, and what goes wrong has to stop it"
)]

mod cold;
mod floor;
mod guests;
mod large;
mod taken;
mod waiting;
mod warm;
mod world;

use std::time::{Duration, Instant};

use enclave_workflow::Tier;

/// The words on the command line.
struct Wanted(Vec<String>);

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        // As part of `cargo test` there is nothing to measure.
        return;
    }
    let words = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    println!("{:<44}{:>12}{:>12}{:>10}{:>8}", "ms", "floor", "ours", "beyond", "ratio");
    runtime.expect("a runtime").block_on(rows(&Wanted(words)));
}

async fn rows(wanted: &Wanted) {
    // The first row, because it counts threads and memory that later rows leave behind.
    if wanted.has("waiting") {
        waiting::a_thousand().await;
    }
    for (name, binary, rounds) in
        [("warm hello", guests::hello(), 2_000), ("warm ts-hello", guests::typescript(), 100)]
    {
        match binary {
            _ if !wanted.has(name) => {}
            Ok(binary) => warm::run(name, &binary, rounds).await,
            Err(missing) => println!("{name:<44}skipped: {missing}"),
        }
    }
    if wanted.has("awaits") {
        warm::awaits("20 awaits with buffers of 5 MiB").await;
    }
    if wanted.has("cached") {
        warm::cached().await;
    }
    if wanted.has("cold small") {
        cold::first_run("cold small", &large::guest(500, 1), &[], 5).await;
    }
    if wanted.has("cold sixteen") {
        cold::sixteen("cold sixteen at once", &large::guest(500, 2), 5).await;
    }
    if wanted.has("cold large") {
        let binary = large::guest(LARGE_FUNCTIONS, 3);
        cold::first_run("cold large", &binary, &[], 2).await;
    }
    for (name, tier) in
        [("memory, baseline", Tier::Baseline), ("memory, optimized", Tier::Optimized)]
    {
        if wanted.has(name) {
            cold::memory(name, &large::guest(LARGE_FUNCTIONS, 4), tier).await;
        }
    }
    for (name, binary) in [("cold hello", guests::hello()), ("cold ts-hello", guests::typescript())]
    {
        match binary {
            _ if !wanted.has(name) => {}
            Ok(binary) => cold::first_run(name, &binary, &guests::event(0), 5).await,
            Err(missing) => println!("{name:<44}skipped: {missing}"),
        }
    }
}

impl Wanted {
    fn has(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|word| name.contains(word.as_str()))
    }
}

/// Measures both in turn, so that what else the machine does meets them alike, and returns the least
/// of each: that can only add to it.
async fn in_turn(
    rounds: usize,
    floor: impl AsyncFn(),
    ours: impl AsyncFn(),
) -> (Duration, Duration) {
    let mut least = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        least.0 = least.0.min(time(&floor).await);
        least.1 = least.1.min(time(&ours).await);
    }
    least
}

async fn time(work: &impl AsyncFn()) -> Duration {
    let start = Instant::now();
    work().await;
    start.elapsed()
}

fn row(name: &str, (floor, ours): (Duration, Duration)) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (floor, ours) = (ms(floor), ms(ours));
    let beyond = ours - floor;
    println!("{name:<44}{floor:>12.3}{ours:>12.3}{beyond:>10.3}{:>8.3}", ours / floor);
}

/// Enough for a module of 15 MB, as the Go SDK makes them.
const LARGE_FUNCTIONS: u32 = 15_500;
