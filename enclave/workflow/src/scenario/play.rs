//! Plays scenarios, step by step.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use protocol::messages::sdk::Tee;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    compare::{Difference, Ended, compare},
    schema::{Input, Route, Scenario, ScenarioLimits, Step},
    services::Recorded,
};
use crate::{
    AdmitError, Binary, BinaryHash, BinaryLimits, Engine, Limits, LocalRunner, Module, Place,
    Request, RouteError, Router, Runner as _, TeeProvider, Tier, admit,
};

/// Plays scenarios in one engine and tier; each binary is compiled once.
#[derive(Debug)]
pub struct Player {
    engine: Engine,
    tier: Tier,
    modules: Mutex<HashMap<BinaryHash, Arc<Module>>>,
}

/// Every enclave.
struct AnyTee;

/// How the steps of a scenario are run.
enum Way {
    Direct(LocalRunner),
    Routed(Router),
}

impl Player {
    /// Makes a player.
    #[must_use]
    pub fn new(engine: Engine, tier: Tier) -> Self {
        Self { engine, tier, modules: Mutex::default() }
    }

    /// Plays a scenario of the workflow in `binary`, a brotli stream or a core module.
    ///
    /// # Errors
    ///
    /// The first [`Difference`] from what was recorded.
    pub async fn play(&self, scenario: &Scenario, binary: &[u8]) -> Result<(), Difference> {
        let way = self.module(scenario, binary).await.map(|module| self.way(scenario, module));
        for (index, step) in scenario.steps.iter().enumerate() {
            let services = Arc::new(Recorded::new(scenario, step));
            let start = Instant::now();
            let ended = match &way {
                Ok(way) => run(way, scenario, step, &services).await,
                Err(error) => Ended::NotAdmitted(error.clone()),
            };
            let took = start.elapsed();
            compare(scenario, step, &services.take_seen(), &ended, took).map_err(|mismatch| {
                Difference { scenario: scenario.name.clone(), step: index, mismatch }
            })?;
        }
        Ok(())
    }

    async fn module(&self, scenario: &Scenario, binary: &[u8]) -> Result<Arc<Module>, AdmitError> {
        let given = match scenario.input {
            Input::Raw => admit::unpack(binary, &BinaryLimits::default())?,
            Input::Brotli => Cow::Borrowed(binary),
        };
        let (binary, limits) = (Binary::new(given.into_owned()), binary_limits(&scenario.limits));
        let modules = || self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let known = modules().get(&binary.hash()).cloned();
        if let Some(module) = known {
            return limits.admit(module.facts()).map(|()| module);
        }
        let (engine, tier) = (self.engine.clone(), self.tier);
        let compiled =
            tokio::task::spawn_blocking(move || Module::compile(&engine, &binary, &limits, tier));
        let module = compiled.await.map_err(|_ended| AdmitError::Aborted)?.map(Arc::new)?;
        modules().insert(module.hash(), Arc::clone(&module));
        Ok(module)
    }

    fn way(&self, scenario: &Scenario, module: Arc<Module>) -> Way {
        let runner =
            LocalRunner { engine: self.engine.clone(), module, limits: limits(&scenario.limits) };
        match scenario.module {
            Route::Direct => Way::Direct(runner),
            Route::Router => {
                let main = Place { runner: Box::new(runner), tee: Some(Box::new(AnyTee)) };
                Way::Routed(Router::new(main, Vec::new()))
            }
        }
    }
}

async fn run(way: &Way, scenario: &Scenario, step: &Step, services: &Arc<Recorded>) -> Ended {
    let cancel = CancellationToken::new();
    let limits = &scenario.limits;
    let _caller = caller(limits.caller_deadline_ms, &cancel);
    let _caller = (_caller, caller(limits.caller_cancel_ms, &cancel));
    let mut request = Request::new(step.request_hex.clone(), "");
    if let Some(seed) = step.node_seed {
        request = request.with_node_seeds(step.prehook_node_seed.unwrap_or(seed), seed);
    }
    let services = Arc::clone(services);
    let ended = match way {
        Way::Direct(runner) => {
            let ended = runner.run(request.into(), services, &cancel).await;
            ended.result.map_err(RouteError::Run)
        }
        Way::Routed(router) => router.run(request, services, &cancel).await.result,
    };
    let answer = ended.and_then(|outcome| outcome.decode().map_err(|_error| RouteError::Result));
    match answer {
        Ok(answer) => Ended::Outcome { answer: answer.result },
        Err(error) => Ended::NotRun(error),
    }
}

/// A caller who leaves after this time.
fn caller(after_ms: Option<u64>, cancel: &CancellationToken) -> Option<AbortOnDropHandle<()>> {
    let after = Duration::from_millis(after_ms?);
    let cancel = cancel.clone();
    Some(AbortOnDropHandle::new(tokio::spawn(async move {
        tokio::time::sleep(after).await;
        cancel.cancel();
    })))
}

fn limits(changed: &ScenarioLimits) -> Limits {
    let mut limits = Limits::default();
    let set = |limit: &mut Duration, ms: Option<u64>| {
        *limit = ms.map_or(*limit, Duration::from_millis);
    };
    set(&mut limits.timeout, changed.timeout_ms);
    set(&mut limits.prehook_timeout, changed.prehook_timeout_ms);
    if let Some(memory_mb) = changed.memory_mb {
        limits.memory_bytes = memory_mb.saturating_mul(1_000_000);
    }
    limits.response_bytes = changed.max_response_size.unwrap_or(limits.response_bytes);
    limits.log_line_bytes = changed.max_log_len.unwrap_or(limits.log_line_bytes);
    limits.log_lines_don = changed.max_logs_don.unwrap_or(limits.log_lines_don);
    limits.log_lines_node = changed.max_logs_node.unwrap_or(limits.log_lines_node);
    limits.pending_calls = changed.pending_calls.unwrap_or(limits.pending_calls);
    limits.metrics = changed.metrics.then(Default::default);
    limits
}

fn binary_limits(changed: &ScenarioLimits) -> BinaryLimits {
    let default = BinaryLimits::default();
    BinaryLimits {
        compressed_bytes: changed.max_compressed.unwrap_or(default.compressed_bytes),
        decompressed_bytes: changed.max_decompressed.unwrap_or(default.decompressed_bytes),
        ..default
    }
}

impl TeeProvider for AnyTee {
    fn provides(&self, _tee: Option<&Tee>) -> bool {
        true
    }
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Direct(_) => "Direct",
            Self::Routed(_) => "Routed",
        })
    }
}
