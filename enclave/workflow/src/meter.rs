//! What a run uses: counted while it runs, told however it ends.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use crate::Metering;

/// Counts what a guest uses.
///
/// It belongs to the run's store, so that counting takes no lock; when the store goes, whether the
/// run ended, panicked or was dropped, the counts are handed to the [`Usage`] it was made from.
#[derive(Debug)]
pub(crate) struct Meter {
    counts: Counts,
    told: Arc<Mutex<Counts>>,
}

/// Where a run's counts arrive when its store is gone, and the clocks that ran meanwhile.
#[derive(Debug)]
pub(crate) struct Usage {
    told: Arc<Mutex<Counts>>,
    start: Instant,
    cpu: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    peak_memory_bytes: u64,
    host_calls: u64,
    bytes_in: u64,
    bytes_out: u64,
    dropped_events: u64,
}

impl Meter {
    /// An import was called.
    pub(crate) fn called(&mut self) {
        self.counts.host_calls = self.counts.host_calls.saturating_add(1);
    }

    /// The memory has this size now.
    pub(crate) fn grew(&mut self, bytes: u64) {
        self.counts.peak_memory_bytes = self.counts.peak_memory_bytes.max(bytes);
    }

    /// The guest was given so many bytes.
    pub(crate) fn gave(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.counts.bytes_in = self.counts.bytes_in.saturating_add(bytes);
    }

    /// So many bytes were taken from the guest.
    pub(crate) fn took(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.counts.bytes_out = self.counts.bytes_out.saturating_add(bytes);
    }

    /// A log line or a metric was dropped.
    pub(crate) fn dropped_event(&mut self) {
        self.counts.dropped_events = self.counts.dropped_events.saturating_add(1);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = self.counts;
    }
}

impl Usage {
    /// Starts the clocks.
    pub(crate) fn new() -> Self {
        Self { told: Arc::default(), start: Instant::now(), cpu: Duration::ZERO }
    }

    /// The meter of the one run this is about.
    pub(crate) fn meter(&self) -> Meter {
        Meter { counts: Counts::default(), told: Arc::clone(&self.told) }
    }

    /// Runs a future and adds up the processor time of its polls, whatever thread they are on.
    pub(crate) async fn time<F: Future>(&mut self, mut future: Pin<&mut F>) -> F::Output {
        std::future::poll_fn(|context| {
            let before = thread_cpu();
            let poll = future.as_mut().poll(context);
            self.cpu = self.cpu.saturating_add(thread_cpu().saturating_sub(before));
            poll
        })
        .await
    }

    /// What was used. The counts are there once the run's store is gone.
    pub(crate) fn metering(&self) -> Metering {
        let counts = *self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { peak_memory_bytes, host_calls, bytes_in, bytes_out, dropped_events } = counts;
        let (wall, cpu) = (self.start.elapsed(), self.cpu);
        Metering { wall, cpu, peak_memory_bytes, host_calls, bytes_in, bytes_out, dropped_events }
    }
}

/// The processor time that this thread has used.
fn thread_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_arrive_when_the_meter_goes() {
        let usage = Usage::new();
        let mut meter = usage.meter();
        meter.called();
        meter.grew(7);
        meter.grew(5);
        meter.took(3);
        meter.gave(4);
        meter.dropped_event();
        assert_eq!(usage.metering().host_calls, 0);
        drop(meter);
        let used = usage.metering();
        assert_eq!((used.host_calls, used.peak_memory_bytes), (1, 7));
        assert_eq!((used.bytes_out, used.bytes_in, used.dropped_events), (3, 4, 1));
    }

    #[tokio::test]
    async fn only_the_time_of_polls_counts() {
        let mut usage = Usage::new();
        let work = async {
            let start = thread_cpu();
            while thread_cpu().saturating_sub(start) < Duration::from_millis(2) {}
            tokio::task::yield_now().await;
            std::thread::yield_now();
        };
        usage.time(std::pin::pin!(work)).await;
        assert!(usage.cpu >= Duration::from_millis(2) && usage.cpu <= usage.metering().wall);
    }
}
