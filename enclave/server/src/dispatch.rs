//! Room 9a: what a running workflow asks for, in three tiers (enclave-and-host 8.7).
//!
//! A call of the enclave's own capability is refused, http-actions and the consensus of one are
//! answered here, everything else goes to the relay nodes. Before anything outside may change, the
//! request is marked as not to be repeated.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use enclave_workflow::{GuestText, NoDonTime, NodeTime, NotEmitted, ServiceFuture, Services};
use protocol::{
    clock::Clock,
    compute,
    json::{Number, Tree},
    messages::{
        sdk::{
            CapabilityOutcome, CapabilityRequest, CapabilityResponse, GetSecretsRequest,
            SecretResponse,
        },
        telemetry::{UserMetricType, WorkflowUserMetric},
        well_known::Any,
    },
};

use crate::{
    consensus,
    egress::Egress,
    events::{Events, With},
    http_action::Action,
    ledger::Effects,
    remote::Relay,
};

/// What one execution may ask for.
pub(crate) struct Dispatch {
    /// The way to the relay nodes.
    pub(crate) relay: Relay,
    /// The way out for http-actions.
    pub(crate) egress: Arc<Egress>,
    /// The time of day.
    pub(crate) clock: Arc<dyn Clock>,
    /// Where a run begins to count its time.
    pub(crate) started: Instant,
    /// Where the execution reports.
    pub(crate) events: Events,
    /// Where effects are marked.
    pub(crate) effects: Effects,
}

/// How a call failed, for the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The capability answered with an error.
    Capability,
    /// There is no answer.
    Dispatch(&'static str),
}

impl Dispatch {
    async fn call(&self, request: CapabilityRequest) -> Result<CapabilityResponse, GuestText> {
        let start = Instant::now();
        let (id, method) = (request.id.clone(), request.method.clone());
        let step = i64::from(request.callback_id);
        let of_step = |with: With| {
            with.text("capability_id", id.as_str())
                .text("method", method.as_str())
                .tree("step_ref", Tree::from(step))
        };
        self.report("capability_started", of_step(With::default()));
        let answered = self.route(request).await;
        let failure = match &answered {
            Ok(response) => is_error(response).then_some(Failure::Capability),
            Err((_text, word)) => Some(Failure::Dispatch(word)),
        };
        let executed = With::default()
            .text("capability_id", id.as_str())
            .seconds("duration_seconds", start.elapsed());
        self.report("capability_execution", with_failure(executed, failure));
        let finished = with_failure(of_step(With::default()), failure);
        let finished = match failure {
            // The text is the workflow's; what leaves in the clear is a word (W-05).
            Some(Failure::Capability) => finished.text("error", "capability error"),
            Some(Failure::Dispatch(word)) => finished.text("error", word),
            None => finished,
        };
        self.report("capability_finished", finished);
        answered.map_err(|(text, _word)| text)
    }

    async fn route(
        &self,
        request: CapabilityRequest,
    ) -> Result<CapabilityResponse, (GuestText, &'static str)> {
        let payload = request.payload.as_ref();
        match (request.id.as_str(), request.method.as_str()) {
            (compute::APP_ID, _) => Ok(error(RECURSION)),
            (HTTP_ACTIONS, "SendRequest") => Ok(self.action().send(&payload_of(payload)).await),
            (CONSENSUS, "Simple") => Ok(consensus::simple(&payload_of(payload))),
            _ => {
                self.effects.mark();
                self.relay
                    .capability(&request)
                    .await
                    .map_err(|error| (GuestText::new(error.to_string()), error.word()))
            }
        }
    }

    fn action(&self) -> Action<'_> {
        Action {
            egress: &self.egress,
            owner: self.relay.caller.owner,
            default_timeout: self.relay.settings.settings.request_timeout,
            events: &self.events,
            effects: &self.effects,
        }
    }

    async fn fetch(&self, request: GetSecretsRequest) -> Result<Vec<SecretResponse>, GuestText> {
        let start = Instant::now();
        let count = request.requests.len();
        let fetched = self.relay.secrets(&request, self.clock.now()).await;
        let details = With::default()
            .flag("success", fetched.is_ok())
            .count("num_requests", count)
            .seconds("duration_seconds", start.elapsed());
        self.report("get_secrets", details);
        fetched.map_err(|error| GuestText::new(error.to_string()))
    }

    /// Adds an event; one that has no room is dropped and counted.
    fn report(&self, name: &'static str, details: With) {
        let _kept = self.events.add_of_workflow(name, details);
    }

    fn with_execution(&self, details: With) -> With {
        let caller = &self.relay.caller;
        details
            .text("workflow_id", caller.workflow_id.as_str())
            .text("execution_id", caller.execution_id.as_str())
    }
}

impl Services for Dispatch {
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
        Box::pin(self.fetch(request))
    }

    fn execution_id(&self) -> String {
        self.relay.caller.execution_id.as_str().to_owned()
    }

    fn node_time(&self) -> NodeTime {
        NodeTime { wall: self.clock.now(), monotonic: self.started.elapsed() }
    }

    fn don_time(&self) -> ServiceFuture<'_, Result<SystemTime, NoDonTime>> {
        let now = self.clock.now();
        Box::pin(async move { Ok(now) })
    }

    fn emit_log(&self, line: &[u8]) -> Result<(), NotEmitted> {
        let message = String::from_utf8_lossy(line).into_owned();
        let details = self.with_execution(With::default().text("message", message));
        self.events.add_of_workflow("user_log", details).map_err(|_full| NotEmitted)
    }

    fn emit_metric(&self, metric: WorkflowUserMetric) -> Result<(), NotEmitted> {
        let value = Number::try_from(metric.value).map_or(Tree::Null, Tree::from);
        let kind = metric_type(metric.r#type());
        let mut details = self
            .with_execution(With::default().text("name", metric.name.as_str()))
            .tree("value", value)
            .text("metric_type", kind);
        for (label, value) in metric.labels {
            details = details.text(&format!("label.{label}"), value);
        }
        self.events.add_of_workflow("user_metric", details).map_err(|_full| NotEmitted)
    }
}

fn with_failure(details: With, failure: Option<Failure>) -> With {
    let details = details.flag("success", failure.is_none());
    match failure {
        None => details,
        Some(Failure::Capability) => details.text("error_type", "capability"),
        Some(Failure::Dispatch(_)) => details.text("error_type", "dispatch"),
    }
}

fn is_error(response: &CapabilityResponse) -> bool {
    matches!(response.response, Some(CapabilityOutcome::Error(_)))
}

fn error(text: &str) -> CapabilityResponse {
    CapabilityResponse { response: Some(CapabilityOutcome::Error(text.to_owned())) }
}

fn payload_of(payload: Option<&Any>) -> Any {
    payload.cloned().unwrap_or_default()
}

/// The name in the schema.
fn metric_type(kind: UserMetricType) -> &'static str {
    match kind {
        UserMetricType::Unspecified => "USER_METRIC_TYPE_UNSPECIFIED",
        UserMetricType::Counter => "USER_METRIC_TYPE_COUNTER",
        UserMetricType::Gauge => "USER_METRIC_TYPE_GAUGE",
    }
}

const HTTP_ACTIONS: &str = "http-actions@1.0.0-alpha";

const CONSENSUS: &str = "consensus@1.0.0-alpha";

const RECURSION: &str = "confidential-workflows cannot be called from within a workflow";
