//! What the collector remembers, and nothing that takes time: no signature is checked, no JSON read,
//! no task awaited while this is locked.

use std::collections::BTreeMap;

use crypto::sign::SignerKey;
use http::HeaderValue;
use protocol::{committee::Committee, ids::RequestHash, quorum::Voices};
use tokio::{sync::watch, task::AbortHandle, time::Instant};

use super::{Answer, BatchLimits, Failure, results::Results, submission::Submission};

/// What everybody who waits for a request hears.
pub(super) type Outcome = Result<Answer, Failure>;

/// Where an outcome appears, once.
pub(super) type Outcomes = watch::Receiver<Option<Outcome>>;

/// All requests.
#[derive(Debug)]
pub(super) struct State {
    entries: BTreeMap<RequestHash, Entry>,
    results: Results,
    usage: BTreeMap<SignerKey, Usage>,
    bytes: usize,
    opened: u64,
}

/// What became of a submission.
pub(super) enum Joined {
    /// There is an answer already.
    Answered(Answer),
    /// The first of its batch: start the clock.
    Opened { outcomes: Outcomes, number: u64, ready: Option<Ready> },
    /// One of a batch, or of a request under way.
    Waiting { outcomes: Outcomes, ready: Option<Ready> },
    /// There is no room.
    Busy,
}

/// A batch with its quorum, to be sent now.
#[derive(Debug)]
pub(super) struct Ready {
    /// Signed requests in JSON, exactly as many as the quorum.
    pub(super) batch: Vec<Vec<u8>>,
    /// The challenge that all of them came with, if there is one.
    pub(super) nonce: Option<HeaderValue>,
    /// When the first of them came.
    pub(super) opened: Instant,
}

/// A request that has no answer yet.
#[derive(Debug)]
struct Entry {
    outcome: watch::Sender<Option<Outcome>>,
    bytes: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Pending(Pending),
    Running,
}

/// A batch below its quorum.
#[derive(Debug)]
struct Pending {
    number: u64,
    opened: Instant,
    requests: Vec<Submission>,
    clock: Option<AbortHandle>,
}

/// What one signer's submissions below their quorum take.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    requests: usize,
    bytes: usize,
}

impl State {
    pub(super) fn new(limits: &BatchLimits) -> Self {
        Self {
            entries: BTreeMap::new(),
            results: Results::new(limits.result_age, limits.results_bytes),
            usage: BTreeMap::new(),
            bytes: 0,
            opened: 0,
        }
    }

    /// Finds the submission its place. Each signer counts once in a batch.
    pub(super) fn join(
        &mut self,
        submission: Submission,
        committee: &Committee,
        limits: &BatchLimits,
        now: Instant,
    ) -> Joined {
        let hash = submission.hash;
        if let Some(answer) = self.results.find(&hash, now) {
            return Joined::Answered(answer);
        }
        if let Some(entry) =
            self.entries.get(&hash).filter(|entry| !entry.misses(&submission.signer))
        {
            let outcomes = entry.outcome.subscribe();
            // The committee may need fewer signers than when the last one came (W-42).
            return Joined::Waiting { outcomes, ready: self.take_quorum(&hash, committee, limits) };
        }
        if !self.charge(&submission, limits) {
            return Joined::Busy;
        }
        let is_new = !self.entries.contains_key(&hash);
        if is_new {
            self.opened = self.opened.wrapping_add(1);
        }
        let number = self.opened;
        let entry = self.entries.entry(hash).or_insert_with(|| Entry::opened(number, now));
        let outcomes = entry.outcome.subscribe();
        entry.add(submission);
        let ready = self.take_quorum(&hash, committee, limits);
        if is_new {
            Joined::Opened { outcomes, number, ready }
        } else {
            Joined::Waiting { outcomes, ready }
        }
    }

    /// Hands over the clock that ends a batch, to be stopped when its quorum stands.
    pub(super) fn set_clock(&mut self, hash: &RequestHash, number: u64, clock: AbortHandle) {
        match self.entries.get_mut(hash).map(|entry| &mut entry.stage) {
            Some(Stage::Pending(pending)) if pending.number == number => {
                pending.clock = Some(clock)
            }
            Some(Stage::Pending(_) | Stage::Running) | None => clock.abort(),
        }
    }

    /// Ends a batch that has no quorum; with a number, only that batch. Says how many signers it had.
    pub(super) fn give_up(
        &mut self,
        hash: &RequestHash,
        number: u64,
        failure: impl FnOnce(usize) -> Failure,
    ) {
        let is_it = |entry: &Entry| matches!(&entry.stage, Stage::Pending(pending) if pending.number == number);
        if !self.entries.get(hash).is_some_and(is_it) {
            return;
        }
        if let Some(entry) = self.entries.remove(hash) {
            let got = match &entry.stage {
                Stage::Pending(pending) => pending.requests.len(),
                Stage::Running => 0,
            };
            self.release(&entry);
            self.bytes = self.bytes.saturating_sub(entry.bytes);
            entry.outcome.send_replace(Some(Err(failure(got))));
        }
    }

    /// Ends a request under way and keeps its success.
    pub(super) fn complete(
        &mut self,
        hash: &RequestHash,
        outcome: Outcome,
        keep: bool,
        now: Instant,
    ) {
        if let Some(entry) = self.entries.remove(hash) {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
            if let (Ok(answer), true) = (&outcome, keep) {
                self.results.keep(*hash, answer.clone(), now);
            }
            entry.outcome.send_replace(Some(outcome));
        }
    }

    /// Requests below their quorum, and under way.
    pub(super) fn counts(&self) -> (usize, usize) {
        let pending =
            self.entries.values().filter(|entry| matches!(entry.stage, Stage::Pending(_)));
        let pending = pending.count();
        (pending, self.entries.len().saturating_sub(pending))
    }

    /// Whether no room is taken but by results.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty() && self.usage.is_empty() && self.bytes == 0
    }

    /// Takes room for a submission, or says that there is none (W-26, W-49).
    fn charge(&mut self, submission: &Submission, limits: &BatchLimits) -> bool {
        let bytes = submission.encoded.len();
        let used = self.usage.get(&submission.signer).copied().unwrap_or_default();
        let fits = used.requests < limits.pending_per_signer
            && bytes <= limits.pending_bytes_per_signer.saturating_sub(used.bytes)
            && bytes <= limits.pending_bytes.saturating_sub(self.bytes);
        if fits {
            let usage = self.usage.entry(submission.signer).or_default();
            usage.requests = usage.requests.saturating_add(1);
            usage.bytes = usage.bytes.saturating_add(bytes);
            self.bytes = self.bytes.saturating_add(bytes);
        }
        fits
    }

    /// Gives back what the signers of a batch below its quorum took.
    fn release(&mut self, entry: &Entry) {
        let Stage::Pending(pending) = &entry.stage else { return };
        for request in &pending.requests {
            if let Some(usage) = self.usage.get_mut(&request.signer) {
                usage.requests = usage.requests.saturating_sub(1);
                usage.bytes = usage.bytes.saturating_sub(request.encoded.len());
                if usage.requests == 0 {
                    self.usage.remove(&request.signer);
                }
            }
        }
    }

    /// Takes the batch out if it has its quorum; that happens once.
    fn take_quorum(
        &mut self,
        hash: &RequestHash,
        committee: &Committee,
        limits: &BatchLimits,
    ) -> Option<Ready> {
        let quorum = limits.quorum(committee);
        let Stage::Pending(pending) = &self.entries.get(hash)?.stage else { return None };
        // Whoever left the committee while the batch waited counts no more (W-42).
        let signers = pending.requests.iter().map(|request| &request.signer);
        if !Voices::of(committee.signers(), signers).reach(quorum) {
            return None;
        }
        let mut entry = self.entries.remove(hash)?;
        self.release(&entry);
        let stage = std::mem::replace(&mut entry.stage, Stage::Running);
        self.entries.insert(*hash, entry);
        let Stage::Pending(pending) = stage else { return None };
        if let Some(clock) = pending.clock {
            clock.abort();
        }
        let mut voices = Voices::none(committee.signers());
        let members = pending.requests.into_iter().filter(|request| voices.add(&request.signer));
        let members: Vec<_> = members.take(quorum.get()).collect();
        let nonce = common_nonce(&members);
        let batch = members.into_iter().map(|request| request.encoded).collect();
        Some(Ready { batch, nonce, opened: pending.opened })
    }
}

/// One answer is for all, so it answers the challenge that all sent. Where they differ it answers none,
/// because no member's may stand above another's.
fn common_nonce(batch: &[Submission]) -> Option<HeaderValue> {
    let (first, others) = batch.split_first()?;
    first.nonce.clone().filter(|_| others.iter().all(|other| other.nonce == first.nonce))
}

impl Entry {
    fn opened(number: u64, now: Instant) -> Self {
        let pending = Pending { number, opened: now, requests: Vec::new(), clock: None };
        Self { outcome: watch::Sender::new(None), bytes: 0, stage: Stage::Pending(pending) }
    }

    /// Whether the signer's request is still wanted.
    fn misses(&self, signer: &SignerKey) -> bool {
        match &self.stage {
            Stage::Pending(pending) => {
                !pending.requests.iter().any(|request| request.signer == *signer)
            }
            Stage::Running => false,
        }
    }

    fn add(&mut self, submission: Submission) {
        if let Stage::Pending(pending) = &mut self.stage {
            self.bytes = self.bytes.saturating_add(submission.encoded.len());
            pending.requests.push(submission);
        }
    }
}
