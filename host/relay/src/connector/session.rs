//! One link: frames in, each its own task, answers out.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _, future::BoxFuture};
use protocol::{
    json,
    limits::NODE_LINK_TIMEOUT,
    rpc::{self, code},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout},
};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::CancellationToken;

use super::link::Link;
use crate::{fault::Fault, handler::Handler};

/// What a session needs besides its link.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) handler: Arc<Handler>,
    pub(super) fault: Option<Fault>,
    /// Requests at a time, over all links: tasks of a lost link go on.
    pub(super) permits: Arc<Semaphore>,
    pub(super) silence: Duration,
    pub(super) gateway_id: Arc<str>,
}

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("the gateway closed the link")]
    Closed,
    #[error("the link broke")]
    Socket(#[source] Box<tungstenite::Error>),
    #[error("the gateway was silent")]
    Silent,
    #[error("the gateway does not take what is sent")]
    Stuck,
}

/// An answer on its way, with what is counted about it.
struct Answer {
    texts: Vec<String>,
    method: String,
    error_code: Option<i64>,
    began: Instant,
}

/// Serves a link until it ends, or until `shutdown` and then the answers under way.
pub(super) async fn run(
    mut link: Link,
    shared: Shared,
    shutdown: &CancellationToken,
) -> Result<(), SessionError> {
    let (answers, mut ready) = mpsc::channel(ANSWERS);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(answer) = ready.recv() => send(&mut link, &shared.gateway_id, answer).await?,
            frame = timeout(shared.silence, link.next()) => {
                if let Some(task) = received(frame, &shared, &answers)? {
                    // It outlives the link: other nodes wait for this one's share.
                    drop(tokio::spawn(task));
                }
            }
        }
    }
    drop(answers);
    let finish = async {
        while let Some(answer) = ready.recv().await {
            send(&mut link, &shared.gateway_id, answer).await?;
        }
        Ok(())
    };
    let finished = timeout(DRAIN, finish).await.unwrap_or(Ok(()));
    // The link ends either way; a gateway that is gone need not be told.
    let _closed = timeout(NODE_LINK_TIMEOUT, link.close(None)).await;
    finished
}

type Frame = Option<Result<Message, tungstenite::Error>>;

/// What a frame asks for: a task, or nothing.
fn received(
    frame: Result<Frame, tokio::time::error::Elapsed>,
    shared: &Shared,
    answers: &mpsc::Sender<Answer>,
) -> Result<Option<BoxFuture<'static, ()>>, SessionError> {
    let frame = frame.map_err(|_elapsed| SessionError::Silent)?;
    let message = frame.ok_or(SessionError::Closed)?.map_err(socket)?;
    let bytes = match &message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
        Message::Close(_) => return Err(SessionError::Closed),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(None),
    };
    match Handler::read(bytes) {
        Ok(request) => match shared.permits.clone().try_acquire_owned() {
            Ok(permit) => {
                Ok(Some(Box::pin(serve(request, permit, shared.clone(), answers.clone()))))
            }
            Err(_) => {
                // A flood costs nothing more than this: what finds no room here is not answered.
                drop(answers.try_send(overloaded(request)));
                Ok(None)
            }
        },
        Err(error) => {
            tracing::debug!(%error, "frame dropped");
            Ok(None)
        }
    }
}

async fn serve(
    request: rpc::Request,
    _permit: OwnedSemaphorePermit,
    shared: Shared,
    answers: mpsc::Sender<Answer>,
) {
    let began = Instant::now();
    let response = shared.handler.answer(&request).await;
    let error_code = response.error.as_ref().map(|error| error.code);
    let texts = match shared.fault {
        None => vec![text(&response)],
        Some(fault) => fault.answers(&shared.handler, &request, response),
    };
    let answer = Answer { texts, method: request.method, error_code, began };
    // Without a link there is nobody to tell: the gateway asks the others.
    if answers.send(answer).await.is_err() {
        tracing::info!(id = %request.id, outcome = "send_error", "answer lost with its link");
    }
}

/// The answer to a request for which there is no room.
fn overloaded(request: rpc::Request) -> Answer {
    let (code, message) = (code::OVERLOADED, "too many requests".to_owned());
    let response = rpc::Response::error(&request.id, &request.method, code, message);
    let texts = vec![text(&response)];
    Answer { texts, method: request.method, error_code: Some(code), began: Instant::now() }
}

/// What is sent for a response.
pub(crate) fn text(response: &rpc::Response) -> String {
    // The writer writes UTF-8 only.
    String::from_utf8(json::to_vec(response)).unwrap_or_default()
}

async fn send(link: &mut Link, gateway_id: &str, answer: Answer) -> Result<(), SessionError> {
    for text in &answer.texts {
        let sent = timeout(NODE_LINK_TIMEOUT, link.send(Message::text(text))).await;
        let sent =
            sent.map_err(|_elapsed| SessionError::Stuck).and_then(|sent| sent.map_err(socket));
        if let Err(error) = sent {
            answer.count(gateway_id, "send_error");
            return Err(error);
        }
    }
    let outcome = match (answer.texts.is_empty(), answer.error_code) {
        (true, _) => "suppressed",
        (false, None) => "success",
        (false, Some(_)) => "error",
    };
    answer.count(gateway_id, outcome);
    Ok(())
}

impl Answer {
    /// The node's metrics, as one event at the end of each request; a success only when it was sent
    /// (relay-protocol 9.15).
    fn count(&self, gateway_id: &str, outcome: &'static str) {
        let latency_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "metrics",
            gateway_id,
            method = self.method,
            outcome,
            error_code = self.error_code,
            enclave_relay_request_count = 1,
            enclave_relay_request_latency_ms = latency_ms,
            enclave_relay_request_internal_error = u8::from(self.error_code.is_some()),
            enclave_relay_request_success = u8::from(outcome == "success"),
        );
    }
}

fn socket(error: tungstenite::Error) -> SessionError {
    if matches!(error, tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) {
        return SessionError::Closed;
    }
    SessionError::Socket(Box::new(error))
}

/// Answers that wait for the link; more wait in their tasks.
const ANSWERS: usize = 16;

/// Time for answers under way when the node is told to stop.
const DRAIN: Duration = Duration::from_secs(1);
