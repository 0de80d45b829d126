//! Room 1's last step: one signed request, believed to be of a member.

use crypto::sign::{Domain, SignatureError, SignerKey, find_signer};
use http::HeaderValue;
use protocol::{
    committee::Committee,
    compute::SignedComputeRequest,
    ids::{RequestHash, RequestId},
    json::{self, DecodeError},
};

/// A signed request whose signature was not looked at.
#[derive(Debug)]
pub struct Unchecked {
    request: SignedComputeRequest,
    nonce: Option<HeaderValue>,
}

/// A request that a member signed.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) hash: RequestHash,
    pub(super) request_id: RequestId,
    pub(super) signer: SignerKey,
    /// The request as it is sent on: written anew from what was read, so it holds nothing unread, and
    /// it takes the memory it is charged for.
    pub(super) encoded: Vec<u8>,
    /// The challenge that came with it.
    pub(super) nonce: Option<HeaderValue>,
}

/// Why a body is no member's request.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// The body is not the JSON of a signed request.
    #[error("invalid json")]
    Json(#[source] DecodeError),
    /// No member signed it.
    #[error("invalid signature: {0}")]
    Signature(SignatureError),
}

impl Unchecked {
    /// Reads the body of one request.
    ///
    /// # Errors
    ///
    /// [`SubmissionError::Json`].
    pub fn decode(body: &[u8]) -> Result<Self, SubmissionError> {
        let request = json::from_slice(body).map_err(SubmissionError::Json)?;
        Ok(Self { request, nonce: None })
    }

    /// The same with a challenge beside it.
    #[must_use]
    pub fn answering(self, nonce: Option<HeaderValue>) -> Self {
        Self { nonce, ..self }
    }

    /// Finds who signed it. Costs at most one signature check per member.
    pub(super) fn check(self, committee: &Committee) -> Result<Submission, SubmissionError> {
        let Self { request, nonce } = self;
        let hash = request.request.hash();
        let signature = request.signature.as_slice();
        let domain = Domain::ComputeRequest;
        let signer = *find_signer(committee.members(), domain, hash.as_bytes(), signature)
            .map_err(SubmissionError::Signature)?;
        let (request_id, encoded) = (request.request.request_id, json::to_vec(&request));
        Ok(Submission { hash, request_id, signer, encoded, nonce })
    }
}
