//! Room 10: the answer's hash, a document over it, the bytes. The ledger is closed before anything
//! is sent: losing an answer is safe, running twice is not.

use std::time::{Instant, SystemTime};

use attestation::statement::{AnswerStatement, TelemetryHash, shares_hash};
use bytes::Bytes;
use http::StatusCode;
use protocol::{
    answer::{ExecuteResponse, MetricEvent},
    json::{self, Details, Tree},
    quorum::Batch,
};

use crate::{
    admit::room_completed,
    events::{Event, Events, With},
    ledger::{Outcome, Slot},
    notary::{Notary, NotaryError, Wanted},
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
        let wanted = Wanted {
            user_data: response.user_data(&request.version),
            config: quorate.config.hash(),
            nonce,
            answer: Some(statement(quorate.batch.get(), events)),
        };
        response.attestation = match notary.document(wanted).await {
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

/// What the document says of the answer besides its hash: the shares that came with the request, and
/// what happened until now. The attestation itself happens later, so no document can tell of it.
fn statement(batch: &Batch, events: &Events) -> AnswerStatement {
    let request = batch.request();
    let has_secrets = request.ciphertexts.as_ref().is_some_and(|list| !list.is_empty());
    let sets = batch
        .signed()
        .filter_map(|signed| signed.request.encrypted_decryption_key_shares.as_deref());
    let shares = sets.flatten().flatten().flatten().map(json::Bytes::as_slice);
    let mut telemetry = TelemetryHash::new();
    for event in events.recorded() {
        telemetry.add(&json::to_vec(&metric_event(event.in_order())));
    }
    AnswerStatement {
        shares_hash: has_secrets.then(|| shares_hash(shares)),
        telemetry_hash: telemetry.value(),
        application_request_id: request.application_request_id.as_str().into(),
        request_version: request.version.as_str().into(),
    }
}

/// The two forms in which events travel: the last details of each kind, and all in order.
pub(crate) fn metrics(events: &Events) -> (Option<Details>, Option<Vec<MetricEvent>>) {
    let events = events.snapshot();
    let last = events.iter().map(|event| (event.name.to_owned(), object(event))).collect();
    (Some(last), Some(events.into_iter().map(metric_event).collect()))
}

fn metric_event(Event { name, details }: Event) -> MetricEvent {
    MetricEvent { event: name.to_owned(), details: Some(details) }
}

fn object(event: &Event) -> Tree {
    Tree::Object(event.details.clone().into_iter().collect())
}

/// What the events call the route.
pub(crate) const ENDPOINT: &str = "execute";
