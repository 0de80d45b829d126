//! Room 1: what nodes and the operator ask.

mod health;
mod intake;
mod nodes;
mod operator;
mod query;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::StatusCode;
use protocol::{clock::Clock, limits};

use self::intake::Intake;
use crate::{
    batch::Collector,
    config::Nodes,
    enclave::{Attested, CALL, Checker, Condition, Link, Watch},
    reply::{Refusal, relayed},
};

/// What both ports work with.
#[derive(Clone)]
pub(crate) struct Ports {
    link: Link,
    watch: Watch,
    checker: Arc<Checker>,
    clock: Arc<dyn Clock>,
    collector: Collector,
    intake: Intake,
}

impl Ports {
    pub(crate) fn new(
        nodes: &Nodes,
        link: Link,
        watch: Watch,
        checker: Arc<Checker>,
        clock: Arc<dyn Clock>,
        collector: Collector,
    ) -> Self {
        let timeout = limits::HOST_BODY_TIMEOUT;
        let intake = Intake::new(nodes.max_body_bytes, nodes.body_budget_bytes, timeout);
        Self { link, watch, checker, clock, collector, intake }
    }

    /// The port for nodes.
    pub(crate) fn nodes(&self) -> Router {
        nodes::router(self.clone())
    }

    /// The port for the operator.
    pub(crate) fn operator(&self) -> Router {
        operator::router(self.clone())
    }

    /// What the enclave proved to be; looks at it if nothing is known.
    async fn attested(&self) -> Result<Arc<Attested>, Refusal> {
        if self.watch.seen().attested.is_none() {
            self.watch.refresh().await;
        }
        let seen = self.watch.seen();
        let refusal = match seen.condition {
            Condition::Refused => Refusal::Untrusted,
            Condition::Ready
            | Condition::Starting
            | Condition::Unconfigured
            | Condition::Unknown
            | Condition::Unreachable => Refusal::Unconfigured,
        };
        seen.attested.ok_or(refusal)
    }

    /// Hands a configuration or a vote to the enclave, whether or not the caller stays, and has the
    /// enclave looked at if that changed something.
    async fn configure(&self, request: Request) -> Response {
        let method = request.method().clone();
        let received = match self.intake.read(request.into_body()).await {
            Ok(received) => received,
            Err(refusal) => return refusal.into_response(),
        };
        let ports = self.clone();
        let handed = tokio::spawn(async move {
            let body = received.body.clone();
            let response = ports.link.send(method, "/config", body, &CALL).await;
            if response.as_ref().is_ok_and(|response| response.status() == StatusCode::OK) {
                ports.watch.refresh().await;
            }
            response
        });
        match handed.await {
            Ok(Ok(response)) => pass_on(response),
            Ok(Err(_)) | Err(_) => Refusal::Enclave.into_response(),
        }
    }
}

/// The enclave's answer as it came: status, headers, bytes (W-53).
fn pass_on(response: http::Response<Bytes>) -> Response {
    let (head, body) = response.into_parts();
    let content_type = head.headers.contains_key(http::header::CONTENT_TYPE);
    let mut response = (head.status, relayed(head.headers), body).into_response();
    if !content_type {
        response.headers_mut().remove(http::header::CONTENT_TYPE);
    }
    response
}
