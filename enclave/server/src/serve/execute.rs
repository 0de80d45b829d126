//! `POST /requests`: one request's way through the rooms, and its answer whatever happens.

use std::{
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{Method, Request};
use protocol::{
    answer::{EnclaveErrorResponse, EnclaveRefusal},
    ids::RequestHash,
    json, limits,
};

use super::{Answer, Core, Held, HoldError, json_answer};
use crate::{
    answer::{Answered, ENDPOINT, Unattested, metrics},
    callers::Callers,
    events::{Events, With},
    ledger::{Outcome, Slot},
    received::Received,
    reject::{Reject, RequestError},
    rooms::FailedRun,
};

/// One request on its way.
#[derive(Clone)]
struct Journey {
    core: Arc<Core>,
    events: Events,
    callers: Callers,
    started: Instant,
    /// Of which request, as soon as a quorum agrees on one; for the log.
    agreed: Arc<OnceLock<RequestHash>>,
}

/// A failure, with the place in the ledger where there is one.
struct Stopped {
    error: RequestError,
    slot: Option<Slot>,
}

/// Executes a request and answers it.
///
/// Once the body is read, the caller may leave: the request goes on to its outcome as long as somebody
/// asks for it within [`limits::ABANDONED_RUN_GRACE`]. A panic on the way ends this request alone.
pub(super) async fn execute(core: Arc<Core>, request: Request<Body>) -> Response {
    let events = Events::default();
    events.add("request_started", With::default().text("endpoint", ENDPOINT));
    let callers = Callers::new();
    // Gone with this future, which is dropped when the caller leaves.
    let _here = callers.join();
    let (started, agreed) = (Instant::now(), Arc::default());
    let journey = Journey { core, events, callers, started, agreed };
    let lost = journey.clone();
    let answer = match journey.accept(request).await {
        Err(error) => journey.refuse(&error),
        Ok((held, nonce)) => {
            let travelling = tokio::spawn(journey.travel(held, nonce));
            match travelling.await {
                Ok(answer) => answer,
                Err(_panicked) => lost.refuse(&RequestError::Panicked),
            }
        }
    };
    json_answer(answer)
}

impl Journey {
    async fn accept(
        &self,
        request: Request<Body>,
    ) -> Result<(Held, Option<Vec<u8>>), RequestError> {
        if request.method() != Method::POST {
            return Err(RequestError::Method);
        }
        let nonce = match request.headers().get(NONCE_HEADER) {
            None => None,
            Some(value) => Some(hex::decode(value).map_err(|_digit| RequestError::Nonce)?),
        };
        let held = self.core.bodies.hold(request, limits::INBOUND_BODY_BYTES).await;
        let held = held.map_err(|error| match error {
            HoldError::Body(error) => RequestError::Body(error),
            HoldError::Flooded => RequestError::Flooded,
        })?;
        Ok((held, nonce))
    }

    /// Gives an answer, whatever happens.
    async fn travel(self, held: Held, nonce: Option<Vec<u8>>) -> Answer {
        let travelling = self.through_rooms(held, nonce);
        match self.callers.watch(limits::ABANDONED_RUN_GRACE, travelling).await {
            Ok(Answered { status, body }) => {
                let request = self.agreed.get().map(tracing::field::display);
                tracing::info!(request, status = status.as_u16(), "request answered");
                Answer { status, body, retry_after: None }
            }
            Err(Stopped { error, slot }) => {
                let answer = self.refuse(&error);
                if let Some(slot) = slot {
                    let (status, body) = (answer.status.as_u16(), answer.body.clone());
                    slot.fail(Outcome { status, body }, self.now());
                }
                answer
            }
        }
    }

    async fn through_rooms(&self, held: Held, nonce: Option<Vec<u8>>) -> Result<Answered, Stopped> {
        let core = &*self.core;
        let received = Received::decode(&held.bytes, self.events.clone())?;
        // The typed batch has what is needed of the text.
        drop(held);
        let quorate = received.agree(core.config.snapshot())?;
        let _first = self.agreed.set(quorate.batch.get().hash());
        let admitted = core.gate.admit(quorate, &self.callers, self.now())?;
        let loaded = self.unless_abandoned(admitted.load(&*core.app, &core.gate)).await??;
        let ready = loaded.open(self.now()).await?;
        let finished = ready.run(self.callers.abandoned().clone()).await?;
        let now = || self.now();
        Ok(finished.answer(&core.notary, nonce.as_deref(), self.started, now).await?)
    }

    /// Drops a work that has no effect outside once nobody waits for what follows.
    async fn unless_abandoned<T>(&self, work: impl Future<Output = T>) -> Result<T, RequestError> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.callers.abandoned().cancelled() => Err(RequestError::Abandoned),
        }
    }

    /// The JSON of a refusal, which reports the end of the request too.
    fn refuse(&self, error: &RequestError) -> Answer {
        let reject = Reject::from(error);
        let (status, code) = (reject.status.as_u16(), reject.code);
        let request = self.agreed.get().map(tracing::field::display);
        tracing::info!(request, status, code, "request refused");
        let details = With::default()
            .text("endpoint", ENDPOINT)
            .text("outcome", "error")
            .count("status_code", reject.status.as_u16())
            .seconds("duration_seconds", self.started.elapsed());
        self.events.add("request_completed", details);
        let body = body(&reject, &self.events);
        Answer { status: reject.status, body, retry_after: reject.retry_after }
    }

    fn now(&self) -> SystemTime {
        self.core.clock.now()
    }
}

/// The error body of v1 with two members behind it that v1 ignores (W-13).
fn body(reject: &Reject, events: &Events) -> Bytes {
    let (metrics, metric_events) = metrics(events);
    let reason = EnclaveErrorResponse { error: reject.text.clone(), metrics, metric_events };
    let (code, retryable) = (reject.code.to_owned(), reject.is_retryable);
    let mut body = json::to_vec(&EnclaveRefusal { reason, code, retryable });
    body.push(b'\n');
    body.into()
}

impl<E: Into<RequestError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self { error: error.into(), slot: None }
    }
}

impl From<Box<FailedRun>> for Stopped {
    fn from(failed: Box<FailedRun>) -> Self {
        let FailedRun { error, slot } = *failed;
        Self { error: error.into(), slot: Some(slot) }
    }
}

impl From<Box<Unattested>> for Stopped {
    fn from(unattested: Box<Unattested>) -> Self {
        let Unattested { error, slot } = *unattested;
        Self { error: error.into(), slot: Some(slot) }
    }
}

/// The caller's challenge, in hexadecimal digits (profile v2).
const NONCE_HEADER: &str = "x-attestation-nonce";
