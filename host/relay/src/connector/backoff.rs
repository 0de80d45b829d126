//! How long to wait before the gateway is dialled again.

use std::time::Duration;

use rand_core::RngCore;

/// Full jitter: any time up to a limit that doubles with every failure, so that the nodes of a DON do
/// not come back together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next pause.
    pub(super) fn pause(&mut self, rng: &mut impl RngCore) -> Duration {
        let limit = FIRST_MS.saturating_mul(2_u64.saturating_pow(self.failures)).min(LONGEST_MS);
        self.failures = self.failures.saturating_add(1);
        // The remainder's bias is one part in 2^50.
        let limit = limit.saturating_add(1);
        Duration::from_millis(rng.next_u64().checked_rem(limit).unwrap_or_default())
    }

    /// A link was made; the next failure is the first again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A gateway that restarts is back after about this time.
const FIRST_MS: u64 = 250;

/// A DON of a hundred nodes then dials ten times a second.
const LONGEST_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use rand_core::{Error, impls};

    use super::*;

    /// Draws the same number for ever.
    struct Same(u64);

    impl RngCore for Same {
        fn next_u32(&mut self) -> u32 {
            impls::next_u32_via_fill(self)
        }

        fn next_u64(&mut self) -> u64 {
            self.0
        }

        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            impls::fill_bytes_via_next(self, bytes);
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
            self.fill_bytes(bytes);
            Ok(())
        }
    }

    fn pauses(drawn: u64, count: u32) -> Vec<u128> {
        let mut backoff = Backoff::default();
        (0..count).map(|_| backoff.pause(&mut Same(drawn)).as_millis()).collect()
    }

    #[test]
    fn the_limit_doubles_up_to_ten_seconds() {
        let mut backoff = Backoff::default();
        for limit in [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
            let pause = backoff.pause(&mut Same(limit));
            assert_eq!(pause, Duration::from_millis(limit));
        }
        assert_eq!(pauses(251, 2), [0, 251]);
        assert_eq!(pauses(0, 3), [0, 0, 0]);
    }

    #[test]
    fn a_link_begins_anew() {
        let mut backoff = Backoff { failures: u32::MAX };
        assert_eq!(backoff.pause(&mut Same(10_000)), Duration::from_secs(10));
        backoff.reset();
        assert_eq!(backoff.pause(&mut Same(250)), Duration::from_millis(250));
        assert_eq!(backoff.pause(&mut Same(501)), Duration::ZERO);
    }
}
