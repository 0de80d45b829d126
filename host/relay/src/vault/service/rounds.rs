//! Rounds: from the members' contributions to one answer. No sockets, no clock.
//!
//! ```text
//! open ── contribute ── contribute ── .. ──┬── all members, or 2F + 1 and the grace ──> closed: one answer
//!                                          └── the deadline, with fewer ─────────────> failed
//! ```
//!
//! The ciphertexts are fixed when a round is opened, so all shares are for the same ones. A closed
//! round keeps its answer for members that come late; a failed one may be opened again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use crypto::sign::SignerKey;
use protocol::{
    ids::FaultBound,
    messages::{
        self,
        vault::{
            EncryptedShares, GetSecretsRequest, GetSecretsResponse, SecretData, SecretRequest,
            SecretResponse, SecretResult,
        },
    },
};
use tokio::time::Instant;

use crate::vault::answer::SYSTEM_FAILURE;

/// A round's name: what it is for, and what exactly is asked.
pub(super) type RoundId = ([u8; 32], [u8; 32]);

/// Who takes part, and how long it may take.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The members, sorted.
    pub(super) members: Vec<SignerKey>,
    /// How many of them may be faulty.
    pub(super) faults: FaultBound,
    /// How many shares open a secret.
    pub(super) threshold: usize,
    /// How long a round waits for 2F + 1 members.
    pub(super) deadline: Duration,
    /// How long it then waits for the others.
    pub(super) grace: Duration,
}

/// The rounds of the last minutes.
#[derive(Debug)]
pub(super) struct Rounds {
    rules: Rules,
    rounds: HashMap<RoundId, Round>,
    bytes: usize,
}

#[derive(Debug)]
struct Round {
    opened_at: Instant,
    opened_by: SignerKey,
    request: GetSecretsRequest,
    ciphertexts: Ciphertexts,
    contributions: BTreeMap<SignerKey, Shares>,
    quorum_at: Option<Instant>,
    outcome: Option<Outcome>,
    bytes: usize,
}

/// The ciphertexts of a round, in the order of its request.
pub(super) type Ciphertexts = Arc<[Option<Vec<u8>>]>;

/// One member's sealed shares, in the order of the request.
pub(super) type Shares = Vec<Option<Vec<u8>>>;

#[derive(Clone, Debug)]
enum Outcome {
    Closed(Arc<[u8]>),
    Failed,
}

/// Where a round stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The one answer, a `vault.GetSecretsResponse`.
    Closed(Arc<[u8]>),
    /// Too few members contributed.
    Failed,
    /// Nothing happens before this instant, unless somebody contributes.
    Waits(Instant),
}

/// Why a round is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OpenError {
    /// The member has opened as many as it may.
    #[error("too many rounds of this member, the limit is {limit}")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The rounds take as much memory as they may.
    #[error("the rounds take too much memory")]
    TooLarge,
}

/// Why a contribution does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ContributeError {
    /// There is no such round, or it failed.
    #[error("there is no such round")]
    Unknown,
    /// There are more or fewer shares than secrets.
    #[error("{got} shares for {want} secrets")]
    ShareCount {
        /// Shares.
        got: usize,
        /// Secrets.
        want: usize,
    },
    /// A share is longer than a sealed share is.
    #[error("a share is longer than {limit} bytes")]
    ShareLength {
        /// The limit in bytes.
        limit: usize,
    },
    /// The member has contributed something else to this round.
    #[error("the member contributed something else before")]
    Equivocation,
}

impl Rounds {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, rounds: HashMap::new(), bytes: 0 }
    }

    /// Opens a round, or joins it; `look_up` is asked for the ciphertexts of a new one.
    pub(super) fn open(
        &mut self,
        now: Instant,
        id: RoundId,
        member: SignerKey,
        request: GetSecretsRequest,
        look_up: impl Fn(&SecretRequest) -> Option<Vec<u8>>,
    ) -> Result<Ciphertexts, OpenError> {
        self.forget_old(now);
        self.settle(now, id);
        let known = self.rounds.get(&id).filter(|r| !matches!(r.outcome, Some(Outcome::Failed)));
        if let Some(round) = known {
            return Ok(round.ciphertexts.clone());
        }
        let limit = ROUNDS.checked_div(self.rules.members.len()).unwrap_or_default();
        if self.rounds.values().filter(|round| round.opened_by == member).count() >= limit {
            return Err(OpenError::TooMany { limit });
        }
        let ciphertexts: Ciphertexts = request.requests.iter().map(look_up).collect();
        let bytes = self.most_bytes(&request, &ciphertexts);
        let total = self.bytes.saturating_add(bytes);
        if total > ROUNDS_BYTES {
            return Err(OpenError::TooLarge);
        }
        let round = Round {
            opened_at: now,
            opened_by: member,
            request,
            ciphertexts: ciphertexts.clone(),
            contributions: BTreeMap::new(),
            quorum_at: None,
            outcome: None,
            bytes,
        };
        let before = self.rounds.insert(id, round).map_or(0, |round| round.bytes);
        self.bytes = total.saturating_sub(before);
        Ok(ciphertexts)
    }

    /// Takes a member's shares. The same ones again, or any after the round was closed, change nothing.
    pub(super) fn contribute(
        &mut self,
        now: Instant,
        id: RoundId,
        member: SignerKey,
        shares: Shares,
    ) -> Result<(), ContributeError> {
        self.settle(now, id);
        let round = self.rounds.get_mut(&id).ok_or(ContributeError::Unknown)?;
        let (got, want) = (shares.len(), round.ciphertexts.len());
        if got != want {
            return Err(ContributeError::ShareCount { got, want });
        }
        if shares.iter().flatten().any(|share| share.len() > LONGEST_SHARE_BYTES) {
            return Err(ContributeError::ShareLength { limit: LONGEST_SHARE_BYTES });
        }
        match (&round.outcome, round.contributions.get(&member)) {
            (Some(Outcome::Failed), _) => return Err(ContributeError::Unknown),
            (Some(Outcome::Closed(_)), _) => return Ok(()),
            (None, Some(before)) if *before != shares => return Err(ContributeError::Equivocation),
            (None, Some(_)) => return Ok(()),
            (None, None) => {}
        }
        round.contributions.insert(member, shares);
        if round.quorum_at.is_none() && round.contributions.len() >= self.rules.faults.bft() {
            round.quorum_at = Some(now);
        }
        self.settle(now, id);
        Ok(())
    }

    /// Says where a round stands, closing it if its time has come.
    pub(super) fn progress(&mut self, now: Instant, id: RoundId) -> Progress {
        self.settle(now, id);
        let Some(round) = self.rounds.get(&id) else { return Progress::Failed };
        match &round.outcome {
            Some(Outcome::Closed(answer)) => Progress::Closed(answer.clone()),
            Some(Outcome::Failed) => Progress::Failed,
            None => Progress::Waits(round.turns_at(&self.rules)),
        }
    }

    /// Ends a round whose time has come.
    fn settle(&mut self, now: Instant, id: RoundId) {
        let rules = &self.rules;
        let Some(round) = self.rounds.get_mut(&id).filter(|round| round.outcome.is_none()) else {
            return;
        };
        let is_complete = round.contributions.len() >= rules.members.len();
        if !is_complete && now < round.turns_at(rules) {
            return;
        }
        let outcome = if is_complete || round.quorum_at.is_some() {
            Outcome::Closed(round.answer(rules.threshold).into())
        } else {
            Outcome::Failed
        };
        // Only the answer is needed from here on, and the ciphertexts by members that come late.
        round.contributions = BTreeMap::new();
        let bytes = round.bytes;
        round.bytes = round.kept_bytes(&outcome);
        round.outcome = Some(outcome);
        self.bytes = self.bytes.saturating_sub(bytes).saturating_add(round.bytes);
    }

    /// Drops rounds that nobody waits for any more.
    fn forget_old(&mut self, now: Instant) {
        let age = self.rules.deadline.saturating_add(RETENTION);
        let bytes = &mut self.bytes;
        self.rounds.retain(|_, round| {
            let is_kept = now.saturating_duration_since(round.opened_at) < age;
            *bytes = bytes.saturating_sub(if is_kept { 0 } else { round.bytes });
            is_kept
        });
    }

    /// What a round can come to: the request, the ciphertexts (once as they are and once as
    /// hexadecimal digits), and every member's shares in the same two forms.
    fn most_bytes(&self, request: &GetSecretsRequest, ciphertexts: &Ciphertexts) -> usize {
        let ciphertexts = total(ciphertexts);
        let shares = request.requests.len().saturating_mul(self.rules.members.len());
        let shares = shares.saturating_mul(LONGEST_SHARE_BYTES);
        let thrice = ciphertexts.saturating_add(shares).saturating_mul(3);
        messages::encode(request).len().saturating_mul(2).saturating_add(thrice)
    }
}

impl Round {
    /// When the round ends if nobody contributes any more.
    fn turns_at(&self, rules: &Rules) -> Instant {
        let deadline = later(self.opened_at, rules.deadline);
        self.quorum_at.map_or(deadline, |at| later(at, rules.grace).min(deadline))
    }

    /// What the round takes after its end.
    fn kept_bytes(&self, outcome: &Outcome) -> usize {
        let request = messages::encode(&self.request).len();
        let answer = match outcome {
            Outcome::Closed(answer) => answer.len(),
            Outcome::Failed => 0,
        };
        request.saturating_add(total(&self.ciphertexts)).saturating_add(answer)
    }

    /// The one answer: secrets in the order of the request, shares in the order of the members' keys.
    fn answer(&self, threshold: usize) -> Vec<u8> {
        let requests = self.request.requests.iter().zip(self.ciphertexts.iter()).enumerate();
        let responses = requests.map(|(index, (request, ciphertext))| SecretResponse {
            id: request.id.clone(),
            result: Some(match ciphertext {
                None => SecretResult::Error(NO_SUCH_SECRET.to_owned()),
                Some(ciphertext) => self.secret(index, request, ciphertext, threshold),
            }),
        });
        messages::encode(&GetSecretsResponse { responses: responses.collect() })
    }

    fn secret(
        &self,
        index: usize,
        request: &SecretRequest,
        ciphertext: &[u8],
        threshold: usize,
    ) -> SecretResult {
        let shares = self.contributions.values().filter_map(|shares| shares.get(index)?.as_ref());
        let shares: Vec<String> = shares.map(hex::encode).collect();
        if shares.len() < threshold {
            return SecretResult::Error(SYSTEM_FAILURE.to_owned());
        }
        let encryption_key = request.encryption_keys.first().cloned().unwrap_or_default();
        SecretResult::Data(SecretData {
            encrypted_value: hex::encode(ciphertext),
            encrypted_decryption_key_shares: vec![EncryptedShares {
                shares,
                encryption_key,
                ..EncryptedShares::default()
            }],
        })
    }
}

fn total(ciphertexts: &[Option<Vec<u8>>]) -> usize {
    ciphertexts.iter().flatten().map(Vec::len).sum()
}

/// An instant so far away that the clock cannot show it never comes: `from` is near enough.
fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or(from)
}

/// What workflows read about a secret that nobody stored.
const NO_SUCH_SECRET: &str = "key does not exist";

/// Rounds in all, of which each member may open its part: a thousand requests per second for the
/// half minute that rounds are kept.
const ROUNDS: usize = 32_768;

/// Memory of all rounds: about 5 KB for a closed one with one secret of four members.
const ROUNDS_BYTES: usize = 256 * 1024 * 1024;

/// How long a round is kept after its deadline, for members that come late.
const RETENTION: Duration = Duration::from_secs(10);

/// Bytes of a sealed share (tdh2 13).
const LONGEST_SHARE_BYTES: usize = 600;

#[cfg(test)]
mod tests;
