//! The server loop.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio_util::sync::CancellationToken;

use super::stall::WriteStall;
use crate::{Accepted, Endpoint, Listen, ListenerFailed, accept_each};

/// What one server gives its clients.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections at a time; the next one waits in the listener's backlog.
    pub connections: usize,
    /// Bytes of a request's first line and headers, at least 8,192; above it is 431.
    pub head_bytes: usize,
    /// Time for a request's head, and for an idle connection to say something.
    pub head_timeout: Duration,
    /// Time in which a client must take something of what is written to it.
    pub write_stall: Duration,
    /// Time that requests under way get to finish once the server is told to stop.
    pub drain: Duration,
}

/// Who sent a request: an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub Endpoint);

/// Serves `service` (an `axum::Router`, or any tower service that never fails) at `listener`.
///
/// Ends when `shutdown` is cancelled: the listener is closed at once, idle connections too, and
/// requests under way get [`ServerLimits::drain`] to finish. A handler that panics costs its
/// connection. Dropping the future drops every connection.
///
/// # Errors
///
/// [`ListenerFailed`].
pub async fn serve<S, B>(
    listener: Box<dyn Listen>,
    service: S,
    limits: ServerLimits,
    shutdown: CancellationToken,
) -> Result<(), ListenerFailed>
where
    S: Clone + Send + 'static,
    TowerToHyperService<S>: hyper::service::Service<
            Request<Incoming>,
            Response = Response<B>,
            Error: Into<Box<dyn Error + Send + Sync>>,
            Future: Send,
        > + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let stop = shutdown.clone();
    accept_each(listener, limits.connections, limits.drain, &shutdown, move |accepted| {
        let service = TowerToHyperService::new(service.clone());
        connection(accepted, service, limits, stop.clone())
    })
    .await
}

/// Serves one connection until it ends.
async fn connection<S, B>(
    Accepted { stream, peer }: Accepted,
    service: S,
    limits: ServerLimits,
    shutdown: CancellationToken,
) where
    S: hyper::service::Service<
            Request<Incoming>,
            Response = Response<B>,
            Error: Into<Box<dyn Error + Send + Sync>>,
        >,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let stream = WriteStall::new(stream, limits.write_stall);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes.max(LEAST_HEAD_BYTES))
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "connection broken");
    }
}

/// The least buffer hyper works with.
const LEAST_HEAD_BYTES: usize = 8192;
