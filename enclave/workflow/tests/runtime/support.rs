//! One engine for all tests, an embedder made of closures, and guests written as text.

use std::{
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use enclave_workflow::{
    AdmitError, Binary, BinaryLimits, Capacity, Ended, Engine, GuestText, Limits, Module,
    NoDonTime, NodeTime, NotEmitted, Outcome, Request, RunError, ServiceFuture, Services,
};
use protocol::messages::{
    sdk::{
        self, CapabilityOutcome, CapabilityRequest, CapabilityResponse, GetSecretsRequest,
        SecretResponse,
    },
    telemetry::WorkflowUserMetric,
    values::{Kind, Value},
    well_known::Any,
};
use tokio_util::sync::CancellationToken;

use crate::TIER;

/// The engine that all tests share.
pub(crate) static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(Capacity { instances: 300, ..Capacity::default() }).unwrap());

/// An engine without a pool, for what must not depend on one.
pub(crate) static ON_DEMAND: LazyLock<Engine> = LazyLock::new(|| {
    Engine::on_demand(Capacity { instances: 300, ..Capacity::default() }).unwrap()
});

/// Answers a call, with the number of calls before it.
type OnCall = dyn Fn(CapabilityRequest, usize) -> Answer<CapabilityResponse> + Send + Sync;
type OnSecrets = dyn Fn(GetSecretsRequest) -> Answer<Vec<SecretResponse>> + Send + Sync;
type Answer<T> = ServiceFuture<'static, Result<T, GuestText>>;

/// An embedder made of closures that remembers what it was told.
pub(crate) struct Embedder {
    pub(crate) on_call: Box<OnCall>,
    pub(crate) on_secrets: Box<OnSecrets>,
    pub(crate) on_log: fn(&[u8]),
    pub(crate) calls: AtomicUsize,
    pub(crate) logs: Mutex<Vec<String>>,
    pub(crate) metrics: Mutex<Vec<WorkflowUserMetric>>,
}

impl Default for Embedder {
    fn default() -> Self {
        Self {
            on_call: Box::new(|request, _before| {
                Box::pin(async move { Ok(payload(request.payload.unwrap_or_default())) })
            }),
            on_secrets: Box::new(|_request| Box::pin(async { Ok(Vec::new()) })),
            on_log: |_line| {},
            calls: AtomicUsize::new(0),
            logs: Mutex::default(),
            metrics: Mutex::default(),
        }
    }
}

impl Embedder {
    /// An embedder that answers calls like this.
    pub(crate) fn answering(
        on_call: impl Fn(CapabilityRequest, usize) -> Answer<CapabilityResponse> + Send + Sync + 'static,
    ) -> Self {
        Self { on_call: Box::new(on_call), ..Self::default() }
    }
}

impl Services for Embedder {
    fn call_capability(
        &self,
        request: CapabilityRequest,
    ) -> ServiceFuture<'_, Result<CapabilityResponse, GuestText>> {
        let before = self.calls.fetch_add(1, Ordering::SeqCst);
        (self.on_call)(request, before)
    }

    fn secrets(
        &self,
        request: GetSecretsRequest,
    ) -> ServiceFuture<'_, Result<Vec<SecretResponse>, GuestText>> {
        (self.on_secrets)(request)
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
        (self.on_log)(line);
        self.logs.lock().unwrap().push(String::from_utf8_lossy(line).into_owned());
        Ok(())
    }

    fn emit_metric(&self, metric: WorkflowUserMetric) -> Result<(), NotEmitted> {
        self.metrics.lock().unwrap().push(metric);
        Ok(())
    }
}

/// A call in flight, until it is answered or aborted.
pub(crate) struct Flight(pub(crate) Arc<AtomicUsize>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An embedder that never answers, and counts the calls it holds.
pub(crate) fn hanging(in_flight: &Arc<AtomicUsize>) -> Embedder {
    let in_flight = Arc::clone(in_flight);
    Embedder::answering(move |_request, _before| {
        in_flight.fetch_add(1, Ordering::SeqCst);
        let flight = Flight(Arc::clone(&in_flight));
        Box::pin(async move {
            let _flight = flight;
            std::future::pending().await
        })
    })
}

pub(crate) fn payload(any: Any) -> CapabilityResponse {
    CapabilityResponse { response: Some(CapabilityOutcome::Payload(any)) }
}

/// Compiles a guest: the common imports, one memory page, and a body for `_start` that may store
/// 64-bit numbers from address 4 on and say `(call $done)` to send them.
pub(crate) fn guest(start: &str) -> Module {
    let module = try_guest(&text(start)).unwrap();
    assert_eq!(module.facts().tier, TIER);
    module
}

/// Compiles a module given in full.
pub(crate) fn try_guest(text: &str) -> Result<Module, AdmitError> {
    compile(&ENGINE, text)
}

/// Compiles a module given in full for an engine.
pub(crate) fn compile(engine: &Engine, text: &str) -> Result<Module, AdmitError> {
    compile_bytes(engine, wat::parse_str(text).unwrap())
}

/// Compiles a binary.
pub(crate) fn compile_bytes(engine: &Engine, binary: Vec<u8>) -> Result<Module, AdmitError> {
    Module::compile(engine, &Binary::new(binary), &BinaryLimits::default(), TIER)
}

/// A module with the common imports around a body for `_start`.
pub(crate) fn text(start: &str) -> String {
    format!(
        r#"(module
        (import "env" "version_v2" (func))
        (import "env" "send_response" (func $send_response (param i32 i32) (result i32)))
        (import "env" "call_capability" (func $call_capability (param i32 i32 i32 i32) (result i64)))
        (import "env" "await_capabilities" (func $await_capabilities (param i32 i32 i32 i32) (result i64)))
        (import "env" "get_secrets" (func $get_secrets (param i32 i32 i32 i32) (result i64)))
        (import "env" "await_secrets" (func $await_secrets (param i32 i32 i32 i32) (result i64)))
        (import "env" "log" (func $log (param i32 i32)))
        (import "env" "emit_metric" (func $emit_metric (param i32 i32) (result i32)))
        (import "env" "switch_modes" (func $switch_modes (param i32)))
        (import "env" "random_seed" (func $random_seed (param i32) (result i64)))
        (import "env" "now" (func $now (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\0a\42\1a\40")
        (func $put (param $slot i32) (param $value i64)
            (i64.store offset=4 (i32.mul (local.get $slot) (i32.const 8)) (local.get $value)))
        (func $done (drop (call $send_response (i32.const 0) (i32.const 68))))
        (data (i32.const 1000) "\0a\05probe\1a\01M\20\01")
        (data (i32.const 1100) "\0a\01\01")
        {start})"#
    )
}

/// A capability call with id 1: where [`text`] puts it, and how long it is.
pub(crate) const CALL: &str = "(i32.const 1000) (i32.const 12)";
/// The wait for it.
pub(crate) const AWAIT: &str = "(i32.const 1100) (i32.const 3)";

/// Runs a guest under limits and tells what it used, too.
pub(crate) async fn meter(module: &Module, embedder: &Arc<Embedder>, limits: &Limits) -> Ended {
    meter_in(&ENGINE, module, embedder, limits).await
}

/// The same in an engine of one's own.
pub(crate) async fn meter_in(
    engine: &Engine,
    module: &Module,
    embedder: &Arc<Embedder>,
    limits: &Limits,
) -> Ended {
    let services = Arc::clone(embedder);
    let request = Request::new(Vec::new(), "");
    engine.run(module, request, services, limits, &CancellationToken::new()).await
}

/// Runs a guest under limits.
pub(crate) async fn run_with(
    module: &Module,
    embedder: &Arc<Embedder>,
    limits: &Limits,
) -> Result<Outcome, RunError> {
    meter(module, embedder, limits).await.result
}

/// Runs a guest under the default limits.
pub(crate) async fn run(module: &Module) -> Result<Outcome, RunError> {
    run_with(module, &Arc::default(), &Limits::default()).await
}

/// What a run answered.
pub(crate) fn answer(outcome: &Outcome) -> Option<sdk::Outcome> {
    outcome.decode().unwrap().result
}

/// The eight numbers that a guest stored.
pub(crate) fn numbers(outcome: &Outcome) -> [i64; 8] {
    let answer = answer(outcome);
    let Some(sdk::Outcome::Value(Value { kind: Some(Kind::Bytes(bytes)) })) = answer else {
        panic!("{answer:?}")
    };
    let mut numbers = bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
    [(); 8].map(|()| numbers.next().unwrap())
}

/// Limits with a timeout.
pub(crate) fn timeout_ms(timeout_ms: u64) -> Limits {
    Limits { timeout: Duration::from_millis(timeout_ms), ..Limits::default() }
}
