//! The time of day, as a value that a test can set.

use std::time::SystemTime;

/// Tells the time of day.
///
/// Pure code takes a [`SystemTime`] as an argument; programs hold a clock at their edge.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        SystemTime::now()
    }
}
