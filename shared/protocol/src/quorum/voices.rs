//! Who stands behind a thing: distinct members, counted once each, against what is enough.

use crypto::sign::SignerKey;

use crate::{committee::SignerSet, ids::FaultBound};

/// How many distinct members have to stand behind a thing to believe it; never nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum(usize);

impl Quorum {
    /// F + 1: at least one of them is honest.
    #[must_use]
    pub fn honest(bound: FaultBound) -> Self {
        Self(bound.quorum())
    }

    /// 2F + 1: the honest ones among them are the majority.
    #[must_use]
    pub fn bft(bound: FaultBound) -> Self {
        Self(bound.bft())
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> usize {
        self.0
    }
}

/// Distinct members of a set of signers: whoever speaks twice is one voice, a stranger none.
///
/// Whoever adds a key has checked its signature.
#[derive(Clone, Debug)]
pub struct Voices<'s> {
    signers: &'s SignerSet,
    present: Vec<bool>,
    count: usize,
}

impl<'s> Voices<'s> {
    /// Nobody yet.
    #[must_use]
    pub fn none(signers: &'s SignerSet) -> Self {
        Self { signers, present: vec![false; signers.keys().len()], count: 0 }
    }

    /// Those of the keys that are members.
    #[must_use]
    pub fn of<'k>(signers: &'s SignerSet, keys: impl IntoIterator<Item = &'k SignerKey>) -> Self {
        let mut voices = Self::none(signers);
        for key in keys {
            voices.add(key);
        }
        voices
    }

    /// Adds a member; says whether that is one more than before.
    pub fn add(&mut self, key: &SignerKey) -> bool {
        self.signers.position(key.as_bytes()).is_some_and(|position| self.insert(position))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether they are enough.
    #[must_use]
    pub fn reach(&self, quorum: Quorum) -> bool {
        self.count >= quorum.get()
    }

    /// Their keys, in the order of the set.
    #[must_use]
    pub fn keys(&self) -> Vec<SignerKey> {
        let members = self.signers.keys().iter().zip(&self.present);
        members.filter(|(_key, present)| **present).map(|(key, _)| *key).collect()
    }

    /// Adds the member at a position; says whether that is one more than before.
    pub(super) fn insert(&mut self, position: usize) -> bool {
        match self.present.get_mut(position) {
            Some(present) if !*present => {
                *present = true;
                self.count = self.count.saturating_add(1);
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn contains(&self, position: usize) -> bool {
        self.present.get(position).is_some_and(|present| *present)
    }

    /// The positions of those who are missing.
    pub(super) fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        let members = self.present.iter().enumerate();
        members.filter(|(_position, present)| !**present).map(|(position, _)| position)
    }
}

#[cfg(test)]
mod tests {
    use crypto::sign::SigningKey;
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> SignerKey {
        SigningKey::from_seed(&[seed; 32]).public()
    }

    #[test]
    fn whoever_speaks_twice_is_one_voice_and_a_stranger_none() {
        let set: SignerSet = (1..=4).map(key).collect();
        let mut voices = Voices::none(&set);
        assert!(voices.add(&key(2)) && !voices.add(&key(2)) && !voices.add(&key(9)));
        assert_eq!((voices.count(), voices.keys()), (1, vec![key(2)]));
        assert_eq!(voices.missing().collect::<Vec<_>>(), [0, 2, 3]);
        assert!(voices.contains(1) && !voices.contains(0));
        assert!(!voices.insert(4) && !voices.contains(4));
    }

    #[test]
    fn nobody_reaches_no_quorum() {
        let set = SignerSet::default();
        for bound in [0, 1, u32::MAX].map(FaultBound::new) {
            assert!(!Voices::none(&set).reach(Quorum::honest(bound)));
            assert!(!Voices::none(&set).reach(Quorum::bft(bound)));
        }
        assert_eq!(Quorum::honest(FaultBound::new(2)).get(), 3);
        assert_eq!(Quorum::bft(FaultBound::new(2)).get(), 5);
    }

    proptest! {
        #[test]
        fn the_order_of_voices_changes_nothing(seeds in Just((0..8).chain(2..5).collect::<Vec<u8>>()).prop_shuffle()) {
            let set: SignerSet = (1..=5).map(key).collect();
            let keys: Vec<_> = seeds.into_iter().map(key).collect();
            prop_assert_eq!(Voices::of(&set, &keys).keys(), set.keys());
        }
    }
}
