//! HTTP over vsock to the enclave (section 10.6).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use transport::{
    Dial, DialError,
    http::{ClientLimits, Pool, PoolLimits, SendError},
};

use crate::reply::NONCE_HEADER;

/// Why the enclave gave no answer.
pub type LinkError = SendError<DialError>;

/// The way to the enclave. Clones share connections.
#[derive(Clone, Debug)]
pub struct Link {
    dial: Arc<dyn Dial>,
    pool: Arc<Pool<()>>,
}

impl Link {
    /// The way to what `dial` reaches.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        Self { dial, pool: Arc::new(Pool::new(POOL)) }
    }

    /// Sends a request and reads the whole answer. The path may have a query.
    ///
    /// # Errors
    ///
    /// [`LinkError`]; after [`SendError::Exchange`] the enclave may have acted.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limits: &ClientLimits,
    ) -> Result<Response<Bytes>, LinkError> {
        self.send_with(method, path, None, body, limits).await
    }

    /// The same, with the callers' challenge.
    ///
    /// # Errors
    ///
    /// As [`Link::send`].
    pub async fn send_with(
        &self,
        method: Method,
        path: &str,
        nonce: Option<&HeaderValue>,
        body: Bytes,
        limits: &ClientLimits,
    ) -> Result<Response<Bytes>, LinkError> {
        let mut request = Request::new(body);
        // A path that is no path reaches nothing.
        *request.uri_mut() = path.parse().unwrap_or_default();
        *request.method_mut() = method;
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(nonce) = nonce {
            headers.insert(NONCE_HEADER, nonce.clone());
        }
        self.pool.send((), request, limits, None, self.dial.dial()).await
    }
}

/// An enclave closes idle connections after 30 seconds.
const POOL: PoolLimits =
    PoolLimits { per_key: 32, total: 32, idle: std::time::Duration::from_secs(20) };
