//! Room 9a: what a running workflow asks for, in three tiers (enclave-and-host 8.7).
//!
//! [`Local`] answers what the enclave can answer itself; everything else goes to the relay nodes.
//! Before anything outside may change, the request is marked as not to be repeated.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use enclave_workflow::{GuestText, NoDonTime, NodeTime, NotEmitted, ServiceFuture, Services};
use protocol::{
    clock::Clock,
    json::{Number, Tree},
    messages::{
        sdk::{
            CapabilityOutcome, CapabilityRequest, CapabilityResponse, GetSecretsRequest,
            SecretResponse,
        },
        telemetry::{UserMetricType, WorkflowUserMetric},
    },
};

use crate::{capabilities::Local, events::With, remote::Relay};

/// What one execution may ask for.
pub(crate) struct Dispatch {
    /// The way to the relay nodes.
    pub(crate) relay: Relay,
    /// What is answered here.
    pub(crate) local: Local,
    /// The time of day.
    pub(crate) clock: Arc<dyn Clock>,
    /// Where a run begins to count its time.
    pub(crate) started: Instant,
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
        if let Some(answer) = self.local.answer(&request).await {
            return Ok(answer);
        }
        self.local.effects.mark();
        let answered = self.relay.capability(&request).await;
        answered.map_err(|error| (GuestText::new(error.to_string()), error.word()))
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
        let _kept = self.local.events.add_of_workflow(name, details);
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
        self.local.events.add_of_workflow("user_log", details).map_err(|_full| NotEmitted)
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
        self.local.events.add_of_workflow("user_metric", details).map_err(|_full| NotEmitted)
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

/// The name in the schema.
fn metric_type(kind: UserMetricType) -> &'static str {
    match kind {
        UserMetricType::Unspecified => "USER_METRIC_TYPE_UNSPECIFIED",
        UserMetricType::Counter => "USER_METRIC_TYPE_COUNTER",
        UserMetricType::Gauge => "USER_METRIC_TYPE_GAUGE",
    }
}
