//! The requests of a node, over TCP or TLS.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode};
use protocol::{clock::Clock, compute::SignedComputeRequest, ids::RequestId, json, limits};
use reqwest::{RequestBuilder, Response};

use super::{Address, Challenged, KeysCheckError, Trust};
use crate::{
    enclave::Attested,
    reply::{CODE_HEADER, NONCE_HEADER, QUORUM_TIMEOUT},
};

/// Sends requests to bridges; keeps connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    execution: Duration,
}

/// There is no TLS to speak with.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be built")]
pub struct ClientError(#[source] Box<dyn Error + Send + Sync>);

/// Which of several enclaves behind one ingress answered; requests with its key go there, too
/// (section 14.3).
#[derive(Clone, PartialEq, Eq)]
pub struct Session(HeaderValue);

/// An answer that nobody has verified.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The enclave's bytes.
    pub body: Bytes,
    /// Where the bridge says the time went: its `Server-Timing`.
    pub timing: Option<String>,
}

/// Why a bridge gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It cannot be reached, or broke off.
    #[error("the bridge cannot be reached")]
    Unreachable,
    /// It did not answer in time.
    #[error("the bridge did not answer in time")]
    TimedOut,
    /// It answered more than any answer is.
    #[error("the bridge's answer is longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// It refused.
    #[error("the bridge answered with status {status}")]
    Status {
        /// The status.
        status: u16,
    },
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The bridge gave none.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// They are not believed.
    #[error(transparent)]
    Check(#[from] KeysCheckError),
}

/// Why a request was not executed, as far as the bridge tells.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// Too few of the other nodes sent it in time. Trying again may help.
    #[error("too few nodes sent the request in time")]
    QuorumTimeout,
    /// Too much is waiting. Trying again later may help.
    #[error("the bridge or the enclave is busy")]
    Busy,
    /// Another request with this hash runs or ran.
    #[error("the request was executed before")]
    Replay,
    /// Anything else.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The enclave refused or failed; its own words are not repeated here.
    #[error("the enclave answered with status {status}")]
    Enclave {
        /// The status.
        status: u16,
        /// The body, for whoever wants to read its `error`.
        body: Bytes,
    },
}

impl Client {
    /// A client with the times of section 14.11, but for `execution`: how long an answer may take.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn new(execution: Duration) -> Result<Self, ClientError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError(Box::new(error)))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(limits::PUBLIC_KEYS_TIMEOUT)
            .build()
            .map_err(|error| ClientError(Box::new(error)))?;
        Ok(Self { http, execution })
    }

    /// Asks for the enclave's keys, for one request if given, and verifies them.
    ///
    /// With a challenge, which is drawn anew for each call, the enclave makes a document for it; without
    /// one, it may show one of some seconds ago.
    ///
    /// # Errors
    ///
    /// [`KeysError`].
    pub async fn public_keys(
        &self,
        bridge: &Address,
        request: Option<RequestId>,
        challenged: &Challenged,
        trust: &Trust,
        clock: &dyn Clock,
    ) -> Result<(Attested, Option<Session>), KeysError> {
        let request = request.map(|id| format!("requestID={id}"));
        let nonce = challenge(challenged).map(|hex| format!("nonce={hex}"));
        let query: Vec<_> = request.into_iter().chain(nonce).collect();
        let query = Some(query.join("&")).filter(|query| !query.is_empty());
        let sent = self.http.get(bridge.join("publicKeys", query.as_deref()));
        let sent = send(sent, bridge, limits::PUBLIC_KEYS_TIMEOUT);
        let response = sent.await?;
        let session = response.headers().get(SESSION).cloned().map(Session);
        let status = response.status();
        let body = read(response, limits::PUBLIC_KEYS_TIMEOUT).await?;
        if status != StatusCode::OK {
            return Err(RequestError::Status { status: status.as_u16() }.into());
        }
        Ok((trust.public_keys(&body, challenged, clock.now())?, session))
    }

    /// Sends one signed request and waits for the answer to its batch. Verify it with
    /// [`Trust::answer`].
    ///
    /// One answer is for all who sent the request, so it answers a challenge only if each member whose
    /// request made the batch sent the same. Whoever asks alone for all of them sends one of its own; a
    /// node among others sends one that they all derive, or none.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`].
    pub async fn execute(
        &self,
        bridge: &Address,
        request: &SignedComputeRequest,
        challenged: &Challenged,
        session: Option<&Session>,
    ) -> Result<Delivered, ExecuteError> {
        let mut sent = self.http.post(bridge.join("requests", None)).body(json::to_vec(request));
        sent = sent.header(http::header::CONTENT_TYPE, "application/json");
        if let Some(nonce) = challenge(challenged) {
            sent = sent.header(NONCE_HEADER, nonce);
        }
        if let Some(Session(session)) = session {
            sent = sent.header(SESSION, session);
        }
        let response = send(sent, bridge, self.execution).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response, self.execution).await?;
        if status == StatusCode::OK {
            let timing = headers.get("server-timing").and_then(|value| value.to_str().ok());
            return Ok(Delivered { body, timing: timing.map(str::to_owned) });
        }
        let code = headers.get(CODE_HEADER).and_then(|value| value.to_str().ok());
        Err(refusal(status, code, body, request.request.request_id))
    }
}

/// The challenge as it travels.
fn challenge(challenged: &Challenged) -> Option<String> {
    match challenged {
        Challenged::No => None,
        Challenged::Offered(challenge) | Challenged::Demanded(challenge) => {
            Some(challenge.to_string())
        }
    }
}

async fn send(
    request: RequestBuilder,
    bridge: &Address,
    timeout: Duration,
) -> Result<Response, RequestError> {
    let request = match bridge.auth() {
        Some((name, value)) => request.header(name, value),
        None => request,
    };
    request.timeout(timeout).send().await.map_err(|error| failure(&error))
}

/// Reads a body within the limit of what enclaves answer.
async fn read(mut response: Response, timeout: Duration) -> Result<Bytes, RequestError> {
    let limit_bytes = limits::ENCLAVE_ANSWER_BYTES;
    let read = async {
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(|error| failure(&error))? {
            if piece.len() > limit_bytes.saturating_sub(body.len()) {
                return Err(RequestError::TooLong { limit_bytes });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(timeout, read).await.unwrap_or(Err(RequestError::TimedOut))
}

/// Its own text is not kept: it names the URL.
fn failure(error: &reqwest::Error) -> RequestError {
    if error.is_timeout() { RequestError::TimedOut } else { RequestError::Unreachable }
}

/// Says why, by the bridge's word, or by the place where a bridge of version 1 has it (W-55).
fn refusal(
    status: StatusCode,
    code: Option<&str>,
    body: Bytes,
    request_id: RequestId,
) -> ExecuteError {
    let timed_out = format!("error for request ID {request_id}: {QUORUM_TIMEOUT}:");
    match (code, status) {
        (Some(QUORUM_TIMEOUT), _) => ExecuteError::QuorumTimeout,
        (None, StatusCode::INTERNAL_SERVER_ERROR) if body.starts_with(timed_out.as_bytes()) => {
            ExecuteError::QuorumTimeout
        }
        (_, StatusCode::TOO_MANY_REQUESTS) => ExecuteError::Busy,
        (Some(_), _) => RequestError::Status { status: status.as_u16() }.into(),
        (None, StatusCode::CONFLICT) => ExecuteError::Replay,
        (None, _) => ExecuteError::Enclave { status: status.as_u16(), body },
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

/// The header by which an ingress keeps requests at one enclave.
const SESSION: HeaderName = HeaderName::from_static("sticky-session-a");
