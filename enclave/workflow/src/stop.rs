//! When a run has to end, and the one place that knows.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The end of a run's time: its own deadline, or its caller's wish.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    cancel: CancellationToken,
    started: Instant,
    timeout: Duration,
}

/// A run was stopped from outside the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("context deadline exceeded")]
pub(crate) struct Stopped;

impl Stop {
    pub(crate) fn new(timeout: Duration, cancel: CancellationToken) -> Self {
        Self { cancel, started: Instant::now(), timeout }
    }

    /// Whether the run has to end now. Exact, unlike a timer, so a run that computes without a
    /// pause ends in the first epoch after its deadline.
    pub(crate) fn is_due(&self) -> bool {
        self.cancel.is_cancelled() || self.elapsed() >= self.timeout
    }

    /// Whether a failure now counts as the deadline: in the last `grain` before it, or once the
    /// caller is gone (6.4).
    pub(crate) fn is_due_within(&self, grain: Duration) -> bool {
        self.cancel.is_cancelled() || self.elapsed().saturating_add(grain) >= self.timeout
    }

    /// Waits until the run has to end.
    pub(crate) async fn due(&self) {
        let rest = self.timeout.saturating_sub(self.elapsed());
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_run_is_due_at_its_timeout_and_not_before() {
        let stop = Stop::new(Duration::from_secs(1), CancellationToken::new());
        assert!(!stop.is_due());
        tokio::time::advance(Duration::from_millis(899)).await;
        assert!(!stop.is_due_within(Duration::from_millis(100)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(stop.is_due_within(Duration::from_millis(100)) && !stop.is_due());
        stop.due().await;
        assert!(stop.is_due());
        assert_eq!(stop.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_leaves_makes_it_due_at_once() {
        let cancel = CancellationToken::new();
        let stop = Stop::new(Duration::from_secs(3600), cancel.clone());
        cancel.cancel();
        stop.due().await;
        assert!(stop.is_due() && stop.elapsed().is_zero());
    }
}
