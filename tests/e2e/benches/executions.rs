//! What an execution costs over the real processes of a devnet: `scripts/bench`.
//!
//! | Column | Meaning |
//! |---|---|
//! | total | from the first of three signed requests sent to the bridge until its answer |
//! | overhead | the total without the room `run`, which is the workflow and what it asks for |
//! | per second | executions that came to an end, in the time that all of them took |
//!
//! Everything shares this machine's cores: the committee, bridge, enclave, gateway, vault and relay
//! nodes. With more executions at a time than cores, the overhead is mostly waiting for a core.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and what goes wrong has to stop it"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crypto::sign::SigningKey;
use e2e::{
    committee::{self, Published},
    devnet::{Devnet, built},
};
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinSet};

/// One execution.
struct Sample {
    total: Duration,
    run: Duration,
    fetch: Duration,
    compile: Duration,
}

/// A devnet and a way to it.
struct Bench {
    devnet: Devnet,
    client: reqwest::Client,
    keys: Vec<SigningKey>,
    requests: String,
    alerts: String,
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // As part of `cargo test` there is nothing to measure.
        return;
    }
    let devnet = Devnet::start(&["--log", "error"]).await;
    devnet.put_secret().await;
    let bench = Arc::new(Bench {
        client: committee::client(),
        keys: committee::keys(&devnet).into_iter().take(3).collect(),
        requests: format!("http://{}/requests", devnet.address("bridge")),
        alerts: devnet.alerts(),
        devnet,
    });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("executions over the processes of a devnet, all on this machine of {cores} cores\n");
    let idle_mib = bench.enclave_mib("VmRSS");

    println!(
        "{:<24}{:>8}{:>12}{:>12}{:>12}",
        "cold, first run", "runs", "p50 ms", "fetch", "compile"
    );
    for workflow in WORKFLOWS {
        let samples = bench.cold(workflow).await;
        let of = |part: fn(&Sample) -> Duration| ms(quantile(&samples, 50, part));
        println!(
            "{workflow:<24}{:>8}{:>12}{:>12}{:>12}",
            samples.len(),
            of(|sample| sample.total),
            of(|sample| sample.fetch),
            of(|sample| sample.compile)
        );
    }

    println!(
        "\n{:<24}{:>8}{:>8}{:>12}{:>12}{:>14}{:>14}{:>12}",
        "warm",
        "at once",
        "runs",
        "total p50",
        "total p99",
        "overhead p50",
        "overhead p99",
        "per second"
    );
    for workflow in WORKFLOWS {
        let published = bench.publish(&wasm(workflow)).await;
        let _warmed = Arc::clone(&bench).execute(published.clone(), workflow).await;
        for (at_once, runs) in LOADS {
            let start = Instant::now();
            let samples = bench.load(workflow, &published, at_once, runs).await;
            let per_second = samples.len() as f64 / start.elapsed().as_secs_f64();
            let total = |percent| ms(quantile(&samples, percent, |sample| sample.total));
            let overhead = |percent| ms(quantile(&samples, percent, Sample::overhead));
            println!(
                "{workflow:<24}{at_once:>8}{:>8}{:>12}{:>12}{:>14}{:>14}{per_second:>12.1}",
                samples.len(),
                total(50),
                total(99),
                overhead(50),
                overhead(99),
            );
        }
    }
    println!(
        "\nmemory of the enclave process: {idle_mib} MiB idle, {} MiB at most under load, {} MiB after it",
        bench.enclave_mib("VmHWM"),
        bench.enclave_mib("VmRSS")
    );
}

impl Bench {
    /// Runs a workflow that the enclave has never seen, a few times: the same code under other hashes.
    async fn cold(self: &Arc<Self>, workflow: &'static str) -> Vec<Sample> {
        let mut samples = Vec::new();
        for variant in 0..COLD_RUNS {
            let mut binary = wasm(workflow);
            // A custom section of two bytes: a name of one byte, and the byte that differs.
            binary.extend([0, 3, 1, b'v', variant]);
            let published = self.publish(&binary).await;
            samples.push(Arc::clone(self).execute(published, workflow).await);
        }
        samples
    }

    async fn publish(&self, binary: &[u8]) -> Published {
        committee::publish(&self.devnet, binary).await
    }

    /// Runs a workflow so often, so many at a time.
    async fn load(
        self: &Arc<Self>,
        workflow: &'static str,
        published: &Published,
        at_once: usize,
        runs: usize,
    ) -> Vec<Sample> {
        let places = Arc::new(Semaphore::new(at_once));
        let mut running = JoinSet::new();
        for _run in 0..runs {
            let place = Arc::clone(&places).acquire_owned().await.unwrap();
            let (bench, published) = (Arc::clone(self), published.clone());
            running.spawn(async move {
                let sample = bench.execute(published, workflow).await;
                drop(place);
                sample
            });
        }
        running.join_all().await
    }

    /// One execution: 2F + 1 signed requests, of which the first answer counts.
    async fn execute(self: Arc<Self>, published: Published, workflow: &'static str) -> Sample {
        let config = match workflow {
            "secret-and-capability" => self.alerts.as_str(),
            _ => "",
        };
        let request = committee::request_of(&self.devnet, &self.client, published, config).await;
        let signed = self.keys.iter().map(|key| request.clone().sign(key));
        let bodies: Vec<_> = signed.map(|signed| protocol::json::to_vec(&signed)).collect();
        let start = Instant::now();
        let mut sent = JoinSet::new();
        for body in bodies {
            sent.spawn(committee::reply(self.client.post(&self.requests).body(body)));
        }
        let answer = sent.join_next().await.unwrap().unwrap();
        let total = start.elapsed();
        assert_eq!(answer.status, 200, "{}", answer.text());
        drop(sent.join_all().await);
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        let room = |name| room(&answer, name);
        Sample { total, run: room("run"), fetch: room("fetch"), compile: room("compile") }
    }

    /// A figure of the enclave's process in whole MiB.
    fn enclave_mib(&self, name: &str) -> u64 {
        let status = format!("/proc/{}/status", self.devnet.pid("enclave"));
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Sample {
    fn overhead(&self) -> Duration {
        self.total.saturating_sub(self.run)
    }
}

fn wasm(workflow: &str) -> Vec<u8> {
    std::fs::read(built(workflow)).unwrap()
}

/// What the enclave says about the time in one of its rooms.
fn room(answer: &Value, name: &str) -> Duration {
    let events = answer["metricEvents"].as_array().unwrap().iter();
    let room = events.map(|event| &event["details"]).find(|details| details["room"] == name);
    let ms = room.and_then(|details| details["duration_ms"].as_f64()).unwrap();
    Duration::from_secs_f64(ms / 1000.0)
}

/// The value that so many in a hundred do not exceed.
fn quantile(samples: &[Sample], percent: usize, part: impl Fn(&Sample) -> Duration) -> Duration {
    let mut values: Vec<_> = samples.iter().map(part).collect();
    values.sort_unstable();
    values[(values.len() * percent).div_ceil(100).saturating_sub(1)]
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

const WORKFLOWS: [&str; 2] = ["hello", "secret-and-capability"];

/// How many at a time, and how often in all.
const LOADS: [(usize, usize); 3] = [(1, 300), (4, 600), (16, 1200)];

const COLD_RUNS: u8 = 5;
