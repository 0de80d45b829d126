//! What users see: one JSON-RPC request in, one answer out (relay-protocol 10.1).
//!
//! The body is read up to its limit (step 0), decoded (1), refused if its params are of the old form
//! (2) or its id is too long (3); then the method names the service (4), and the handler is asked (5).
//! All of that is over at the deadline of the request (6).
//!
//! Method and path of HTTP are not looked at, nor is `X-Attestation-Document`: a gateway knows
//! nobody, and what it forwards is judged by the nodes.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, HttpBody},
    routing::any,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use protocol::{json, rpc};
use transport::http::{BodyError, read_body};

mod legacy;
mod reject;
#[cfg(test)]
mod tests;

pub use legacy::LegacyError;
pub use reject::RefuseError;

use crate::{
    config::Users,
    handler::{Handler, SERVICE},
};

/// The front of one handler. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Front {
    handler: Handler,
    max_request_bytes: usize,
    request_timeout: Duration,
}

impl Front {
    /// The front of a handler.
    #[must_use]
    pub fn new(handler: Handler, users: &Users) -> Self {
        let Users { max_request_bytes, request_timeout, .. } = *users;
        Self { handler, max_request_bytes, request_timeout }
    }

    /// All paths: `/health` says `OK`, every other one takes requests.
    pub fn router(self) -> Router {
        let serve = move |request: Request<Body>| async move { self.serve(request).await };
        Router::new().route("/health", any(|| async { "OK" })).fallback(any(serve))
    }

    /// Answers one request before its deadline.
    pub async fn serve<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let (head, body) = request.into_parts();
        let answered = async {
            // The deadline below is the body's, too.
            match read_body(body, self.max_request_bytes, Duration::MAX).await {
                Ok(body) => self.answer(&head.headers, &body).await,
                Err(error) => unread(error),
            }
        };
        let answered = tokio::time::timeout(self.request_timeout, answered).await;
        answered.unwrap_or_else(|_elapsed| timed_out())
    }

    async fn answer(&self, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
        let request = token(headers).and_then(|token| Ok(rpc::Request::decode(body, token)?));
        let request = match request {
            Ok(request) => request,
            // What cannot be read has no id.
            Err(error) => return refused("", "", &error),
        };
        match self.ask(&request).await {
            Ok(bundle) => json_rpc(StatusCode::OK, &bundle),
            Err(error) => refused(&request.id, &request.method, &error),
        }
    }

    /// Steps 2 to 5.
    async fn ask(&self, request: &rpc::Request) -> Result<rpc::Response, RefuseError> {
        let rpc::Request { id, method, params, .. } = request;
        let params = params.as_ref().map_or("null", |params| params.as_str());
        legacy::refuse_legacy(id, method, params)?;
        if let Err(error @ rpc::RequestError::IdTooLong { .. }) = request.check_id() {
            return Err(error.into());
        }
        if request.service() != SERVICE {
            return Err(RefuseError::Service { service: request.service().to_owned() });
        }
        let bundle = self.handler.ask(request).await?;
        Ok(rpc::Response::result(id, method, &bundle))
    }
}

/// The token of the header, whatever its scheme; without a header it is empty.
fn token(headers: &HeaderMap) -> Result<&str, RefuseError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok("") };
    let text = value.to_str().map_err(|_error| RefuseError::Token)?;
    Ok(text.strip_prefix("Bearer ").unwrap_or(text))
}

fn refused(id: &str, method: &str, error: &RefuseError) -> Response<Body> {
    let class = error.class();
    tracing::debug!(?id, %class, "refused");
    let status = StatusCode::from_u16(class.status());
    json_rpc(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &error.response(id, method))
}

fn json_rpc(status: StatusCode, answer: &rpc::Response) -> Response<Body> {
    let mut response = Response::new(Body::from(json::to_vec(answer)));
    *response.status_mut() = status;
    let json_rpc = HeaderValue::from_static("application/jsonrpc");
    response.headers_mut().insert(header::CONTENT_TYPE, json_rpc);
    response
}

/// A body over its limit, or one that does not come to its end, gets no text.
fn unread(error: BodyError) -> Response<Body> {
    tracing::debug!(%error, "refused");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// What the wrapper around the core says at the deadline. The request goes on without its user.
fn timed_out() -> Response<Body> {
    let mut response = Response::new(Body::from("Request timed out"));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
