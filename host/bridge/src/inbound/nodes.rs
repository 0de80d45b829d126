//! The port for nodes (sections 10.2 to 10.4).

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::any,
};
use bytes::Bytes;
use http::{Method, StatusCode};

use super::{Ports, health, pass_on, query};
use crate::{
    batch::{Answer, Unchecked},
    enclave::{CALL, Condition},
    reply::{Refusal, Rejected},
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
        let received = ports.intake.read(request.into_body()).await?;
        let request = ports.intake.decode(received, Unchecked::decode).await??;
        let attested = ports.attested().await?;
        Ok(ports.collector.submit(request, attested.config.committee()).await?)
    };
    let answer: Result<Answer, Rejected> = answer.await;
    answer.into_response()
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
