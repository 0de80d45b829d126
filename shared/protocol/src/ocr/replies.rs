//! When the replies of a capability DON are an answer: F + 1 of them are identical, or one carries an
//! attestation with F + 1 signatures (relay-protocol 12.4, step 3).
//!
//! This is the rule alone. The client of a remote capability is to bring the messages, to count the
//! errors that peers send instead of answers (step 4), and to give up in time (step 5); none exists in
//! this workspace yet.

use std::collections::BTreeMap;

use crypto::{address::Address, sign::SignerKey};
use sha2::{Digest as _, Sha256};

use super::{DecodeResponseError, VerifyResponseError, decode_response, verify_response};
use crate::{
    committee::SignerSet,
    ids::{ExecutionId, FaultBound},
    messages::{
        self,
        capabilities::{CapabilityResponse, MeteringReportNodeDetail, ResponseMetadata},
    },
    quorum::{Quorum, Voices},
};

/// The DON of a remote capability, as the registry lists it.
#[derive(Clone, Debug)]
pub struct CapabilityDon {
    /// The keys of its peers.
    pub peers: SignerSet,
    /// How many of them may be faulty.
    pub fault_bound: FaultBound,
    /// The addresses with which they sign reports, by index.
    pub signers: Vec<Address>,
}

/// The replies to one call, as far as they came.
#[derive(Debug)]
pub struct Replies<'d> {
    don: &'d CapabilityDon,
    execution_id: ExecutionId,
    reference_id: String,
    heard: Voices<'d>,
    answers: BTreeMap<[u8; 32], Answer<'d>>,
    is_over: bool,
}

/// One answer, whoever gave it.
#[derive(Debug)]
struct Answer<'d> {
    voices: Voices<'d>,
    metering: Vec<MeteringReportNodeDetail>,
}

/// What a reply led to.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// The call is answered; its metadata holds what each peer that gave this answer spent.
    Answered(Box<CapabilityResponse>),
    /// It was over before.
    Over,
    /// It cannot be answered any more.
    Unreachable(UnreachableQuorum),
    /// More replies are needed.
    Waiting {
        /// Why this reply is no answer by itself; none if it was no answer at all.
        unattested: Option<VerifyResponseError>,
    },
}

/// Too few peers are left to make a quorum; the text is the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "response quorum unreachable: not enough matching capability responses: received \
     {received}/{peers} peer responses with {unique} unique payloads; best match count {best}, need \
     {want} ({pending} responses pending)"
)]
pub struct UnreachableQuorum {
    /// Peers that replied.
    pub received: usize,
    /// All peers.
    pub peers: usize,
    /// Distinct answers.
    pub unique: usize,
    /// Peers that gave the most frequent answer.
    pub best: usize,
    /// F + 1.
    pub want: usize,
    /// Peers that did not reply yet.
    pub pending: usize,
}

/// Why a reply counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It is no answer; its peer has replied all the same.
    #[error("failed to unmarshal capability response: {0}")]
    Decode(#[from] DecodeResponseError),
    /// The peer is not in the DON.
    #[error("response from peer {peer} not expected")]
    Stranger {
        /// The peer.
        peer: Box<SignerKey>,
    },
    /// The peer has replied before.
    #[error("response from peer {peer} already received")]
    Again {
        /// The peer.
        peer: Box<SignerKey>,
    },
}

impl<'d> Replies<'d> {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(don: &'d CapabilityDon, execution_id: ExecutionId, reference_id: String) -> Self {
        Self {
            don,
            execution_id,
            reference_id,
            heard: Voices::none(&don.peers),
            answers: BTreeMap::new(),
            is_over: false,
        }
    }

    /// Takes a peer's answer.
    ///
    /// # Errors
    ///
    /// [`ReplyError`]: the reply counts for nothing, and the call goes on.
    pub fn answer(&mut self, peer: &SignerKey, message: &[u8]) -> Result<Progress, ReplyError> {
        if !self.hear(peer)? {
            return Ok(Progress::Over);
        }
        let mut response = decode_response(message)?;
        let metadata = response.metadata.take().unwrap_or_default();
        let answer = self.answers.entry(identity(&response)).or_insert_with(|| Answer {
            voices: Voices::none(&self.don.peers),
            metering: Vec::new(),
        });
        answer.voices.add(peer);
        // What a peer spent is known if it says so once; the answer counts in any case.
        if let [spent] = metadata.metering.as_slice() {
            answer.metering.push(spent.clone());
        }
        let metering = answer.metering.clone();
        let agreed = answer.voices.reach(Quorum::honest(self.don.fault_bound));
        response.metadata = Some(metadata);
        let attested = if agreed { Ok(()) } else { self.verify(&response) };
        match attested {
            Ok(()) => {
                self.is_over = true;
                response.metadata = Some(ResponseMetadata { metering, capdon_n: 0 });
                Ok(Progress::Answered(Box::new(response)))
            }
            Err(unattested) => Ok(self.wait(Some(unattested))),
        }
    }

    /// Takes a peer's error: it will give no answer.
    ///
    /// # Errors
    ///
    /// [`ReplyError::Stranger`] or [`ReplyError::Again`].
    pub fn error(&mut self, peer: &SignerKey) -> Result<Progress, ReplyError> {
        let is_new = self.hear(peer)?;
        Ok(if is_new { Progress::Waiting { unattested: None } } else { Progress::Over })
    }

    /// Marks a peer as heard; false if the call is over.
    fn hear(&mut self, peer: &SignerKey) -> Result<bool, ReplyError> {
        if self.is_over {
            return Ok(false);
        }
        if self.heard.add(peer) {
            return Ok(true);
        }
        let peer = Box::new(*peer);
        match self.don.peers.position(peer.as_bytes()) {
            None => Err(ReplyError::Stranger { peer }),
            Some(_) => Err(ReplyError::Again { peer }),
        }
    }

    fn verify(&self, response: &CapabilityResponse) -> Result<(), VerifyResponseError> {
        let CapabilityDon { signers, fault_bound, .. } = self.don;
        verify_response(response, &self.execution_id, &self.reference_id, signers, *fault_bound)
    }

    /// Whether it makes sense to wait for more.
    fn wait(&mut self, unattested: Option<VerifyResponseError>) -> Progress {
        let (received, peers) = (self.heard.count(), self.don.peers.keys().len());
        let best = self.answers.values().map(|answer| answer.voices.count()).max().unwrap_or(0);
        let want = Quorum::honest(self.don.fault_bound).get();
        let pending = peers.saturating_sub(received);
        if best.saturating_add(pending) >= want {
            return Progress::Waiting { unattested };
        }
        self.is_over = true;
        let unique = self.answers.len();
        Progress::Unreachable(UnreachableQuorum { received, peers, unique, best, want, pending })
    }
}

/// What makes two answers one: everything but what each peer adds of its own.
fn identity(response: &CapabilityResponse) -> [u8; 32] {
    let bare = CapabilityResponse { metadata: None, ocr_attestation: None, ..response.clone() };
    Sha256::digest(messages::encode(&bare)).into()
}

#[cfg(test)]
mod tests {
    use crypto::sign::SigningKey;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        ocr::tests::{attested, execution, key},
        proto::WireError,
    };

    fn peer(seed: u8) -> SignerKey {
        SigningKey::from_seed(&[seed; 32]).public()
    }

    #[test]
    fn what_each_peer_adds_of_its_own_is_no_part_of_an_answer() {
        let response = attested(&[(1, 1), (2, 2)]);
        let metadata = response.metadata.is_none().then(Default::default);
        let other = CapabilityResponse { metadata, ocr_attestation: None, ..response.clone() };
        assert_ne!(other, response);
        assert_eq!(identity(&other), identity(&response));
        let payload = response.payload.is_none().then(Default::default);
        assert_ne!(identity(&CapabilityResponse { payload, ..other }), identity(&response));
    }

    /// Four peers of which one may be faulty; they sign reports with the keys 1 to 4.
    fn don() -> CapabilityDon {
        CapabilityDon {
            peers: (1..=4).map(peer).collect(),
            fault_bound: FaultBound::new(1),
            signers: (1..=4).map(|seed| key(seed).address()).collect(),
        }
    }

    fn replies(don: &CapabilityDon) -> Replies<'_> {
        Replies::new(don, execution(), "7".to_owned())
    }

    /// An answer without an attestation, as the peer with this seed gives it.
    fn plain(payload: &str, seed: u8) -> Vec<u8> {
        let mut response = attested(&[]);
        response.ocr_attestation = None;
        response.payload.as_mut().unwrap().value = payload.as_bytes().to_vec();
        response.metadata.as_mut().unwrap().metering[0].peer_2_peer_id = seed.to_string();
        messages::encode(&response)
    }

    fn waits(progress: Result<Progress, ReplyError>) -> bool {
        progress.is_ok_and(|progress| matches!(progress, Progress::Waiting { .. }))
    }

    #[test]
    fn a_quorum_of_identical_answers_is_an_answer_with_what_each_peer_spent() {
        let don = don();
        let mut replies = replies(&don);
        assert!(waits(replies.answer(&peer(2), &plain("a", 2))));
        assert!(waits(replies.answer(&peer(1), &plain("b", 1))));
        let Ok(Progress::Answered(answer)) = replies.answer(&peer(4), &plain("a", 4)) else {
            panic!("no answer");
        };
        assert_eq!(answer.payload.unwrap().value, b"a");
        let metadata = answer.metadata.unwrap();
        let spenders: Vec<_> =
            metadata.metering.iter().map(|m| m.peer_2_peer_id.as_str()).collect();
        assert_eq!((spenders, metadata.capdon_n), (vec!["2", "4"], 0));
        assert_eq!(replies.answer(&peer(3), &plain("a", 3)), Ok(Progress::Over));
        assert_eq!(replies.error(&peer(3)), Ok(Progress::Over));
    }

    #[test]
    fn one_attested_answer_is_an_answer() {
        let don = don();
        let good = attested(&[(1, 0), (3, 2)]);
        let progress = replies(&don).answer(&peer(2), &messages::encode(&good));
        let Ok(Progress::Answered(answer)) = progress else { panic!("no answer") };
        assert_eq!(answer.ocr_attestation, good.ocr_attestation);
        assert_eq!(answer.metadata.unwrap().metering, good.metadata.unwrap().metering);
    }

    #[test]
    fn an_attestation_that_does_not_hold_leaves_a_plain_answer() {
        let don = don();
        let mut replies = replies(&don);
        for (signers, unattested) in [
            (vec![(1, 0)], VerifyResponseError::TooFewSignatures { got: 1, want: 2 }),
            (vec![(1, 0), (9, 2)], VerifyResponseError::Signature { index: 2 }),
        ] {
            let number = u8::try_from(signers.len()).unwrap();
            let mut response = attested(&signers);
            response.value = Some(Default::default());
            // Answers that differ do not add up.
            response.error = number.to_string();
            let waiting = Progress::Waiting { unattested: Some(unattested) };
            let bytes = messages::encode(&response);
            assert_eq!(replies.answer(&peer(number), &bytes), Ok(waiting));
        }
        let mut plain = attested(&[]);
        (plain.value, plain.error) = (Some(Default::default()), "1".to_owned());
        let progress = replies.answer(&peer(3), &messages::encode(&plain));
        assert!(matches!(progress, Ok(Progress::Answered(_))), "{progress:?}");
    }

    #[test]
    fn an_attestation_of_another_call_is_none() {
        let don = don();
        let bytes = messages::encode(&attested(&[(1, 0), (3, 2)]));
        let mut other = Replies::new(&don, execution(), "8".to_owned());
        let unattested = Some(VerifyResponseError::Signature { index: 0 });
        assert_eq!(other.answer(&peer(1), &bytes), Ok(Progress::Waiting { unattested }));
    }

    #[test]
    fn one_peer_twice_is_one_voice_and_a_stranger_none() {
        let don = don();
        let mut replies = replies(&don);
        assert!(waits(replies.answer(&peer(1), &plain("a", 1))));
        let again = Err(ReplyError::Again { peer: Box::new(peer(1)) });
        assert_eq!(replies.answer(&peer(1), &plain("a", 1)), again);
        assert_eq!(replies.error(&peer(1)), again);
        let stranger = Err(ReplyError::Stranger { peer: Box::new(peer(9)) });
        assert_eq!(replies.answer(&peer(9), &plain("a", 9)), stranger);
        assert_eq!(replies.error(&peer(9)), stranger);
    }

    #[test]
    fn what_is_no_answer_uses_up_its_peers_turn() {
        let don = don();
        let mut replies = replies(&don);
        let malformed = DecodeResponseError::Message(WireError::Malformed);
        assert_eq!(replies.answer(&peer(1), &[0xff]), Err(ReplyError::Decode(malformed)));
        let again = Err(ReplyError::Again { peer: Box::new(peer(1)) });
        assert_eq!(replies.answer(&peer(1), &plain("a", 1)), again);
    }

    #[test]
    fn replies_that_cannot_agree_any_more_end_the_call() {
        let don = don();
        let mut replies = replies(&don);
        assert!(waits(replies.error(&peer(4))));
        assert!(waits(replies.answer(&peer(1), &plain("a", 1))));
        assert!(waits(replies.answer(&peer(2), &plain("b", 2))));
        let Ok(Progress::Unreachable(error)) = replies.answer(&peer(3), &plain("c", 3)) else {
            panic!("it may still be answered");
        };
        assert_eq!(
            error.to_string(),
            "response quorum unreachable: not enough matching capability responses: received 4/4 \
             peer responses with 3 unique payloads; best match count 1, need 2 (0 responses pending)"
        );
        assert_eq!(replies.answer(&peer(3), &plain("a", 3)), Ok(Progress::Over));
    }

    #[test]
    fn peers_whose_costs_are_unclear_agree_all_the_same() {
        let don = don();
        let mut replies = replies(&don);
        let mut response = attested(&[]);
        response.metadata = None;
        let bytes = messages::encode(&response);
        assert!(waits(replies.answer(&peer(1), &bytes)));
        let Ok(Progress::Answered(answer)) = replies.answer(&peer(2), &bytes) else {
            panic!("no answer");
        };
        assert_eq!(answer.metadata, Some(ResponseMetadata::default()));
    }

    proptest! {
        #[test]
        fn no_answer_without_a_quorum(answers in proptest::collection::vec((1..=4_u8, 0..3_usize), 0..12)) {
            let don = don();
            let mut replies = replies(&don);
            let mut voices = BTreeMap::<usize, std::collections::BTreeSet<u8>>::new();
            let mut heard = std::collections::BTreeSet::new();
            for (seed, payload) in answers {
                let progress = replies.answer(&peer(seed), &plain(["a", "b", "c"][payload], seed));
                if heard.insert(seed) {
                    voices.entry(payload).or_default().insert(seed);
                }
                let reached = voices.values().any(|voices| voices.len() >= 2);
                prop_assert_eq!(matches!(progress, Ok(Progress::Answered(_) | Progress::Over)), reached);
                if reached {
                    break;
                }
            }
        }
    }
}
