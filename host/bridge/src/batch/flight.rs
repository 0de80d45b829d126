//! One batch on its way to the enclave and back.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use protocol::{answer::EnclaveErrorResponse, ids::RequestHash, json};
use tokio::time::Instant;
use transport::http::{ExchangeError, SendError};

use super::{
    Answer, Collector, Failure, Timing,
    state::{Outcome, Ready},
};
use crate::{enclave::LinkError, reply::relayed};

/// Sends a batch, in a task of its own, and gives everybody its outcome.
pub(super) fn start(collector: Collector, hash: RequestHash, ready: Ready) {
    // Made before the task, so that the request ends even if the task never runs.
    let flight = Flight { collector, hash, is_over: false };
    tokio::spawn(flight.run(ready));
}

/// A request under way. Dropped without an outcome, it fails.
struct Flight {
    collector: Collector,
    hash: RequestHash,
    is_over: bool,
}

/// What an enclave has stored of a request.
enum Stored {
    /// Its outcome.
    Outcome(Response<Bytes>),
    /// Nothing.
    NotYet,
    /// Nothing, and this enclave stores nothing.
    Never,
}

impl Flight {
    async fn run(mut self, ready: Ready) {
        let sent = Instant::now();
        let body = Bytes::from([b"[", ready.batch.join(&b',').as_slice(), b"]"].concat());
        drop(ready.batch);
        let (response, is_fresh) = self.deliver(body, ready.nonce.as_ref(), sent).await;
        let timing =
            Timing { batch: sent.saturating_duration_since(ready.opened), enclave: sent.elapsed() };
        self.finish(outcome(response, timing), is_fresh);
    }

    /// Sends a batch until it has an outcome. The enclave runs a request at most once, so that sending
    /// it again asks what became of it. True if the outcome was made for this bridge.
    async fn deliver(
        &self,
        body: Bytes,
        nonce: Option<&HeaderValue>,
        sent: Instant,
    ) -> (Result<Response<Bytes>, LinkError>, bool) {
        let inner = &self.collector.0;
        let mut pause = FIRST_PAUSE;
        loop {
            let (body, limits) = (body.clone(), &inner.exchange);
            let sending = inner.link.send_with(Method::POST, "/requests", nonce, body, limits);
            let response = sending.await;
            let may_come = match &response {
                // A bridge before this one sent it; it runs, or it is done.
                Ok(response) if response.status() == StatusCode::CONFLICT => is_in_flight(response),
                // It has had its time; it may be done nevertheless.
                Err(SendError::Exchange(ExchangeError::TimedOut)) => false,
                // It may have arrived.
                Err(SendError::Exchange(_)) => true,
                Ok(_) | Err(SendError::Dial(_)) => return (response, true),
            };
            match self.stored().await {
                Stored::Outcome(stored) => return (Ok(stored), false),
                Stored::NotYet if may_come && sent.elapsed() < inner.exchange.timeout => {
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
                Stored::NotYet | Stored::Never => return (response, true),
            }
        }
    }

    /// Asks for the stored outcome of a request that was sent before.
    async fn stored(&self) -> Stored {
        let inner = &self.collector.0;
        let path = format!("/results/{}", self.hash);
        let asked = inner.link.send(Method::GET, &path, Bytes::new(), &inner.exchange).await;
        match asked {
            Ok(stored) if stored.status() != StatusCode::NOT_FOUND => {
                tracing::info!(event = "recovered", request_hash = %self.hash);
                Stored::Outcome(stored)
            }
            Ok(answer) if answer.body() == NO_SUCH_PATH => Stored::Never,
            Ok(_) => Stored::NotYet,
            Err(_) => Stored::Never,
        }
    }

    fn finish(&mut self, outcome: Outcome, is_fresh: bool) {
        self.is_over = true;
        match &outcome {
            Ok(answer) => tracing::info!(
                event = if answer.status.is_success() { "enclave_ok" } else { "enclave_err" },
                request_hash = %self.hash,
                status = answer.status.as_u16(),
                body_bytes = answer.body.len(),
                batch_ms = millis(answer.timing.batch),
                enclave_ms = millis(answer.timing.enclave),
            ),
            Err(failure) => {
                tracing::warn!(event = "enclave_err", request_hash = %self.hash, ?failure);
            }
        }
        // A failure may be tried again, and a stored outcome is as old as it is.
        let keep = outcome.as_ref().is_ok_and(|answer| answer.status == StatusCode::OK);
        let now = Instant::now();
        self.collector.state().complete(&self.hash, outcome, keep && is_fresh, now);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.is_over {
            self.finish(Err(Failure::Unreachable), true);
        }
    }
}

fn outcome(response: Result<Response<Bytes>, LinkError>, timing: Timing) -> Outcome {
    let (head, body) = response.map_err(|error| failure(&error))?.into_parts();
    Ok(Answer { status: head.status, headers: relayed(head.headers), body, timing })
}

/// Whether the enclave says that the request is under way (section 2.7, check 8).
fn is_in_flight(response: &Response<Bytes>) -> bool {
    let error = json::from_slice::<EnclaveErrorResponse>(response.body());
    error.is_ok_and(|error| error.error == IN_FLIGHT)
}

fn failure(error: &LinkError) -> Failure {
    match error {
        SendError::Exchange(ExchangeError::TimedOut) => Failure::TimedOut,
        SendError::Exchange(
            ExchangeError::Broken(_)
            | ExchangeError::BodyTooLong { .. }
            | ExchangeError::Closed
            | ExchangeError::HeadTooLong
            | ExchangeError::Malformed,
        )
        | SendError::Dial(_) => Failure::Unreachable,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The enclave's text for a request that is being executed.
const IN_FLIGHT: &str = "request is already being processed";

/// What an enclave of version 1 answers, which stores no outcomes.
const NO_SUCH_PATH: &[u8] = b"404 page not found\n";

/// Between two questions for an outcome: at first short against an execution, then long against the
/// sending of a batch.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
