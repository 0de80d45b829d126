//! Votes for a new configuration: counted by signer, bounded by signer, forgotten in time
//! (enclave-and-host 6.2, W-49).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, SystemTime},
};

use crypto::sign::{Domain, SignatureError, SignerKey, find_signer};
use protocol::{
    committee::Committee,
    ids::ConfigHash,
    limits,
    quorum::{Quorum, Voices},
};

/// The proposals that have votes but no quorum yet.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    proposals: HashMap<ConfigHash, Proposal>,
    /// The live proposals of each signer, oldest first.
    by_signer: HashMap<SignerKey, VecDeque<ConfigHash>>,
}

/// What a vote led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Distinct signers so far.
    pub(crate) collected: usize,
    /// Distinct signers needed.
    pub(crate) required: usize,
}

/// What becomes of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// F + 1 members want it.
    Carried(Tally),
    /// It is in force already, so no vote is counted.
    InForce(Tally),
    /// More members have to vote.
    Pending(Tally),
}

impl Decision {
    /// The votes so far.
    #[must_use]
    pub(crate) fn tally(self) -> Tally {
        match self {
            Self::Carried(tally) | Self::InForce(tally) | Self::Pending(tally) => tally,
        }
    }
}

impl Votes {
    /// Counts a vote of the committee in force.
    ///
    /// A signer that votes twice is one voice, and a repeated vote prolongs nothing. A signer with
    /// too many live proposals gives up the oldest. Call [`Self::clear`] once a proposal is applied.
    ///
    /// # Errors
    ///
    /// [`SignatureError`], if no member signed the proposal; nothing is counted.
    pub(crate) fn vote(
        &mut self,
        committee: &Committee,
        in_force: ConfigHash,
        proposal: ConfigHash,
        signature: &[u8],
        now: SystemTime,
    ) -> Result<Decision, SignatureError> {
        let members = committee.members();
        let signer = find_signer(members, Domain::ConfigVote, proposal.as_bytes(), signature)?;
        let quorum = Quorum::honest(committee.fault_bound());
        let required = quorum.get();
        if proposal == in_force {
            return Ok(Decision::InForce(Tally { collected: required, required }));
        }
        self.cast(proposal, *signer, now);
        let cast = self.proposals.get(&proposal).into_iter().flat_map(|p| &p.signers);
        let voices = Voices::of(committee.signers(), cast);
        let tally = Tally { collected: voices.count(), required };
        Ok(if voices.reach(quorum) { Decision::Carried(tally) } else { Decision::Pending(tally) })
    }

    fn cast(&mut self, proposal: ConfigHash, signer: SignerKey, now: SystemTime) {
        self.forget(now);
        let entry = self.proposals.entry(proposal);
        let entry = entry.or_insert_with(|| Proposal { signers: HashSet::new(), touched: now });
        if entry.signers.insert(signer) {
            entry.touched = entry.touched.max(now);
            self.by_signer.entry(signer).or_default().push_back(proposal);
        }
        self.give_up_oldest(signer);
    }

    /// Forgets all votes: a configuration was applied, so they were about another one.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn give_up_oldest(&mut self, signer: SignerKey) {
        let Some(own) = self.by_signer.get_mut(&signer) else { return };
        while own.len() > PROPOSALS_PER_SIGNER {
            let Some(oldest) = own.pop_front() else { break };
            if let Some(proposal) = self.proposals.get_mut(&oldest) {
                proposal.signers.remove(&signer);
                if proposal.signers.is_empty() {
                    self.proposals.remove(&oldest);
                }
            }
        }
    }

    fn forget(&mut self, now: SystemTime) {
        let is_live = |proposal: &Proposal| {
            now.duration_since(proposal.touched).unwrap_or_default() <= VOTE_LIFE
        };
        self.proposals.retain(|_hash, proposal| is_live(proposal));
        let Self { proposals, by_signer } = self;
        by_signer.retain(|_signer, own| {
            own.retain(|hash| proposals.contains_key(hash));
            !own.is_empty()
        });
    }
}

#[derive(Debug)]
struct Proposal {
    signers: HashSet<SignerKey>,
    /// When a signer was added last.
    touched: SystemTime,
}

/// How long a proposal waits for its next signer (6.2).
const VOTE_LIFE: Duration = limits::CONFIG_VOTE_AGE;

/// Live proposals of one signer. An honest node has one, and another while a change of membership
/// overtakes it.
const PROPOSALS_PER_SIGNER: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::sign::SigningKey;
    use protocol::ids::FaultBound;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn signer(number: u8) -> SignerKey {
        SigningKey::from_seed(&[number; 32]).public()
    }

    fn proposal(number: u8) -> ConfigHash {
        ConfigHash::from([number; 32])
    }

    fn cast(votes: &mut Votes, hash: u8, by: u8, at: Duration) -> usize {
        let at = START.checked_add(at).unwrap();
        votes.cast(proposal(hash), signer(by), at);
        votes.proposals.get(&proposal(hash)).unwrap().signers.len()
    }

    #[test]
    fn one_signer_twice_is_one_voice() {
        let mut votes = Votes::default();
        assert_eq!(cast(&mut votes, 1, 1, Duration::ZERO), 1);
        assert_eq!(cast(&mut votes, 1, 1, Duration::ZERO), 1);
        assert_eq!(cast(&mut votes, 1, 2, Duration::ZERO), 2);
    }

    #[test]
    fn a_quorum_of_members_carries_a_proposal_and_a_stranger_has_no_vote() {
        let keys: Vec<_> = (1..=4).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
        let members = keys.iter().map(SigningKey::public).collect();
        let committee = Committee::new(members, FaultBound::new(1)).unwrap();
        let mut votes = Votes::default();
        let mut vote = |key: &SigningKey, hash: u8| {
            let hash = proposal(hash);
            let signature = key.sign(Domain::ConfigVote, hash.as_bytes());
            votes.vote(&committee, proposal(0), hash, signature.as_bytes(), START)
        };
        let tally = |collected| Tally { collected, required: 2 };
        assert_eq!(vote(&keys[0], 1), Ok(Decision::Pending(tally(1))));
        assert_eq!(vote(&keys[0], 1), Ok(Decision::Pending(tally(1))));
        assert_eq!(vote(&keys[1], 2), Ok(Decision::Pending(tally(1))));
        let stranger = SigningKey::from_seed(&[9; 32]);
        assert_eq!(vote(&stranger, 1), Err(SignatureError::NotAllowed));
        assert_eq!(vote(&keys[0], 0), Ok(Decision::InForce(tally(2))));
        assert_eq!(vote(&keys[1], 1), Ok(Decision::Carried(tally(2))));
    }

    #[test]
    fn votes_for_different_proposals_are_not_added() {
        let mut votes = Votes::default();
        cast(&mut votes, 1, 1, Duration::ZERO);
        assert_eq!(cast(&mut votes, 2, 2, Duration::ZERO), 1);
    }

    #[test]
    fn w09_a_repeated_vote_prolongs_nothing() {
        let mut votes = Votes::default();
        cast(&mut votes, 1, 1, Duration::ZERO);
        cast(&mut votes, 1, 1, VOTE_LIFE);
        let late = VOTE_LIFE + Duration::from_millis(1);
        assert_eq!(cast(&mut votes, 1, 2, late), 1, "the first vote is forgotten");
    }

    #[test]
    fn another_signer_prolongs_a_proposal() {
        let mut votes = Votes::default();
        cast(&mut votes, 1, 1, Duration::ZERO);
        cast(&mut votes, 1, 2, VOTE_LIFE);
        assert_eq!(cast(&mut votes, 1, 3, VOTE_LIFE * 2), 3);
    }

    #[test]
    fn w49_a_signer_with_too_many_proposals_gives_up_the_oldest() {
        let mut votes = Votes::default();
        for hash in 1..=200 {
            cast(&mut votes, hash, 1, Duration::ZERO);
        }
        assert_eq!(votes.proposals.len(), PROPOSALS_PER_SIGNER);
        assert_eq!(cast(&mut votes, 1, 2, Duration::ZERO), 1, "the first vote was given up");
        assert_eq!(cast(&mut votes, 200, 2, Duration::ZERO), 2);
    }

    #[test]
    fn nothing_is_left_of_forgotten_votes() {
        let mut votes = Votes::default();
        cast(&mut votes, 1, 1, Duration::ZERO);
        votes.forget(START + VOTE_LIFE * 2);
        assert!(votes.proposals.is_empty() && votes.by_signer.is_empty());
    }
}
