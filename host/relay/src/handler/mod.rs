//! One request of an enclave, from its params to a signed result (relay-protocol 9.4 and 9.5).
//!
//! ```text
//! decode ── attest ── enclave config ── authorize ── the params' own rules ──> Authorized
//!                                                                                  │
//!       sign <── translate <── vault or capability <── execution, if need be waited for
//! ```
//!
//! All checks come before the wait and before anything is asked, so nobody without the right to an
//! answer makes this node wait or ask.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use attestation::TrustRoot;
use crypto::sign::SigningKey;
use futures_util::FutureExt as _;
use protocol::{
    base64,
    clock::Clock,
    json::{self, DecodeError, RawJson},
    limits::EXECUTION_WAIT,
    messages::{Described as _, sdk::CapabilityResponse, sdk::SecretRequest},
    proto,
    relay::{
        CapabilityRequestParams, CapabilityResult, HashResultError, Params, SecretsRequestParams,
        SignedResult,
    },
    rpc,
};
use tokio::time::Instant;

use crate::{
    attest::Attestation,
    authorize::{Authorized, Denied, Quorum},
    capabilities::{Call, Tenant},
    execution::{Ask, Execution, Facts},
    executions::{Executions, NotRunning},
    payload::Payload,
    registry::Registry,
    vault::{Round, answer},
};

mod refusal;

pub use refusal::ServeError;

/// What a relay node needs to serve requests.
pub struct Setup {
    /// Where the workflow DON, the trusted enclaves and the vault's key are looked up.
    pub registry: Registry,
    /// The root that enclaves' documents have to chain to.
    pub root: TrustRoot,
    /// The executions that are served.
    pub executions: Executions,
    /// The key that signs results: the node's peer-to-peer key.
    pub key: SigningKey,
    /// How many members have to have signed a compute request.
    pub quorum: Quorum,
    /// Whether an organization is passed on to the vault.
    pub passes_org_on: bool,
    /// How long one request may take.
    pub deadline: Duration,
    /// By what time documents are judged.
    pub clock: Arc<dyn Clock>,
}

/// Serves requests, any number at a time.
pub struct Handler {
    attestation: Attestation,
    executions: Executions,
    key: SigningKey,
    quorum: Quorum,
    passes_org_on: bool,
    deadline: Duration,
    clock: Arc<dyn Clock>,
}

/// Why a frame gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is not the JSON of a request.
    #[error("the frame is no request: {0}")]
    Decode(#[from] DecodeError),
    /// Its method is served by nobody here.
    #[error("the frame's method is not served")]
    Method,
}

impl Handler {
    /// A handler for one node.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let Setup { registry, root, executions, key, quorum, passes_org_on, deadline, clock } =
            setup;
        let attestation = Attestation::new(registry, root);
        Self { attestation, executions, key, quorum, passes_org_on, deadline, clock }
    }

    /// The key that signs results.
    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Reads a frame of the gateway: a request of a method that is served. The version is not looked
    /// at, and params may be missing (relay-protocol 9.2).
    ///
    /// # Errors
    ///
    /// [`FrameError`]; such a frame gets no answer.
    pub fn read(frame: &[u8]) -> Result<rpc::Request, FrameError> {
        let request: rpc::Request = json::from_slice(frame)?;
        match request.method.as_str() {
            SecretsRequestParams::METHOD | CapabilityRequestParams::METHOD => Ok(request),
            _ => Err(FrameError::Method),
        }
    }

    /// Answers one request, whatever happens. A failure is logged with its cause and told without.
    pub async fn answer(&self, request: &rpc::Request) -> rpc::Response {
        let served = self.serve(request).await;
        if let Err(error) = &served {
            let id: String = request.id.chars().take(LONGEST_LOGGED_ID).collect();
            tracing::warn!(?id, code = error.told().0, %error, "request refused");
        }
        response(request, served)
    }

    /// Serves one request: its signed result in JSON.
    ///
    /// # Errors
    ///
    /// [`ServeError`], in the order of its variants; a panic is one too.
    pub async fn serve(&self, request: &rpc::Request) -> Result<RawJson, ServeError> {
        let params = request.params.as_ref();
        let deadline = Instant::now().checked_add(self.deadline).unwrap_or_else(Instant::now);
        let serve = async {
            match request.method.as_str() {
                SecretsRequestParams::METHOD => self.secrets(params, deadline).await,
                CapabilityRequestParams::METHOD => self.capability(params, deadline).await,
                method => Err(ServeError::Method(method.to_owned())),
            }
        };
        let served = AssertUnwindSafe(serve).catch_unwind().await;
        served.unwrap_or(Err(ServeError::Panicked))
    }

    async fn secrets(
        &self,
        params: Option<&RawJson>,
        deadline: Instant,
    ) -> Result<RawJson, ServeError> {
        let attested = self.attestation.verify(decode(params)?, self.clock.now()).await?;
        let authorized = Authorized::<SecretsRequestParams>::secrets(attested, self.quorum)?;
        let params = authorized.params();
        let (workflow, execution) = (params.workflow_id.as_str(), params.execution_id.as_str());
        let facts = Facts {
            owner: &params.owner,
            phase_id: execution,
            org_id: &params.org_id,
            ..Facts::default()
        };
        let execution = self.execution(workflow, execution, facts, deadline).await?;
        let ask = Ask {
            round: Round::of(params),
            secrets: params.secrets.iter().flatten().map(secret_request).collect(),
            key: &params.enclave_public_key,
            org_of: Some(workflow).filter(|_| self.passes_org_on),
        };
        let answer = execution.secrets(ask, deadline).await?;
        let result = answer::translate(answer, &params.enclave_public_key)?;
        self.sign(params, result)
    }

    async fn capability(
        &self,
        params: Option<&RawJson>,
        deadline: Instant,
    ) -> Result<RawJson, ServeError> {
        let attested = self.attestation.verify(decode(params)?, self.clock.now()).await?;
        let (authorized, Payload { request, encoded }) =
            Authorized::<CapabilityRequestParams>::capability(attested)?;
        let params = authorized.params();
        let facts = Facts {
            owner: &params.owner,
            phase_id: &params.execution_id,
            org_id: &params.org_id,
            ..Facts::default()
        };
        let (workflow, execution) = (params.workflow_id.as_str(), params.execution_id.as_str());
        let execution = self.execution(workflow, execution, facts, deadline).await?;
        let tenant = Tenant::new(&params.org_id, &params.owner, workflow);
        let result = match execution.call(Call { tenant, request, encoded }, deadline).await {
            Ok(response) => CapabilityResult {
                payload: base64::encode(&canonical_response(&response)?),
                error: String::new(),
            },
            Err(failure) => CapabilityResult { payload: String::new(), error: failure.into_text() },
        };
        self.sign(params, result)
    }

    /// Finds the execution, waiting for it as long as the specification and the deadline allow.
    async fn execution(
        &self,
        workflow: &str,
        execution: &str,
        facts: Facts<'_>,
        deadline: Instant,
    ) -> Result<Arc<Execution>, NotRunning> {
        let wait = Instant::now().checked_add(EXECUTION_WAIT).unwrap_or(deadline);
        let key = (workflow.into(), execution.into());
        self.executions.find(key, facts, wait.min(deadline)).await
    }

    fn sign<P: Params>(&self, params: &P, result: P::Result) -> Result<RawJson, ServeError> {
        let signed = SignedResult::sign(params, result, &self.key);
        let signed = signed.map_err(|error: HashResultError| Denied::from(error))?;
        Ok(RawJson::of(&signed))
    }
}

/// What the peer hears of an outcome.
#[must_use]
pub fn response(request: &rpc::Request, served: Result<RawJson, ServeError>) -> rpc::Response {
    let (id, method) = (&request.id, &request.method);
    match served {
        Ok(result) => rpc::Response::result(id, method, &result),
        Err(error) => {
            let (code, message) = error.told();
            rpc::Response::error(id, method, code, message)
        }
    }
}

fn decode<P: Params>(params: Option<&RawJson>) -> Result<P, ServeError> {
    let params = params.ok_or(ServeError::NoParams)?;
    Ok(json::from_slice(params.as_str().as_bytes())?)
}

fn secret_request(id: &protocol::relay::SecretIdentifier) -> SecretRequest {
    SecretRequest { id: id.key.clone(), namespace: id.namespace.clone() }
}

fn canonical_response(response: &[u8]) -> Result<Vec<u8>, ServeError> {
    proto::canonical(CapabilityResponse::schema(), response).map_err(ServeError::Response)
}

/// Characters of an id in the log: a UUID takes 36, and ids are the caller's to choose.
const LONGEST_LOGGED_ID: usize = 64;

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setup(of {})", self.key.public())
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handler(of {})", self.key.public())
    }
}

#[cfg(test)]
mod tests;
