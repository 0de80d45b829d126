//! The port for nodes (sections 10.2 to 10.4).

use attestation::attestor::NONCE_LIMIT_BYTES;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::any,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::{Ports, health, pass_on, query};
use crate::{
    batch::{Answer, Unchecked},
    enclave::{CALL, Condition},
    reply::{NONCE_HEADER, Refusal, Rejected},
};

/// The routes.
pub(super) fn router(ports: Ports) -> Router {
    Router::new()
        .route("/config", any(vote))
        .route("/livez", any(health::live))
        .route("/memory", any(memory))
        .route("/publicKeys", any(public_keys))
        .route("/readyz", any(health::ready))
        .route("/requests", any(execute))
        .route("/status", any(health::status))
        .fallback(async || Refusal::NotFound)
        .with_state(ports)
}

/// The enclave's keys, passed on if they can be verified.
async fn public_keys(State(ports): State<Ports>, request: Request) -> Response {
    if request.method() != Method::GET {
        return Refusal::Method.into_response();
    }
    if ports.watch.seen().condition == Condition::Refused {
        return Refusal::Untrusted.into_response();
    }
    let path = format!("/publicKeys{}", query::forwarded(request.uri().query()));
    let sent = ports.link.send(Method::GET, &path, Bytes::new(), &CALL).await;
    let Ok(response) = sent else { return Refusal::Enclave.into_response() };
    if response.status() == StatusCode::OK
        && let Err(error) = ports.checker.relayed_public_keys(response.body(), ports.clock.now())
    {
        tracing::error!(event = "pubkeys_err", %error);
        return Refusal::Untrusted.into_response();
    }
    pass_on(response)
}

/// One signed request, into its batch.
async fn execute(State(ports): State<Ports>, request: Request) -> Response {
    if request.method() != Method::POST {
        return Refusal::Method.into_response();
    }
    let answer = async {
        let nonce = nonce(request.headers())?;
        let received = ports.intake.read(request.into_body()).await?;
        let request = ports.intake.decode(received, Unchecked::decode).await??.answering(nonce);
        let attested = ports.attested().await?;
        Ok(ports.collector.submit(request, attested.config.committee()).await?)
    };
    let answer: Result<Answer, Rejected> = answer.await;
    answer.into_response()
}

/// The caller's challenge. One that the enclave would refuse would fail the whole batch.
fn nonce(headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    let Some(nonce) = headers.get(NONCE_HEADER) else { return Ok(None) };
    let is_hex = nonce.as_bytes().iter().all(u8::is_ascii_hexdigit);
    let bytes = nonce.len() / 2;
    let fits = nonce.len() % 2 == 0 && (1..=NONCE_LIMIT_BYTES).contains(&bytes);
    if is_hex && fits { Ok(Some(nonce.clone())) } else { Err(Refusal::Nonce) }
}

/// A vote for a new configuration.
async fn vote(State(ports): State<Ports>, request: Request<Body>) -> Response {
    if request.method() != Method::PATCH {
        return Refusal::MethodOfRoute("PATCH").into_response();
    }
    ports.configure(request).await
}

/// How much memory the enclave uses.
async fn memory(State(ports): State<Ports>, request: Request) -> Response {
    match *request.method() {
        Method::GET => {}
        Method::HEAD => return Refusal::Method.into_response(),
        _ => return Refusal::MethodOfRoute("GET, HEAD").into_response(),
    }
    let limits = transport::http::ClientLimits {
        body_bytes: protocol::limits::MEMORY_ESTIMATE_BYTES,
        ..CALL
    };
    match ports.link.send(Method::GET, "/memory", Bytes::new(), &limits).await {
        Ok(response) => pass_on(response),
        Err(_) => Refusal::Enclave.into_response(),
    }
}
