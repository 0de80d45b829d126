//! Services within what a pre-hook allows (7.1 to 7.4).

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use protocol::{
    messages::{
        sdk::{
            self, CapabilityRequest, CapabilityResponse, GetSecretsRequest, SecretError,
            SecretOutcome, SecretResponse,
        },
        telemetry::WorkflowUserMetric,
    },
    restrictions::{Restrictions, SecretDenied},
};

use crate::{GuestText, NoDonTime, NodeTime, NotEmitted, ServiceFuture, Services};

/// Services within the restrictions of a pre-hook.
///
/// What is refused never reaches the services behind. Budgets are used up on admission and never
/// given back, also when the call then fails.
pub struct Restricted {
    inner: Arc<dyn Services>,
    budget: Mutex<Restrictions>,
}

impl Restricted {
    /// Puts restrictions around services.
    #[must_use]
    pub fn new(inner: Arc<dyn Services>, restrictions: &sdk::Restrictions) -> Self {
        Self { inner, budget: Mutex::new(Restrictions::new(Some(restrictions))) }
    }

    fn budget(&self) -> MutexGuard<'_, Restrictions> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for what is allowed and puts the answers where the guest expects them.
    async fn fetch(&self, request: GetSecretsRequest) -> Result<Vec<SecretResponse>, GuestText> {
        let split = self.budget().admit_secrets(request.requests);
        let requests = split.allowed().to_vec();
        let answers = if requests.is_empty() {
            Vec::new()
        } else {
            // The callback id belongs to the guest's call, which this is no longer.
            self.inner.secrets(GetSecretsRequest { requests, callback_id: 0 }).await?
        };
        split.place(answers, refusal).map_err(|error| GuestText::new(error.to_string()))
    }
}

impl Services for Restricted {
    fn call_capability(
        &self,
        request: CapabilityRequest,
    ) -> ServiceFuture<'_, Result<CapabilityResponse, GuestText>> {
        match self.budget().admit_call(&request) {
            Ok(()) => self.inner.call_capability(request),
            Err(denied) => Box::pin(async move { Err(GuestText::new(denied.to_guest())) }),
        }
    }

    fn secrets(
        &self,
        request: GetSecretsRequest,
    ) -> ServiceFuture<'_, Result<Vec<SecretResponse>, GuestText>> {
        Box::pin(self.fetch(request))
    }

    fn execution_id(&self) -> String {
        self.inner.execution_id()
    }

    fn node_time(&self) -> NodeTime {
        self.inner.node_time()
    }

    fn don_time(&self) -> ServiceFuture<'_, Result<SystemTime, NoDonTime>> {
        self.inner.don_time()
    }

    fn emit_log(&self, line: &[u8]) -> Result<(), NotEmitted> {
        self.inner.emit_log(line)
    }

    fn emit_metric(&self, metric: WorkflowUserMetric) -> Result<(), NotEmitted> {
        self.inner.emit_metric(metric)
    }
}

impl fmt::Debug for Restricted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restricted").finish_non_exhaustive()
    }
}

fn refusal(denied: SecretDenied) -> SecretResponse {
    let error = denied.to_string();
    let SecretDenied { id, namespace } = denied;
    let error = SecretError { id, namespace, owner: String::new(), error };
    SecretResponse { response: Some(SecretOutcome::Error(error)) }
}
