//! Compute requests that an enclave forwards to a relay node: tolerant, because the enclave already
//! was strict (relay-protocol 9.9, steps 1 to 5).

use crypto::sign::{Domain, Signature, payload};

use super::{Agreed, Quorum, Voices, checks::Budget};
use crate::{
    committee::SignerSet,
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

/// Reduces forwarded requests to the one that a quorum of the signers signed. Signatures of others
/// count for nothing, and so does what comes after a fixed number of checks for each signer.
///
/// # Errors
///
/// The first [`ForwardedError`] in the order of its variants.
pub fn forwarded<'r>(
    requests: &'r [ForwardedComputeRequest],
    signers: &SignerSet,
    quorum: Quorum,
) -> Result<Agreed<&'r ComputeRequest>, ForwardedError> {
    let first = &requests.first().ok_or(ForwardedError::Missing)?.signed.request;
    let hash = first.hash();
    if requests.iter().any(|other| other.signed.request.hash_beside(first, hash) != hash) {
        return Err(ForwardedError::Mixed);
    }
    let payload = payload(Domain::ComputeRequest, hash.as_bytes());
    let (mut voices, mut budget) = (Voices::none(signers), Budget::of(signers));
    for request in requests {
        if voices.reach(quorum) {
            break;
        }
        if let Ok(signature) = Signature::from_slice(request.signed.signature.as_slice()) {
            let Ok(signer) = budget.find(voices.missing(), &payload, &signature) else { break };
            if let Some(position) = signer {
                voices.insert(position);
            }
        }
    }
    if !voices.reach(quorum) {
        return Err(ForwardedError::TooFew { got: voices.count(), want: quorum.get() });
    }
    Ok(Agreed { value: first, signers: voices.keys() })
}
