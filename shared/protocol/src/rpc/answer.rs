//! What one attempt at a gateway comes to (relay-protocol 7.4).

use std::fmt;

use super::Response;
use crate::{
    json::{self, DecodeError, RawJson},
    limits,
    quote::TRUNCATED,
};

/// Why an attempt brought no result; the texts are those that workflows see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttemptError {
    /// The gateway answered with an error, whatever the status.
    #[error("JSON-RPC error {code}: {message}")]
    Rpc {
        /// The error's code.
        code: i64,
        /// The error's message.
        message: String,
    },
    /// Something that is no JSON-RPC came with a status other than 200.
    #[error("gateway returned HTTP {status}: {body}")]
    Status {
        /// The status.
        status: u16,
        /// The beginning of what came.
        body: ExcerptOfBody,
    },
    /// What came with status 200 is no JSON-RPC.
    #[error("unmarshalling response: {0}")]
    Undecodable(#[from] DecodeError),
    /// More came than an answer may hold.
    #[error("gateway response body exceeds limit {} bytes", limits::GATEWAY_ANSWER_BYTES)]
    TooLong,
}

impl AttemptError {
    /// Whether another gateway may do better.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status >= 500,
            Self::Rpc { .. } | Self::Undecodable(_) | Self::TooLong => false,
        }
    }
}

/// The beginning of a body that is no JSON-RPC: a proxy's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExcerptOfBody(String);

impl ExcerptOfBody {
    fn of(body: &[u8]) -> Self {
        match body.get(..limits::DIAGNOSTIC_FIELD_BYTES).filter(|head| head.len() < body.len()) {
            Some(head) => Self(String::from_utf8_lossy(head).into_owned() + TRUNCATED),
            None => Self(String::from_utf8_lossy(body).into_owned()),
        }
    }
}

impl fmt::Display for ExcerptOfBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads what a gateway answered: its result, if it sent one.
///
/// An error counts before the status, the status before what else came. The id is not compared (W-46):
/// it is the answer to the one request of its exchange, and a result is believed for its signers, who
/// signed the params that were sent.
///
/// # Errors
///
/// [`AttemptError`].
pub fn interpret(status: u16, body: &[u8]) -> Result<Option<RawJson>, AttemptError> {
    if body.len() > limits::GATEWAY_ANSWER_BYTES {
        return Err(AttemptError::TooLong);
    }
    let response = json::from_slice::<Response>(body);
    if let Ok(Response { error: Some(error), .. }) = response {
        return Err(AttemptError::Rpc { code: error.code, message: error.message });
    }
    if status != 200 {
        return Err(AttemptError::Status { status, body: ExcerptOfBody::of(body) });
    }
    Ok(response?.result)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: &[u8] = br#"{"jsonrpc":"2.0","id":"1","error":{"code":-32000,"message":"slow"}}"#;

    #[test]
    fn an_error_counts_whatever_the_status() {
        for status in [200, 404, 504] {
            let error = interpret(status, ERROR).unwrap_err();
            assert_eq!(error.to_string(), "JSON-RPC error -32000: slow");
            assert!(!error.is_retryable());
        }
    }

    #[test]
    fn only_a_failing_gateway_is_worth_another_attempt() {
        let retryable = |status, body: &[u8]| interpret(status, body).unwrap_err().is_retryable();
        assert!(retryable(503, b"Request timed out"));
        assert!(retryable(500, br#"{"result":1}"#));
        assert!(!retryable(404, b"nope"));
        assert!(!retryable(200, b"nope"));
    }

    #[test]
    fn a_long_body_is_cut_and_its_bytes_are_never_a_panic() {
        let error = interpret(500, &[0xff; 4000]).unwrap_err();
        let text = error.to_string();
        assert!(text.ends_with("\u{fffd}...truncated"), "{text}");
        assert_eq!(
            text.chars().filter(|c| *c == '\u{fffd}').count(),
            limits::DIAGNOSTIC_FIELD_BYTES
        );
        let whole = interpret(500, &[b'x'; limits::DIAGNOSTIC_FIELD_BYTES]).unwrap_err();
        assert!(whole.to_string().ends_with('x'));
    }

    #[test]
    fn a_body_over_the_limit_is_not_looked_at() {
        let body = vec![b' '; limits::GATEWAY_ANSWER_BYTES + 1];
        assert_eq!(interpret(200, &body).unwrap_err(), AttemptError::TooLong);
    }
}
