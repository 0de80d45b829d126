//! Compute requests in the enclave: strict, because honest hosts send nothing else
//! (enclave-and-host 2.7, checks 4 to 7).

use std::collections::HashMap;

use crypto::sign::{Domain, Signature, SignatureError, payload};

use super::{Agreed, checks::Members};
use crate::{
    committee::Committee,
    compute::{ComputeRequest, SignedComputeRequest},
    ids::RequestHash,
};

/// Signed compute requests that are one request; kept whole, because relay nodes check them again.
#[derive(Clone, Debug)]
pub struct Batch {
    first: SignedComputeRequest,
    others: Vec<SignedComputeRequest>,
    hash: RequestHash,
}

impl Batch {
    /// The request.
    #[must_use]
    pub fn request(&self) -> &ComputeRequest {
        &self.first.request
    }

    /// The request's hash.
    #[must_use]
    pub fn hash(&self) -> RequestHash {
        self.hash
    }

    /// The signed requests in the order in which they came. Their hash is one; the shares in them are
    /// each node's own.
    pub fn signed(&self) -> impl Iterator<Item = &SignedComputeRequest> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// Why a batch is not one request; the texts are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// There is nothing to agree on.
    #[error("empty request batch")]
    Empty,
    /// A request differs from the first.
    #[error("request hash mismatch for request {index}: have {have}, want {want}")]
    Mixed {
        /// Its position, from 0.
        index: usize,
        /// Its hash.
        have: RequestHash,
        /// The hash of the first.
        want: RequestHash,
    },
    /// No member made a signature.
    #[error("signature verification failed for request {index}: {reason}")]
    Unsigned {
        /// The position of the request, from 0.
        index: usize,
        /// What is wrong with the signature.
        reason: SignatureError,
    },
    /// Fewer than F + 1 distinct signers.
    #[error("not enough requests by unique signers to reach quorum, got {got}, need {want}")]
    TooFew {
        /// Distinct signers in the batch.
        got: usize,
        /// F + 1.
        want: usize,
    },
}

/// Reduces a batch to the one request it agrees on: every element must be that request, signed by a
/// member, and F + 1 distinct members must have signed.
///
/// # Errors
///
/// The first [`BatchError`] met, reading the batch in order; of one element the request is looked at
/// before the signature.
pub fn unanimous(
    batch: Vec<SignedComputeRequest>,
    committee: &Committee,
) -> Result<Agreed<Batch>, BatchError> {
    let mut requests = batch.into_iter();
    let first = requests.next().ok_or(BatchError::Empty)?;
    let others: Vec<_> = requests.collect();
    let want = first.request.hash();
    let payload = payload(Domain::ComputeRequest, want.as_bytes());
    let mut voices = Members::none(committee);
    // A signature that is there twice is checked once.
    let mut known = HashMap::new();
    for (index, signed) in std::iter::once(&first).chain(&others).enumerate() {
        let have = signed.request.hash_beside(&first.request, want);
        if have != want {
            return Err(BatchError::Mixed { index, have, want });
        }
        let unsigned = |reason| BatchError::Unsigned { index, reason };
        let signature = Signature::from_slice(signed.signature.as_slice()).map_err(unsigned)?;
        if known.insert(*signature.as_bytes(), ()).is_none() {
            let member = voices.find_signer(&payload, &signature);
            voices.insert(member.ok_or(unsigned(SignatureError::NotAllowed))?);
        }
    }
    let (got, want_signers) = (voices.len(), committee.fault_bound().quorum());
    if got < want_signers {
        return Err(BatchError::TooFew { got, want: want_signers });
    }
    Ok(Agreed { value: Batch { first, others, hash: want }, signers: voices.keys() })
}
