//! Who waits for the outcome of a request, and when nobody does any more (W-45).
//!
//! One connection carries a request in, others may ask for it: a bridge that restarts finds it under way
//! and asks for its outcome every few seconds. Each question counts as if its caller had been there
//! until then, so a request is abandoned once nobody was there for the whole of a grace.

use std::{pin::pin, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// The callers of one request. Clones are of the same request.
#[derive(Clone, Debug)]
pub(crate) struct Callers {
    attention: watch::Sender<Attention>,
    abandoned: CancellationToken,
}

/// One caller, there until this is dropped.
#[derive(Debug)]
pub(crate) struct Caller(watch::Sender<Attention>);

#[derive(Clone, Copy, Debug)]
struct Attention {
    waiting: usize,
    /// When the last one left or asked.
    last: Instant,
}

impl Callers {
    /// Nobody, from now on.
    pub(crate) fn new() -> Self {
        let attention = Attention { waiting: 0, last: Instant::now() };
        Self { attention: watch::Sender::new(attention), abandoned: CancellationToken::new() }
    }

    /// Adds a caller who stays.
    pub(crate) fn join(&self) -> Caller {
        self.attention.send_modify(|attention| {
            attention.waiting = attention.waiting.saturating_add(1);
        });
        Caller(self.attention.clone())
    }

    /// Notes a caller who asks and leaves.
    pub(crate) fn ask(&self) {
        drop(self.join());
    }

    /// Cancelled once nobody was there for a grace, while somebody [watches](Self::watch).
    pub(crate) fn abandoned(&self) -> &CancellationToken {
        &self.abandoned
    }

    /// Does a work, and cancels [`Callers::abandoned`] once nobody was there for `grace`. The work has to
    /// end itself then.
    pub(crate) async fn watch<F: Future>(&self, grace: Duration, work: F) -> F::Output {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = self.all_gone(grace) => self.abandoned.cancel(),
        }
        work.await
    }

    async fn all_gone(&self, grace: Duration) {
        let mut attention = self.attention.subscribe();
        loop {
            let Attention { waiting, last } = *attention.borrow_and_update();
            let end = last.checked_add(grace).filter(|_end| waiting == 0);
            let gone = async {
                match end {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = gone => return,
                // The sender is held here, so there is always a next change to wait for.
                _changed = attention.changed() => {}
            }
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.send_modify(|attention| {
            attention.waiting = attention.waiting.saturating_sub(1);
            attention.last = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    const GRACE: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);

    /// When a request is abandoned that never ends by itself, after what `happens`.
    async fn abandoned_after(callers: &Callers, happens: impl Future<Output = ()>) -> Duration {
        let start = Instant::now();
        let work = async { callers.abandoned().cancelled().await };
        let ((), ()) = tokio::join!(callers.watch(GRACE, work), happens);
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_grace_counts_from_when_the_last_caller_left() {
        let callers = Callers::new();
        let (one, two) = (callers.join(), callers.join());
        let leaving = async {
            sleep(GRACE * 3).await;
            drop(one);
            sleep(GRACE * 2).await;
            assert!(!callers.abandoned().is_cancelled(), "one of two is still there");
            drop(two);
        };
        assert_eq!(abandoned_after(&callers, leaving).await, GRACE * 6);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_in_time_keeps_the_request_alive() {
        let callers = Callers::new();
        let coming_back = async {
            sleep(GRACE - SECOND).await;
            let back = callers.join();
            sleep(GRACE * 2).await;
            drop(back);
        };
        assert_eq!(abandoned_after(&callers, coming_back).await, GRACE * 4 - SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_from_time_to_time_keeps_the_request_alive() {
        let callers = Callers::new();
        let asking = async {
            for _time in 0..5 {
                sleep(GRACE - SECOND).await;
                callers.ask();
            }
        };
        assert_eq!(abandoned_after(&callers, asking).await, (GRACE - SECOND) * 5 + GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_ends_in_time_is_not_disturbed() {
        let callers = Callers::new();
        let done = callers.watch(GRACE, async {
            sleep(GRACE - SECOND).await;
            "done"
        });
        assert_eq!(done.await, "done");
        advance(GRACE).await;
        assert!(!callers.abandoned().is_cancelled());
    }
}
