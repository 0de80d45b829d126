//! How long is waited before a process that ended is started again.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::plan::Role;

/// The restarts of each process: how many in a row, and when the last one was.
#[derive(Debug, Default)]
pub(crate) struct Restarts(BTreeMap<Role, (u32, Instant)>);

impl Restarts {
    /// Counts a restart and says how long to wait before it: not at all at first, then twice as long
    /// each time a process did not last.
    pub(crate) fn pause(&mut self, role: Role, now: Instant) -> Duration {
        let before = self.0.get(&role).copied();
        let in_a_row = match before {
            Some((in_a_row, last)) if now.saturating_duration_since(last) <= LASTING => {
                in_a_row.saturating_add(1)
            }
            Some(_) | None => 0,
        };
        self.0.insert(role, (in_a_row, now));
        let Some(doublings) = in_a_row.checked_sub(1) else { return Duration::ZERO };
        SHORTEST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE)
    }
}

/// A process that was up for so long is one that works.
const LASTING: Duration = Duration::from_secs(10);

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_does_not_last_is_waited_for_longer_each_time() {
        let (mut restarts, now) = (Restarts::default(), Instant::now());
        let pauses: Vec<_> = (0..9).map(|_| restarts.pause(Role::Vault, now).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(restarts.pause(Role::Echo, now), Duration::ZERO);
    }

    #[test]
    fn a_process_that_lasted_is_started_again_at_once() {
        let (mut restarts, now) = (Restarts::default(), Instant::now());
        restarts.pause(Role::Vault, now);
        assert_eq!(restarts.pause(Role::Vault, now), SHORTEST_PAUSE);
        let later = now.checked_add(LASTING * 2).unwrap();
        assert_eq!(restarts.pause(Role::Vault, later), Duration::ZERO);
    }
}
