//! The members of a DON and how many of them may be faulty.

use std::collections::{BTreeMap, btree_map::Entry};

use crypto::sign::{Signature, SignerKey, SignerKeyError};

use crate::ids::FaultBound;

/// Distinct signer keys, in the order in which they were given: it is part of a configuration's hash.
///
/// How many of them have to sign is for a [`Committee`] or a [`crate::quorum::Quorum`] to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignerSet {
    keys: Vec<SignerKey>,
    by_key: BTreeMap<[u8; 32], usize>,
}

/// A set of signers, at least F + 1 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committee {
    signers: SignerSet,
    fault_bound: FaultBound,
}

/// Why keys are no committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitteeError {
    /// The key at this position is none.
    #[error("signer {index} is no key")]
    Signer {
        /// The position, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: SignerKeyError,
    },
    /// The key at this position is there before.
    #[error("signer {index} occurs twice")]
    Duplicate {
        /// The position of the second one, from 0.
        index: usize,
    },
    /// Fewer members than a quorum needs.
    #[error("{got} signers cannot make a quorum of {want}")]
    TooFew {
        /// Members.
        got: usize,
        /// F + 1.
        want: usize,
    },
}

impl SignerSet {
    /// Checks that keys are distinct.
    ///
    /// # Errors
    ///
    /// [`CommitteeError::Duplicate`].
    pub fn new(keys: Vec<SignerKey>) -> Result<Self, CommitteeError> {
        let mut by_key = BTreeMap::new();
        for (index, key) in keys.iter().enumerate() {
            if by_key.insert(*key.as_bytes(), index).is_some() {
                return Err(CommitteeError::Duplicate { index });
            }
        }
        Ok(Self { keys, by_key })
    }

    /// The keys in the order in which they were given.
    #[must_use]
    pub fn keys(&self) -> &[SignerKey] {
        &self.keys
    }

    /// The position of this key.
    #[must_use]
    pub fn position(&self, key: &[u8]) -> Option<usize> {
        let key: &[u8; 32] = key.try_into().ok()?;
        self.by_key.get(key).copied()
    }

    /// Whether the signer at this position signed this payload.
    pub(crate) fn signed(&self, position: usize, payload: &[u8], signature: &Signature) -> bool {
        #[cfg(test)]
        tests::CHECKS.set(tests::CHECKS.get().saturating_add(1));
        let signer = self.keys.get(position);
        signer.is_some_and(|signer| signer.verify_payload(payload, signature).is_ok())
    }
}

impl FromIterator<SignerKey> for SignerSet {
    /// Equal keys are one signer, at the place of the first.
    fn from_iter<I: IntoIterator<Item = SignerKey>>(keys: I) -> Self {
        let mut set = Self::default();
        for key in keys {
            if let Entry::Vacant(free) = set.by_key.entry(*key.as_bytes()) {
                free.insert(set.keys.len());
                set.keys.push(key);
            }
        }
        set
    }
}

impl Committee {
    /// Checks the bytes of keys.
    ///
    /// # Errors
    ///
    /// The first [`CommitteeError`] met in the order of the keys; their number is looked at last.
    pub fn parse<'k>(
        keys: impl IntoIterator<Item = &'k [u8]>,
        fault_bound: FaultBound,
    ) -> Result<Self, CommitteeError> {
        let parse = |(index, bytes)| {
            SignerKey::from_slice(bytes).map_err(|source| CommitteeError::Signer { index, source })
        };
        let members = keys.into_iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        Self::new(members, fault_bound)
    }

    /// Checks that keys are distinct and enough.
    ///
    /// # Errors
    ///
    /// [`CommitteeError::Duplicate`] or [`CommitteeError::TooFew`].
    pub fn new(members: Vec<SignerKey>, fault_bound: FaultBound) -> Result<Self, CommitteeError> {
        let signers = SignerSet::new(members)?;
        let (got, want) = (signers.keys().len(), fault_bound.quorum());
        if got < want {
            return Err(CommitteeError::TooFew { got, want });
        }
        Ok(Self { signers, fault_bound })
    }

    /// The members as a set.
    #[must_use]
    pub fn signers(&self) -> &SignerSet {
        &self.signers
    }

    /// The members in the order in which they were given.
    #[must_use]
    pub fn members(&self) -> &[SignerKey] {
        self.signers.keys()
    }

    /// How many members may be faulty.
    #[must_use]
    pub fn fault_bound(&self) -> FaultBound {
        self.fault_bound
    }

    /// The position of the member with this key.
    #[must_use]
    pub fn position(&self, key: &[u8]) -> Option<usize> {
        self.signers.position(key)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use crypto::sign::SigningKey;

    use super::*;

    thread_local! {
        /// Signatures that this thread checked.
        pub(crate) static CHECKS: Cell<usize> = const { Cell::new(0) };
    }

    fn key(seed: u8) -> SignerKey {
        SigningKey::from_seed(&[seed; 32]).public()
    }

    #[test]
    fn members_keep_their_order_and_are_found_by_key() {
        let committee = Committee::new(vec![key(3), key(1)], FaultBound::new(1)).unwrap();
        assert_eq!(committee.members(), [key(3), key(1)]);
        assert_eq!(committee.position(key(1).as_bytes()), Some(1));
        assert_eq!(committee.position(key(2).as_bytes()), None);
        assert_eq!(committee.position(b"short"), None);
    }

    #[test]
    fn one_key_twice_is_refused() {
        let keys = vec![key(1), key(2), key(1)];
        let duplicate = CommitteeError::Duplicate { index: 2 };
        assert_eq!(Committee::new(keys, FaultBound::new(0)), Err(duplicate));
    }

    #[test]
    fn a_set_made_of_a_list_holds_each_key_once() {
        let set: SignerSet = [key(3), key(1), key(3)].into_iter().collect();
        assert_eq!(set.keys(), [key(3), key(1)]);
        assert_eq!(set.position(key(1).as_bytes()), Some(1));
        assert_eq!(Ok(set), SignerSet::new(vec![key(3), key(1)]));
    }

    #[test]
    fn fewer_members_than_a_quorum_are_refused() {
        for (members, f) in [(0, 0), (1, 1), (4, 4), (4, u32::MAX)] {
            let keys = (0..members).map(key).collect();
            let bound = FaultBound::new(f);
            let too_few = CommitteeError::TooFew { got: members.into(), want: bound.quorum() };
            assert_eq!(Committee::new(keys, bound), Err(too_few));
        }
    }

    #[test]
    fn bytes_that_are_no_key_are_refused_by_position() {
        let good = key(1);
        let keys = [good.as_bytes().as_slice(), &[0; 31]];
        let error = Committee::parse(keys, FaultBound::new(0)).unwrap_err();
        assert!(matches!(error, CommitteeError::Signer { index: 1, .. }));
    }
}
