//! The members of a DON and how many of them may be faulty.

use std::collections::BTreeMap;

use crypto::sign::{SignerKey, SignerKeyError};

use crate::ids::FaultBound;

/// Distinct signer keys, at least F + 1 of them.
///
/// Keys keep the order in which they were given; it is part of a configuration's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committee {
    members: Vec<SignerKey>,
    by_key: BTreeMap<[u8; 32], usize>,
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
        let mut by_key = BTreeMap::new();
        for (index, member) in members.iter().enumerate() {
            if by_key.insert(*member.as_bytes(), index).is_some() {
                return Err(CommitteeError::Duplicate { index });
            }
        }
        let (got, want) = (members.len(), fault_bound.quorum());
        if got < want {
            return Err(CommitteeError::TooFew { got, want });
        }
        Ok(Self { members, by_key, fault_bound })
    }

    /// The members in the order in which they were given.
    #[must_use]
    pub fn members(&self) -> &[SignerKey] {
        &self.members
    }

    /// How many members may be faulty.
    #[must_use]
    pub fn fault_bound(&self) -> FaultBound {
        self.fault_bound
    }

    /// The position of the member with this key.
    #[must_use]
    pub fn position(&self, key: &[u8]) -> Option<usize> {
        let key: &[u8; 32] = key.try_into().ok()?;
        self.by_key.get(key).copied()
    }

    /// Whether the member at this position signed this payload.
    pub(crate) fn signed(
        &self,
        position: usize,
        payload: &[u8],
        signature: &crypto::sign::Signature,
    ) -> bool {
        let member = self.members.get(position);
        member.is_some_and(|member| member.verify_payload(payload, signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use crypto::sign::SigningKey;

    use super::*;

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
