//! Which members have a link, and what waits to be sent to each.

use std::{
    collections::BTreeMap,
    fmt,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;

use super::QUEUE_FRAMES;
use crate::handler::{NodeId, SendError, SendTo};

/// The open links, by member. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Links(Arc<Mutex<BTreeMap<NodeId, Sender>>>);

/// One open link as those see it who send.
struct Sender {
    queue: mpsc::Sender<Bytes>,
    replaced: CancellationToken,
}

/// One open link as its connection sees it. When it is dropped the member has no link any more, unless
/// another has taken its place.
pub(super) struct Link {
    links: Links,
    pub(super) node: NodeId,
    /// What is to be sent.
    pub(super) queue: mpsc::Receiver<Bytes>,
    /// Cancelled when the node opens another link.
    pub(super) replaced: CancellationToken,
    /// Whether this one took the place of another.
    pub(super) replaces: bool,
}

impl Links {
    /// What a handler sends with. It never waits: a frame is in the node's queue, or it failed.
    #[must_use]
    pub fn sender(&self) -> SendTo {
        let links = self.clone();
        Arc::new(move |node, text| Box::pin(ready(links.send(node, text))))
    }

    /// How many members have a link.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.lock().len()
    }

    fn send(&self, node: &NodeId, text: Bytes) -> Result<(), SendError> {
        let links = self.lock();
        let link = links.get(node).ok_or(SendError::NotConnected)?;
        link.queue.try_send(text).map_err(|error| match error {
            TrySendError::Full(_) => SendError::QueueFull,
            TrySendError::Closed(_) => SendError::NotConnected,
        })
    }

    /// Opens a member's link, in place of the one it may have.
    pub(super) fn open(&self, node: NodeId) -> Link {
        let (sender, queue) = mpsc::channel(QUEUE_FRAMES);
        let replaced = CancellationToken::new();
        let mut links = self.lock();
        let before =
            links.insert(node.clone(), Sender { queue: sender, replaced: replaced.clone() });
        let replaces = before.is_some();
        // Still under the lock: a link that is being dropped must know whether the entry is its own.
        before.into_iter().for_each(|link| link.replaced.cancel());
        drop(links);
        Link { links: self.clone(), node, queue, replaced, replaces }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Sender>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut links = self.links.lock();
        if !self.replaced.is_cancelled() {
            links.remove(&self.node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeId {
        "node".into()
    }

    #[test]
    fn a_member_without_a_link_cannot_be_sent_to() {
        let links = Links::default();
        assert_eq!(links.send(&node(), Bytes::new()), Err(SendError::NotConnected));
        drop(links.open(node()));
        assert_eq!(links.send(&node(), Bytes::new()), Err(SendError::NotConnected));
    }

    #[test]
    fn a_full_queue_refuses_at_once_and_loses_nothing_that_waits() {
        let links = Links::default();
        let mut link = links.open(node());
        for _ in 0..QUEUE_FRAMES {
            assert_eq!(links.send(&node(), Bytes::from_static(b"x")), Ok(()));
        }
        assert_eq!(links.send(&node(), Bytes::new()), Err(SendError::QueueFull));
        assert_eq!(link.queue.try_recv().unwrap(), "x");
        assert_eq!(links.send(&node(), Bytes::new()), Ok(()));
    }

    #[test]
    fn the_newest_link_of_a_member_counts() {
        let links = Links::default();
        let first = links.open(node());
        let mut second = links.open(node());
        assert!(!first.replaces && second.replaces);
        assert!(first.replaced.is_cancelled() && !second.replaced.is_cancelled());
        drop(first);
        assert_eq!(links.connected(), 1);
        assert_eq!(links.send(&node(), Bytes::from_static(b"x")), Ok(()));
        assert_eq!(second.queue.try_recv().unwrap(), "x");
        drop(second);
        assert_eq!(links.connected(), 0);
    }
}
