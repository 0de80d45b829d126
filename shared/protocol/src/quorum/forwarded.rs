//! Compute requests that an enclave forwards to a relay node: tolerant, because the enclave already
//! was strict (relay-protocol 9.9, steps 1 to 5).

use crypto::sign::{Domain, Signature, payload};

use super::{
    Agreed,
    checks::{Budget, Members},
};
use crate::{
    committee::Committee,
    compute::{ComputeRequest, ForwardedComputeRequest},
};

/// Why forwarded requests authorize nothing; the texts are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardedError {
    /// There are none.
    #[error("missing signed compute requests")]
    Missing,
    /// They are not one request.
    #[error("forwarded signed compute requests do not share one compute request")]
    Mixed,
    /// Too few distinct members signed.
    #[error("insufficient Workflow DON signatures: {got} unique signers, need {want}")]
    TooFew {
        /// Distinct signers.
        got: usize,
        /// How many are needed.
        want: usize,
    },
}

/// Reduces forwarded requests to the one that `want` distinct members signed. Signatures that are no
/// member's count for nothing.
///
/// # Errors
///
/// The first [`ForwardedError`] in the order of its variants.
pub fn forwarded<'r>(
    requests: &'r [ForwardedComputeRequest],
    committee: &Committee,
    want: usize,
) -> Result<Agreed<&'r ComputeRequest>, ForwardedError> {
    let first = &requests.first().ok_or(ForwardedError::Missing)?.signed.request;
    let hash = first.hash();
    if requests.iter().any(|other| other.signed.request.hash_beside(first, hash) != hash) {
        return Err(ForwardedError::Mixed);
    }
    let payload = payload(Domain::ComputeRequest, hash.as_bytes());
    let (mut voices, mut budget) = (Members::none(committee), Budget::of(committee));
    for request in requests {
        if voices.len() >= want {
            break;
        }
        if let Ok(signature) = Signature::from_slice(request.signed.signature.as_slice()) {
            let signer = budget.find_signer(&payload, &signature, None, true);
            signer.into_iter().for_each(|position| voices.insert(position));
        }
    }
    let got = voices.len();
    if got < want {
        return Err(ForwardedError::TooFew { got, want });
    }
    Ok(Agreed { value: first, signers: voices.keys() })
}
