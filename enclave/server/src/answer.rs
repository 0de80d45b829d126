//! Room 10: the answer's hash, a document over it, the bytes. The ledger is closed before anything
//! is sent: losing an answer is safe, running twice is not.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use protocol::{
    answer::{ExecuteResponse, MetricEvent},
    json::{self, Details, Tree},
};

use crate::{
    admit::room_completed,
    events::{Event, Events, With},
    ledger::{Outcome, Slot},
    notary::{Notary, NotaryError},
    rooms::Finished,
};

/// A finished answer, closed in the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// The status.
    pub(crate) status: StatusCode,
    /// The JSON body.
    pub(crate) body: Bytes,
}

/// An answer that cannot be attested is no answer.
#[derive(Debug)]
pub(crate) struct Unattested {
    /// Why there is no document.
    pub(crate) error: NotaryError,
    /// Its place in the ledger.
    pub(crate) slot: Slot,
}

impl Finished {
    /// Attests the output and closes the request.
    ///
    /// # Errors
    ///
    /// [`Unattested`], with the slot, which decides whether the request may be tried again.
    pub(crate) async fn answer(
        self,
        notary: &Notary,
        nonce: Option<&[u8]>,
        started: Instant,
        now: impl Fn() -> SystemTime,
    ) -> Result<Answered, Box<Unattested>> {
        let Self { quorate, slot, output, permit } = self;
        let (request, events) = (quorate.batch.get().request(), &quorate.events);
        let mut response = ExecuteResponse {
            request_id: request.request_id,
            application_request_id: request.application_request_id.clone(),
            request_hash: quorate.batch.get().hash(),
            output: output.into(),
            config: quorate.config.wire().with_empty_for_nil(),
            ..ExecuteResponse::default()
        };
        let start = Instant::now();
        let document = notary.document_for(response.user_data(&request.version), nonce).await;
        response.attestation = match document {
            Ok(document) => document.into(),
            Err(error) => {
                let details =
                    With::default().text("endpoint", ENDPOINT).text("error", error.to_string());
                events.add("attestation_creation_failed", details);
                return Err(Box::new(Unattested { error, slot }));
            }
        };
        room_completed(events, "attest", start.elapsed());
        let details = With::default()
            .text("endpoint", ENDPOINT)
            .text("outcome", "success")
            .seconds("duration_seconds", started.elapsed());
        events.add("request_completed", details);
        (response.metrics, response.metric_events) = metrics(events);
        let body = Bytes::from(json::to_vec(&response));
        let status = StatusCode::OK;
        slot.close(Outcome { status: status.as_u16(), body: body.clone() }, now());
        drop(permit);
        Ok(Answered { status, body })
    }
}

/// The two forms in which events travel: the last details of each kind, and all in order.
pub(crate) fn metrics(events: &Events) -> (Option<Details>, Option<Vec<MetricEvent>>) {
    let events = events.snapshot();
    let last = events.iter().map(|event| (event.name.to_owned(), object(event))).collect();
    let all = events
        .into_iter()
        .map(|Event { name, details }| MetricEvent {
            event: name.to_owned(),
            details: Some(details),
        })
        .collect();
    (Some(last), Some(all))
}

fn object(event: &Event) -> Tree {
    Tree::Object(event.details.clone().into_iter().collect())
}

/// What the events call the route.
pub(crate) const ENDPOINT: &str = "execute";
