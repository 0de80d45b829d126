//! Room 2: equal requests become one batch, and everybody who waits hears one answer (section 10.4).
//!
//! ```text
//! member's request ── signature ── joins its batch ── F + 1 signers ── enclave ── answer ─┬─ waiter
//!                                       │                                                 ├─ waiter
//!                                       └─ too few in time ── quorum_timeout              └─ late
//! ```
//!
//! Signers are counted, not requests: the first of each signer is kept, a second one only waits. A
//! batch is sent once. The answer's bytes are the enclave's; nothing is decoded on the way back (W-53).
//! A request under way lives as long as it takes (W-22).

mod flight;
mod results;
mod state;
mod submission;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use protocol::{
    committee::Committee,
    ids::{RequestHash, RequestId},
    quorum::Quorum,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transport::http::ClientLimits;

use self::{
    state::{Joined, Outcomes, State},
    submission::Submission,
};
use crate::enclave::Link;

pub use submission::{SubmissionError, Unchecked};

/// How requests wait for each other, and what they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Time for a quorum, from the first request of a batch.
    pub quorum_timeout: Duration,
    /// 2F + 1 signers instead of F + 1.
    pub require_bft_quorum: bool,
    /// How long a success waits for nodes that come late.
    pub result_age: Duration,
    /// Bytes of all successes that wait.
    pub results_bytes: usize,
    /// Requests of one signer that wait for their quorum (W-49).
    pub pending_per_signer: usize,
    /// Their bytes.
    pub pending_bytes_per_signer: usize,
    /// Bytes of all requests that wait for their quorum or are under way.
    pub pending_bytes: usize,
}

impl BatchLimits {
    /// How many signers of a committee make a batch.
    fn quorum(&self, committee: &Committee) -> Quorum {
        let faults = committee.fault_bound();
        if self.require_bft_quorum { Quorum::bft(faults) } else { Quorum::honest(faults) }
    }
}

/// Collects signed requests into batches. Clones share them.
#[derive(Clone, Debug)]
pub struct Collector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: BatchLimits,
    link: Link,
    exchange: ClientLimits,
    stop: CancellationToken,
    state: Mutex<State>,
}

/// What the enclave answered, as it came.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers, without those of the connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long it took.
    pub timing: Timing,
}

/// Where the time of a request went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From the first request of the batch to its quorum.
    pub batch: Duration,
    /// In the enclave, with the way there and back.
    pub enclave: Duration,
}

/// Why a batch has no answer. Every waiter hears the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Too few signers in time.
    NoQuorum {
        /// Distinct signers.
        got: usize,
        /// F + 1, or 2F + 1.
        want: usize,
        /// The time they had.
        within: Duration,
    },
    /// The bridge stops.
    Stopping,
    /// The enclave cannot be reached, or went away.
    Unreachable,
    /// The enclave did not answer in time.
    TimedOut,
}

/// Why a submission has no answer.
#[derive(Debug)]
pub enum SubmitError {
    /// It is no member's request.
    Submission(SubmissionError),
    /// Its signer, or all together, have too much waiting (W-26).
    Busy,
    /// Its batch failed.
    Failed(RequestId, Failure),
}

impl From<SubmissionError> for SubmitError {
    fn from(error: SubmissionError) -> Self {
        Self::Submission(error)
    }
}

impl Collector {
    /// Collects for the enclave behind `link`. After `stop`, what has no quorum fails at once.
    #[must_use]
    pub fn new(
        limits: BatchLimits,
        link: Link,
        exchange: ClientLimits,
        stop: CancellationToken,
    ) -> Self {
        let state = Mutex::new(State::new(&limits));
        Self(Arc::new(Inner { limits, link, exchange, stop, state }))
    }

    /// Takes one signed request and waits for the answer to its batch.
    ///
    /// Dropping the future ends the waiting, not the request.
    ///
    /// # Errors
    ///
    /// [`SubmitError`].
    pub async fn submit(
        &self,
        request: Unchecked,
        committee: &Committee,
    ) -> Result<Answer, SubmitError> {
        let submission = request.check(committee)?;
        let (hash, request_id) = (submission.hash, submission.request_id);
        let mut outcomes = match self.join(submission, committee)? {
            Ok(answer) => return Ok(answer),
            Err(outcomes) => outcomes,
        };
        // The sender sends before it is dropped; a dropped one means that its task was ended.
        let outcome = match outcomes.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        tracing::debug!(event = "notify", request_hash = %hash);
        outcome
            .unwrap_or(Err(Failure::Stopping))
            .map_err(|failure| SubmitError::Failed(request_id, failure))
    }

    /// Requests below their quorum, and under way.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.state().counts()
    }

    fn join(
        &self,
        submission: Submission,
        committee: &Committee,
    ) -> Result<Result<Answer, Outcomes>, SubmitError> {
        let (hash, signer) = (submission.hash, submission.signer);
        let now = Instant::now();
        let joined = self.state().join(submission, committee, &self.0.limits, now);
        let (outcomes, ready) = match joined {
            Joined::Answered(answer) => {
                tracing::debug!(event = "cache_hit", request_hash = %hash);
                return Ok(Ok(answer));
            }
            Joined::Busy => {
                tracing::warn!(event = "reject", %signer, reason = "too much is waiting");
                return Err(SubmitError::Busy);
            }
            Joined::Opened { outcomes, number, ready } => {
                tracing::debug!(event = "batch_new", request_hash = %hash, %signer);
                if ready.is_none() {
                    self.start_clock(hash, number, committee);
                }
                (outcomes, ready)
            }
            Joined::Waiting { outcomes, ready } => {
                tracing::debug!(event = "batch_join", request_hash = %hash, %signer);
                (outcomes, ready)
            }
        };
        if let Some(ready) = ready {
            tracing::info!(event = "quorum", request_hash = %hash, signers = ready.batch.len());
            flight::start(self.clone(), hash, ready);
        }
        Ok(Err(outcomes))
    }

    /// Ends the batch when its time is over, or the bridge's.
    fn start_clock(&self, hash: RequestHash, number: u64, committee: &Committee) {
        let within = self.0.limits.quorum_timeout;
        let want = self.0.limits.quorum(committee).get();
        let collector = self.clone();
        let clock = tokio::spawn(async move {
            tokio::select! {
                () = collector.0.stop.cancelled() => {
                    collector.state().give_up(&hash, number, |_got| Failure::Stopping);
                }
                () = tokio::time::sleep(within) => {
                    tracing::warn!(event = "timeout_fail", request_hash = %hash);
                    let failure = |got| Failure::NoQuorum { got, want, within };
                    collector.state().give_up(&hash, number, failure);
                }
            }
        });
        self.state().set_clock(&hash, number, clock.abort_handle());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
