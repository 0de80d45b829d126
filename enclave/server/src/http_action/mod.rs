//! The capability `http-actions@1.0.0-alpha`, method `SendRequest` (enclave-and-host 8.8).
//!
//! Runs inside the enclave: the request leaves through the bridge as TLS records. What fails because
//! of the other side becomes a response the guest can read (504, 502, 400); what fails because of the
//! request becomes an error. No text holds a path, a query or a header (W-05).
//!
//! Where this differs from the reference, on purpose:
//!
//! | The reference | Here |
//! |---|---|
//! | ignores `mtls` and `cache_settings` (W-19) | refuses them by name: without them the request is not the one the workflow wrote. Settings that ask for nothing (`store` false, no `max_age`) are taken |
//! | takes any timeout, body, header and URL (W-19) | has a limit for each, with a text of its own |
//! | offers gzip | offers nothing: the size of a compressed answer would tell the host what is in it. One that comes unasked is decoded all the same |
//! | opens a connection for every request | keeps them, for the owner for whom they were opened |
//! | calls itself `Go-http-client/1.1` | has a name of its own; a workflow may set another |

use std::time::{Duration, Instant};

use http::{Response, StatusCode};
use protocol::{
    ids::Owner,
    limits,
    messages::{sdk::CapabilityResponse, well_known::Any},
};
use transport::{
    http::{ClientLimits, ExchangeError, LargeBodies},
    socks5::{ConnectError, Reply},
};

use crate::{
    egress::{ConnectFault, Egress, EgressError, Holder},
    events::{Events, With},
    ledger::Effects,
    turn,
};

mod request;
mod response;

pub use request::HttpAction;
use request::{Field, Part, Word};
use response::{Answer, Encoding};

/// Why a request is an error for the guest. The texts are the guest's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum ActionError {
    /// A header has a name or a value that cannot be sent.
    #[error("http-actions: http request failed: headers cannot be sent")]
    Headers,
    /// The method is not one of the five.
    #[error("http-actions: method {0} not allowed")]
    Method(Word),
    /// The payload is not the request of this method.
    #[error("http-actions: unmarshalling request: the payload is not a Request")]
    Payload,
    /// The other side answered with a redirection.
    #[error("http-actions: http request failed: redirects are not allowed")]
    Redirect,
    /// The response is too long.
    #[error("http-actions: response body exceeds limit {limit_bytes} bytes")]
    ResponseLimit {
        /// The limit.
        limit_bytes: usize,
    },
    /// A part of the request is too long (W-19).
    #[error("http-actions: {0}")]
    TooLong(Part),
    /// TLS, the tunnel or the response is broken in a way that has no status.
    #[error("http-actions: http request failed: {0}")]
    Transport(&'static str),
    /// The request asks for what is not done here (W-19).
    #[error("http-actions: {0} is not supported")]
    Unsupported(Field),
    /// The URL is empty.
    #[error("http-actions: url is empty")]
    UrlEmpty,
}

/// What one http-action may ask for, and be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// The body of a request, in bytes.
    pub request_bytes: usize,
    /// The body of a response as the guest reads it, in bytes (8.8).
    pub response_bytes: usize,
    /// The longest time for one.
    pub timeout: Duration,
}

/// What one call of the capability works with.
#[derive(Debug)]
pub(crate) struct Action<'c> {
    /// The way out.
    pub(crate) egress: &'c Egress,
    /// Whose workflow it is.
    pub(crate) owner: Owner,
    /// The time for a request that names none.
    pub(crate) default_timeout: Duration,
    /// Where it is reported.
    pub(crate) events: &'c Events,
    /// Where it is marked that something may have changed outside.
    pub(crate) effects: &'c Effects,
    /// The turns of large responses.
    pub(crate) turns: &'c LargeBodies,
    /// What is too much.
    pub(crate) limits: HttpLimits,
}

impl Action<'_> {
    /// Sends a workflow's request and answers its call.
    pub(crate) async fn send(&self, payload: &Any) -> CapabilityResponse {
        let Self { egress, default_timeout, limits, .. } = self;
        let turn = turn::of_message(payload.value.len()).await;
        let action = HttpAction::check(payload, egress.policy(), *default_timeout, limits);
        drop(turn);
        let answer = match action {
            Ok(action) => self.exchange(action).await,
            Err(answer) => answer,
        };
        answer.into_response()
    }

    async fn exchange(&self, action: HttpAction) -> Answer {
        let HttpAction { url, route, request, timeout, encoding } = action;
        let limit_bytes = self.limits.response_bytes;
        let body_bytes = encoding.wire_limit(limit_bytes);
        let limits = ClientLimits { head_bytes: HEAD_BYTES, body_bytes, timeout };
        let start = Instant::now();
        let holder = Holder::Owner(self.owner);
        self.effects.mark();
        let turns = Some(self.turns);
        let answer = match self.egress.send(holder, &route, request, &limits, turns).await {
            Ok(response) if is_redirect(&response) => Answer::Error(ActionError::Redirect),
            Ok(response) => encoding.read(response, limit_bytes),
            Err(error) => of_failure(&error, limit_bytes),
        };
        let details = With::default()
            .text("host", url.destination().host.clone())
            .count("status", answer.status().map_or(0, |status| status.as_u16()))
            .milliseconds("duration_ms", start.elapsed());
        // Dropped and counted if the workflow has used up its share.
        let _kept = self.events.add_of_workflow("http_action", details);
        answer
    }
}

fn is_redirect<B>(response: &Response<B>) -> bool {
    let status = response.status().as_u16();
    [301, 302, 303, 307, 308].contains(&status)
        && response.headers().contains_key(http::header::LOCATION)
}

/// Sorts failures as section 8.8 does, by type where the reference compares texts (W-32).
fn of_failure(error: &EgressError, limit_bytes: usize) -> Answer {
    use transport::http::SendError::{Dial, Exchange};
    let failed = |what| Answer::Error(ActionError::Transport(what));
    match error {
        Exchange(ExchangeError::TimedOut)
        | Dial(ConnectFault::TlsTimedOut | ConnectFault::Tunnel(ConnectError::TimedOut)) => {
            TIMED_OUT
        }
        Exchange(ExchangeError::Closed | ExchangeError::Broken(_)) => CLOSED,
        Exchange(ExchangeError::BodyTooLong { .. }) => {
            Answer::Error(ActionError::ResponseLimit { limit_bytes })
        }
        Exchange(ExchangeError::HeadTooLong) => failed("headers too long"),
        Exchange(ExchangeError::Malformed) => failed("malformed response"),
        Dial(ConnectFault::Name) => BLOCKED,
        Dial(ConnectFault::Bridge(_)) => failed("no way out"),
        Dial(ConnectFault::Tls(_)) => failed("TLS handshake failed"),
        Dial(ConnectFault::Tunnel(ConnectError::Refused(reply))) => of_reply(*reply),
        Dial(ConnectFault::Tunnel(
            ConnectError::Truncated
            | ConnectError::Io(_)
            | ConnectError::Version { .. }
            | ConnectError::Method { .. }
            | ConnectError::Profile
            | ConnectError::Malformed,
        )) => failed("no tunnel"),
    }
}

fn of_reply(reply: Reply) -> Answer {
    match reply {
        Reply::NotAllowed => BLOCKED,
        Reply::HostUnreachable | Reply::NetworkUnreachable => UNREACHABLE,
        Reply::ConnectionRefused => REFUSED,
        Reply::TtlExpired => TIMED_OUT,
        Reply::Succeeded
        | Reply::GeneralFailure
        | Reply::CommandNotSupported
        | Reply::AddressTypeNotSupported
        | Reply::Other(_) => Answer::Error(ActionError::Transport("no tunnel")),
    }
}

const BLOCKED: Answer = Answer::Synthetic(
    StatusCode::BAD_REQUEST,
    "upstream request blocked by enclave network policy",
);
const CLOSED: Answer =
    Answer::Synthetic(StatusCode::BAD_GATEWAY, "upstream closed the connection before responding");
const REFUSED: Answer = Answer::Synthetic(StatusCode::BAD_GATEWAY, "upstream connection refused");
const TIMED_OUT: Answer =
    Answer::Synthetic(StatusCode::GATEWAY_TIMEOUT, "upstream request timed out");
const UNREACHABLE: Answer = Answer::Synthetic(StatusCode::BAD_GATEWAY, "upstream host unreachable");

/// What the headers may take, in either direction.
const HEAD_BYTES: usize = 64 * 1024;

impl HttpLimits {
    /// What the call is answered instead if the response has a body of so many bytes, and that is too much.
    #[must_use]
    pub fn refusal(&self, body_bytes: usize) -> Option<CapabilityResponse> {
        let limit_bytes = self.response_bytes;
        let error = ActionError::ResponseLimit { limit_bytes };
        (body_bytes > limit_bytes).then(|| Answer::Error(error).into_response())
    }
}

/// The reference has a limit for responses alone (W-19).
impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            request_bytes: limits::HTTP_ACTION_BYTES,
            response_bytes: limits::HTTP_ACTION_BYTES,
            timeout: Duration::from_secs(120),
        }
    }
}

#[cfg(test)]
mod tests;
