//! The clock of the mock device.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use protocol::clock::{Clock as _, SystemClock};
use testkit::nsm::Now;

/// The machine's clock, shifted. What cannot be expressed is not shifted.
pub(crate) fn shifted(seconds: i64) -> Now {
    Arc::new(move || shift(SystemClock.now(), seconds))
}

fn shift(time: SystemTime, seconds: i64) -> SystemTime {
    let span = Duration::from_secs(seconds.unsigned_abs());
    let shifted = if seconds < 0 { time.checked_sub(span) } else { time.checked_add(span) };
    shifted.unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_shifted_both_ways() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        assert_eq!(shift(time, 0), time);
        assert_eq!(shift(time, 600), time + Duration::from_secs(600));
        assert_eq!(shift(time, -600), time - Duration::from_secs(600));
    }
}
