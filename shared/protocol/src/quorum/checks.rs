//! Who signed: distinct members, found with few checks.

use crypto::sign::{Signature, SignerKey};

use crate::{committee::Committee, limits};

/// Distinct members of a committee.
#[derive(Clone, Debug)]
pub(super) struct Members<'c> {
    committee: &'c Committee,
    present: Vec<bool>,
}

impl<'c> Members<'c> {
    pub(super) fn none(committee: &'c Committee) -> Self {
        Self { committee, present: vec![false; committee.members().len()] }
    }

    pub(super) fn insert(&mut self, position: usize) {
        if let Some(present) = self.present.get_mut(position) {
            *present = true;
        }
    }

    pub(super) fn contains(&self, position: usize) -> bool {
        self.present.get(position).is_some_and(|present| *present)
    }

    pub(super) fn len(&self) -> usize {
        self.present.iter().filter(|present| **present).count()
    }

    pub(super) fn keys(&self) -> Vec<SignerKey> {
        let members = self.committee.members().iter().zip(&self.present);
        members.filter(|(_key, present)| **present).map(|(key, _)| *key).collect()
    }

    /// The member that made a signature. Members that are not among these yet are tried first: each
    /// signs once, so in an honest list it is one of them.
    pub(super) fn find_signer(&self, payload: &[u8], signature: &Signature) -> Option<usize> {
        let positions = 0..self.present.len();
        let (counted, fresh): (Vec<_>, Vec<_>) = positions.partition(|p| self.contains(*p));
        let signed = |p: &usize| self.committee.signed(*p, payload, signature);
        fresh.into_iter().chain(counted).find(signed)
    }
}

/// The signature checks that are left for one bundle.
#[derive(Debug)]
pub(super) struct Budget<'c> {
    committee: &'c Committee,
    left: usize,
}

impl<'c> Budget<'c> {
    pub(super) fn of(committee: &'c Committee) -> Self {
        let left = committee.members().len().saturating_mul(limits::CHECKS_PER_MEMBER);
        Self { committee, left }
    }

    /// The member that made a signature: the claimed one is tried first, then, if wanted, all others.
    pub(super) fn find_signer(
        &mut self,
        payload: &[u8],
        signature: &Signature,
        claimed: Option<usize>,
        try_others: bool,
    ) -> Option<usize> {
        let others = (0..self.committee.members().len()).filter(|p| Some(*p) != claimed);
        let others = others.take(if try_others { usize::MAX } else { 0 });
        for position in claimed.into_iter().chain(others) {
            self.left = self.left.checked_sub(1)?;
            if self.committee.signed(position, payload, signature) {
                return Some(position);
            }
        }
        None
    }
}
