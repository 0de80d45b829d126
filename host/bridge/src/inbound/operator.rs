//! The port for the operator: first configuration and settings (section 10.3).
//!
//! Whoever reaches it decides both, so it listens on loopback only (W-03).

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::any,
};
use http::{Method, StatusCode, header};

use super::{Ports, health};
use crate::{enclave::CALL, reply::Refusal};

/// The routes.
pub(super) fn router(ports: Ports) -> Router {
    Router::new()
        .route("/config", any(config))
        .route("/livez", any(health::live))
        .route("/readyz", any(health::ready))
        .route("/settings", any(settings))
        .route("/status", any(health::status))
        .fallback(async || Refusal::NotFound)
        .with_state(ports)
}

async fn config(State(ports): State<Ports>, request: Request) -> Response {
    if request.method() != Method::POST {
        return Refusal::MethodOfRoute("POST").into_response();
    }
    ports.configure(request).await
}

async fn settings(State(ports): State<Ports>, request: Request) -> Response {
    if request.method() != Method::POST {
        return Refusal::MethodOfRoute("POST").into_response();
    }
    let received = match ports.intake.read(request.into_body()).await {
        Ok(received) => received,
        Err(refusal) => return refusal.into_response(),
    };
    let body = received.body.clone();
    let sent = ports.link.send(Method::POST, "/settings", body.clone(), &CALL).await;
    let Ok(response) = sent else { return Refusal::EnclaveSettings.into_response() };
    if response.status().is_success() {
        ports.watch.settings_applied(&body);
    }
    // Status and body are relayed, and of the headers the one that says what the body is.
    let (mut head, body) = response.into_parts();
    let content_type = head.headers.remove(header::CONTENT_TYPE);
    let mut response = (head.status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if let Some(content_type) = content_type.filter(|_| head.status != StatusCode::NO_CONTENT) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    response
}
