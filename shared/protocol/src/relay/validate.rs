//! The rules for params (relay-protocol 4): one function for nodes that sign and for the enclave.

use super::{CapabilityRequestParams, EnclaveConfig, SecretsRequestParams};

/// Why params are not valid; the texts are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// A text is empty.
    #[error("{0} is required")]
    Missing(&'static str),
    /// The owner is not `0x` and 40 hexadecimal digits.
    #[error("owner must be a 0x-prefixed 20-byte hex address")]
    Owner,
    /// The enclave's key is not hexadecimal.
    #[error("enclave_public_key must be hex-encoded")]
    EnclavePublicKey,
    /// No secret is asked for.
    #[error("secrets must be non-empty")]
    NoSecrets,
    /// A secret has no name.
    #[error("secrets[{0}].key is required")]
    SecretKey(usize),
    /// A secret has no namespace.
    #[error("secrets[{0}].namespace is required")]
    SecretNamespace(usize),
    /// The configuration has no signers.
    #[error("enclave_config.signers must be non-empty")]
    NoSigners,
    /// A signer is empty.
    #[error("enclave_config.signers[{0}] is empty")]
    EmptySigner(usize),
    /// The fault bound is zero.
    #[error("enclave_config.f must be > 0")]
    ZeroFaultBound,
    /// The vault's key is empty.
    #[error("enclave_config.master_public_key must be non-empty")]
    NoMasterPublicKey,
}

/// Relay-protocol 4.1.
pub(super) fn secrets(params: &SecretsRequestParams) -> Result<(), ParamsError> {
    identity(&params.workflow_id, &params.owner, &params.execution_id)?;
    required("enclave_public_key", &params.enclave_public_key)?;
    if !is_hex(&params.enclave_public_key) {
        return Err(ParamsError::EnclavePublicKey);
    }
    let secrets = params.secrets.as_deref().unwrap_or_default();
    if secrets.is_empty() {
        return Err(ParamsError::NoSecrets);
    }
    for (index, secret) in secrets.iter().enumerate() {
        if secret.key.is_empty() {
            return Err(ParamsError::SecretKey(index));
        }
        if secret.namespace.is_empty() {
            return Err(ParamsError::SecretNamespace(index));
        }
    }
    params.enclave_config.as_ref().map_or(Ok(()), enclave_config)
}

/// Relay-protocol 4.2.
pub(super) fn capability(params: &CapabilityRequestParams) -> Result<(), ParamsError> {
    identity(&params.workflow_id, &params.owner, &params.execution_id)?;
    required("reference_id", &params.reference_id)?;
    required("capability_id", &params.capability_id)?;
    required("payload", &params.payload)?;
    params.enclave_config.as_ref().map_or(Ok(()), enclave_config)
}

fn identity(workflow_id: &str, owner: &str, execution_id: &str) -> Result<(), ParamsError> {
    required("workflow_id", workflow_id)?;
    required("owner", owner)?;
    if !owner.strip_prefix("0x").is_some_and(|digits| digits.len() == 40 && is_hex(digits)) {
        return Err(ParamsError::Owner);
    }
    required("execution_id", execution_id)
}

fn enclave_config(config: &EnclaveConfig) -> Result<(), ParamsError> {
    let signers = config.signers.as_deref().unwrap_or_default();
    if signers.is_empty() {
        return Err(ParamsError::NoSigners);
    }
    if let Some(index) = signers.iter().position(|signer| signer.as_slice().is_empty()) {
        return Err(ParamsError::EmptySigner(index));
    }
    if config.f == 0 {
        return Err(ParamsError::ZeroFaultBound);
    }
    if config.master_public_key.as_slice().is_empty() {
        return Err(ParamsError::NoMasterPublicKey);
    }
    Ok(())
}

fn required(name: &'static str, text: &str) -> Result<(), ParamsError> {
    if text.is_empty() { Err(ParamsError::Missing(name)) } else { Ok(()) }
}

fn is_hex(text: &str) -> bool {
    text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
