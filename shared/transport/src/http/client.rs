//! One client connection.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, Response, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::{
    BodyError, LargeBodies,
    body::{Pieces, read_in_turn},
};
use crate::BoxStream;

/// What a client takes from a server.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// Bytes of a response's first line and headers, at least 8,192.
    pub head_bytes: usize,
    /// Bytes of a response's body.
    pub body_bytes: usize,
    /// Time for a whole exchange, from dialing to the last byte.
    pub timeout: Duration,
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The exchange took too long.
    #[error("no response in time")]
    TimedOut,
    /// The server closed the connection before its response was complete.
    #[error("the server closed the connection before responding")]
    Closed,
    /// The response's head is longer than allowed.
    #[error("the response's headers are too long")]
    HeadTooLong,
    /// The response's body is longer than allowed.
    #[error("the response is longer than {limit_bytes} bytes")]
    BodyTooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// What came back is no HTTP/1.1.
    #[error("the response is no valid HTTP")]
    Malformed,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

/// A connection that carries one request after the other.
#[derive(Debug)]
pub struct Connection {
    sender: http1::SendRequest<Pieces>,
    driver: AbortHandle,
}

/// A request that may or may not have left.
pub(super) enum Failed {
    /// Not one byte of it was sent.
    NotSent(Box<Request<Bytes>>),
    /// It may have arrived.
    Sent(ExchangeError),
}

impl Connection {
    /// Takes over a stream that was just dialed.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::Broken`].
    pub async fn open(stream: BoxStream, limits: &ClientLimits) -> Result<Self, ExchangeError> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(limits.head_bytes.max(LEAST_HEAD_BYTES))
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ExchangeError::Broken)?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "client connection broken");
            }
        });
        Ok(Self { sender, driver: driver.abort_handle() })
    }

    /// Sends a request and reads the whole response.
    ///
    /// The target is in origin form (`/path?query`) and the caller sets `Host`. Statuses are not
    /// judged. Bytes are the server's: nothing is decoded.
    ///
    /// # Errors
    ///
    /// [`ExchangeError`]; after it the connection is of no more use.
    pub async fn send(
        &mut self,
        request: Request<Bytes>,
        limits: &ClientLimits,
    ) -> Result<Response<Bytes>, ExchangeError> {
        match tokio::time::timeout(limits.timeout, self.exchange(request, limits, None)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(Failed::Sent(error))) => Err(error),
            Ok(Err(Failed::NotSent(_))) => Err(ExchangeError::Closed),
            Err(_) => Err(ExchangeError::TimedOut),
        }
    }

    /// As [`Self::send`], without a limit to the time until the response's head arrives. A large body
    /// has its turn as long as the response's extensions live.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Bytes>,
        limits: &ClientLimits,
        turns: Option<&LargeBodies>,
    ) -> Result<Response<Bytes>, Failed> {
        let request = request.map(Pieces::from);
        let response = match self.sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut failed) => {
                return Err(match failed.take_message() {
                    Some(request) => Failed::NotSent(Box::new(request.map(Bytes::from))),
                    None => Failed::Sent(failed.into_error().into()),
                });
            }
        };
        let (mut head, body) = response.into_parts();
        let read = read_in_turn(body, limits.body_bytes, limits.timeout, turns).await;
        let (body, turn) = read.map_err(|error| Failed::Sent(error.into()))?;
        if let Some(turn) = turn {
            head.extensions.insert(turn);
        }
        Ok(Response::from_parts(head, body))
    }

    /// Waits until another request may be sent; false if the server allows none.
    pub(super) async fn is_reusable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Whether the server has closed the connection, as far as is known.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl From<BodyError> for ExchangeError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong { limit_bytes } => Self::BodyTooLong { limit_bytes },
            BodyError::TimedOut => Self::TimedOut,
            BodyError::Broken => Self::Closed,
        }
    }
}

impl From<hyper::Error> for ExchangeError {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse_too_large() {
            Self::HeadTooLong
        } else if error.is_parse() {
            Self::Malformed
        } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            Self::Closed
        } else {
            Self::Broken(error)
        }
    }
}

/// The least buffer hyper works with.
const LEAST_HEAD_BYTES: usize = 8192;
