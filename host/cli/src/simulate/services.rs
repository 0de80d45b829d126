//! What a simulated workflow may ask for.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use enclave_server::{
    Effects, Events, LimitSet, With,
    capabilities::{HttpAction, Local, LocalLimits},
};
use enclave_workflow::{GuestText, NoDonTime, NodeTime, NotEmitted, ServiceFuture, Services};
use protocol::{
    answer::MetricEvent,
    clock::{Clock as _, SystemClock},
    ids::Owner,
    limits,
    messages::{
        sdk::{
            CapabilityOutcome, CapabilityRequest, CapabilityResponse, GetSecretsRequest,
            SecretResponse,
        },
        telemetry::WorkflowUserMetric,
    },
};

use rand_core::OsRng;
use transport::http::LargeBodies;

use super::{answers::Answers, secrets::Secrets, web::Web};
use crate::{exit::Failure, run::request::execution_id};

/// What is the same for all runs of a simulation.
pub(crate) struct World {
    /// The id of the execution.
    pub(super) execution_id: String,
    /// The time.
    pub(super) clock: Clock,
    /// Where http-actions go.
    pub(super) web: Web,
    /// Secrets.
    pub(super) secrets: Secrets,
    /// What other capabilities answer.
    pub(super) answers: Answers,
}

/// The time of a simulation.
pub(crate) struct Clock {
    /// Where it starts, unless it is the machine's.
    start: Option<SystemTime>,
    began: Instant,
}

/// The services of one run.
pub(crate) struct Simulated {
    world: Arc<World>,
    local: Local,
    calls: Mutex<Vec<Call>>,
}

/// A call that was answered.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Capability and method, or the names of secrets.
    pub(super) what: String,
    /// The time until the answer.
    pub(super) spent: Duration,
    /// Whether the answer is no error.
    pub(super) is_success: bool,
}

impl World {
    /// A world in which nothing but the time is to be had.
    pub(super) fn without_answers() -> Result<Self, Failure> {
        Ok(Self {
            execution_id: execution_id(&mut OsRng),
            clock: Clock::new(None),
            web: Web::denied()?,
            secrets: Secrets::default(),
            answers: Answers::none(),
        })
    }
}

impl Clock {
    /// The machine's time, or one that starts at a given moment.
    pub(super) fn new(start: Option<SystemTime>) -> Self {
        Self { start, began: Instant::now() }
    }

    fn node_time(&self) -> NodeTime {
        let monotonic = self.began.elapsed();
        let wall = self.start.and_then(|start| start.checked_add(monotonic));
        NodeTime { wall: wall.unwrap_or_else(|| SystemClock.now()), monotonic }
    }

    fn don_time(&self) -> SystemTime {
        self.start.unwrap_or_else(|| SystemClock.now())
    }
}

impl Simulated {
    pub(super) fn new(world: Arc<World>, owner: Owner, set: LimitSet) -> Self {
        let local = Local {
            egress: Arc::clone(world.web.egress()),
            owner,
            default_timeout: limits::HTTP_ACTION_TIMEOUT,
            events: Events::default(),
            effects: Effects::default(),
            turns: LargeBodies::one_at_a_time(),
            limits: LocalLimits::of(set),
            calls: Arc::default(),
        };
        Self { world, local, calls: Mutex::default() }
    }

    /// The calls that were answered, in the order of their answers.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.seen().clone()
    }

    /// What the enclave would report of the run.
    pub(super) fn events(&self) -> Vec<MetricEvent> {
        let events = self.local.events.snapshot().into_iter();
        let event = |event: enclave_server::Event| MetricEvent {
            event: event.name.to_owned(),
            details: Some(event.details),
        };
        events.map(event).collect()
    }

    async fn call(&self, request: CapabilityRequest) -> Result<CapabilityResponse, GuestText> {
        let start = Instant::now();
        let answered = self.answer(&request).await;
        let is_error = |response: &CapabilityResponse| {
            matches!(response.response, Some(CapabilityOutcome::Error(_)))
        };
        let is_success = answered.as_ref().is_ok_and(|response| !is_error(response));
        self.note(format!("{} {}", request.id, request.method), start, is_success);
        answered
    }

    async fn answer(&self, request: &CapabilityRequest) -> Result<CapabilityResponse, GuestText> {
        if HttpAction::is_asked_for_by(request) {
            return Ok(self.world.web.answer(&self.local, request).await);
        }
        match self.local.answer(request).await {
            Some(response) => Ok(response),
            None => self.world.answers.answer(request),
        }
    }

    fn note(&self, what: String, start: Instant, is_success: bool) {
        self.seen().push(Call { what, spent: start.elapsed(), is_success });
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Services for Simulated {
    fn call_capability(
        &self,
        request: CapabilityRequest,
    ) -> ServiceFuture<'_, Result<CapabilityResponse, GuestText>> {
        Box::pin(self.call(request))
    }

    fn secrets(
        &self,
        request: GetSecretsRequest,
    ) -> ServiceFuture<'_, Result<Vec<SecretResponse>, GuestText>> {
        let start = Instant::now();
        let (names, answers, are_all) = self.world.secrets.answer(&request);
        self.note(format!("secrets {names}"), start, are_all);
        Box::pin(std::future::ready(Ok(answers)))
    }

    fn execution_id(&self) -> String {
        self.world.execution_id.clone()
    }

    fn node_time(&self) -> NodeTime {
        self.world.clock.node_time()
    }

    fn don_time(&self) -> ServiceFuture<'_, Result<SystemTime, NoDonTime>> {
        let now = self.world.clock.don_time();
        Box::pin(std::future::ready(Ok(now)))
    }

    /// Takes what the enclave takes: its events have a limit.
    fn emit_log(&self, line: &[u8]) -> Result<(), NotEmitted> {
        let message = String::from_utf8_lossy(line).into_owned();
        let details = With::default().text("message", message);
        self.local.events.add_of_workflow("user_log", details).map_err(|_full| NotEmitted)
    }

    /// Never asked: the gate for metrics is closed in the enclave too.
    fn emit_metric(&self, _metric: WorkflowUserMetric) -> Result<(), NotEmitted> {
        Err(NotEmitted)
    }
}
