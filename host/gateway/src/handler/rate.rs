//! Token buckets: what each node may send, and all of them together (relay-protocol 10.4 step 2).

use std::{str::FromStr, time::Duration};

use protocol::limits::{GLOBAL_RATE, NODE_RATE};
use tokio::time::Instant;

/// A rate with the burst that is let through at once. Written `10rps:10`, as the platform's
/// settings write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval: Duration,
    burst: u32,
}

/// The text is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rate is written like 10rps:10, with at most {MAX_PER_SECOND} a second and a burst from 1"
)]
pub struct ParseRateError;

/// One bucket. Full at first; a token comes back after each interval, never more than the burst.
///
/// Only one point in time is kept: when the bucket will be full again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    full_at: Instant,
}

impl FromStr for Rate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let (rate, burst) = text.split_once("rps:").ok_or(ParseRateError)?;
        let per_second: f64 = rate.parse().map_err(|_error| ParseRateError)?;
        let burst = burst.parse().map_err(|_error| ParseRateError)?;
        if !(per_second > 0.0 && per_second <= MAX_PER_SECOND) || burst == 0 {
            return Err(ParseRateError);
        }
        let interval =
            Duration::try_from_secs_f64(per_second.recip()).map_err(|_error| ParseRateError)?;
        Ok(Self { interval, burst })
    }
}

impl Rate {
    /// A node's share, from the platform's settings.
    pub const PER_NODE: Self = Self::new(NODE_RATE);

    /// What all nodes may send together, from the platform's settings.
    pub const TOTAL: Self = Self::new(GLOBAL_RATE);

    /// So many a second, and so many at once.
    const fn new((per_second, burst): (u32, u32)) -> Self {
        let interval = match Duration::from_secs(1).checked_div(per_second) {
            Some(interval) => interval,
            None => Duration::MAX,
        };
        Self { interval, burst }
    }
}

impl Bucket {
    pub(super) fn full(rate: Rate, now: Instant) -> Self {
        Self { rate, full_at: now }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let Rate { interval, burst } = self.rate;
        let missing = self.full_at.saturating_duration_since(now);
        if missing > interval.saturating_mul(burst.saturating_sub(1)) {
            return false;
        }
        match now.checked_add(missing.saturating_add(interval)) {
            Some(full_at) => self.full_at = full_at,
            None => return false,
        }
        true
    }
}

/// More a second is no limit.
const MAX_PER_SECOND: f64 = 1e6;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start.checked_add(Duration::from_millis(ms)).unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_one_for_each_interval() {
        let start = Instant::now();
        let mut bucket = Bucket::full(Rate::PER_NODE, start);
        assert!((0..10).all(|_| bucket.take(start)));
        assert!(!bucket.take(start));
        assert!(!bucket.take(after(start, 99)));
        assert!(bucket.take(after(start, 100)));
        assert!(!bucket.take(after(start, 199)));
        assert!(bucket.take(after(start, 200)));
    }

    #[test]
    fn a_long_silence_saves_up_one_burst_only() {
        let start = Instant::now();
        let mut bucket = Bucket::full("1rps:2".parse().unwrap(), start);
        let later = after(start, 3_600_000);
        assert!(bucket.take(later) && bucket.take(later));
        assert!(!bucket.take(later));
    }

    #[test]
    fn a_refused_frame_takes_no_token() {
        let start = Instant::now();
        let mut bucket = Bucket::full("10rps:1".parse().unwrap(), start);
        assert!(bucket.take(start));
        assert!((1..100).all(|ms| !bucket.take(after(start, ms))));
        assert!(bucket.take(after(start, 100)));
    }

    #[test]
    fn the_settings_form_is_read() {
        assert_eq!("10rps:10".parse(), Ok(Rate::PER_NODE));
        assert_eq!("50rps:10".parse(), Ok(Rate::TOTAL));
        let slow = Rate { interval: Duration::from_secs(2), burst: 3 };
        assert_eq!("0.5rps:3".parse(), Ok(slow));
    }

    #[test]
    fn texts_that_are_no_rate_are_refused() {
        for text in [
            "",
            "10",
            "10rps",
            "10rps:",
            "10rps:0",
            "0rps:1",
            "-1rps:1",
            "NaNrps:1",
            "infrps:1",
            "1e7rps:1",
            "10rps:-1",
            "10rps:1.5",
            "every1s:1",
            "10rps:99999999999",
            "1e-300rps:1",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(ParseRateError), "{text}");
        }
    }
}
