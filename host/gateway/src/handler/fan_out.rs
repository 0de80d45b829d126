//! One request to all members at the same time, under one deadline (relay-protocol 10.3 step 5, 6).

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, timeout_at};

use super::{EndError, Handler, active::ActiveRequest};

/// The sending of one request, and the rule that holds when it is over.
///
/// The rule is applied when this is dropped, so it holds too when the one who asked leaves while a
/// send hangs: what is not sent then counts as failed.
pub(super) struct FanOut<'h> {
    handler: &'h Handler,
    request: &'h ActiveRequest,
    reached: usize,
}

impl<'h> FanOut<'h> {
    pub(super) fn new(handler: &'h Handler, request: &'h ActiveRequest) -> Self {
        Self { handler, request, reached: 0 }
    }

    /// Sends to all members and waits until every send has ended or the time for sending is over.
    pub(super) async fn run(mut self, text: Bytes) {
        let inner = &self.handler.0;
        let timeout = inner.settings.relay.node_send_timeout;
        let now = Instant::now();
        let deadline = now.checked_add(timeout).unwrap_or(now);
        let mut sends: FuturesUnordered<_> = inner
            .settings
            .members
            .iter()
            .map(|node| {
                let sending = (inner.send)(node, text.clone());
                async move { (node, timeout_at(deadline, sending).await) }
            })
            .collect();
        while let Some((node, sent)) = sends.next().await {
            match sent {
                Ok(Ok(())) => self.reached = self.reached.saturating_add(1),
                Ok(Err(error)) => tracing::debug!(%node, %error, "not sent"),
                Err(_elapsed) => tracing::debug!(%node, "not sent in time"),
            }
        }
    }
}

impl Drop for FanOut<'_> {
    fn drop(&mut self) {
        let members = self.handler.0.settings.members.len();
        let quorum = self.handler.0.settings.faults.quorum();
        if self.reached < members && self.reached < quorum {
            let mut progress = self.request.progress();
            self.handler.end(self.request, &mut progress, Err(EndError::Forward));
        }
    }
}
