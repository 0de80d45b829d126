//! From what a gateway answered to what a workflow gets (relay-protocol 7.6). Opening shares is not
//! done here: that takes the enclave's key.

use super::{
    Bundle, CapabilityRequestParams, CapabilityResult, ReconcileError, SecretEntry,
    SecretsRequestParams, SecretsResult,
};
use crate::{
    base64::{self, Base64Error},
    committee::Committee,
    json::{DecodeError, RawJson},
    messages::{
        self,
        sdk::{CapabilityOutcome, CapabilityResponse},
    },
    proto::WireError,
    quorum::{Agreed, Grouping, NoQuorum, select},
};

/// Why an answer is not believed or not understood; the texts are those that workflows see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The gateway sent no result.
    #[error("unmarshalling {kind} response bundle: unexpected end of JSON input")]
    NoResult {
        /// The kind of call.
        kind: &'static str,
    },
    /// The result is no bundle.
    #[error("unmarshalling {kind} response bundle: {reason}")]
    Bundle {
        /// The kind of call.
        kind: &'static str,
        /// What is wrong with it.
        reason: DecodeError,
    },
    /// No result of the bundle has a quorum.
    #[error("verifying {kind} response: {reason}")]
    Quorum {
        /// The kind of call.
        kind: &'static str,
        /// What the bundle held.
        reason: Box<NoQuorum>,
    },
    /// The secrets are not those that were asked for.
    #[error("validating secrets response: {0}")]
    Secrets(#[from] ReconcileError),
    /// A capability's payload is not base64.
    #[error("decoding capability response payload: {0}")]
    Payload(Base64Error),
    /// A capability's payload is no response.
    #[error("unmarshalling capability response proto: {0}")]
    Response(WireError),
}

/// Why a secret's ciphertext or one of its shares cannot be read; the texts are those that
/// workflows see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealedSecretError {
    /// The ciphertext is not base64.
    #[error("decoding ciphertext: {0}")]
    Ciphertext(Base64Error),
    /// A share is not base64.
    #[error("decoding share {index}: {reason}")]
    Share {
        /// Its position, from 0.
        index: usize,
        /// What is wrong with it.
        reason: Base64Error,
    },
}

impl CapabilityRequestParams {
    /// Reads the answer to this call: the response that the quorum's result stands for.
    ///
    /// # Errors
    ///
    /// [`AnswerError`], in the order of its variants.
    pub fn read_answer(
        &self,
        answer: Option<&RawJson>,
        committee: &Committee,
    ) -> Result<Agreed<CapabilityResponse>, AnswerError> {
        believe(self, answer, committee)?.try_map(|result| response_of(&result))
    }
}

impl SecretsRequestParams {
    /// Reads the answer to this request: the quorum's result, to be matched with the request by
    /// [`super::reconcile`].
    ///
    /// # Errors
    ///
    /// [`AnswerError`], in the order of its variants.
    pub fn read_answer(
        &self,
        answer: Option<&RawJson>,
        committee: &Committee,
    ) -> Result<Agreed<SecretsResult>, AnswerError> {
        believe(self, answer, committee)
    }
}

/// Decodes a bundle and takes the result that has a quorum out of it.
fn believe<P: Grouping>(
    params: &P,
    answer: Option<&RawJson>,
    committee: &Committee,
) -> Result<Agreed<P::Result>, AnswerError> {
    let kind = P::KIND;
    let answer = answer.ok_or(AnswerError::NoResult { kind })?;
    let bundle: Bundle<P::Result> =
        answer.decode().map_err(|reason| AnswerError::Bundle { kind, reason })?;
    let selected = select(params, &bundle, committee)
        .map_err(|reason| AnswerError::Quorum { kind, reason })?;
    selected.try_map(|selected| Ok(selected.result.clone()))
}

/// The response that a result stands for: an error first, whatever the payload.
fn response_of(result: &CapabilityResult) -> Result<CapabilityResponse, AnswerError> {
    if !result.error.is_empty() {
        let error = CapabilityOutcome::Error(result.error.clone());
        return Ok(CapabilityResponse { response: Some(error) });
    }
    let payload = base64::decode(&result.payload).map_err(AnswerError::Payload)?;
    messages::decode_known(&payload).map_err(AnswerError::Response)
}

impl SecretEntry {
    /// The bytes of the ciphertext.
    ///
    /// # Errors
    ///
    /// [`SealedSecretError::Ciphertext`].
    pub fn ciphertext_bytes(&self) -> Result<Vec<u8>, SealedSecretError> {
        base64::decode(&self.ciphertext).map_err(SealedSecretError::Ciphertext)
    }

    /// The bytes of each sealed share, each by itself: a bad one says nothing about the others.
    pub fn sealed_shares(&self) -> impl Iterator<Item = Result<Vec<u8>, SealedSecretError>> {
        self.encrypted_shares.iter().flatten().enumerate().map(|(index, share)| {
            base64::decode(share).map_err(|reason| SealedSecretError::Share { index, reason })
        })
    }
}
