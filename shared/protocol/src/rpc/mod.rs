//! The JSON-RPC envelope between enclave, gateway and relay nodes (relay-protocol 2).

use crate::{
    json::{self, DecodeError, RawJson, Wire},
    limits,
};

mod answer;
mod class;
mod digest;

pub use answer::{AttemptError, ExcerptOfBody, interpret};
pub use class::GatewayClass;
pub use digest::{DigestError, digest_request, digest_response};

wire! {
    /// A request.
    Request {
        /// The version; `2.0`.
        jsonrpc: String = "jsonrpc";
        /// The caller's name for the request.
        id: String = "id";
        /// What is asked for.
        method: String = "method";
        /// The method's own params.
        params: Option<RawJson> = "params";
        /// A token; one in the body counts before one in the header.
        auth: String = "auth", omit;
    }
}

wire! {
    /// A response: a result or an error.
    Response {
        /// The version; `2.0`.
        jsonrpc: String = "jsonrpc";
        /// The request's name.
        id: String = "id";
        /// The request's method; empty in most errors that a gateway makes.
        method: String = "method";
        /// The method's own result.
        result: Option<RawJson> = "result", omit;
        /// Why there is no result.
        error: Option<ErrorObject> = "error", omit;
    }
}

wire! {
    /// An error.
    ErrorObject {
        /// One of [`code`], or another.
        code: i64 = "code";
        /// What went wrong.
        message: String = "message";
        /// More about it; gateways' handlers write `null` here.
        data: Option<RawJson> = "data", omit;
    }
}

/// Error codes.
pub mod code {
    /// The text is no JSON-RPC.
    pub const PARSE: i64 = -32700;
    /// The envelope is none.
    pub const INVALID_REQUEST: i64 = -32600;
    /// Nobody serves the method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The params are at fault.
    pub const INVALID_PARAMS: i64 = -32602;
    /// Something that is not the caller's business.
    pub const INTERNAL: i64 = -32603;
    /// Too busy; a gateway's code for a timeout.
    pub const OVERLOADED: i64 = -32000;
    /// Unknown.
    pub const UNKNOWN: i64 = -32001;
    /// Over a limit.
    pub const LIMIT: i64 = -32002;
    /// In conflict with another request.
    pub const CONFLICT: i64 = -32003;
}

/// Why a gateway refuses the envelope of a request; the texts are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body is not the JSON of a request.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The version is not 2.0.
    #[error("incorrect jsonrpc version")]
    Version,
    /// There is no method.
    #[error("empty method field")]
    Method,
    /// There are no params.
    #[error("invalid params")]
    Params,
    /// The id is too long to be kept.
    #[error("request ID is too long: {got}. max is {} characters", limits::RPC_ID_BYTES)]
    IdTooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// There is no id.
    #[error("request ID cannot be empty")]
    IdEmpty,
}

impl Request {
    /// A request as an enclave sends it.
    #[must_use]
    pub fn new<P: Wire>(id: String, method: &str, params: &P) -> Self {
        Self {
            jsonrpc: VERSION.to_owned(),
            id,
            method: method.to_owned(),
            params: Some(RawJson::of(params)),
            auth: String::new(),
        }
    }

    /// Decodes a request's body and looks at its envelope; the token of the header counts if the
    /// body has none.
    ///
    /// # Errors
    ///
    /// [`RequestError::Decode`] to [`RequestError::Params`], in this order.
    pub fn decode(body: &[u8], header_token: &str) -> Result<Self, RequestError> {
        let mut request: Self = json::from_slice(body)?;
        if request.jsonrpc != VERSION {
            return Err(RequestError::Version);
        }
        if request.method.is_empty() {
            return Err(RequestError::Method);
        }
        if request.params.is_none() {
            return Err(RequestError::Params);
        }
        if request.auth.is_empty() {
            header_token.clone_into(&mut request.auth);
        }
        Ok(request)
    }

    /// Looks whether the id can name an open request.
    ///
    /// # Errors
    ///
    /// [`RequestError::IdTooLong`] or [`RequestError::IdEmpty`].
    pub fn check_id(&self) -> Result<(), RequestError> {
        let got = self.id.len();
        if got > limits::RPC_ID_BYTES {
            return Err(RequestError::IdTooLong { got });
        }
        if got == 0 { Err(RequestError::IdEmpty) } else { Ok(()) }
    }

    /// The service that serves the method: what stands before the first point, or all of it.
    #[must_use]
    pub fn service(&self) -> &str {
        self.method.split_once('.').map_or(&self.method, |(service, _method)| service)
    }
}

impl Response {
    /// A result, as a relay node or a gateway sends it.
    #[must_use]
    pub fn result<R: Wire>(id: &str, method: &str, result: &R) -> Self {
        Self { result: Some(RawJson::of(result)), ..Self::envelope(id, method) }
    }

    /// An error without data, as relay nodes and a gateway's core send it.
    #[must_use]
    pub fn error(id: &str, method: &str, code: i64, message: String) -> Self {
        let error = ErrorObject { code, message, data: None };
        Self { error: Some(error), ..Self::envelope(id, method) }
    }

    /// An error of a gateway's handler: without a method, and with `null` for data
    /// (relay-protocol 10.9).
    #[must_use]
    pub fn handler_error(id: &str, method: &str, class: GatewayClass, message: &str) -> Self {
        let message = match class {
            GatewayClass::InvalidParams => format!("invalid params error: {message}"),
            GatewayClass::UnsupportedMethod => format!("unsupported method({method}): {message}"),
            GatewayClass::UserMessageParse => format!("user message parse error: {message}"),
            GatewayClass::NodeResponseEncoding => class.to_string(),
            GatewayClass::Conflict
            | GatewayClass::Fatal
            | GatewayClass::Handler
            | GatewayClass::LimitExceeded
            | GatewayClass::RequestTimeout
            | GatewayClass::StaleNodeResponse
            | GatewayClass::Unknown
            | GatewayClass::UnsupportedDonId => message.to_owned(),
        };
        let error = ErrorObject { code: class.code(), message, data: Some(RawJson::null()) };
        Self { error: Some(error), ..Self::envelope(id, "") }
    }

    fn envelope(id: &str, method: &str) -> Self {
        Self {
            jsonrpc: VERSION.to_owned(),
            id: id.to_owned(),
            method: method.to_owned(),
            result: None,
            error: None,
        }
    }
}

/// The only version there is.
const VERSION: &str = "2.0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_to_two_hundred_bytes_are_taken() {
        let request = |id: String| Request { id, ..Request::default() };
        assert_eq!(request(String::new()).check_id(), Err(RequestError::IdEmpty));
        assert_eq!(request("x".repeat(200)).check_id(), Ok(()));
        let error = request("é".repeat(101)).check_id().unwrap_err();
        assert_eq!(error.to_string(), "request ID is too long: 202. max is 200 characters");
    }

    #[test]
    fn the_service_is_what_stands_before_the_first_point() {
        let service = |method: &str| {
            Request { method: method.to_owned(), ..Request::default() }.service().to_owned()
        };
        assert_eq!(service("confidential.secrets.get"), "confidential");
        assert_eq!(service("plain"), "plain");
        assert_eq!(service(".x"), "");
    }

    #[test]
    fn a_response_has_its_result_or_its_error() {
        let text = |response: &Response| String::from_utf8(json::to_vec(response)).unwrap();
        let result = text(&Response::result("7", "m", &RawJson::null()));
        assert_eq!(result, r#"{"jsonrpc":"2.0","id":"7","method":"m","result":null}"#);
        let error = text(&Response::error("7", "m", -32603, "no".to_owned()));
        let want = r#""error":{"code":-32603,"message":"no"}}"#;
        assert_eq!(error, format!(r#"{{"jsonrpc":"2.0","id":"7","method":"m",{want}"#));
    }

    #[test]
    fn errors_of_a_handler_have_null_data_and_no_method() {
        let class = GatewayClass::UnsupportedMethod;
        let error = Response::handler_error("7", "m", class, "text");
        let text = String::from_utf8(json::to_vec(&error)).unwrap();
        let want = r#"{"jsonrpc":"2.0","id":"7","method":"","error":{"code":-32601,"message":"unsupported method(m): text","data":null}}"#;
        assert_eq!(text, want);
        let class = GatewayClass::NodeResponseEncoding;
        let error = Response::handler_error("7", "m", class, "text").error.unwrap();
        assert_eq!(error.message, "NodeResponseEncodingError");
    }
}
