//! Who made a signature, found with few checks.

use std::collections::HashMap;

use crypto::sign::{Signature, SignatureError};

use crate::{committee::SignerSet, limits};

/// The signature checks that are left for one answer or batch.
#[derive(Debug)]
pub(super) struct Budget<'s> {
    signers: &'s SignerSet,
    left: usize,
    /// The checks that there were at the beginning.
    pub(super) limit: usize,
}

impl<'s> Budget<'s> {
    /// So many that every signature of an honest list can be tried with every key, and as many for
    /// each signer as noise may cost.
    pub(super) fn of(signers: &'s SignerSet) -> Self {
        let members = signers.keys().len();
        Self::with(signers, members.saturating_mul(members.max(limits::CHECKS_PER_MEMBER)))
    }

    pub(super) fn with(signers: &'s SignerSet, limit: usize) -> Self {
        Self { signers, left: limit, limit }
    }

    /// Whether the signer at this position signed this payload.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] once no check is left.
    pub(super) fn check(
        &mut self,
        position: usize,
        payload: &[u8],
        signature: &Signature,
    ) -> Result<bool, Exhausted> {
        self.left = self.left.checked_sub(1).ok_or(Exhausted)?;
        Ok(self.signers.signed(position, payload, signature))
    }

    /// The first of these positions whose signer signed this payload.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] once no check is left.
    pub(super) fn find(
        &mut self,
        positions: impl IntoIterator<Item = usize>,
        payload: &[u8],
        signature: &Signature,
    ) -> Result<Option<usize>, Exhausted> {
        for position in positions {
            if self.check(position, payload, signature)? {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }
}

/// No check is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// What is known of the signatures over a number of payloads: each pair of payload and signature is
/// checked with each key once, however often it occurs.
#[derive(Debug)]
pub(super) struct Signatures<'s> {
    budget: Budget<'s>,
    known: HashMap<(usize, [u8; 64]), Attempt>,
}

#[derive(Debug)]
struct Attempt {
    signer: Option<usize>,
    /// By position, whether that key was tried.
    tried: Vec<bool>,
}

impl<'s> Signatures<'s> {
    pub(super) fn of(signers: &'s SignerSet) -> Self {
        Self { budget: Budget::of(signers), known: HashMap::new() }
    }

    /// The member that made the signature over the payload with this number, as far as these
    /// positions and earlier questions tell. Without checks left, nobody did.
    pub(super) fn signer(
        &mut self,
        number: usize,
        payload: &[u8],
        signature: &Signature,
        positions: impl IntoIterator<Item = usize>,
    ) -> Option<usize> {
        let key = (number, *signature.as_bytes());
        if self.budget.left == 0 {
            return self.known.get(&key)?.signer;
        }
        let members = self.budget.signers.keys().len();
        let unknown = || Attempt { signer: None, tried: vec![false; members] };
        let attempt = self.known.entry(key).or_insert_with(unknown);
        if attempt.signer.is_some() {
            return attempt.signer;
        }
        for position in positions {
            let Some(tried) = attempt.tried.get_mut(position).filter(|tried| !**tried) else {
                continue;
            };
            *tried = true;
            if self.budget.check(position, payload, signature).ok()? {
                attempt.signer = Some(position);
                return attempt.signer;
            }
        }
        None
    }
}

/// Who signed an entry, or why nobody did.
pub(super) type Outcome = Result<usize, SignatureError>;
