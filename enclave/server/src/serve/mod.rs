//! Room 4's door: routes, bodies, statuses, exactly as peers know them (enclave-and-host 2).

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use protocol::{
    clock::Clock,
    ids::RequestHash,
    json::{self, Wire},
    limits,
};
use tokio::sync::Semaphore;
use transport::http::{BodyError, read_body};

use crate::{
    admit::Gate, app::App, config::ConfigStore, keychain::Keychain, keys, machine, notary::Notary,
    reject::Reject,
};

mod execute;

/// Everything a request meets.
pub(crate) struct Core {
    /// The configuration in force.
    pub(crate) config: ConfigStore,
    /// The keys that live.
    pub(crate) keychain: Arc<Keychain>,
    /// What lets requests in.
    pub(crate) gate: Gate,
    /// Makes documents.
    pub(crate) notary: Notary,
    /// What runs.
    pub(crate) app: Arc<dyn App>,
    /// The time of day.
    pub(crate) clock: Arc<dyn Clock>,
    /// Room for bodies.
    pub(crate) bodies: Bodies,
}

/// Room for the bodies that are in memory at the same time (W-20).
#[derive(Debug)]
pub(crate) struct Bodies(Arc<Semaphore>);

/// A body with the room it takes.
#[derive(Debug)]
pub(crate) struct Held {
    /// The body.
    pub(crate) bytes: Bytes,
    _room: tokio::sync::OwnedSemaphorePermit,
}

/// An answer in JSON.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    body: Bytes,
    /// When to come back, for those who are sent away for want of room.
    retry_after: Option<Duration>,
}

/// Why a body is not in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HoldError {
    /// It did not come as a whole.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Other bodies take all the room.
    #[error("no room for another body")]
    Flooded,
}

/// Answers whatever comes. The one handler does its own routing, because the bodies and headers of
/// refusals are part of the interface.
pub(crate) fn router(core: Arc<Core>) -> Router {
    Router::new().fallback(route).with_state(core)
}

async fn route(State(core): State<Arc<Core>>, request: Request<Body>) -> Response {
    let (path, method) = (request.uri().path().to_owned(), request.method().clone());
    match (path.as_str(), &method) {
        ("/publicKeys", &Method::GET) => {
            let query = request.uri().query().unwrap_or_default().to_owned();
            public_keys(&core, &query).await
        }
        ("/publicKeys", method) => {
            let text = format!("method not allowed: {method}");
            plain(StatusCode::METHOD_NOT_ALLOWED, &text)
        }
        ("/config", &Method::POST) => set_config(&core, request).await,
        ("/config", &Method::PATCH) => vote(&core, request).await,
        ("/config", _) => not_allowed("PATCH, POST"),
        ("/settings", &Method::POST) => settings(&core, request).await,
        ("/settings", _) => not_allowed("POST"),
        ("/requests", _) => execute::execute(core, request).await,
        ("/memory", &Method::GET) => with_line_end(StatusCode::OK, &machine::estimate()),
        ("/memory", &Method::HEAD) => plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"),
        ("/memory", _) => not_allowed("GET, HEAD"),
        (path, method) => match path.strip_prefix("/results/") {
            Some(_) if method != Method::GET => not_allowed("GET"),
            Some(hash) => stored(&core, hash),
            None => plain(StatusCode::NOT_FOUND, "404 page not found"),
        },
    }
}

async fn public_keys(core: &Core, query: &str) -> Response {
    let (config, now) = (core.config.snapshot(), core.clock.now());
    match keys::show(config, query, &core.keychain, &core.notary, now).await {
        Ok(response) => with_line_end(StatusCode::OK, &response),
        Err(error) => refused(&(&error).into()),
    }
}

async fn set_config(core: &Core, request: Request<Body>) -> Response {
    let held = match core.bodies.hold(request, CONTROL_BODY_BYTES).await {
        Ok(held) => held,
        Err(error) => return refused(&(&error).into()),
    };
    match core.config.set(&held.bytes, &core.notary).await {
        Ok(response) => with_line_end(StatusCode::OK, &response),
        Err(error) => refused(&(&error).into()),
    }
}

async fn vote(core: &Core, request: Request<Body>) -> Response {
    let held = match core.bodies.hold(request, CONTROL_BODY_BYTES).await {
        Ok(held) => held,
        Err(error) => return refused(&(&error).into()),
    };
    match core.config.vote(&held.bytes, &core.notary, core.clock.now()).await {
        Ok(response) if response.applied => with_line_end(StatusCode::OK, &response),
        Ok(response) => with_line_end(StatusCode::ACCEPTED, &response),
        Err(error) => refused(&(&error).into()),
    }
}

async fn settings(core: &Core, request: Request<Body>) -> Response {
    let held = match core.bodies.hold(request, CONTROL_BODY_BYTES).await {
        Ok(held) => held,
        Err(error) => return refused(&(&error).into()),
    };
    match core.notary.settings(&held.bytes, |body| core.app.inject(body)) {
        Ok(()) => status_only(StatusCode::NO_CONTENT),
        Err(error) => {
            tracing::warn!(%error, "settings refused");
            refused(&(&error).into())
        }
    }
}

/// The outcome of a finished request: what a host asks for that lost the answer.
fn stored(core: &Core, hash: &str) -> Response {
    let mut bytes = [0; 32];
    let outcome = match hex::decode_to_slice(hash, &mut bytes) {
        Ok(()) => core.gate.ledger.outcome(&RequestHash::from(bytes), core.clock.now()),
        Err(_digit) => None,
    };
    match outcome {
        Some(outcome) => {
            let status = StatusCode::from_u16(outcome.status);
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json_answer(Answer { status, body: outcome.body, retry_after: None })
        }
        None => plain(StatusCode::NOT_FOUND, "no stored result for this request"),
    }
}

impl Bodies {
    /// Room for this many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let kib = usize::try_from(bytes / 1024).unwrap_or(usize::MAX);
        // The largest body fits in any case, or it could never be read.
        let kib = kib.clamp(LARGEST_KIB, Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(kib)))
    }

    /// Reads a body once there is room for it.
    ///
    /// # Errors
    ///
    /// [`HoldError`].
    pub(crate) async fn hold(
        &self,
        request: Request<Body>,
        limit_bytes: usize,
    ) -> Result<Held, HoldError> {
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > limit_bytes) {
            return Err(BodyError::TooLong { limit_bytes }.into());
        }
        let kib = announced.unwrap_or(limit_bytes).div_ceil(1024).max(1);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0).acquire_many_owned(kib);
        let room = tokio::time::timeout(ROOM_TIME, room).await;
        let Ok(Ok(room)) = room else { return Err(HoldError::Flooded) };
        let bytes = read_body(request.into_body(), limit_bytes, BODY_TIME).await?;
        Ok(Held { bytes, _room: room })
    }
}

/// A refusal outside of `/requests`: its text and a line end.
fn refused(reject: &Reject) -> Response {
    let mut response = plain(reject.status, &reject.text);
    add_retry_after(&mut response, reject.retry_after);
    response
}

fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = answer(status, "text/plain; charset=utf-8", format!("{text}\n").into());
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

fn not_allowed(allow: &'static str) -> Response {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

fn with_line_end<T: Wire>(status: StatusCode, value: &T) -> Response {
    let mut body = json::to_vec(value);
    body.push(b'\n');
    json_answer(Answer { status, body: body.into(), retry_after: None })
}

fn json_answer(Answer { status, body, retry_after }: Answer) -> Response {
    let mut response = answer(status, "application/json", body);
    add_retry_after(&mut response, retry_after);
    response
}

fn status_only(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Says when to come back, in whole seconds, to those who are sent away for want of room.
fn add_retry_after(response: &mut Response, time: Option<Duration>) {
    if let Some(time) = time {
        let seconds = time.as_millis().div_ceil(1000);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// What a host may send beside requests: a vault key for seven hundred parties takes 64 KiB.
const CONTROL_BODY_BYTES: usize = 1024 * 1024;

/// The largest body, in KiB.
const LARGEST_KIB: usize = limits::INBOUND_BODY_BYTES / 1024;

/// How long a body waits for room.
pub(crate) const ROOM_TIME: Duration = Duration::from_secs(10);

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(60);
