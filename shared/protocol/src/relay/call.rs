//! The enclave's side of a call: params from what an execution knows (relay-protocol 7.1).

use crypto::seal::EphemeralPublicKey;

use super::{CapabilityRequestParams, EnclaveConfig, SecretIdentifier, SecretsRequestParams};
use crate::{
    base64,
    compute::SignedComputeRequest,
    config,
    ids::{ExecutionId, OrgId, Owner, ReferenceId, WorkflowId},
    messages::{
        self,
        confidential_workflow::WorkflowExecution,
        sdk::{CapabilityRequest, GetSecretsRequest},
    },
};

/// Who calls: one execution of one workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Its owner.
    pub owner: Owner,
    /// The execution.
    pub execution_id: ExecutionId,
    /// The owner's organization; may be empty.
    pub org_id: OrgId,
}

impl From<&WorkflowExecution> for Caller {
    fn from(execution: &WorkflowExecution) -> Self {
        Self {
            workflow_id: execution.workflow_id.as_str().into(),
            owner: Owner::normalised(&execution.owner),
            execution_id: execution.execution_id.as_str().into(),
            org_id: execution.org_id.as_str().into(),
        }
    }
}

impl CapabilityRequestParams {
    /// The params of one call, without an attestation.
    #[must_use]
    pub fn new(
        caller: &Caller,
        request: &CapabilityRequest,
        config: &config::EnclaveConfig,
    ) -> Self {
        Self {
            workflow_id: caller.workflow_id.as_str().to_owned(),
            owner: caller.owner.to_string(),
            execution_id: caller.execution_id.as_str().to_owned(),
            org_id: caller.org_id.as_str().to_owned(),
            reference_id: ReferenceId(request.callback_id).to_string(),
            capability_id: request.id.clone(),
            payload: base64::encode(&messages::encode(request)),
            enclave_config: Some(config.into()),
            attestation: String::new(),
        }
    }
}

impl SecretsRequestParams {
    /// The params of one request, without an attestation.
    ///
    /// Secrets are asked for in the order of the workflow's request, repeated ones too; an empty
    /// namespace means [`MAIN_NAMESPACE`]. `batch` is what the enclave accepted, unchanged.
    #[must_use]
    pub fn new(
        caller: &Caller,
        request: &GetSecretsRequest,
        enclave_key: &EphemeralPublicKey,
        config: &config::EnclaveConfig,
        batch: &[SignedComputeRequest],
    ) -> Self {
        Self {
            workflow_id: caller.workflow_id.as_str().to_owned(),
            owner: caller.owner.to_string(),
            execution_id: caller.execution_id.as_str().to_owned(),
            org_id: caller.org_id.as_str().to_owned(),
            secrets: Some(requested(request)),
            enclave_public_key: hex::encode(enclave_key.as_bytes()),
            enclave_config: Some(config.into()),
            attestation: String::new(),
            signed_compute_requests: Some(batch.iter().cloned().map(Into::into).collect()),
        }
    }
}

/// The identifiers that a workflow's request stands for, one for each of its entries.
#[must_use]
pub fn requested(request: &GetSecretsRequest) -> Vec<SecretIdentifier> {
    let identifier = |secret: &messages::sdk::SecretRequest| {
        let namespace =
            if secret.namespace.is_empty() { MAIN_NAMESPACE } else { secret.namespace.as_str() };
        SecretIdentifier { key: secret.id.clone(), namespace: namespace.to_owned() }
    };
    request.requests.iter().map(identifier).collect()
}

impl From<&config::EnclaveConfig> for EnclaveConfig {
    /// The enclave writes its signers as a list in any case, and no key as `null`.
    fn from(config: &config::EnclaveConfig) -> Self {
        let key = Some(config.master_public_key.as_slice()).filter(|key| !key.is_empty());
        Self {
            signers: Some(config.signers.clone().unwrap_or_default()),
            master_public_key: key.map(<[u8]>::to_vec).into(),
            t: config.t,
            f: config.f,
        }
    }
}

/// The namespace of secrets whose request names none.
pub const MAIN_NAMESPACE: &str = "main";
