//! Idle client connections, kept for the next request to the same place.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::{Request, Response};
use tokio::time::Instant;

use super::{ClientLimits, Connection, ExchangeError, LargeBodies, client::Failed};
use crate::BoxStream;

/// How many idle connections are kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Idle connections per key.
    pub per_key: usize,
    /// Idle connections in all.
    pub total: usize,
    /// Age at which an idle connection is closed; keep it below the server's own limit.
    pub idle: Duration,
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub enum SendError<E: std::error::Error + 'static> {
    /// No connection could be opened.
    #[error("no connection")]
    Dial(#[source] E),
    /// The exchange failed.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

/// Idle connections by key: what shares a key shares connections.
pub struct Pool<K> {
    limits: PoolLimits,
    idle: Mutex<HashMap<K, Vec<Idle>>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl<K: Eq + Hash> Pool<K> {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: PoolLimits) -> Self {
        Self { limits, idle: Mutex::default() }
    }

    /// Sends a request over an idle connection of `key`, or over the one that `dial` opens; `dial`
    /// is not polled unless it is needed.
    ///
    /// A request of which nothing was sent, because an idle connection turned out to be closed, goes
    /// over another connection; no other request is repeated. The limits' time holds for everything
    /// together. Where there are `turns`, a large body waits for its own before it is read, and has it as
    /// long as the response's extensions live.
    ///
    /// # Errors
    ///
    /// [`SendError`]. After [`SendError::Exchange`] the request may have arrived.
    pub async fn send<E: std::error::Error + 'static>(
        &self,
        key: K,
        request: Request<Bytes>,
        limits: &ClientLimits,
        turns: Option<&LargeBodies>,
        dial: impl Future<Output = Result<BoxStream, E>>,
    ) -> Result<Response<Bytes>, SendError<E>> {
        let exchange = self.exchange(key, request, limits, turns, dial);
        let sent = tokio::time::timeout(limits.timeout, exchange);
        sent.await.unwrap_or(Err(SendError::Exchange(ExchangeError::TimedOut)))
    }

    async fn exchange<E: std::error::Error + 'static>(
        &self,
        key: K,
        mut request: Request<Bytes>,
        limits: &ClientLimits,
        turns: Option<&LargeBodies>,
        dial: impl Future<Output = Result<BoxStream, E>>,
    ) -> Result<Response<Bytes>, SendError<E>> {
        while let Some(mut connection) = self.take(&key) {
            match connection.exchange(request, limits, turns).await {
                Ok(response) => {
                    self.put(key, connection).await;
                    return Ok(response);
                }
                Err(Failed::NotSent(unsent)) => request = *unsent,
                Err(Failed::Sent(error)) => return Err(error.into()),
            }
        }
        let stream = dial.await.map_err(SendError::Dial)?;
        let mut connection = Connection::open(stream, limits).await?;
        match connection.exchange(request, limits, turns).await {
            Ok(response) => {
                self.put(key, connection).await;
                Ok(response)
            }
            Err(Failed::NotSent(_)) => Err(ExchangeError::Closed.into()),
            Err(Failed::Sent(error)) => Err(error.into()),
        }
    }

    /// The youngest idle connection of `key` that is still good.
    fn take(&self, key: &K) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.get_mut(key)?;
        let fresh =
            |idle: &Idle| !idle.connection.is_closed() && idle.since.elapsed() < self.limits.idle;
        let connection = std::iter::from_fn(|| found.pop()).find(fresh).map(|idle| idle.connection);
        if found.is_empty() {
            idle.remove(key);
        }
        connection
    }

    /// Keeps a connection if the server does and there is room.
    async fn put(&self, key: K, mut connection: Connection) {
        let ready = tokio::time::timeout(REUSE_WAIT, connection.is_reusable());
        if !matches!(ready.await, Ok(true)) {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, found| {
            found.retain(|i| !i.connection.is_closed() && i.since.elapsed() < self.limits.idle);
            !found.is_empty()
        });
        if idle.values().map(Vec::len).sum::<usize>() >= self.limits.total {
            return;
        }
        let found = idle.entry(key).or_default();
        if found.len() < self.limits.per_key {
            found.push(Idle { connection, since: Instant::now() });
        }
    }
}

impl<K> fmt::Debug for Pool<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Time for a connection to become ready again after a complete response; it is ready at once unless
/// the server still reads the request.
const REUSE_WAIT: Duration = Duration::from_millis(10);
