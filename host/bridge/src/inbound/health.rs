//! Whether the bridge lives, whether it can serve, and what it knows (W-23).

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Ports;
use crate::enclave::Seen;

/// The process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Requests can be served: the enclave is verified, configured, and has its settings.
pub(super) async fn ready(State(ports): State<Ports>) -> Response {
    let seen = ports.watch.seen();
    let status = if is_ready(&seen) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "enclave": seen.condition.name(),
        "ready": is_ready(&seen),
        "settings": seen.settings.name(),
    });
    answer(status, &body)
}

/// What is known. Nothing of it is secret: the port is open to all nodes.
pub(super) async fn status(State(ports): State<Ports>) -> Response {
    let seen = ports.watch.seen();
    let (waiting, running) = ports.collector.counts();
    let attested = seen.attested.as_ref().map(|attested| {
        let committee = attested.config.committee();
        json!({
            "config_hash": attested.config.hash().to_string(),
            "faults": committee.fault_bound().get(),
            "members": committee.members().len(),
            "module_id": attested.module_id,
        })
    });
    let verified_ms = seen.verified.map(|at| Instant::now().duration_since(at).as_millis());
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": is_ready(&seen),
        "enclave": {
            "condition": seen.condition.name(),
            "settings": seen.settings.name(),
            "boots": seen.boots,
            "verified_ms_ago": verified_ms.and_then(|ms| u64::try_from(ms).ok()),
            "attested": attested,
        },
        "requests": { "running": running, "waiting": waiting },
    });
    answer(StatusCode::OK, &body)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

/// Ready, and that is known from a minute ago at most.
fn is_ready(seen: &Seen) -> bool {
    let is_recent = |at: Instant| at.elapsed() <= std::time::Duration::from_secs(60);
    seen.is_ready() && seen.verified.is_some_and(is_recent)
}
