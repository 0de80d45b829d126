//! The classes of a gateway's errors, with their codes and statuses (relay-protocol 2.5).

use std::fmt;

use super::code;

/// What kind of error a gateway met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GatewayClass {
    /// In conflict with another request.
    Conflict,
    /// Nothing the user can help.
    Fatal,
    /// A handler refused the request.
    Handler,
    /// The params are at fault.
    InvalidParams,
    /// Over a limit.
    LimitExceeded,
    /// The answer of the nodes cannot be written.
    NodeResponseEncoding,
    /// Not enough answers in time.
    RequestTimeout,
    /// An answer to an older request.
    StaleNodeResponse,
    /// Anything else.
    Unknown,
    /// Nobody serves this DON.
    UnsupportedDonId,
    /// Nobody serves the method.
    UnsupportedMethod,
    /// The body is no request.
    UserMessageParse,
}

impl GatewayClass {
    /// The JSON-RPC code.
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::Conflict => code::CONFLICT,
            Self::Fatal | Self::NodeResponseEncoding | Self::StaleNodeResponse | Self::Unknown => {
                code::INTERNAL
            }
            Self::Handler => code::INVALID_REQUEST,
            Self::InvalidParams | Self::UnsupportedDonId => code::INVALID_PARAMS,
            Self::LimitExceeded => code::LIMIT,
            Self::RequestTimeout => code::OVERLOADED,
            Self::UnsupportedMethod => code::METHOD_NOT_FOUND,
            Self::UserMessageParse => code::PARSE,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Conflict => 409,
            Self::Fatal | Self::NodeResponseEncoding | Self::StaleNodeResponse | Self::Unknown => {
                500
            }
            Self::Handler
            | Self::InvalidParams
            | Self::UnsupportedDonId
            | Self::UnsupportedMethod
            | Self::UserMessageParse => 400,
            Self::LimitExceeded => 429,
            Self::RequestTimeout => 504,
        }
    }
}

impl fmt::Display for GatewayClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "ConflictError",
            Self::Fatal => "FatalError",
            Self::Handler => "HandlerError",
            Self::InvalidParams => "InvalidParamsError",
            Self::LimitExceeded => "LimitExceededError",
            Self::NodeResponseEncoding => "NodeResponseEncodingError",
            Self::RequestTimeout => "RequestTimeoutError",
            Self::StaleNodeResponse => "StaleNodeResponseError",
            Self::Unknown => "UnknownError",
            Self::UnsupportedDonId => "UnsupportedDONIdError",
            Self::UnsupportedMethod => "UnsupportedMethodError",
            Self::UserMessageParse => "UserMessageParseError",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::GatewayClass as Class;

    #[test]
    fn classes_have_the_codes_and_statuses_of_the_specification() {
        for (class, text, code, status) in [
            (Class::UserMessageParse, "UserMessageParseError", -32700, 400),
            (Class::UnsupportedDonId, "UnsupportedDONIdError", -32602, 400),
            (Class::InvalidParams, "InvalidParamsError", -32602, 400),
            (Class::Handler, "HandlerError", -32600, 400),
            (Class::RequestTimeout, "RequestTimeoutError", -32000, 504),
            (Class::NodeResponseEncoding, "NodeResponseEncodingError", -32603, 500),
            (Class::Fatal, "FatalError", -32603, 500),
            (Class::UnsupportedMethod, "UnsupportedMethodError", -32601, 400),
            (Class::StaleNodeResponse, "StaleNodeResponseError", -32603, 500),
            (Class::Conflict, "ConflictError", -32003, 409),
            (Class::LimitExceeded, "LimitExceededError", -32002, 429),
            (Class::Unknown, "UnknownError", -32603, 500),
        ] {
            assert_eq!((class.code(), class.status()), (code, status), "{class}");
            assert_eq!(class.to_string(), text);
        }
    }
}
