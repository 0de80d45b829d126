//! The capability `http-actions@1.0.0-alpha`, method `SendRequest` (enclave-and-host 8.8).
//!
//! Runs inside the enclave: the request leaves through the bridge as TLS records. What fails because
//! of the other side becomes a response the guest can read (504, 502, 400); what fails because of the
//! request becomes an error. No text holds a path, a query or a header (W-05).
//!
//! Two members of the request are treated otherwise than by the reference (W-19). A client
//! certificate (`mtls`) is refused, because without it the request would not be the one the workflow
//! wrote. Cache settings are permissions to share a response among the nodes of a DON; one enclave
//! asks once, so there is nothing to share.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use protocol::{
    ids::Owner,
    limits,
    messages::{
        self, http as wire,
        sdk::{CapabilityOutcome, CapabilityResponse},
        well_known::Any,
    },
    quote::quote,
};
use transport::{
    http::{ClientLimits, ExchangeError},
    socks5::{ConnectError, Reply},
};

use crate::{
    egress::{ConnectFault, Egress, EgressError, Holder, Url, UrlError},
    events::{Events, With},
    ledger::Effects,
};

/// Why a request is an error for the guest. The texts are the guest's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ActionError {
    /// The body to be sent is too long (W-19).
    #[error("http-actions: request body exceeds limit {BODY_LIMIT_BYTES} bytes")]
    BodyLimit,
    /// A header cannot be sent, or all of them are too long (W-19).
    #[error("http-actions: http request failed: headers cannot be sent")]
    Headers,
    /// The method is not one of the five.
    #[error("http-actions: method {0} not allowed")]
    Method(Word),
    /// The request wants a client certificate (W-19).
    #[error("http-actions: mtls is not supported")]
    Mtls,
    /// The payload is not the request of this method.
    #[error("http-actions: unmarshalling request: the payload is not a Request")]
    Payload,
    /// The other side answered with a redirection.
    #[error("http-actions: http request failed: redirects are not allowed")]
    Redirect,
    /// The response is too long.
    #[error("http-actions: response body exceeds limit {BODY_LIMIT_BYTES} bytes")]
    ResponseLimit,
    /// TLS, the tunnel or the response is broken in a way that has no status.
    #[error("http-actions: http request failed: {0}")]
    Transport(&'static str),
    /// The URL is empty.
    #[error("http-actions: url is empty")]
    UrlEmpty,
}

/// A guest's own word, handed back to it: quoted and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word(String);

impl Word {
    fn of(text: &str) -> Self {
        let cut: String = text.chars().take(WORD_CHARS).collect();
        Self(quote(cut.as_bytes()))
    }
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request that the guest is allowed to make.
#[derive(Debug)]
struct Prepared {
    url: Url,
    request: Request<Bytes>,
    timeout: Duration,
}

/// What the other side, or the way to it, answered.
enum Answer {
    Response(Response<Bytes>),
    /// A status that stands for a failure on the way.
    Synthetic(StatusCode, &'static str),
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
}

impl Action<'_> {
    /// Sends a workflow's request and answers its call.
    pub(crate) async fn send(&self, payload: &Any) -> CapabilityResponse {
        let answered = match prepare(payload, self.default_timeout) {
            Ok(Checked::Send(prepared)) => self.exchange(*prepared).await,
            Ok(Checked::Blocked) => Ok(BLOCKED),
            Err(error) => Err(error),
        };
        let outcome = match answered {
            Ok(answer) => CapabilityOutcome::Payload(messages::pack(&to_wire(answer))),
            Err(error) => CapabilityOutcome::Error(error.to_string()),
        };
        CapabilityResponse { response: Some(outcome) }
    }

    async fn exchange(&self, prepared: Prepared) -> Result<Answer, ActionError> {
        let Prepared { url, request, timeout } = prepared;
        let Ok(route) = self.egress.policy().of_workflow(&url) else { return Ok(BLOCKED) };
        let limits = ClientLimits { head_bytes: HEAD_BYTES, body_bytes: BODY_LIMIT_BYTES, timeout };
        let start = Instant::now();
        let holder = Holder::Owner(self.owner);
        self.effects.mark();
        let answer = match self.egress.send(holder, &route, request, &limits).await {
            Ok(response) if is_redirect(&response) => Err(ActionError::Redirect),
            Ok(response) => Ok(Answer::Response(response)),
            Err(error) => of_failure(&error),
        };
        let details = With::default()
            .text("host", url.destination().host.clone())
            .count("status", answer.as_ref().map_or(0, |answer| answer.status().as_u16()))
            .milliseconds("duration_ms", start.elapsed());
        // Dropped and counted if the workflow has used up its share.
        let _kept = self.events.add_of_workflow("http_action", details);
        answer
    }
}

enum Checked {
    Send(Box<Prepared>),
    Blocked,
}

fn prepare(payload: &Any, default_timeout: Duration) -> Result<Checked, ActionError> {
    let asked: wire::Request = messages::unpack(payload).map_err(|_error| ActionError::Payload)?;
    let method = method(&asked.method)?;
    if asked.url.trim().is_empty() {
        return Err(ActionError::UrlEmpty);
    }
    if asked.mtls.is_some() {
        return Err(ActionError::Mtls);
    }
    if asked.body.len() > BODY_LIMIT_BYTES {
        return Err(ActionError::BodyLimit);
    }
    let headers = headers(&asked)?;
    let url = match Url::parse(&asked.url) {
        Ok(url) => url,
        Err(UrlError::Long) => return Err(ActionError::Transport("the URL is too long")),
        Err(UrlError::Credentials | UrlError::Host | UrlError::Port | UrlError::Scheme) => {
            return Ok(Checked::Blocked);
        }
    };
    let timeout = asked.timeout.and_then(|span| Duration::try_from(span).ok());
    let timeout = timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(default_timeout);
    let mut request = Request::new(Bytes::from(asked.body));
    *request.method_mut() = method;
    *request.uri_mut() = url.path_and_query().parse().map_err(|_uri| INVALID_URL)?;
    *request.headers_mut() = headers;
    let host = HeaderValue::try_from(url.authority()).map_err(|_value| INVALID_URL)?;
    request.headers_mut().insert(header::HOST, host);
    Ok(Checked::Send(Box::new(Prepared { url, request, timeout: timeout.min(LONGEST_TIMEOUT) })))
}

fn method(text: &str) -> Result<Method, ActionError> {
    let allowed = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    let text = text.trim().to_uppercase();
    let found = allowed.into_iter().find(|method| method.as_str() == text);
    found.ok_or_else(|| ActionError::Method(Word::of(&text)))
}

/// The headers of a request: the lists if there are any, else the single values. What belongs to the
/// connection is not the caller's to set.
fn headers(asked: &wire::Request) -> Result<HeaderMap, ActionError> {
    let mut headers = HeaderMap::new();
    let mut bytes = 0_usize;
    let listed = asked.multi_headers.iter();
    let listed = listed.flat_map(|(name, list)| list.values.iter().map(move |value| (name, value)));
    let single = asked.headers.iter().filter(|_single| asked.multi_headers.is_empty());
    for (name, value) in listed.chain(single) {
        bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
        if bytes > HEAD_BYTES {
            return Err(ActionError::Headers);
        }
        let name = HeaderName::try_from(name).map_err(|_name| ActionError::Headers)?;
        let value = HeaderValue::try_from(value).map_err(|_value| ActionError::Headers)?;
        if !OF_THE_CONNECTION.contains(&name) {
            headers.try_append(name, value).map_err(|_full| ActionError::Headers)?;
        }
    }
    if !headers.contains_key(header::USER_AGENT) {
        headers.insert(header::USER_AGENT, USER_AGENT);
    }
    Ok(headers)
}

fn is_redirect(response: &Response<Bytes>) -> bool {
    let status = response.status().as_u16();
    [301, 302, 303, 307, 308].contains(&status) && response.headers().contains_key(header::LOCATION)
}

/// Sorts failures as section 8.8 does, by type where the reference compares texts (W-32).
fn of_failure(error: &EgressError) -> Result<Answer, ActionError> {
    use transport::http::SendError::{Dial, Exchange};
    match error {
        Exchange(ExchangeError::TimedOut)
        | Dial(ConnectFault::TlsTimedOut | ConnectFault::Tunnel(ConnectError::TimedOut)) => {
            Ok(TIMED_OUT)
        }
        Exchange(ExchangeError::Closed | ExchangeError::Broken(_)) => Ok(CLOSED),
        Exchange(ExchangeError::BodyTooLong { .. }) => Err(ActionError::ResponseLimit),
        Exchange(ExchangeError::HeadTooLong) => Err(ActionError::Transport("headers too long")),
        Exchange(ExchangeError::Malformed) => Err(ActionError::Transport("malformed response")),
        Dial(ConnectFault::Name) => Ok(BLOCKED),
        Dial(ConnectFault::Bridge(_)) => Err(ActionError::Transport("no way out")),
        Dial(ConnectFault::Tls(_)) => Err(ActionError::Transport("TLS handshake failed")),
        Dial(ConnectFault::Tunnel(ConnectError::Refused(reply))) => of_reply(*reply),
        Dial(ConnectFault::Tunnel(
            ConnectError::Truncated
            | ConnectError::Io(_)
            | ConnectError::Version { .. }
            | ConnectError::Method { .. }
            | ConnectError::Profile
            | ConnectError::Malformed,
        )) => Err(ActionError::Transport("no tunnel")),
    }
}

fn of_reply(reply: Reply) -> Result<Answer, ActionError> {
    match reply {
        Reply::NotAllowed => Ok(BLOCKED),
        Reply::HostUnreachable | Reply::NetworkUnreachable => Ok(UNREACHABLE),
        Reply::ConnectionRefused => Ok(REFUSED),
        Reply::TtlExpired => Ok(TIMED_OUT),
        Reply::Succeeded
        | Reply::GeneralFailure
        | Reply::CommandNotSupported
        | Reply::AddressTypeNotSupported
        | Reply::Other(_) => Err(ActionError::Transport("no tunnel")),
    }
}

impl Answer {
    fn status(&self) -> StatusCode {
        match self {
            Self::Response(response) => response.status(),
            Self::Synthetic(status, _text) => *status,
        }
    }
}

fn to_wire(answer: Answer) -> wire::Response {
    let status_code = u32::from(answer.status().as_u16());
    match answer {
        Answer::Synthetic(_status, text) => {
            wire::Response { status_code, body: text.into(), ..wire::Response::default() }
        }
        Answer::Response(response) => {
            let (head, body) = response.into_parts();
            let multi_headers = multi_headers(&head.headers);
            let joined = |(name, list): (&String, &wire::HeaderValues)| {
                (name.clone(), list.values.join(", "))
            };
            let headers = multi_headers.iter().map(joined).collect();
            wire::Response { status_code, headers, body: body.into(), multi_headers }
        }
    }
}

/// Headers under their usual spelling, as text: a byte that is not UTF-8 would make the whole reply
/// unreadable (W-30).
fn multi_headers(headers: &HeaderMap) -> BTreeMap<String, wire::HeaderValues> {
    let mut lists: BTreeMap<String, wire::HeaderValues> = BTreeMap::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        lists.entry(usual_spelling(name)).or_default().values.push(text);
    }
    lists
}

/// `content-type` as `Content-Type`.
fn usual_spelling(name: &HeaderName) -> String {
    let mut starts = true;
    let spell = |letter: char| {
        let spelt = if starts { letter.to_ascii_uppercase() } else { letter };
        starts = letter == '-';
        spelt
    };
    name.as_str().chars().map(spell).collect()
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

const INVALID_URL: ActionError = ActionError::Transport("the URL cannot be requested");

/// What describes the connection and not the request; the reference's client leaves out some of
/// these and sends others.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Some servers refuse requests without one.
const USER_AGENT: HeaderValue = HeaderValue::from_static("confidential-workflow/1");

/// What a response's body may take (8.8), and a request's (W-19).
const BODY_LIMIT_BYTES: usize = limits::HTTP_ACTION_BYTES;

/// What the headers may take, in either direction.
const HEAD_BYTES: usize = 64 * 1024;

/// What is shown of a guest's word.
const WORD_CHARS: usize = 32;

/// The longest time a workflow may wait for one response (W-19); the reference has no limit.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests;
