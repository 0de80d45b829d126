//! The links that relay nodes open to the gateway, one for each member.
//!
//! A node dials in, opens a WebSocket and proves its key ([`protocol::link`]); strangers are turned
//! away. Then both sides send JSON-RPC frames: the gateway requests, the node answers, in any order.
//! The newest link of a member is the one that counts, so that a node that lost its connection need
//! not wait until the gateway notices.
//!
//! Nothing is unbounded: handshakes have a number, a size and a deadline; a link has a queue of
//! [`QUEUE_FRAMES`] frames, a limit for each frame, a deadline for each write, and heartbeats. A node
//! that is too slow loses requests, then its link, and delays nobody else.

use std::{sync::Arc, time::Duration};

use protocol::{
    clock::{Clock as _, SystemClock},
    limits::NODE_LINK_TIMEOUT,
};
use tokio_util::sync::CancellationToken;
use transport::{Accepted, Listen, ListenerFailed, accept_each};

mod links;
mod session;
mod shake;
#[cfg(test)]
mod tests;

pub use links::Links;
pub use shake::HandshakeError;

use crate::{config::Nodes, handler::Handler};

/// Serves links at `listener` until `shutdown` is cancelled; then every link is closed.
///
/// # Errors
///
/// [`ListenerFailed`].
pub async fn serve(
    listener: Box<dyn Listen>,
    config: Nodes,
    handler: Handler,
    links: Links,
    shutdown: CancellationToken,
) -> Result<(), ListenerFailed> {
    // Each member may have a link and one that is being replaced.
    let connections = config.members.len().saturating_mul(2).saturating_add(HANDSHAKES);
    let desk = Arc::new(Desk { config, handler, links, shutdown: shutdown.clone() });
    accept_each(listener, connections, FAREWELL.saturating_mul(2), &shutdown, move |accepted| {
        Arc::clone(&desk).connection(accepted)
    })
    .await
}

/// What every connection needs.
struct Desk {
    config: Nodes,
    handler: Handler,
    links: Links,
    shutdown: CancellationToken,
}

impl Desk {
    /// Serves one connection until it ends.
    async fn connection(self: Arc<Self>, Accepted { stream, peer }: Accepted) {
        let shaken = shake::shake(stream, &self.config, SystemClock.now());
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(NODE_LINK_TIMEOUT, shaken) => shaken,
            () = self.shutdown.cancelled() => return,
        };
        let (mut socket, key) = match shaken.unwrap_or(Err(HandshakeError::Late)) {
            Ok(shaken) => shaken,
            Err(error) => {
                tracing::warn!(%peer, %error, "a node is turned away");
                return;
            }
        };
        let mut link = self.links.open((&key).into());
        let node = link.node.clone();
        if link.replaces {
            tracing::warn!(%node, %peer, "node connected again, its other link is closed");
        } else {
            tracing::info!(%node, %peer, "node connected");
        }
        let heartbeat = self.config.heartbeat;
        let ended =
            session::converse(&mut socket, &mut link, heartbeat, &self.handler, &self.shutdown)
                .await;
        drop(link);
        tracing::info!(%node, %peer, %ended, "node disconnected");
        shake::farewell(socket, ended.code(), ended.word()).await;
    }
}

/// Frames that may wait for one node. A node answers a request in seconds; this many wait only if it
/// does not read.
pub const QUEUE_FRAMES: usize = 64;

/// Handshakes at a time. Members need one each; the others are strangers.
const HANDSHAKES: usize = 64;

/// What a node gets to take a close frame at the end, and to answer it.
const FAREWELL: Duration = Duration::from_millis(500);
