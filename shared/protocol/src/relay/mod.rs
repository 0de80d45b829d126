//! What an enclave asks relay nodes, and what they answer (relay-protocol 3).
//!
//! ```text
//! params ── attest ──> gateway ──> relay node: check, answer, sign ──> bundle ──> quorum::select
//! ```
//!
//! Both kinds of call have the same shape ([`Params`]): params that an attestation covers, a result
//! that each node signs together with the params, and a bundle of signed results.

use crypto::sign::{Domain, SigningKey};

use crate::{
    compute::ForwardedComputeRequest,
    hash::domain_hash,
    ids::{ResultHash, UserDataHash},
    json::{self, Bytes},
};

mod answer;
mod call;
mod hash;
mod secrets;
mod validate;

pub use answer::{AnswerError, SealedSecretError};
pub use call::{Caller, MAIN_NAMESPACE, requested};
pub use hash::{HashResultError, Hasher};
pub use secrets::{ReconcileError, Reconciled, reconcile};
pub use validate::ParamsError;

wire! {
    /// The name of a secret.
    #[derive(Eq, PartialOrd, Ord)]
    SecretIdentifier {
        /// The name within its namespace.
        key: String = "key";
        /// The namespace; `main` unless the workflow says otherwise.
        namespace: String = "namespace";
    }
}

wire! {
    /// The enclave's configuration as relay nodes read it; compare [`crate::config::EnclaveConfig`].
    EnclaveConfig {
        /// The members of the DON: ed25519 keys.
        signers: Option<Vec<Bytes>> = "signers";
        /// The vault's TDH2 key.
        master_public_key: Bytes = "master_public_key";
        /// The vault's threshold.
        t: u32 = "t";
        /// The fault bound of the DON.
        f: u32 = "f";
    }
}

wire! {
    /// A request for secrets.
    SecretsRequestParams {
        /// The workflow.
        workflow_id: String = "workflow_id";
        /// Its owner.
        owner: String = "owner";
        /// The execution in which the secrets are needed.
        execution_id: String = "execution_id";
        /// The owner's organization.
        org_id: String = "org_id", omit;
        /// The secrets.
        secrets: Option<Vec<SecretIdentifier>> = "secrets";
        /// The key to which shares are to be sealed, as hexadecimal digits.
        enclave_public_key: String = "enclave_public_key";
        /// What the enclave is configured with.
        enclave_config: Option<EnclaveConfig> = "enclave_config", omit;
        /// A document over these params without this member, in base64.
        attestation: String = "attestation", omit;
        /// The requests that made the enclave execute the workflow.
        signed_compute_requests: Option<Vec<ForwardedComputeRequest>> =
            "signed_compute_requests", omit;
    }
}

wire! {
    /// A call of a capability.
    CapabilityRequestParams {
        /// The workflow.
        workflow_id: String = "workflow_id";
        /// Its owner.
        owner: String = "owner";
        /// The execution that calls.
        execution_id: String = "execution_id";
        /// The owner's organization.
        org_id: String = "org_id", omit;
        /// Which call of the execution this is, in decimal digits.
        reference_id: String = "reference_id";
        /// The capability.
        capability_id: String = "capability_id";
        /// The call itself, a protobuf message in base64.
        payload: String = "payload";
        /// What the enclave is configured with.
        enclave_config: Option<EnclaveConfig> = "enclave_config", omit;
        /// A document over these params without this member, in base64.
        attestation: String = "attestation", omit;
    }
}

wire! {
    /// One secret, encrypted, with the shares that open it.
    #[derive(Eq, PartialOrd, Ord)]
    SecretEntry {
        /// The secret's name.
        id: SecretIdentifier = "id";
        /// The TDH2 ciphertext in base64.
        ciphertext: String = "ciphertext";
        /// Decryption shares, each sealed to the enclave's key, in base64.
        encrypted_shares: Option<Vec<String>> = "encrypted_shares";
    }
}

wire! {
    /// The answer to a request for secrets.
    #[derive(Eq, PartialOrd, Ord)]
    SecretsResult {
        /// The secrets.
        secrets: Option<Vec<SecretEntry>> = "secrets";
    }
}

wire! {
    /// The answer to a call of a capability: a payload or an error.
    #[derive(Eq, PartialOrd, Ord)]
    CapabilityResult {
        /// The capability's answer, a protobuf message in base64.
        payload: String = "payload", omit;
        /// Why the call failed.
        error: String = "error", omit;
    }
}

wire! {
    /// One node's signature.
    ResponseSignature {
        /// The key that is said to have signed: a hint, never proof.
        signer: Bytes = "signer";
        /// An ed25519 signature over the result's hash: 64 bytes.
        signature: Bytes = "signature";
    }
}

wire! {
    /// A result with one node's signature.
    SignedResult<R> {
        /// The answer.
        result: R = "result";
        /// A copy of the signature for old readers; nothing here reads it.
        signatures: Option<Vec<ResponseSignature>> = "signatures", omit;
        /// The signature.
        signature: ResponseSignature = "signature";
    }
}

wire! {
    /// What the gateway collected, unchecked.
    Bundle<R> {
        /// One signed result for each node that answered.
        responses: Option<Vec<SignedResult<R>>> = "responses";
    }
}

/// The params of one kind of call, with what belongs to that kind.
pub trait Params: hash::Hashed {
    /// The kind of call in texts.
    const KIND: &'static str;

    /// The JSON-RPC method.
    const METHOD: &'static str;

    /// The tag in what the params' attestation covers.
    const TAG: &'static str;

    /// Checks the params as everybody does before hashing (relay-protocol 4).
    ///
    /// # Errors
    ///
    /// The first [`ParamsError`] in the order of the specification.
    fn validate(&self) -> Result<(), ParamsError>;

    /// What failing that check is called when a hash was wanted.
    fn unhashable(reason: ParamsError) -> HashResultError;

    /// Checks the params and hashes them once, for any number of results.
    ///
    /// # Errors
    ///
    /// [`HashResultError`] if the params are not valid.
    fn hasher(&self) -> Result<Hasher<Self>, HashResultError> {
        self.validate().map_err(Self::unhashable)?;
        Ok(Hasher::new(self.start_hash()))
    }

    /// Hashes one result with the params it answers: what a node signs.
    ///
    /// # Errors
    ///
    /// [`HashResultError`] if the params are not valid.
    fn hash_result(&self, result: &Self::Result) -> Result<ResultHash, HashResultError> {
        Ok(self.hasher()?.hash(result))
    }

    /// The document that came with the params, in base64; empty for none.
    fn attestation(&self) -> &str;

    /// Puts a document into the params, or takes it out.
    fn set_attestation(&mut self, document: String);

    /// The bytes that the params' attestation covers: their JSON without the attestation.
    #[must_use]
    fn attested_bytes(&self) -> Vec<u8> {
        let mut bare = self.clone();
        bare.set_attestation(String::new());
        json::to_vec(&bare)
    }

    /// What the params' attestation must bind.
    #[must_use]
    fn user_data(&self) -> UserDataHash {
        domain_hash(Self::TAG, &self.attested_bytes()).into()
    }
}

impl<R> SignedResult<R> {
    /// Signs a result as a relay node: both members hold the one signature.
    ///
    /// # Errors
    ///
    /// [`HashResultError`] if the params are not valid.
    pub fn sign<P: Params<Result = R>>(
        params: &P,
        result: R,
        key: &SigningKey,
    ) -> Result<Self, HashResultError> {
        let hash = params.hash_result(&result)?;
        let signature = ResponseSignature {
            signer: key.public().as_bytes().as_slice().into(),
            signature: key
                .sign(Domain::RelayResponse, hash.as_bytes())
                .as_bytes()
                .as_slice()
                .into(),
        };
        Ok(Self { result, signatures: Some(vec![signature.clone()]), signature })
    }
}

#[cfg(test)]
pub(crate) mod tests;
