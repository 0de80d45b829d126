//! The one place where an error becomes an answer (relay-protocol 2.5, 10.9).

use protocol::rpc::{GatewayClass, RequestError, Response};

use super::legacy::LegacyError;
use crate::handler::{AdmitError, AskError, EndError};

/// Why a request gets no bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefuseError {
    /// The handler did not take it, or it ended without one.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It is no request, or its id cannot name one.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Its params are of the old form.
    #[error(transparent)]
    Legacy(#[from] LegacyError),
    /// Nobody here serves its method.
    #[error("Service name not found: {service}")]
    Service {
        /// What stands before the first point of the method.
        service: String,
    },
    /// The token in its header is no text.
    #[error("the authorization header is not text")]
    Token,
}

impl RefuseError {
    /// What kind of error it is to the one who asked.
    pub(super) fn class(&self) -> GatewayClass {
        match self {
            Self::Request(_) | Self::Token => GatewayClass::UserMessageParse,
            Self::Legacy(error) => match error {
                LegacyError::UnsupportedDon { .. } => GatewayClass::UnsupportedDonId,
                LegacyError::DonIdLength
                | LegacyError::Form
                | LegacyError::IdLength
                | LegacyError::MethodLength
                | LegacyError::ReceiverLength
                | LegacyError::SignatureLength => GatewayClass::UserMessageParse,
            },
            Self::Service { .. } => GatewayClass::Handler,
            Self::Ask(AskError::Admit(error)) => match error {
                AdmitError::Exists { .. } | AdmitError::Id(_) => GatewayClass::Handler,
                AdmitError::Full { .. } | AdmitError::Long { .. } => GatewayClass::LimitExceeded,
            },
            Self::Ask(AskError::End(error)) => match error {
                EndError::Expired(_) => GatewayClass::RequestTimeout,
                EndError::Forward | EndError::Unreachable(_) | EndError::UnknownMethod { .. } => {
                    GatewayClass::Fatal
                }
            },
        }
    }

    /// The answer. What the handler answers to a request that it took has `null` for data; what
    /// happens before has none.
    pub(super) fn response(&self, id: &str, method: &str) -> Response {
        let class = self.class();
        match self {
            Self::Ask(AskError::End(error)) => {
                Response::handler_error(id, method, class, &error.to_string())
            }
            Self::Ask(AskError::Admit(_))
            | Self::Legacy(_)
            | Self::Request(_)
            | Self::Service { .. }
            | Self::Token => Response::error(id, "", class.code(), self.to_string()),
        }
    }
}
