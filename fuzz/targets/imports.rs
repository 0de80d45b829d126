//! The boundary between a guest and its host: a guest that calls the imports with any numbers, on a
//! memory with any data.
//!
//! Holds: the run ends, by itself, by a trap or at its deadline, and never because something on the
//! host panicked or failed; what the embedder hears of it is within the limits of the run.
//!
//! Memory: 1,024 times. A few bytes are a call, which becomes code that a compiler has to represent; the
//! constant is for the module around the calls and for their answers. A guest's memory is mapped, which
//! does not count.

#![no_main]

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use enclave_workflow::{
    Binary, BinaryLimits, Capacity, Engine, GuestText, Limits, MetricLimits, Module, NoDonTime,
    NodeTime, NotEmitted, Request, RunError, ServiceFuture, Services, Tier,
};
use fuzz::{
    Bound, Input,
    guest::{self, Call},
};
use protocol::messages::{
    self,
    sdk::{
        CapabilityOutcome, CapabilityRequest, CapabilityResponse, GetSecretsRequest, Secret,
        SecretOutcome, SecretRequest, SecretResponse,
    },
    telemetry::WorkflowUserMetric,
};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (engine, runtime, limits) = (&*ENGINE, &*RUNTIME, &*LIMITS);
    BOUND.hold(input, || runtime.block_on(target(engine, limits, Input::new(input))));
});

async fn target(engine: &Engine, limits: &Limits, mut input: Input<'_>) {
    let data = input.piece();
    let data = &data[..data.len().min(MOST_DATA)];
    let mut calls = Vec::new();
    while !input.is_empty() && calls.len() < MOST_CALLS {
        calls.push(Call::choose(&mut input));
    }
    let binary = guest::module(&calls, data);
    let (binary, limits_of_binaries) = (Binary::new(binary), BinaryLimits::default());
    let tier = if calls.len() % 4 == 3 { Tier::Optimized } else { Tier::Baseline };
    let module = Module::compile(engine, &binary, &limits_of_binaries, tier);
    let module = module.expect("it is one");
    let embedder = Arc::new(Embedder::default());
    let services = Arc::clone(&embedder);
    let (request, cancel) = (Request::new(Vec::new(), ""), CancellationToken::new());
    let ended = engine.run(&module, request, services, limits, &cancel).await;
    match ended.result {
        Ok(outcome) => assert!(outcome.encoded.len() as u64 <= limits.result_bytes),
        Err(
            RunError::Deadline
            | RunError::Exited(_)
            | RunError::NoResponse
            | RunError::ResultTooLarge { .. }
            | RunError::Trap(_),
        ) => {}
        Err(error) => panic!("{error}"),
    }
    let made = calls.len() as u64;
    assert!(ended.metering.host_calls <= made);
    let heard = |count: &AtomicU32| count.load(Ordering::Relaxed);
    assert!(heard(&embedder.calls) <= limits.capability_calls);
    assert!(heard(&embedder.secrets) <= limits.secret_calls);
    assert!(heard(&embedder.lines) <= limits.log_lines_don + limits.log_lines_node);
    assert!(embedder.line_bytes.load(Ordering::Relaxed) as u64 <= limits.log_bytes);
}

/// Answers at once or after a while, and counts what it hears.
#[derive(Default)]
struct Embedder {
    calls: AtomicU32,
    secrets: AtomicU32,
    lines: AtomicU32,
    line_bytes: AtomicUsize,
}

impl Services for Embedder {
    fn call_capability(
        &self,
        request: CapabilityRequest,
    ) -> ServiceFuture<'_, Result<CapabilityResponse, GuestText>> {
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis((before % 3).into())).await;
            match before % 4 {
                3 => Err(GuestText::new("no")),
                _ => {
                    let payload = CapabilityOutcome::Payload(request.payload.unwrap_or_default());
                    Ok(CapabilityResponse { response: Some(payload) })
                }
            }
        })
    }

    fn secrets(
        &self,
        request: GetSecretsRequest,
    ) -> ServiceFuture<'_, Result<Vec<SecretResponse>, GuestText>> {
        self.secrets.fetch_add(1, Ordering::Relaxed);
        let secret = |request: SecretRequest| {
            let mut secret = Secret::default();
            (secret.id, secret.namespace) = (request.id, request.namespace);
            SecretResponse { response: Some(SecretOutcome::Secret(secret)) }
        };
        Box::pin(async move { Ok(request.requests.into_iter().map(secret).collect()) })
    }

    fn execution_id(&self) -> String {
        "id".to_owned()
    }

    fn node_time(&self) -> NodeTime {
        NodeTime { wall: UNIX_EPOCH + Duration::from_secs(7), monotonic: Duration::ZERO }
    }

    fn don_time(&self) -> ServiceFuture<'_, Result<SystemTime, NoDonTime>> {
        Box::pin(async { Ok(UNIX_EPOCH + Duration::from_secs(9)) })
    }

    fn emit_log(&self, line: &[u8]) -> Result<(), NotEmitted> {
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.line_bytes.fetch_add(line.len(), Ordering::Relaxed);
        assert!(line.len() <= LIMITS.log_line_bytes as usize);
        Ok(())
    }

    fn emit_metric(&self, metric: WorkflowUserMetric) -> Result<(), NotEmitted> {
        let limits = LIMITS.metrics.expect("they are taken");
        assert!(messages::encode(&metric).len() <= limits.payload_bytes as usize);
        assert!(metric.name.len() <= limits.name_bytes && metric.labels.len() <= limits.labels);
        Ok(())
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let capacity = Capacity { instances: 2, ..Capacity::default() };
    Engine::new(capacity).expect("an engine")
});

/// Time stands still while a guest computes and jumps where all wait, so sleeping costs nothing.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime of one thread")
});

/// Small, so that an input reaches each of them.
static LIMITS: LazyLock<Limits> = LazyLock::new(|| Limits {
    memory_bytes: 2_000_000,
    response_bytes: 4096,
    message_bytes: 4096,
    result_bytes: 4096,
    pending_calls: 3,
    capability_calls: 6,
    secret_calls: 6,
    held_bytes: 8192,
    log_line_bytes: 64,
    log_lines_don: 3,
    log_lines_node: 3,
    log_bytes: 256,
    metrics: Some(MetricLimits { payload_bytes: 256, ..MetricLimits::default() }),
    poll_subscriptions: 3,
    ..Limits::default()
});

const MOST_CALLS: usize = 32;

/// It has to fit behind where the data begins.
const MOST_DATA: usize = 60_000;

const BOUND: Bound = Bound { times: 1024, plus: 16 * 1024 * 1024 };
