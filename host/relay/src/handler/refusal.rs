//! The one place where a failure becomes what the peer hears.

use protocol::{json::DecodeError, proto::WireError, rpc::code};

use crate::{
    attest::AttestationError, authorize::Denied, execution::SecretsError, executions::NotRunning,
    vault::answer::TranslateError,
};

/// Why a request gets no result, in the order of the checks.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No such method is served.
    #[error("unsupported method: {0}")]
    Method(String),
    /// There are no params.
    #[error("missing params")]
    NoParams,
    /// The params are not in their form.
    #[error("{0}")]
    Params(#[from] DecodeError),
    /// The params are not believed to come from a trusted enclave.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    /// The enclave may not ask for this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The execution does not run here.
    #[error(transparent)]
    NotRunning(#[from] NotRunning),
    /// The execution gets no secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The vault's answer is no result.
    #[error(transparent)]
    Translate(#[from] TranslateError),
    /// The capability's answer is no message.
    #[error("marshalling capability response: {0}")]
    Response(WireError),
    /// The task that served the request panicked.
    #[error("the request's task panicked")]
    Panicked,
}

impl ServeError {
    /// The JSON-RPC code and message that the peer hears: `internal error` hides whatever is not the
    /// peer's business (relay-protocol 9.3).
    #[must_use]
    pub fn told(&self) -> (i64, String) {
        match self {
            // Go's decoder tolerates these and the reference refuses them one step later: what it
            // encodes again is not what the enclave attested.
            Self::Params(
                DecodeError::ArrayLength { .. }
                | DecodeError::BytesAsNumbers { .. }
                | DecodeError::Duplicate { .. }
                | DecodeError::Folded { .. }
                | DecodeError::Null { .. },
            ) => (code::INTERNAL, INTERNAL.to_owned()),
            Self::Method(_) => (code::METHOD_NOT_FOUND, self.to_string()),
            Self::NoParams
            | Self::Params(_)
            | Self::Denied(Denied::Authorize(_) | Denied::Payload(_))
            | Self::Translate(TranslateError::User { .. }) => {
                (code::INVALID_PARAMS, self.to_string())
            }
            Self::Attestation(_)
            | Self::Denied(Denied::EnclaveConfig(_) | Denied::Params(_))
            | Self::NotRunning(_)
            | Self::Secrets(_)
            | Self::Translate(
                TranslateError::System { .. }
                | TranslateError::NoData { .. }
                | TranslateError::Ciphertext { .. }
                | TranslateError::Share
                | TranslateError::NoShares { .. },
            )
            | Self::Response(_)
            | Self::Panicked => (code::INTERNAL, INTERNAL.to_owned()),
        }
    }
}

/// What peers hear of all that is not their business.
const INTERNAL: &str = "internal error";
