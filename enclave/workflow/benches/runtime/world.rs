//! The embedder that is measured with: it answers calls with what they asked, after a while.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use enclave_workflow::{
    Engine, GuestText, Limits, Module, NoDonTime, NodeTime, NotEmitted, Request, ServiceFuture,
    Services,
};
use protocol::messages::{
    sdk::{
        CapabilityOutcome, CapabilityRequest, CapabilityResponse, GetSecretsRequest, SecretResponse,
    },
    telemetry::WorkflowUserMetric,
};
use tokio_util::sync::CancellationToken;

/// Answers after this time.
pub(crate) struct World(pub(crate) Duration);

/// Runs a module once and returns its encoded result.
pub(crate) async fn run(engine: &Engine, module: &Module, request: &[u8], world: World) -> Vec<u8> {
    let request = Request::new(request.to_vec(), "");
    let (limits, cancel) = (Limits::default(), CancellationToken::new());
    let ended = engine.run(module, request, Arc::new(world), &limits, &cancel).await;
    ended.result.expect("a run with a result").encoded
}

impl Services for World {
    fn call_capability(
        &self,
        request: CapabilityRequest,
    ) -> ServiceFuture<'_, Result<CapabilityResponse, GuestText>> {
        Box::pin(async move {
            if !self.0.is_zero() {
                tokio::time::sleep(self.0).await;
            }
            let payload = CapabilityOutcome::Payload(request.payload.unwrap_or_default());
            Ok(CapabilityResponse { response: Some(payload) })
        })
    }

    fn secrets(
        &self,
        _request: GetSecretsRequest,
    ) -> ServiceFuture<'_, Result<Vec<SecretResponse>, GuestText>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn execution_id(&self) -> String {
        "id".to_owned()
    }

    fn node_time(&self) -> NodeTime {
        NodeTime { wall: UNIX_EPOCH + Duration::from_secs(7), monotonic: Duration::ZERO }
    }

    fn don_time(&self) -> ServiceFuture<'_, Result<SystemTime, NoDonTime>> {
        Box::pin(async { Ok(UNIX_EPOCH + Duration::from_secs(7)) })
    }

    fn emit_log(&self, _line: &[u8]) -> Result<(), NotEmitted> {
        Ok(())
    }

    fn emit_metric(&self, _metric: WorkflowUserMetric) -> Result<(), NotEmitted> {
        Ok(())
    }
}
