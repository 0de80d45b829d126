//! One task for each connection, a bounded number of them, until told to stop.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{Accepted, Listen};

/// The listener failed again and again and is of no more use.
#[derive(Debug, thiserror::Error)]
#[error("no connection can be accepted any more")]
pub struct ListenerFailed(#[source] pub io::Error);

/// Runs `handle` on every connection, each in a task of its own, at most `connections` at a time; the
/// next one waits in the listener's backlog.
///
/// Ends when `shutdown` is cancelled: the listener is closed at once, and connections get `drain` to
/// end by themselves. A task that panics costs its connection. Dropping the future drops every
/// connection.
///
/// # Errors
///
/// [`ListenerFailed`], after 30 seconds of failures.
pub async fn accept_each<T>(
    mut listener: Box<dyn Listen>,
    connections: usize,
    drain: Duration,
    shutdown: &CancellationToken,
    mut handle: impl FnMut(Accepted) -> T,
) -> Result<(), ListenerFailed>
where
    T: Future<Output = ()> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(connections));
    let mut tasks = JoinSet::new();
    let mut failures = 0_u32;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = tasks.join_next() => {
                report(ended);
                continue;
            }
            accepted = next(&permits, listener.as_mut()) => accepted,
        };
        match accepted {
            Ok((permit, accepted)) => {
                failures = 0;
                let task = handle(accepted);
                tasks.spawn(async move {
                    task.await;
                    drop(permit);
                });
            }
            Err(error) if failures >= FAILURES => return Err(ListenerFailed(error)),
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(%error, endpoint = %listener.endpoint(), "cannot accept");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    let drained = async {
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(drain, drained).await.is_err() && !drain.is_zero() {
        tracing::warn!(connections = tasks.len(), "closed before they had ended");
    }
    Ok(())
}

/// Waits for room, then for a connection.
async fn next(
    permits: &Arc<Semaphore>,
    listener: &mut dyn Listen,
) -> io::Result<(Option<OwnedSemaphorePermit>, Accepted)> {
    // The semaphore is never closed, so there always is a permit.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    Ok((permit, listener.accept().await?))
}

fn report(ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("the task of a connection panicked");
    }
}

/// Failed accepts in a row after which the listener is given up: with the pause, 30 seconds. A
/// shortage of file descriptors passes sooner, because connections end.
const FAILURES: u32 = 300;
const PAUSE: Duration = Duration::from_millis(100);
