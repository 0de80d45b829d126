//! What a running workflow may ask its embedder for (0.4).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    time::{Duration, SystemTime},
};

use protocol::messages::{
    sdk::{CapabilityRequest, CapabilityResponse, GetSecretsRequest, SecretResponse},
    telemetry::WorkflowUserMetric,
};

/// The future a service answers with.
pub type ServiceFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What one run of a workflow may ask for.
///
/// The enclave server answers through its dispatcher, the scenario player from a recording. Calls
/// run beside the guest, as many at a time as [`crate::Limits::pending_calls`] says. When the run
/// ends, for whatever reason, the futures of calls nobody awaited are dropped.
pub trait Services: Send + Sync {
    /// Calls a capability. A refusal reaches the guest as the `error` member of the response, never
    /// as a failure of the run.
    fn call_capability(
        &self,
        request: CapabilityRequest,
    ) -> ServiceFuture<'_, Result<CapabilityResponse, GuestText>>;

    /// Fetches secrets: one response for each request, in the order of the requests, since guests
    /// match them by position. An empty namespace means `main`.
    ///
    /// The values wipe themselves when dropped. From here on they are only ever encoded straight
    /// into the guest's memory, which is zeroed before it serves another run; what the guest's own
    /// allocator copies within that memory is out of reach until then.
    fn secrets(
        &self,
        request: GetSecretsRequest,
    ) -> ServiceFuture<'_, Result<Vec<SecretResponse>, GuestText>>;

    /// The id of this execution; asked exactly once, for the DON seed.
    fn execution_id(&self) -> String;

    /// This node's clock. Never a consensus, because a guest's language runtime reads it often.
    fn node_time(&self) -> NodeTime;

    /// The committee's clock; asked once for every `now` of a guest in DON mode, never ahead.
    fn don_time(&self) -> ServiceFuture<'_, Result<SystemTime, NoDonTime>>;

    /// Takes a log line, which is UTF-8 only if the guest made it so.
    ///
    /// # Errors
    ///
    /// [`NotEmitted`] if the line is dropped; the guest is not told.
    fn emit_log(&self, line: &[u8]) -> Result<(), NotEmitted>;

    /// Takes a user metric that is within the limits.
    ///
    /// # Errors
    ///
    /// [`NotEmitted`] if the metric is dropped; the guest is told.
    fn emit_metric(&self, metric: WorkflowUserMetric) -> Result<(), NotEmitted>;
}

/// Both hands of a node's clock.
///
/// The monotonic hand has any origin; only differences count. A clock that shows a fixed wall time
/// shows a fixed monotonic time too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeTime {
    /// Time of day.
    pub wall: SystemTime,
    /// Time since some origin, never going back.
    pub monotonic: Duration,
}

/// A failure in the words the guest will read.
///
/// Made by the embedder for the guest: no cause from elsewhere, no secret, no share. It is not
/// printed by `Debug`, so it enters no log by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct GuestText(String);

/// There is no DON time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no DON time")]
pub struct NoDonTime;

/// A log line or a metric was dropped by the embedder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event was not taken")]
pub struct NotEmitted;

impl GuestText {
    /// Wraps a text for the guest.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to be handed to the guest.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, to be handed to the guest.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for GuestText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestText")
    }
}
