//! HTTP requests, made by the enclave itself.

use std::time::Duration;

use protocol::messages::http::{HeaderValues, Request as Message, Response as Answer};

use crate::WorkflowError;

/// A request: HTTPS, one of GET, POST, PUT, DELETE and PATCH. Redirects are not followed.
///
/// It is not printed, because headers and query may hold secrets.
#[derive(Clone)]
pub struct Request(Message);

/// The answer to a request, whatever its status.
///
/// It is not printed, because it may hold secrets.
#[derive(Clone)]
pub struct Response(Answer);

impl Request {
    /// A request by its method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self(Message { method: method.into(), url: url.into(), ..Message::default() })
    }

    /// A request that reads.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A request that sends a body.
    pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", url).body(body)
    }

    /// Adds a value to a header; a header may have several.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let values: &mut HeaderValues = self.0.multi_headers.entry(name.into()).or_default();
        values.values.push(value.into());
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// Gives up after this time; the enclave has a limit of its own.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout.try_into().ok();
        self
    }

    pub(crate) fn into_message(self) -> Message {
        self.0
    }
}

impl Response {
    pub(crate) fn new(answer: Answer) -> Self {
        Self(answer)
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u32 {
        self.0.status_code
    }

    /// Whether the status is one of success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// The response itself if its status is one of success.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Failed`] with the status otherwise.
    pub fn success(self) -> Result<Self, WorkflowError> {
        if self.is_success() {
            return Ok(self);
        }
        Err(WorkflowError::new(format_args!("HTTP status {}", self.status())))
    }

    /// The first value of a header; names are compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.0.multi_headers.iter();
        let (_, values) = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        values.values.first().map(String::as_str)
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Failed`] if it is not UTF-8.
    pub fn text(&self) -> Result<&str, WorkflowError> {
        std::str::from_utf8(self.body()).map_err(|_error| WorkflowError::new("body is not UTF-8"))
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Failed`] if it is not JSON of this form.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, WorkflowError> {
        let parsed = serde_json::from_slice(self.body());
        parsed.map_err(|_error| WorkflowError::new("body is not the expected JSON"))
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.0.method).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response").field("status", &self.status()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_may_have_several_values() {
        let request = Request::get("https://a.test").header("X", "1").header("X", "2");
        assert_eq!(request.into_message().multi_headers["X"].values, ["1", "2"]);
    }

    #[test]
    fn requests_and_responses_are_not_printed() {
        let request = Request::get("https://a.test/?key=s3cr3t").header("X", "s3cr3t");
        assert!(!format!("{request:?}").contains("s3cr3t"));
        let response = Response::new(Answer { body: b"s3cr3t".to_vec(), ..Answer::default() });
        assert!(!format!("{response:?}").contains("s3cr3t"));
    }

    #[test]
    fn only_a_status_of_success_is_one() {
        let response = |status_code| Response::new(Answer { status_code, ..Answer::default() });
        assert!(response(204).success().is_ok());
        assert_eq!(response(500).success().unwrap_err().to_string(), "HTTP status 500");
        assert!(response(301).success().is_err());
    }
}
