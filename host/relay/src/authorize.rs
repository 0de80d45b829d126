//! May this enclave ask this, for this owner? (relay-protocol 9.9)

use protocol::{
    committee::SignerSet,
    compute::ForwardedComputeRequest,
    ids::Owner,
    messages::confidential_workflow::WorkflowExecution,
    quorum::{self, ForwardedError, forwarded},
    quote::quote,
    relay::{CapabilityRequestParams, HashResultError, Params as _, SecretsRequestParams},
};

use crate::{
    attest::Attested,
    enclave_config::{self, EnclaveConfigError},
    payload::{self, MessageError, Payload, PayloadError},
    registry::WorkflowDon,
};

/// Params of a request that may be served: attested, configured as the registry says, authorized,
/// and valid. Only this module makes one, and nothing is waited for or asked before there is one.
#[derive(Debug)]
pub(crate) struct Authorized<P>(P);

/// The workflow DON did not ask for what the enclave does.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AuthorizeError {
    /// No quorum of the workflow DON stands behind one compute request.
    #[error(transparent)]
    Forwarded(#[from] ForwardedError),
    /// The public data is not an execution.
    #[error("failed to unmarshal workflow execution from public data: {0}")]
    PublicData(#[from] MessageError),
    /// One of the two owners is no address.
    #[error("invalid owner address")]
    OwnerForm,
    /// The DON signed for another owner.
    #[error(
        "owner not authorized: request {} vs signed {}",
        quote(.request.as_bytes()),
        quote(.signed.as_bytes())
    )]
    Owner {
        /// In the params.
        request: String,
        /// In the public data.
        signed: String,
    },
    /// The DON signed for another workflow.
    #[error(
        "workflow_id not authorized: request {} vs signed {}",
        quote(.request.as_bytes()),
        quote(.signed.as_bytes())
    )]
    Workflow {
        /// In the params.
        request: String,
        /// In the public data.
        signed: String,
    },
    /// The DON signed for another execution; the reference does not compare it.
    #[error("execution_id not authorized")]
    Execution,
    /// The DON signed for another organization; the reference does not compare it.
    #[error("org_id not authorized")]
    Org,
}

/// How many members have to have signed a compute request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quorum {
    /// F + 1: at least one honest member.
    #[default]
    Honest,
    /// 2F + 1: a majority of honest members.
    Bft,
}

/// Why a request is not served, once its document is believed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Denied {
    /// The enclave is configured otherwise.
    #[error(transparent)]
    EnclaveConfig(#[from] EnclaveConfigError),
    /// The workflow DON did not ask for it.
    #[error(transparent)]
    Authorize(#[from] AuthorizeError),
    /// The payload is no call, or another one.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The params break the rules for all params.
    #[error(transparent)]
    Params(#[from] HashResultError),
}

impl Quorum {
    fn of(self, don: &WorkflowDon) -> quorum::Quorum {
        match self {
            Self::Honest => quorum::Quorum::honest(don.faults()),
            Self::Bft => quorum::Quorum::bft(don.faults()),
        }
    }
}

impl<P> Authorized<P> {
    pub(crate) fn params(&self) -> &P {
        &self.0
    }
}

impl Authorized<SecretsRequestParams> {
    /// Holds a request for secrets to what the workflow DON signed.
    ///
    /// The rules for params come last, so that a peer hears what it would hear from the reference.
    pub(crate) fn secrets(
        attested: Attested<SecretsRequestParams>,
        quorum: Quorum,
    ) -> Result<Self, Denied> {
        let (params, registry) = (attested.params(), attested.snapshot());
        enclave_config::compare(params.enclave_config.as_ref(), registry)?;
        let requests = params.signed_compute_requests.as_deref().unwrap_or_default();
        let execution = signed_execution(requests, &registry.don, quorum)?;
        compare_execution(params, &execution)?;
        params.hasher()?;
        Ok(Self(attested.into_params()))
    }
}

impl Authorized<CapabilityRequestParams> {
    /// Holds a call of a capability to the registry, and takes the call out of its payload.
    ///
    /// Params of calls carry no signed compute requests (relay-protocol 3.5), so there is nothing the
    /// workflow DON could be asked about; what the enclave was measured as answers for the rest.
    pub(crate) fn capability(
        attested: Attested<CapabilityRequestParams>,
    ) -> Result<(Self, Payload), Denied> {
        let params = attested.params();
        enclave_config::compare(params.enclave_config.as_ref(), attested.snapshot())?;
        let payload = Payload::decode(&params.payload)?;
        params.hasher()?;
        payload.compare(params)?;
        Ok((Self(attested.into_params()), payload))
    }
}

/// The execution that a quorum of the DON asked for.
fn signed_execution(
    requests: &[ForwardedComputeRequest],
    don: &WorkflowDon,
    quorum: Quorum,
) -> Result<WorkflowExecution, AuthorizeError> {
    let members: SignerSet = don.members().iter().copied().collect();
    let request = forwarded(requests, &members, quorum.of(don))?.into_inner();
    let (execution, _) = payload::decode(request.public_data.as_slice())?;
    Ok(execution)
}

fn compare_execution(
    params: &SecretsRequestParams,
    execution: &WorkflowExecution,
) -> Result<(), AuthorizeError> {
    let owner = |text: &str| Owner::parse(text).ok().ok_or(AuthorizeError::OwnerForm);
    if owner(&params.owner)? != owner(&execution.owner)? {
        let (request, signed) = (params.owner.clone(), execution.owner.clone());
        return Err(AuthorizeError::Owner { request, signed });
    }
    if params.workflow_id != execution.workflow_id {
        let (request, signed) = (params.workflow_id.clone(), execution.workflow_id.clone());
        return Err(AuthorizeError::Workflow { request, signed });
    }
    if params.execution_id != execution.execution_id {
        return Err(AuthorizeError::Execution);
    }
    if params.org_id != execution.org_id {
        return Err(AuthorizeError::Org);
    }
    Ok(())
}
