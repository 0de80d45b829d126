//! Compute requests in the enclave: strict, because honest hosts send nothing else
//! (enclave-and-host 2.7, checks 4 to 7).

use std::collections::HashSet;

use crypto::sign::{Domain, Signature, SignatureError, payload};

use super::{
    Agreed, Quorum, Voices,
    checks::{Budget, Exhausted},
};
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
    /// More signatures than a batch has reason to hold: some member signs one request again and again.
    #[error("signatures of the request batch take more than {limit} checks")]
    TooMany {
        /// The checks that one batch may cost.
        limit: usize,
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
/// A signature that occurs again costs no check; all together cost no more than a fixed number for
/// each member.
///
/// # Errors
///
/// The first [`BatchError`] met, reading the batch in order; of one element the request is looked at
/// before the signature.
pub fn unanimous(
    batch: Vec<SignedComputeRequest>,
    committee: &Committee,
) -> Result<Agreed<Batch>, BatchError> {
    within(batch, committee, Budget::of(committee.signers()))
}

pub(super) fn within(
    batch: Vec<SignedComputeRequest>,
    committee: &Committee,
    mut budget: Budget<'_>,
) -> Result<Agreed<Batch>, BatchError> {
    let mut requests = batch.into_iter();
    let first = requests.next().ok_or(BatchError::Empty)?;
    let others: Vec<_> = requests.collect();
    let want = first.request.hash();
    let payload = payload(Domain::ComputeRequest, want.as_bytes());
    let signers = committee.signers();
    let (mut voices, mut known) = (Voices::none(signers), HashSet::new());
    for (index, signed) in std::iter::once(&first).chain(&others).enumerate() {
        let have = signed.request.hash_beside(&first.request, want);
        if have != want {
            return Err(BatchError::Mixed { index, have, want });
        }
        let unsigned = |reason| BatchError::Unsigned { index, reason };
        let signature = Signature::from_slice(signed.signature.as_slice()).map_err(unsigned)?;
        if known.insert(*signature.as_bytes()) {
            // Each member signs once, so in an honest batch it is one that is not counted yet.
            let counted = (0..signers.keys().len()).filter(|position| voices.contains(*position));
            let found = budget.find(voices.missing().chain(counted), &payload, &signature);
            let limit = budget.limit;
            let signer = found.map_err(|Exhausted| BatchError::TooMany { limit })?;
            voices.insert(signer.ok_or(unsigned(SignatureError::NotAllowed))?);
        }
    }
    let quorum = Quorum::honest(committee.fault_bound());
    if !voices.reach(quorum) {
        return Err(BatchError::TooFew { got: voices.count(), want: quorum.get() });
    }
    Ok(Agreed { value: Batch { first, others, hash: want }, signers: voices.keys() })
}
