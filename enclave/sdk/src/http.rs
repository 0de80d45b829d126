//! HTTP requests: of a node in its section, or of the enclave itself.
//!
//! ```
//! use std::time::Duration;
//!
//! use enclave_sdk::{Enclave, Setup, WorkflowError, http, testing::{Double, http_response}, trigger};
//!
//! #[derive(serde::Serialize)]
//! struct Order {
//!     amount: u64,
//! }
//!
//! #[derive(serde::Deserialize)]
//! struct Placed {
//!     id: String,
//! }
//!
//! fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
//!     setup.on_in(Enclave::nitro(), trigger::cron("0 * * * * *"), |runtime, _event| {
//!         let key = runtime.secret("API_KEY")?;
//!         let request = http::Request::new("POST", "https://shop.example/orders")
//!             .json(&Order { amount: 3 })?
//!             .header("Authorization", format!("Bearer {}", key.expose()))
//!             .header("Accept", "application/json")
//!             .header("Accept", "text/plain")
//!             .timeout(Duration::from_secs(5));
//!         let response = runtime.http(request).wait()?;
//!         for cookie in response.headers("Set-Cookie") {
//!             runtime.info("cookie", &[("bytes", &cookie.len())]);
//!         }
//!         let placed: Placed = response.success()?.json()?;
//!         Ok(placed.id)
//!     });
//!     Ok(())
//! }
//!
//! let double = Double::new().secret("main", "API_KEY", "12345").http(|request| {
//!     assert_eq!(request.multi_headers["Accept"].values, ["application/json", "text/plain"]);
//!     http_response(201, r#"{"id": "order-7"}"#)
//! });
//! let run = double.trigger(init, 0, &trigger::Cron::default());
//! assert_eq!(run.value::<String>().unwrap(), "order-7");
//! ```

use std::time::Duration;

use protocol::messages::{
    http::{HeaderValues, Request as Message, Response as Answer},
    well_known,
};
use serde::{Serialize, de::DeserializeOwned};

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

    /// A request that replaces what is there.
    pub fn put(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new("PUT", url).body(body)
    }

    /// A request that changes a part of what is there.
    pub fn patch(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new("PATCH", url).body(body)
    }

    /// A request that deletes.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
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

    /// Sets the body to JSON, and says so in the header.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Value`] if JSON cannot hold it.
    pub fn json(self, body: &impl Serialize) -> Result<Self, WorkflowError> {
        let body = serde_json::to_vec(body);
        let body = body.map_err(|_error| WorkflowError::Value { want: "what JSON can hold" })?;
        Ok(self.header("Content-Type", "application/json").body(body))
    }

    /// Gives up after this time; the enclave has a limit of its own.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        // What the message cannot hold is longer than any limit.
        let longest = well_known::Duration { seconds: i64::MAX, nanos: 0 };
        self.0.timeout = Some(timeout.try_into().unwrap_or(longest));
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
        self.headers(name).next()
    }

    /// All values of a header, in order; names are compared without regard to case.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.multi_headers.iter();
        let named = named.filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.flat_map(|(_, values)| &values.values).map(String::as_str)
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
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, WorkflowError> {
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
    fn headers_are_found_whatever_their_case() {
        let values = |values: &[&str]| HeaderValues {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let multi_headers = [("set-cookie", values(&["a", "b"])), ("x", values(&[]))];
        let multi_headers = multi_headers.map(|(name, values)| (name.to_owned(), values)).into();
        let response = Response::new(Answer { multi_headers, ..Answer::default() });
        assert_eq!(response.headers("Set-Cookie").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((response.header("Set-Cookie"), response.header("X")), (Some("a"), None));
    }

    #[test]
    fn a_body_of_json_says_so() {
        let request = Request::put("https://a.test", "").json(&[1, 2]).unwrap().into_message();
        assert_eq!(
            (request.method.as_str(), request.body.as_slice()),
            ("PUT", b"[1,2]".as_slice())
        );
        assert_eq!(request.multi_headers["Content-Type"].values, ["application/json"]);
        let not_json = std::collections::BTreeMap::from([(vec![1], 2)]);
        assert!(Request::get("https://a.test").json(&not_json).is_err());
    }

    #[test]
    fn a_timeout_that_no_message_holds_is_the_longest_one() {
        let request = Request::get("https://a.test").timeout(Duration::MAX).into_message();
        assert_eq!(request.timeout.unwrap().seconds, i64::MAX);
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
