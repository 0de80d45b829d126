//! The request that a workflow DON signs and an enclave executes (relay-protocol 3.6, 5.4).

use std::collections::BTreeMap;

use crypto::{
    seal::EphemeralPublicKey,
    sign::{Domain, SigningKey},
};

use crate::{
    hash::Canonical,
    ids::{ExecutionId, RequestHash, RequestId},
    json::Bytes,
    messages::{self, confidential_workflow::WorkflowExecution},
};

wire! {
    /// A compute request without a signature.
    ComputeRequest {
        /// The identifier of the request.
        request_id: RequestId = "requestID";
        /// The caller's name for the request: the execution id.
        application_request_id: String = "applicationRequestID";
        /// What is to be executed: a [`WorkflowExecution`].
        public_data: Bytes = "publicData";
        /// Secrets that come with the request, each a TDH2 ciphertext.
        ciphertexts: Option<Vec<Bytes>> = "ciphertexts";
        /// The secrets' names, one for each ciphertext.
        ciphertext_names: Option<Vec<String>> = "CiphertextNames";
        /// For each ciphertext the sealed shares of one node.
        encrypted_decryption_key_shares: Option<Vec<Option<Vec<Bytes>>>> =
            "encryptedDecryptionKeyShares";
        /// The enclave key to which shares are sealed: 32 bytes.
        enclave_ephemeral_public_key: Bytes = "enclaveEphemeralPublicKey";
        /// Part of the hash, read by nobody.
        master_public_key: Bytes = "masterPublicKey";
        /// The application that is asked.
        app_id: String = "appID";
        /// The version of the protocol; it decides what the hash covers.
        version: String = "version";
    }
}

wire! {
    /// A compute request with one node's signature, as the enclave takes and forwards it.
    SignedComputeRequest, flat request: ComputeRequest {
        /// An ed25519 signature over the request's hash: 64 bytes.
        signature: Bytes = "signature";
    }
}

wire! {
    /// A compute request as relay nodes read it: what an enclave forwards, and one member more.
    ForwardedComputeRequest, flat signed: SignedComputeRequest {
        /// Data for single nodes; enclaves never set it.
        per_node_data: Option<BTreeMap<String, String>> = "perNodeData", omit;
    }
}

/// Signed compute requests in the order in which they came: what an enclave is sent.
pub type Batch = Vec<SignedComputeRequest>;

impl ComputeRequest {
    /// The request to execute a workflow in the enclave that holds `key`.
    #[must_use]
    pub fn for_execution(execution: &WorkflowExecution, key: &EphemeralPublicKey) -> Self {
        let execution_id = ExecutionId::from(execution.execution_id.as_str());
        Self {
            request_id: RequestId::of_execution(&execution_id),
            application_request_id: execution_id.into_string(),
            public_data: messages::encode(execution).into(),
            enclave_ephemeral_public_key: key.as_bytes().as_slice().into(),
            app_id: APP_ID.to_owned(),
            version: VERSION.to_owned(),
            ..Self::default()
        }
    }

    /// What signers sign. Shares are left out; the version decides whether it or the application's
    /// request id closes the hash.
    #[must_use]
    pub fn hash(&self) -> RequestHash {
        let names = self.ciphertext_names.as_deref().unwrap_or_default();
        let ciphertexts = self.ciphertexts.as_deref().unwrap_or_default();
        Canonical::of("ComputeRequest")
            .fixed(self.request_id.as_bytes())
            .field(&self.public_data)
            .fields(names.iter())
            .fields(ciphertexts.iter())
            .field(&self.enclave_ephemeral_public_key)
            .field(&self.master_public_key)
            .field(&self.app_id)
            .field(self.last_hashed())
            .finish()
            .into()
    }

    /// The hash, which is known already if all that it covers equals what `known` covers.
    pub(crate) fn hash_beside(&self, known: &Self, hash: RequestHash) -> RequestHash {
        let is_equal = self.request_id == known.request_id
            && self.app_id == known.app_id
            && self.last_hashed() == known.last_hashed()
            && self.public_data.as_slice() == known.public_data.as_slice()
            && self.ciphertext_names.as_deref().unwrap_or_default()
                == known.ciphertext_names.as_deref().unwrap_or_default()
            && self.ciphertexts == known.ciphertexts
            && self.enclave_ephemeral_public_key == known.enclave_ephemeral_public_key
            && self.master_public_key == known.master_public_key;
        if is_equal { hash } else { self.hash() }
    }

    /// What closes the hash.
    fn last_hashed(&self) -> &str {
        if self.is_legacy() { &self.version } else { &self.application_request_id }
    }

    /// Whether hashes bind the version instead of the application's request id.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        is_legacy(&self.version)
    }

    /// Signs the request as a node of the workflow DON.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedComputeRequest {
        let signature = key.sign(Domain::ComputeRequest, self.hash().as_bytes());
        SignedComputeRequest { request: self, signature: signature.as_bytes().as_slice().into() }
    }
}

impl From<SignedComputeRequest> for ForwardedComputeRequest {
    fn from(signed: SignedComputeRequest) -> Self {
        Self { signed, per_node_data: None }
    }
}

/// Whether a version's hashes bind the version instead of the application's request id.
pub(crate) fn is_legacy(version: &str) -> bool {
    version == LEGACY_VERSION
}

/// The capability that executes workflows in enclaves.
pub const APP_ID: &str = "confidential-workflows@1.0.0-alpha";

/// The version that requesters of today put into requests.
pub const VERSION: &str = LEGACY_VERSION;

/// The only version whose hash binds the version itself.
const LEGACY_VERSION: &str = "0.0.6";

#[cfg(test)]
mod tests {
    use crypto::{seal::EphemeralKey, sign::Signature};

    use super::*;

    /// The request of the worked example in relay-protocol 5.4.
    fn example(version: &str) -> ComputeRequest {
        let execution = ExecutionId::from("2".repeat(64));
        ComputeRequest {
            request_id: RequestId::of_execution(&execution),
            application_request_id: execution.into_string(),
            public_data: hex::decode("0a027766").unwrap().into(),
            ciphertexts: Some(vec![hex::decode("6331").unwrap().into()]),
            ciphertext_names: Some(vec!["n1".to_owned()]),
            enclave_ephemeral_public_key: vec![0x33; 32].into(),
            app_id: APP_ID.to_owned(),
            version: version.to_owned(),
            ..ComputeRequest::default()
        }
    }

    #[test]
    fn the_example_of_the_specification_has_its_hashes_and_its_signature() {
        let legacy = "ba8a5e1f0ddec85830176f59662237093fb2cde3c94211a11887b641bce86773";
        assert_eq!(example("0.0.6").hash().to_string(), legacy);
        let later = "79aa304271aaa5afa82215ff97ee8e4c20705b8253df36e1b099a24df30668d2";
        assert_eq!(example("0.0.7").hash().to_string(), later);
        let signed = example("0.0.6").sign(&SigningKey::from_seed(&[1; 32]));
        let signature = "2089a786849da135f21440434684088082686057fad89f4a8b6b8427800dff7c\
                         5849b6f60de8b3dc780ebb4cef8a37feeef515f54d6201f6bf8d210a8321c307";
        assert_eq!(hex::encode(signed.signature.as_slice()), signature);
    }

    #[test]
    fn a_requester_follows_the_conventions() {
        let execution = WorkflowExecution {
            workflow_id: "w".to_owned(),
            execution_id: "2".repeat(64),
            ..WorkflowExecution::default()
        };
        let key = EphemeralKey::from_bytes(&[7; 32]).public();
        let request = ComputeRequest::for_execution(&execution, &key);
        let id = "4f2e8d65483c641648cdb374ae9d8abd368d269e4ddffe092a8237b8162cddd6";
        assert_eq!(request.request_id.to_string(), id);
        assert_eq!(request.application_request_id, execution.execution_id);
        assert_eq!(messages::decode(request.public_data.as_slice()), Ok(execution));
        assert_eq!(request.enclave_ephemeral_public_key.as_slice(), key.as_bytes());
        assert_eq!((request.app_id.as_str(), request.version.as_str()), (APP_ID, VERSION));
        assert!(request.is_legacy() && request.master_public_key.is_nil());
        let signer = SigningKey::from_seed(&[1; 32]);
        let signed = request.clone().sign(&signer);
        let signature = Signature::from_slice(signed.signature.as_slice()).unwrap();
        let domain = Domain::ComputeRequest;
        assert!(signer.public().verify(domain, request.hash().as_bytes(), &signature).is_ok());
        assert!(signer.public().verify(domain, &[0; 32], &signature).is_err());
    }

    #[test]
    fn the_version_that_binds_itself_is_the_only_one() {
        let mut other = example("0.0.7");
        let hash = other.hash();
        other.version = "anything".to_owned();
        assert_eq!(other.hash(), hash);
        other.application_request_id.push('x');
        assert_ne!(other.hash(), hash);
    }
}
