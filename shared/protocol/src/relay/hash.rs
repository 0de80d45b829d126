//! What a relay node signs (relay-protocol 5.1 to 5.3).

use std::marker::PhantomData;

use super::{
    CapabilityRequestParams, CapabilityResult, EnclaveConfig, Params, ParamsError, SecretEntry,
    SecretIdentifier, SecretsRequestParams, SecretsResult, validate,
};
use crate::{
    hash::Canonical,
    ids::ResultHash,
    json::{Bytes, Wire},
};

/// A result cannot be hashed, because the params it answers are not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashResultError {
    /// The params of a call of a capability.
    #[error("invalid capability request params: {0}")]
    Capability(ParamsError),
    /// The params of a request for secrets.
    #[error("invalid secrets request params: {0}")]
    Secrets(ParamsError),
}

/// The hash of valid params, to be continued with one result after another.
#[derive(Clone, Debug)]
pub struct Hasher<P> {
    prefix: Canonical,
    params: PhantomData<P>,
}

/// How params and results are hashed. [`Params::hasher`] is the way to it: it validates the params first.
pub trait Hashed: Wire + Clone {
    /// What a node answers.
    type Result: Wire + Clone + Default + Ord;

    /// The hash of the params, to be continued with a result.
    fn start_hash(&self) -> Canonical;

    /// Continues the hash of params with a result.
    fn continue_hash(params: Canonical, result: &Self::Result) -> Canonical;
}

impl<P: Params> Hasher<P> {
    pub(super) fn new(prefix: Canonical) -> Self {
        Self { prefix, params: PhantomData }
    }

    /// Hashes a result.
    #[must_use]
    pub fn hash(&self, result: &P::Result) -> ResultHash {
        #[cfg(test)]
        tests::HASHES.set(tests::HASHES.get().saturating_add(1));
        P::continue_hash(self.prefix.clone(), result).finish().into()
    }
}

impl Hashed for SecretsRequestParams {
    type Result = SecretsResult;

    fn start_hash(&self) -> Canonical {
        let mut requested: Vec<_> = self.secrets.iter().flatten().collect();
        requested.sort_unstable_by_key(|id| (&id.namespace, &id.key));
        let hash = Canonical::of("SecretsResponseResult")
            .field(&self.workflow_id)
            .field(&self.owner)
            .field(&self.execution_id)
            .field(&self.org_id)
            .count(requested.len());
        let hash = requested.into_iter().fold(hash, identifier).field(&self.enclave_public_key);
        config_block(hash, self.enclave_config.as_ref())
    }

    fn continue_hash(params: Canonical, result: &SecretsResult) -> Canonical {
        let mut entries: Vec<_> = result.secrets.iter().flatten().collect();
        // Stable, so that entries which differ in their shares only keep their order; no honest
        // node sends such entries.
        entries.sort_by_key(|entry| (&entry.id.namespace, &entry.id.key, &entry.ciphertext));
        let hash = params.count(entries.len());
        entries.into_iter().fold(hash, secret)
    }
}

impl Params for SecretsRequestParams {
    const KIND: &'static str = "secrets";
    const METHOD: &'static str = "confidential.secrets.get";
    const TAG: &'static str = "ConfidentialSecretsGet";

    fn validate(&self) -> Result<(), ParamsError> {
        validate::secrets(self)
    }

    fn unhashable(reason: ParamsError) -> HashResultError {
        HashResultError::Secrets(reason)
    }

    fn attestation(&self) -> &str {
        &self.attestation
    }

    fn set_attestation(&mut self, document: String) {
        self.attestation = document;
    }
}

impl Hashed for CapabilityRequestParams {
    type Result = CapabilityResult;

    fn start_hash(&self) -> Canonical {
        let hash = Canonical::of("CapabilityResponseResult")
            .field(&self.workflow_id)
            .field(&self.owner)
            .field(&self.execution_id)
            .field(&self.org_id)
            .field(&self.reference_id)
            .field(&self.capability_id)
            .field(&self.payload);
        config_block(hash, self.enclave_config.as_ref())
    }

    fn continue_hash(params: Canonical, result: &CapabilityResult) -> Canonical {
        params.field(&result.payload).field(&result.error)
    }
}

impl Params for CapabilityRequestParams {
    const KIND: &'static str = "capability";
    const METHOD: &'static str = "confidential.capability.execute";
    const TAG: &'static str = "ConfidentialCapabilityExecute";

    fn validate(&self) -> Result<(), ParamsError> {
        validate::capability(self)
    }

    fn unhashable(reason: ParamsError) -> HashResultError {
        HashResultError::Capability(reason)
    }

    fn attestation(&self) -> &str {
        &self.attestation
    }

    fn set_attestation(&mut self, document: String) {
        self.attestation = document;
    }
}

/// Relay-protocol 5.1: signers in the order of their bytes. No configuration is no bytes.
fn config_block(hash: Canonical, config: Option<&EnclaveConfig>) -> Canonical {
    let Some(config) = config else { return hash };
    let mut signers: Vec<&Bytes> = config.signers.iter().flatten().collect();
    signers.sort_unstable_by_key(|signer| signer.as_slice());
    hash.fields(signers.iter()).field(&config.master_public_key).u32(config.t).u32(config.f)
}

fn identifier(hash: Canonical, id: &SecretIdentifier) -> Canonical {
    hash.field(&id.key).field(&id.namespace)
}

fn secret(hash: Canonical, entry: &SecretEntry) -> Canonical {
    let mut shares: Vec<&String> = entry.encrypted_shares.iter().flatten().collect();
    shares.sort_unstable();
    identifier(hash, &entry.id).field(&entry.ciphertext).fields(shares.iter())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    thread_local! {
        /// Results that this thread hashed.
        pub(crate) static HASHES: Cell<usize> = const { Cell::new(0) };
    }
}
