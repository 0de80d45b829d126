//! The application that runs workflows (enclave-and-host 8).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use enclave_workflow::{
    AdmitError, Capacity, EnclaveTee, Engine, EngineError, Limits, Metering, Module, Request,
    Restricted, RunError, Services, satisfies,
};
use protocol::{
    clock::Clock,
    compute::{self, ComputeRequest},
    ids::Owner,
    limits,
    messages::{
        self, Described as _,
        confidential_workflow::WorkflowExecution,
        sdk::{ExecutionResult, TeeType},
    },
    proto,
    relay::Caller,
};
use transport::{BoxFuture, http::LargeBodies};

use crate::{
    admit::room_completed,
    app::{App, AppError, Program, RunContext, SettingsProblem, SettingsRefused},
    binary::{Binaries, LoadError, Loaded, Loads},
    boot::LimitSet,
    budget::{Budget, Claim},
    capabilities::{Local, LocalLimits},
    dispatch::Dispatch,
    egress::Egress,
    events::{Events, With},
    execution::{Execution, ExecutionError},
    remote::{Relay, Remote},
    settings::{Active, InjectError, SettingsStore},
    turn,
};

/// Runs workflows.
#[derive(Debug)]
pub(crate) struct Workflows {
    tools: Arc<Tools>,
    settings: SettingsStore,
    binaries: Binaries,
}

/// What every run uses.
struct Tools {
    engine: Engine,
    egress: Arc<Egress>,
    remote: Arc<Remote>,
    clock: Arc<dyn Clock>,
    limits: LimitSet,
}

impl std::fmt::Debug for Tools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tools").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// A workflow that is ready to run once.
struct Prepared {
    tools: Arc<Tools>,
    settings: Arc<Active>,
    execution: Execution,
    module: Arc<Module>,
    limits: Limits,
    /// Bytes of the public data.
    request_bytes: usize,
}

/// Why a workflow did not run. The texts are those peers match on (8.2).
#[derive(Debug, thiserror::Error)]
enum WorkflowError {
    /// The request asks for another application.
    #[error("invalid app ID: expected {}, got {got}", compute::APP_ID)]
    App {
        /// What it asks for, cut to [`APP_ID_CHARS`]: public data.
        got: String,
    },
    /// The public data is no execution.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// The binary is not there.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The execution must not run in an enclave like this.
    #[error("this TEE doesn't meet the requirements of the workflow")]
    Requirements,
    /// What the workflow answered cannot be written.
    #[error("marshalling workflow response: the result is malformed")]
    Response,
    /// The run has no outcome.
    #[error("executing wasm: executing wasm: {0}")]
    Run(#[from] RunError),
}

impl Workflows {
    /// Makes the application, with an engine for as many runs as the budget has room for.
    ///
    /// # Errors
    ///
    /// [`EngineError`], if wasmtime cannot work here.
    pub(crate) fn new(
        budget: &Budget,
        loads: Loads,
        egress: Arc<Egress>,
        remote: Remote,
        clock: Arc<dyn Clock>,
        limits: LimitSet,
    ) -> Result<Self, EngineError> {
        let instances = budget.fits(LEAST_RUN_BYTES).min(MOST_INSTANCES);
        let instances = u32::try_from(instances).unwrap_or(1);
        let engine = Engine::new(Capacity { instances, ..Capacity::default() })?;
        let binaries = Binaries::new(engine.clone(), Arc::clone(&egress), loads, budget.clone());
        let tools = Arc::new(Tools { engine, egress, remote: Arc::new(remote), clock, limits });
        Ok(Self { tools, settings: SettingsStore::default(), binaries })
    }

    async fn prepare(
        &self,
        request: &ComputeRequest,
        events: &Events,
    ) -> Result<Prepared, WorkflowError> {
        if request.app_id != compute::APP_ID {
            let got = request.app_id.chars().take(APP_ID_CHARS).collect();
            return Err(WorkflowError::App { got });
        }
        let execution = Execution::decode(request.public_data.as_slice())?;
        // Judged before anything is fetched (W-17); the region is for the DON to judge.
        let tee = EnclaveTee { tee_type: TeeType::AwsNitro.into() };
        if !satisfies(execution.requirements.as_deref(), Some(&tee)).unwrap_or(false) {
            return Err(WorkflowError::Requirements);
        }
        let settings = self.settings.snapshot();
        let url = &execution.message.binary_url;
        let (hash, owner) = (execution.binary_hash, execution.owner());
        let loaded = self.binaries.load(owner, hash, url, settings.clone()).await?;
        let Loaded { module, fetch, compile } = loaded;
        for (room, spent) in [("fetch", fetch), ("compile", compile)] {
            room_completed(events, room, spent.unwrap_or_default());
        }
        // Without settings nothing was loaded.
        let settings = settings.ok_or(LoadError::Aborted)?;
        let (tools, limits) = (Arc::clone(&self.tools), limits_of(self.tools.limits, &settings));
        let request_bytes = request.public_data.as_slice().len();
        Ok(Prepared { tools, settings, execution, module, limits, request_bytes })
    }
}

impl App for Workflows {
    fn owner(&self, request: &ComputeRequest) -> Owner {
        let execution = messages::decode::<WorkflowExecution>(request.public_data.as_slice());
        Owner::normalised(&execution.map(|execution| execution.owner).unwrap_or_default())
    }

    fn grace(&self) -> Option<Duration> {
        self.settings.snapshot()?.grace
    }

    fn load<'a>(
        &'a self,
        request: &'a ComputeRequest,
        events: &'a Events,
    ) -> BoxFuture<'a, Result<Box<dyn Program>, AppError>> {
        Box::pin(async move {
            let prepared = self.prepare(request, events).await;
            prepared.map(|program| Box::new(program) as Box<dyn Program>).map_err(Into::into)
        })
    }

    fn inject(&self, body: &[u8]) -> Result<(), SettingsRefused> {
        self.settings.inject(body).map_err(|error| match error {
            InjectError::Empty => SettingsRefused::Empty,
            InjectError::Gateway { .. } | InjectError::Settings(_) | InjectError::Storage(_) => {
                SettingsRefused::Invalid(SettingsProblem::new(&error))
            }
        })
    }
}

impl Program for Prepared {
    fn claim(&self) -> Claim {
        let facts = self.module.facts();
        let module = (facts.survey.memory_max_pages, facts.resident_bytes);
        let bytes = run_bytes(module, self.request_bytes, &self.limits);
        Claim { owner: self.execution.owner(), bytes }
    }

    fn run(self: Box<Self>, context: RunContext) -> BoxFuture<'static, Result<Vec<u8>, AppError>> {
        Box::pin(async move { self.execute(context).await.map_err(Into::into) })
    }
}

impl Prepared {
    async fn execute(self, context: RunContext) -> Result<Vec<u8>, WorkflowError> {
        let Self { tools, settings, execution, module, limits, .. } = self;
        let RunContext { batch, config, key, secrets, events, effects, abandoned } = context;
        // A workflow fetches its secrets itself; those that came with the request are not for it.
        drop(secrets);
        let message = &execution.message;
        let started = With::default().text("workflow_id", message.workflow_id.as_str());
        events.add("workflow_execute_started", started);
        let relay = Relay {
            remote: Arc::clone(&tools.remote),
            settings,
            config,
            caller: Caller::from(message),
            batch,
            key,
            events: events.clone(),
            turns: LargeBodies::one_at_a_time(),
        };
        let metered = events.clone();
        let local = Local {
            egress: Arc::clone(&tools.egress),
            owner: relay.caller.owner,
            default_timeout: relay.settings.settings.request_timeout,
            events,
            effects,
            turns: relay.turns.clone(),
            limits: LocalLimits::of(tools.limits),
            calls: Arc::default(),
        };
        let clock = Arc::clone(&tools.clock);
        let dispatch = Dispatch { relay, local, clock, started: Instant::now() };
        let services: Arc<dyn Services> = Arc::new(dispatch);
        let services: Arc<dyn Services> = match &message.restrictions {
            Some(restrictions) => Arc::new(Restricted::new(services, restrictions)),
            None => services,
        };
        let request = Request::new(execution.execute, message.workflow_id.as_str());
        let ended = tools.engine.run(&module, request, services, &limits, &abandoned).await;
        report(&metered, &ended.metering);
        let result = ended.result?.encoded;
        let _turn = turn::of_message(result.len()).await;
        response(&result).ok_or(WorkflowError::Response)
    }
}

impl From<WorkflowError> for AppError {
    fn from(error: WorkflowError) -> Self {
        use RunError::{
            Deadline, Engine, Exited, Link, NoResponse, Panicked, ResultTooLarge, Trap,
        };
        let (status, code) = match &error {
            WorkflowError::App { .. } => (400, "unknown_app"),
            WorkflowError::Execution(_) => (400, "invalid_execution"),
            WorkflowError::Requirements => (400, "requirements_not_met"),
            WorkflowError::Load(LoadError::Busy(busy)) => {
                return Self::new(&error, 429, "capacity").retryable_after(busy.retry_after());
            }
            WorkflowError::Load(LoadError::Module(AdmitError::Busy { retry_after })) => {
                let retry_after = retry_after.unwrap_or(COMPILE_TIME);
                return Self::new(&error, 429, "capacity").retryable_after(retry_after);
            }
            WorkflowError::Load(
                LoadError::Fetch(_) | LoadError::Aborted | LoadError::Module(AdmitError::Aborted),
            ) => {
                return Self::new(&error, 502, "binary_unavailable").retryable();
            }
            WorkflowError::Load(LoadError::Module(_)) => (500, "binary_refused"),
            WorkflowError::Response => (500, "workflow_failed"),
            WorkflowError::Run(run) => match run {
                Deadline => (504, "deadline_exceeded"),
                RunError::Request(_) => (400, "invalid_execution"),
                Link(_) | Exited(_) | Trap(_) | NoResponse | ResultTooLarge { .. } => {
                    (500, "workflow_failed")
                }
                Panicked(_) | Engine(_) => (500, "internal"),
            },
        };
        Self::new(&error, status, code)
    }
}

/// The encoded `ConfidentialWorkflowResponse` around an encoded result, whose unknown fields stay.
fn response(result: &[u8]) -> Option<Vec<u8>> {
    let result = proto::canonical(ExecutionResult::schema(), result).ok()?;
    let mut response = Vec::with_capacity(result.len().saturating_add(6));
    prost::encoding::bytes::encode(SDK_EXECUTION_RESULT, &result, &mut response);
    Some(response)
}

/// What a run takes at most: the pages that its module may have, the module itself, which a full cache
/// may have forgotten, its stack, the request as it was decoded and as the guest gets it, what is asked and
/// answered, answers on their way, the result in three forms, and events.
fn run_bytes(
    (max_pages, resident_bytes): (Option<u64>, u64),
    request_bytes: usize,
    limits: &Limits,
) -> u64 {
    let declared = max_pages.map_or(u64::MAX, |pages| pages.saturating_mul(PAGE_BYTES));
    let request = u64::try_from(request_bytes).unwrap_or(u64::MAX).saturating_mul(2);
    let parts = [
        declared.min(limits.memory_bytes),
        resident_bytes,
        Engine::STACK_BYTES as u64,
        request,
        limits.held_bytes,
        arriving_bytes(limits.pending_calls),
        limits.result_bytes.saturating_mul(3),
        EVENT_BYTES,
    ];
    parts.into_iter().fold(0, u64::saturating_add)
}

/// What answers take on their way to a run that waits for so many: each may be of the size that waits for
/// nobody, and one of them a large one.
const fn arriving_bytes(pending_calls: u32) -> u64 {
    let free = (pending_calls as u64).saturating_mul(LargeBodies::FREE_BYTES as u64);
    free.saturating_add(limits::GATEWAY_ANSWER_BYTES as u64)
}

/// Reports what a run used, however it ended.
fn report(events: &Events, metering: &Metering) {
    let used = With::default()
        .milliseconds("wall_ms", metering.wall)
        .milliseconds("cpu_ms", metering.cpu)
        .count("peak_memory_bytes", metering.peak_memory_bytes)
        .count("host_calls", metering.host_calls)
        .count("bytes_in", metering.bytes_in)
        .count("bytes_out", metering.bytes_out)
        .count("dropped_events", metering.dropped_events);
    events.add("workflow_metering", used);
}

fn limits_of(set: LimitSet, settings: &Active) -> Limits {
    let timeout = settings.settings.execution_timeout.unwrap_or(limits::EXECUTION_TIMEOUT);
    run_limits(set, timeout)
}

/// What one run may use in an enclave of these limits whose settings give it this time. A DON's own
/// time is never exceeded.
#[must_use]
pub fn run_limits(set: LimitSet, timeout: Duration) -> Limits {
    let limits = match set {
        LimitSet::Reference => Limits { timeout, ..Limits::default() },
        LimitSet::Don => {
            let don = Limits::don();
            Limits { timeout: don.timeout.min(timeout), ..don }
        }
    };
    Limits { held_bytes: HELD_BYTES, ..limits }
}

/// What any run takes, whatever its module and its limits: more runs than this allows never fit.
const LEAST_RUN_BYTES: u64 =
    HELD_BYTES + EVENT_BYTES + Engine::STACK_BYTES as u64 + arriving_bytes(0);

/// What the events of a run take: kept, as JSON, and in the answer.
const EVENT_BYTES: u64 = 4 * 1024 * 1024;

/// A page of linear memory.
const PAGE_BYTES: u64 = 64 * 1024;

/// What a workflow has asked, and answers that it has not read.
const HELD_BYTES: u64 = 16 * 1024 * 1024;

/// What compiling a large module takes: when an owner who has too many of them waiting has one less.
const COMPILE_TIME: Duration = Duration::from_secs(3);

/// Instances for which address space is set aside, on the largest machine.
const MOST_INSTANCES: u64 = 256;

/// Field of `ConfidentialWorkflowResponse`.
const SDK_EXECUTION_RESULT: u32 = 2;

/// What is shown of an application id that is none.
const APP_ID_CHARS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w_18_the_shorter_of_a_dons_time_and_the_settings_counts() {
        let timeout =
            |set, seconds| run_limits(set, Duration::from_secs(seconds)).timeout.as_secs();
        assert_eq!((timeout(LimitSet::Don, 3_600), timeout(LimitSet::Don, 7)), (300, 7));
        assert_eq!(timeout(LimitSet::Reference, 3_600), 3_600);
    }

    #[test]
    fn w15_a_run_claims_what_its_module_and_its_limits_let_it_take() {
        let limits = |set| run_limits(set, Duration::from_secs(1));
        let reference = limits(LimitSet::Reference);
        let whole = run_bytes((None, 0), 0, &reference);
        assert_eq!(run_bytes((Some(u64::MAX), 0), 0, &reference), whole);
        let declared = whole - run_bytes((Some(16), 0), 0, &reference);
        assert_eq!(declared, 128_000_000 - 16 * 65_536, "only the pages it may have");
        assert_eq!(run_bytes((None, 7), 100, &reference), whole + 7 + 200);
        assert!(run_bytes((None, 0), 0, &limits(LimitSet::Don)) < whole);
        assert!(run_bytes((Some(0), 0), 0, &limits(LimitSet::Don)) >= LEAST_RUN_BYTES);
        assert_eq!(run_bytes((None, u64::MAX), usize::MAX, &reference), u64::MAX);
    }

    #[test]
    fn a_result_is_wrapped_with_what_is_unknown_in_it() {
        // error: "no", then an unknown field 100.
        let result = b"\xa0\x06\x01\x12\x02no";
        assert_eq!(response(result).unwrap(), b"\x12\x07\x12\x02no\xa0\x06\x01");
        assert_eq!(response(b"").unwrap(), b"\x12\x00");
        assert_eq!(response(b"\x12\x09no"), None);
    }
}
