//! The one place where an error becomes a status and a text.
//!
//! Texts are those that v1 peers match on. Statuses of application errors are theirs, where the
//! reference answers 500 to all of them (W-13); programs read the words `code` and `retryable`, which
//! v1 does not know. No wildcard stands here: a new error does not compile until somebody decides.

use std::time::Duration;

use http::StatusCode;
use protocol::{json::DecodeError, quorum::BatchError};
use transport::http::BodyError;

use crate::{
    admit::AdmitError,
    answer::Unattested,
    app::{AppError, SettingsRefused},
    config::{SetConfigError, VoteError},
    keys::KeysError,
    ledger::ReserveError,
    notary::NotaryError,
    rooms::OpenError,
    serve::{HoldError, ROOM_TIME},
};

/// What a caller hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    /// The status.
    pub(crate) status: StatusCode,
    /// The text.
    pub(crate) text: String,
    /// A stable word for programs.
    pub(crate) code: &'static str,
    /// Whether the same request may be sent again.
    pub(crate) is_retryable: bool,
    /// When there may be room, where that is what it lacks.
    pub(crate) retry_after: Option<Duration>,
}

/// Why a request was not executed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// Nobody waits for it any more.
    #[error("every caller has left")]
    Abandoned,
    /// It is not let in.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// The application did not answer.
    #[error(transparent)]
    App(#[from] AppError),
    /// The answer could not be attested.
    #[error(transparent)]
    Attest(#[from] NotaryError),
    /// The signers do not agree.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The body did not come.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is not the JSON of a batch.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Too many bodies are being read.
    #[error("too many request bytes in flight")]
    Flooded,
    /// Another method than POST.
    #[error("method not allowed")]
    Method,
    /// The nonce is not hexadecimal digits.
    #[error("invalid nonce: must be hex-encoded")]
    Nonce,
    /// The secrets stay closed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something inside panicked.
    #[error("internal error")]
    Panicked,
}

impl Reject {
    fn new(status: StatusCode, text: impl Into<String>, code: &'static str) -> Self {
        Self { status, text: text.into(), code, is_retryable: false, retry_after: None }
    }

    fn retryable(self) -> Self {
        Self { is_retryable: true, ..self }
    }

    /// There is no room, and may be after this time.
    fn full(text: impl Into<String>, retry_after: Duration) -> Self {
        let full = Self::new(StatusCode::TOO_MANY_REQUESTS, text, "capacity").retryable();
        Self { retry_after: Some(retry_after), ..full }
    }
}

impl From<&RequestError> for Reject {
    fn from(error: &RequestError) -> Self {
        let bad = |code| Self::new(StatusCode::BAD_REQUEST, error.to_string(), code);
        match error {
            RequestError::Abandoned => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, error.to_string(), "abandoned").retryable()
            }
            RequestError::Admit(error) => error.into(),
            RequestError::App(error) => error.into(),
            RequestError::Attest(error) => error.into(),
            RequestError::Batch(BatchError::TooFew { .. }) => bad("no_quorum"),
            RequestError::Batch(
                BatchError::Empty
                | BatchError::Mixed { .. }
                | BatchError::TooMany { .. }
                | BatchError::Unsigned { .. },
            ) => bad("invalid_batch"),
            RequestError::Body(error) => of_body(*error),
            RequestError::Decode(_) => {
                Self::new(StatusCode::BAD_REQUEST, "invalid json", "invalid_json")
            }
            // Who waited so long in vain may find room after as long again.
            RequestError::Flooded => Self::full(error.to_string(), ROOM_TIME),
            RequestError::Method => {
                Self::new(StatusCode::METHOD_NOT_ALLOWED, error.to_string(), "method_not_allowed")
            }
            RequestError::Nonce => bad("invalid_nonce"),
            RequestError::Open(error) => {
                let text = format!("no node's shares produced valid decryption: {error}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text, "shares_not_opened").retryable()
            }
            RequestError::Panicked => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "internal")
            }
        }
    }
}

impl From<&AdmitError> for Reject {
    fn from(error: &AdmitError) -> Self {
        let text = error.to_string();
        match error {
            AdmitError::Busy(busy) => {
                let text = app_text(&text, StatusCode::TOO_MANY_REQUESTS.as_u16());
                Self::full(text, busy.retry_after())
            }
            AdmitError::Ciphertexts { .. } | AdmitError::NoApp | AdmitError::NoVersion => {
                Self::new(StatusCode::BAD_REQUEST, text, "invalid_request")
            }
            AdmitError::Key(_) => Self::new(StatusCode::BAD_REQUEST, text, "key_not_found"),
            AdmitError::Ledger(ReserveError::Executed) => {
                Self::new(StatusCode::CONFLICT, text, "replay")
            }
            AdmitError::Ledger(ReserveError::InFlight) => {
                Self::new(StatusCode::CONFLICT, text, "in_flight").retryable()
            }
            AdmitError::Ledger(ReserveError::Full { retry_after }) => {
                Self::full(text, *retry_after)
            }
            AdmitError::ShuttingDown => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, text, "shutting_down").retryable()
            }
        }
    }
}

impl From<&AppError> for Reject {
    fn from(error: &AppError) -> Self {
        let status = StatusCode::from_u16(error.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let text = app_text(&error.to_string(), error.status());
        let (code, is_retryable) = (error.code(), error.is_retryable());
        Self { status, text, code, is_retryable, retry_after: error.retry_after() }
    }
}

impl From<&NotaryError> for Reject {
    fn from(error: &NotaryError) -> Self {
        match error {
            NotaryError::Nonce => {
                let text = "invalid nonce: must be at most 512 bytes";
                Self::new(StatusCode::BAD_REQUEST, text, "invalid_nonce")
            }
            NotaryError::Attest(_) | NotaryError::Statement | NotaryError::Stopped => {
                let text = format!("error creating attestation: {error}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text, "not_attested")
            }
        }
    }
}

impl From<&Unattested> for Reject {
    fn from(unattested: &Unattested) -> Self {
        (&unattested.error).into()
    }
}

impl From<&SetConfigError> for Reject {
    fn from(error: &SetConfigError) -> Self {
        let text = error.to_string();
        match error {
            SetConfigError::AlreadySet => Self::new(StatusCode::CONFLICT, text, "config_set"),
            SetConfigError::Attest(error) => error.into(),
            SetConfigError::Invalid(_) => {
                Self::new(StatusCode::BAD_REQUEST, text, "invalid_config")
            }
            SetConfigError::Outer(_) | SetConfigError::Parse(_) => {
                Self::new(StatusCode::BAD_REQUEST, text, "invalid_json")
            }
        }
    }
}

impl From<&VoteError> for Reject {
    fn from(error: &VoteError) -> Self {
        let text = error.to_string();
        match error {
            VoteError::Attest(error) => error.into(),
            VoteError::Invalid(_) => Self::new(StatusCode::BAD_REQUEST, text, "invalid_config"),
            VoteError::NotSet => Self::new(StatusCode::CONFLICT, text, "config_not_set"),
            VoteError::Outer(_) | VoteError::Parse(_) => {
                Self::new(StatusCode::BAD_REQUEST, text, "invalid_json")
            }
            VoteError::Signature(_) => {
                Self::new(StatusCode::BAD_REQUEST, text, "invalid_signature")
            }
        }
    }
}

impl From<&SettingsRefused> for Reject {
    fn from(error: &SettingsRefused) -> Self {
        let text = error.to_string();
        match error {
            SettingsRefused::Empty => Self::new(StatusCode::BAD_REQUEST, text, "empty"),
            // The status is the reference's, though the fault is the sender's: hosts retry on it.
            SettingsRefused::Invalid(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text, "invalid_settings")
            }
            SettingsRefused::NotSupported => {
                Self::new(StatusCode::NOT_IMPLEMENTED, text, "not_supported")
            }
        }
    }
}

impl From<&KeysError> for Reject {
    fn from(error: &KeysError) -> Self {
        let text = error.to_string();
        match error {
            KeysError::Attest(error) => error.into(),
            KeysError::NoKeys => Self::new(StatusCode::NOT_FOUND, text, "no_keys").retryable(),
            KeysError::NotConfigured => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, text, "config_not_set").retryable()
            }
            KeysError::Nonce => Self::new(StatusCode::BAD_REQUEST, text, "invalid_nonce"),
            KeysError::Pin(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text, "key_expired").retryable()
            }
            KeysError::RequestId => Self::new(StatusCode::BAD_REQUEST, text, "invalid_request_id"),
        }
    }
}

impl From<&HoldError> for Reject {
    fn from(error: &HoldError) -> Self {
        match error {
            HoldError::Body(error) => of_body(*error),
            HoldError::Flooded => Self::from(&RequestError::Flooded),
        }
    }
}

/// A body that did not come as a whole. The text is the same for all, as peers expect.
fn of_body(error: BodyError) -> Reject {
    let (status, code) = match error {
        BodyError::TooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        BodyError::TimedOut => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
        BodyError::Broken => (StatusCode::BAD_REQUEST, "body_broken"),
    };
    Reject::new(status, "failed to read request body", code)
}

/// The reference's text for an application's error: a struct of message and code, as Go prints it.
fn app_text(message: &str, code: u16) -> String {
    format!("error executing enclave app request: &{{{message} {code}}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{budget::BudgetError, keychain::FindKeyError};

    fn reject(error: impl Into<RequestError>) -> (u16, String, &'static str, bool) {
        let Reject { status, text, code, is_retryable, .. } = Reject::from(&error.into());
        (status.as_u16(), text, code, is_retryable)
    }

    #[test]
    fn w13_the_status_of_an_application_error_passes_through() {
        let app = |status| AppError::new(&FindKeyError::Unknown, status, "word");
        let text = "error executing enclave app request: &{keypair not found 429}";
        assert_eq!(reject(app(429).retryable()), (429, text.to_owned(), "word", true));
        for status in [400, 418, 502, 504] {
            assert_eq!(reject(app(status)).0, status);
        }
        assert_eq!(reject(app(1)).0, 500, "what is no status is an internal error");
    }

    #[test]
    fn capacity_is_429_with_the_text_peers_know() {
        let text = "error executing enclave app request: \
                    &{enclave at capacity: too many concurrent executions 429}";
        let busy = AdmitError::Busy(BudgetError::Full { retry_after: Duration::from_secs(1) });
        assert_eq!(reject(busy), (429, text.to_owned(), "capacity", true));
    }

    #[test]
    fn a_replay_is_not_retryable_and_a_twin_is() {
        assert!(!reject(AdmitError::Ledger(ReserveError::Executed)).3);
        assert!(reject(AdmitError::Ledger(ReserveError::InFlight)).3);
    }

    #[test]
    fn a_body_that_is_too_long_is_413() {
        let error = BodyError::TooLong { limit_bytes: 1 };
        assert_eq!(
            reject(error),
            (413, "failed to read request body".to_owned(), "body_too_large", false)
        );
    }
}
