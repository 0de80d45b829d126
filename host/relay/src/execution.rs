//! One execution and what it may ask for.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::{
    ids::OrgId,
    messages::{
        sdk::{self, SecretRequest},
        vault::{GetSecretsResponse, SecretIdentifier, SecretResponse, SecretResult},
    },
    restrictions::{AnswerCountError, Restrictions},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    capabilities::{Call, Capabilities, Failure},
    vault::{Metadata, OwnerError, Request, Round, Vault, VaultError, payload},
};

/// One execution, with what it may ask for.
pub struct Execution {
    owner: String,
    workflow_name: String,
    phase_id: String,
    org_id: OrgId,
    restrictions: Mutex<Restrictions>,
    vault: Arc<dyn Vault>,
    capabilities: Arc<dyn Capabilities>,
}

/// What a node knows of an execution, besides its ids.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// The workflow's owner, as the node knows it.
    pub owner: &'a str,
    /// The workflow's name.
    pub workflow_name: &'a str,
    /// The phase of the execution.
    pub phase_id: &'a str,
    /// The owner's organization; may be empty.
    pub org_id: &'a str,
    /// What a pre-hook allows.
    pub restrictions: Option<&'a sdk::Restrictions>,
}

/// Why an execution gets no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// Its owner is no address.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The vault gave no answer.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The vault answered more or less than was asked under restrictions.
    #[error("the vault gave {0}")]
    AnswerCount(#[from] AnswerCountError),
}

/// A request for secrets on behalf of an execution.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    /// The round among all nodes.
    pub(crate) round: Round,
    /// The secrets, in order.
    pub(crate) secrets: Vec<SecretRequest>,
    /// The enclave's key, as text.
    pub(crate) key: &'a str,
    /// The workflow, where the organization is passed on.
    pub(crate) org_of: Option<&'a str>,
}

impl Execution {
    /// An execution with what it may ask for.
    #[must_use]
    pub fn new(
        facts: &Facts<'_>,
        vault: Arc<dyn Vault>,
        capabilities: Arc<dyn Capabilities>,
    ) -> Self {
        Self {
            owner: facts.owner.to_owned(),
            workflow_name: facts.workflow_name.to_owned(),
            phase_id: facts.phase_id.to_owned(),
            org_id: facts.org_id.into(),
            restrictions: Mutex::new(Restrictions::new(facts.restrictions)),
            vault,
            capabilities,
        }
    }

    /// Fetches secrets; what the restrictions refuse is not asked for and answered by a refusal in its
    /// place.
    ///
    /// `org_of` is the workflow, where nodes pass an organization on.
    pub(crate) async fn secrets(
        &self,
        ask: Ask<'_>,
        deadline: Instant,
    ) -> Result<GetSecretsResponse, SecretsError> {
        let limited = !self.restrictions().is_unlimited();
        let split = self.restrictions().admit_secrets(ask.secrets);
        let mut answer = GetSecretsResponse::default();
        if !(limited && split.allowed().is_empty()) {
            let request = Request {
                round: ask.round,
                metadata: self.metadata(ask.org_of),
                payload: payload(split.allowed(), &self.owner, ask.key)?,
            };
            answer = timeout_at(deadline, self.vault.secrets(request))
                .await
                .unwrap_or(Err(VaultError::Deadline))?;
        }
        if limited {
            answer.responses = split.place(answer.responses, |denied| SecretResponse {
                result: Some(SecretResult::Error(denied.to_string())),
                id: Some(SecretIdentifier {
                    key: denied.id,
                    namespace: denied.namespace,
                    owner: self.owner.clone(),
                }),
            })?;
        }
        Ok(answer)
    }

    /// Calls a capability, unless the restrictions refuse the call.
    pub(crate) async fn call(&self, call: Call, deadline: Instant) -> Result<Vec<u8>, Failure> {
        let admitted = self.restrictions().admit_call(&call.request);
        admitted.map_err(|denied| Failure::new(denied.to_peer()))?;
        timeout_at(deadline, self.capabilities.call(call))
            .await
            .unwrap_or_else(|_elapsed| Err(Failure::deadline()))
    }

    fn metadata(&self, org_of: Option<&str>) -> Metadata {
        let metadata =
            Metadata::of_phase(&self.owner, &self.workflow_name, &self.phase_id, REFERENCE);
        match org_of.filter(|_| !self.org_id.as_str().is_empty()) {
            Some(workflow) => Metadata {
                workflow_id: Some(workflow.into()),
                org_id: Some(self.org_id.clone()),
                ..metadata
            },
            None => metadata,
        }
    }

    /// The counters are whole after every change, so a panic elsewhere does not spoil them.
    fn restrictions(&self) -> MutexGuard<'_, Restrictions> {
        self.restrictions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Execution(of {})", self.owner)
    }
}

/// The callback id of requests for secrets: this revision of the params does not carry one.
const REFERENCE: &str = "0";
