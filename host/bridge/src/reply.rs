//! The one place where an error becomes what a peer hears.
//!
//! Texts are the reference's (sections 10.2 to 10.4). Statuses are right where the reference loses them
//! (W-13): only what a node of today may match on keeps its 500. Every refusal of our own carries a
//! stable word in [`CODE_HEADER`], so that nobody has to search a text (W-55).

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use protocol::time::GoDuration;

use crate::batch::{Answer, Failure, SubmissionError, SubmitError};

/// Why a request is answered by the bridge itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The body is too long, too slow or broken off.
    Body,
    /// Too many bodies are being read.
    Busy,
    /// The enclave cannot be reached.
    Enclave,
    /// The same, for settings.
    EnclaveSettings,
    /// The method is not that of the path.
    Method,
    /// The same, for the paths that the reference's router refuses.
    MethodOfRoute(&'static str),
    /// The challenge is not hexadecimal digits, or longer than a document carries.
    Nonce,
    /// There is no such path.
    NotFound,
    /// The enclave has no configuration.
    Unconfigured,
    /// The enclave's attestation was refused.
    Untrusted,
}

/// Why a request got no answer of the enclave.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// Before it was looked at, or for its path.
    Refusal(Refusal),
    /// For what it is, or for its batch.
    Submit(SubmitError),
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl<E: Into<SubmitError>> From<E> for Rejected {
    fn from(error: E) -> Self {
        Self::Submit(error.into())
    }
}

impl IntoResponse for Rejected {
    fn into_response(self) -> Response {
        match self {
            Self::Refusal(refusal) => refusal.into_response(),
            Self::Submit(error) => error.into_response(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, text) = match self {
            Self::Body => (400, "body", "failed to read request body"),
            Self::Busy => (429, "busy", "too many requests are waiting"),
            Self::Enclave => (500, "enclave_unreachable", "failed to communicate with enclave"),
            Self::EnclaveSettings => (502, "enclave_unreachable", "failed to reach enclave"),
            Self::Method => (405, "method", "method not allowed"),
            Self::MethodOfRoute(_) => (405, "method", "Method Not Allowed"),
            Self::Nonce => (400, "nonce", "invalid nonce: must be 1 to 512 bytes, hex-encoded"),
            Self::NotFound => (404, "path", "404 page not found"),
            Self::Unconfigured => {
                (503, "unconfigured", "service not accepting requests (T and F are zero)")
            }
            Self::Untrusted => {
                (503, "attestation_refused", "the attestation of the enclave was refused")
            }
        };
        let mut response = plain(status, code, text.to_owned());
        if let Self::MethodOfRoute(allowed) = self {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        response
    }
}

impl IntoResponse for SubmitError {
    fn into_response(self) -> Response {
        match self {
            Self::Busy => Refusal::Busy.into_response(),
            Self::Submission(error @ SubmissionError::Json(_)) => {
                plain(400, "json", error.to_string())
            }
            Self::Submission(error @ SubmissionError::Signature(_)) => {
                plain(400, "signature", error.to_string())
            }
            Self::Failed(request_id, failure) => {
                let (status, code, text) = failure_words(failure);
                plain(status, code, format!("error for request ID {request_id}: {text}"))
            }
        }
    }
}

impl IntoResponse for Answer {
    /// The enclave's answer as it came (W-13, W-53), and where its time went.
    fn into_response(self) -> Response {
        let timing = format!(
            "batch;dur={}, enclave;dur={}",
            self.timing.batch.as_micros() as f64 / 1000.0,
            self.timing.enclave.as_micros() as f64 / 1000.0
        );
        let mut response = (self.status, self.headers, self.body).into_response();
        if let Ok(timing) = HeaderValue::try_from(timing) {
            response.headers_mut().insert("server-timing", timing);
        }
        response
    }
}

fn failure_words(failure: Failure) -> (u16, &'static str, String) {
    match failure {
        // A node of today searches for the word, so the status stays the one it comes with.
        Failure::NoQuorum { got, want, within } => {
            let within = GoDuration::from(within);
            let counts = format!("received {got} of {want} required signatures within {within}");
            (500, QUORUM_TIMEOUT, format!("{QUORUM_TIMEOUT}: {counts}"))
        }
        Failure::Stopping => {
            let text = "server_shutdown: request cancelled due to server shutdown";
            (503, "server_shutdown", text.to_owned())
        }
        Failure::Unreachable => {
            (502, "enclave_unreachable", "failed to communicate with enclave".to_owned())
        }
        Failure::TimedOut => {
            (504, "enclave_timeout", "the enclave did not answer in time".to_owned())
        }
    }
}

/// A refusal in the form of the reference: one line of text.
fn plain(status: u16, code: &'static str, mut text: String) -> Response {
    text.push('\n');
    let mut response = Response::new(Body::from(text));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CODE_HEADER, HeaderValue::from_static(code));
    if status == 429 || status == 503 {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The headers of an answer that is passed on, without those that belong to the connection.
pub(crate) fn relayed(mut headers: HeaderMap) -> HeaderMap {
    for name in [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::DATE,
        HeaderName::from_static("keep-alive"),
        header::PROXY_AUTHENTICATE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
    headers
}

/// The header with the stable word of a refusal.
pub const CODE_HEADER: HeaderName = HeaderName::from_static("x-error-code");

/// The header with a caller's challenge, in hexadecimal digits (profile v2).
pub(crate) const NONCE_HEADER: HeaderName = HeaderName::from_static("x-attestation-nonce");

/// The word for a batch without a quorum.
pub(crate) const QUORUM_TIMEOUT: &str = "quorum_timeout";
