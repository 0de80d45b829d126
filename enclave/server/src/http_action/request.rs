//! From a guest's bytes to a request that may leave.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use protocol::{
    messages::{
        self, http as wire,
        sdk::{CapabilityRequest, CapabilityResponse},
        well_known::{self, Any},
    },
    quote::quote,
};

use super::{ActionError, Answer, BLOCKED, Encoding, HEAD_BYTES, HttpLimits};
use crate::egress::{EgressPolicy, Route, URL_LIMIT_BYTES, Url, UrlError};

/// A request of a workflow that may leave: decoded, within every limit, its destination let through.
///
/// Printed as scheme and host only.
pub struct HttpAction {
    pub(super) url: Url,
    pub(super) route: Route,
    pub(super) request: Request<Bytes>,
    pub(super) timeout: Duration,
    pub(super) encoding: Encoding,
}

/// A guest's own word, handed back to it: quoted and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word(String);

/// A part of a request that has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Part {
    #[error("request body exceeds limit {limit_bytes} bytes")]
    Body { limit_bytes: usize },
    #[error("request headers exceed limit {HEAD_BYTES} bytes")]
    Headers,
    #[error("url exceeds limit {URL_LIMIT_BYTES} bytes")]
    Url,
}

/// A field of the message that is refused, by its name in the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Field {
    #[error("cache_settings")]
    CacheSettings,
    #[error("mtls")]
    Mtls,
}

impl HttpAction {
    /// Whether a call asks for an http-action.
    #[must_use]
    pub fn is_asked_for_by(request: &CapabilityRequest) -> bool {
        request.id == wire::ACTIONS && request.method == wire::SEND_REQUEST
    }

    /// Reads the payload of a call of `SendRequest` and checks all that can be checked before a
    /// connection is opened. The payload is the workflow's: any bytes at all.
    ///
    /// A request that names no time gets `default_timeout`, and none gets more than the limits'.
    ///
    /// # Errors
    ///
    /// What the workflow is answered instead: an error, or the response that stands for a
    /// destination which `policy` keeps closed.
    pub fn prepare(
        payload: &Any,
        policy: &EgressPolicy,
        default_timeout: Duration,
        limits: &HttpLimits,
    ) -> Result<Self, CapabilityResponse> {
        Self::check(payload, policy, default_timeout, limits).map_err(Answer::into_response)
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.request.method().as_str()
    }

    /// The host it goes to.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.url.destination().host
    }

    /// The whole URL as it is requested. Its path and query may hold secrets.
    #[must_use]
    pub fn expose_url(&self) -> String {
        format!("{}://{}{}", self.url.scheme(), self.url.authority(), self.url.path_and_query())
    }

    /// The body. It may hold secrets.
    #[must_use]
    pub fn expose_body(&self) -> &[u8] {
        self.request.body()
    }

    pub(super) fn check(
        payload: &Any,
        policy: &EgressPolicy,
        default_timeout: Duration,
        limits: &HttpLimits,
    ) -> Result<Self, Answer> {
        let asked: wire::Request =
            messages::unpack(payload).map_err(|_error| ActionError::Payload)?;
        let method = method(&asked.method)?;
        if asked.url.trim().is_empty() {
            return Err(ActionError::UrlEmpty.into());
        }
        check_fields(&asked, limits.request_bytes)?;
        let mut headers = headers(&asked)?;
        let url = url(&asked.url)?;
        let host = HeaderValue::try_from(url.authority()).map_err(|_value| INVALID_URL)?;
        headers.insert(header::HOST, host);
        let encoding = Encoding::asked_for_by(&headers);
        let timeout = asked.timeout.and_then(|span| Duration::try_from(span).ok());
        let timeout = timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(default_timeout);
        let timeout = timeout.min(limits.timeout);
        let mut request = Request::new(Bytes::from(asked.body));
        *request.method_mut() = method;
        *request.uri_mut() = url.path_and_query().parse().map_err(|_uri| INVALID_URL)?;
        *request.headers_mut() = headers;
        let route = policy.of_workflow(&url).map_err(|_policy| BLOCKED)?;
        Ok(Self { url, route, request, timeout, encoding })
    }
}

impl fmt::Debug for HttpAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAction").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Word {
    fn of(text: &str) -> Self {
        let cut: String = text.chars().take(WORD_CHARS).collect();
        Self(quote(cut.as_bytes()))
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn method(text: &str) -> Result<Method, ActionError> {
    let allowed = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    let text = text.trim().to_uppercase();
    let found = allowed.into_iter().find(|method| method.as_str() == text);
    found.ok_or_else(|| ActionError::Method(Word::of(&text)))
}

/// What is asked for and not done here, and what is too much.
fn check_fields(asked: &wire::Request, limit_bytes: usize) -> Result<(), ActionError> {
    if asked.mtls.is_some() {
        return Err(ActionError::Unsupported(Field::Mtls));
    }
    if asked.cache_settings.as_ref().is_some_and(asks_for_a_cache) {
        return Err(ActionError::Unsupported(Field::CacheSettings));
    }
    if asked.body.len() > limit_bytes {
        return Err(ActionError::TooLong(Part::Body { limit_bytes }));
    }
    Ok(())
}

/// SDKs may send settings that ask for nothing: neither to store the answer nor to take a stored one.
fn asks_for_a_cache(settings: &wire::CacheSettings) -> bool {
    let zero = well_known::Duration::default();
    settings.store || settings.max_age.is_some_and(|age| age != zero)
}

fn url(text: &str) -> Result<Url, Answer> {
    Url::parse(text).map_err(|error| match error {
        UrlError::Long => ActionError::TooLong(Part::Url).into(),
        UrlError::Credentials | UrlError::Host | UrlError::Port | UrlError::Scheme => BLOCKED,
    })
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
            return Err(ActionError::TooLong(Part::Headers));
        }
        let name = HeaderName::try_from(name).map_err(|_name| ActionError::Headers)?;
        let value = HeaderValue::try_from(value).map_err(|_value| ActionError::Headers)?;
        if !OF_THE_CONNECTION.contains(&name) {
            headers.try_append(name, value).map_err(|_full| ActionError::Headers)?;
        }
    }
    match headers.get(header::USER_AGENT) {
        None => drop(headers.insert(header::USER_AGENT, USER_AGENT)),
        // As in the reference: whoever sets an empty one sends none.
        Some(empty) if empty.is_empty() => drop(headers.remove(header::USER_AGENT)),
        Some(_own) => {}
    }
    Ok(headers)
}

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

/// What is shown of a guest's word.
const WORD_CHARS: usize = 32;
