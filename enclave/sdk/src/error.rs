//! What can go wrong in a workflow.
//!
//! ```
//! use enclave_sdk::{
//!     CapabilityError, ErrorCode, Setup, WorkflowError,
//!     messages::devnet::price_feed::{CAPABILITY, LATEST, LatestRequest, LatestResponse},
//!     testing::Double,
//!     trigger,
//! };
//!
//! fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
//!     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
//!         let request = LatestRequest { symbol: "ETH-USD".to_owned() };
//!         match runtime.call::<LatestResponse>(CAPABILITY, LATEST, &request).wait() {
//!             Ok(latest) => Ok(latest.price),
//!             // What a capability fails with has a code.
//!             Err(WorkflowError::Capability(CapabilityError {
//!                 code: Some(ErrorCode::NotFound),
//!                 message,
//!             })) => Ok(format!("none: {message}")),
//!             // Everything else ends the run with its text.
//!             Err(other) => Err(other),
//!         }
//!     });
//!     Ok(())
//! }
//!
//! let failing = |text: &'static str| {
//!     let double = Double::new().capability(CAPABILITY, LATEST, move |_: LatestRequest| {
//!         Err::<LatestResponse, _>(text.into())
//!     });
//!     double.trigger(init, 0, &trigger::Cron::default())
//! };
//! let run = failing("Public:System:NotFound:no such symbol");
//! assert_eq!(run.value::<String>().unwrap(), "none: no such symbol");
//! let run = failing("Public:System:Unavailable:closed");
//! assert_eq!(run.error(), Some("[14]Unavailable: closed"));
//! ```

use std::{fmt, str::FromStr};

use protocol::messages::DecodeMessageError;

use crate::{metric::MetricError, report::ReportError};

/// Why a workflow, or something it asked for, failed.
///
/// A handler that returns one ends with an error result that carries its text. Make one of your own
/// with [`WorkflowError::new`], or from any text with `?` and `.into()`.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// The workflow's own words.
    #[error("{0}")]
    Failed(String),
    /// A capability answered with an error.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// A capability that the host does not know, or a call it does not start.
    #[error("cannot call {capability}: {refusal}")]
    NotCalled {
        /// The capability.
        capability: String,
        /// The host's reason.
        refusal: Refusal,
    },
    /// A secret that is not there.
    #[error("{id}: {text}")]
    Secret {
        /// The secret.
        id: String,
        /// Why it is not there.
        text: String,
    },
    /// The host refused an exchange.
    #[error("{exchange}: {refusal}")]
    Refused {
        /// What was asked of the host.
        exchange: &'static str,
        /// Its reason.
        refusal: Refusal,
    },
    /// An answer is not the message it should be.
    #[error(transparent)]
    Decode(#[from] DecodeMessageError),
    /// The configuration is not the JSON it should be.
    #[error("configuration: {0}")]
    Config(#[source] serde_json::Error),
    /// A value is not of the type it should be.
    #[error("value is not {want}")]
    Value {
        /// The type that was expected.
        want: &'static str,
    },
    /// A runtime was used in the other mode.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// A signed report cannot be read.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// A runtime was used in the other mode. The texts are those that the interface's tests look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModeError {
    /// A [`crate::Runtime`], while a node section runs.
    #[error("cannot use Runtime inside RunInNodeMode")]
    Don,
    /// A [`crate::NodeRuntime`], after its section has ended.
    #[error("cannot use NodeRuntime outside RunInNodeMode")]
    Node,
}

/// The host's reason for a refusal, as far as it fitted into the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(String);

/// A capability's error.
///
/// Displayed as `[5]NotFound: no such key`, or as its message alone where its code is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilityError {
    /// The kind of error, if it has one that is known.
    pub code: Option<ErrorCode>,
    /// What went wrong.
    pub message: String,
}

macro_rules! codes {
    ($($name:ident = $number:literal,)*) => {
        /// The kind of a capability's error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(
                #[doc = concat!("Number ", stringify!($number), ".")]
                $name = $number,
            )*
        }

        impl FromStr for ErrorCode {
            type Err = UnknownCode;

            fn from_str(text: &str) -> Result<Self, UnknownCode> {
                match text {
                    $(stringify!($name) => Ok(Self::$name),)*
                    _ => Err(UnknownCode),
                }
            }
        }

        impl ErrorCode {
            /// All codes, by number.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

codes! {
    Canceled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
    ConsensusFailed = 100,
    LimitExceeded = 101,
    InsufficientObservations = 102,
}

/// A code that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown error code")]
pub struct UnknownCode;

impl WorkflowError {
    /// Makes an error of the workflow's own.
    pub fn new(text: impl fmt::Display) -> Self {
        Self::Failed(text.to_string())
    }
}

impl From<&str> for WorkflowError {
    fn from(text: &str) -> Self {
        Self::Failed(text.to_owned())
    }
}

impl From<MetricError> for WorkflowError {
    fn from(error: MetricError) -> Self {
        Self::new(error)
    }
}

impl From<String> for WorkflowError {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl Refusal {
    pub(crate) fn new(text: &[u8]) -> Self {
        Self(String::from_utf8_lossy(text).into_owned())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl CapabilityError {
    /// Reads an error as it travels: `Public:System:NotFound:no such key`. Any other text is a
    /// message without a code, colons or not.
    pub(crate) fn from_wire(text: &str) -> Self {
        let mut parts = text.splitn(4, ':');
        let parts = [(); 4].map(|()| parts.next());
        if let [Some("Public" | "Private"), Some("System" | "User"), Some(code), Some(message)] =
            parts
        {
            return Self { code: code.parse().ok(), message: message.to_owned() };
        }
        Self { code: None, message: text.to_owned() }
    }
}

impl fmt::Display for CapabilityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "[{}]{code:?}: {}", code as u32, self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for CapabilityError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_on_the_wire_has_a_code_and_a_message_with_colons() {
        let error = CapabilityError::from_wire("Public:System:NotFound:no key: x");
        assert_eq!(error.code, Some(ErrorCode::NotFound));
        assert_eq!(error.to_string(), "[5]NotFound: no key: x");
    }

    #[test]
    fn a_plain_text_keeps_all_its_colons() {
        for text in ["boom", "consensus.Simple: observation error: a: b", "a:b:c:d", ""] {
            let error = CapabilityError::from_wire(text);
            assert_eq!((error.code, error.to_string().as_str()), (None, text));
        }
    }

    #[test]
    fn an_unknown_code_leaves_the_message() {
        let error = CapabilityError::from_wire("Private:User:Odd:text");
        assert_eq!(error.to_string(), "text");
    }

    #[test]
    fn codes_are_found_by_their_names() {
        for code in ErrorCode::ALL {
            assert_eq!(format!("{code:?}").parse(), Ok(*code));
        }
        assert_eq!("notfound".parse::<ErrorCode>(), Err(UnknownCode));
    }
}
