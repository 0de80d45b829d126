//! `poll_oneoff` (3.3): one sleep, and an event for each subscription.

use std::time::Duration;

use wasmtime::Caller;

use super::{EBADF, EFAULT, EINVAL};
use crate::{
    memory,
    state::{State, enter, guest},
};

/// Sleeps for the longest relative timeout, holding no thread, then writes all events.
pub(super) async fn poll_oneoff(
    caller: &mut Caller<'_, State>,
    (subscriptions, events, count, count_out): (i32, i32, i32, i32),
) -> wasmtime::Result<i32> {
    let (memory, state) = enter(caller)?;
    let limit = i32::try_from(state.limits.poll_subscriptions).unwrap_or(i32::MAX);
    if count <= 0 || count > limit || count > MAX_SUBSCRIPTIONS {
        return Ok(EINVAL);
    }
    let size = count.saturating_mul(SUBSCRIPTION_BYTES);
    let Ok(bytes) = memory::read(memory, subscriptions, size) else { return Ok(EFAULT) };
    let (answers, timeout) = answer(bytes);
    if !timeout.is_zero() {
        tokio::time::sleep(timeout).await;
    }
    let (memory, _state) = guest(caller)?;
    let size = count.saturating_mul(EVENT_BYTES);
    let written = memory::write(memory, &count.to_le_bytes(), count_out, 4) >= 0
        && memory::write(memory, &answers, events, size) >= 0;
    Ok(if written { 0 } else { EFAULT })
}

/// The events for these subscriptions, and how long to sleep before they happen.
fn answer(subscriptions: &[u8]) -> (Vec<u8>, Duration) {
    let mut events = Vec::new();
    let mut longest = Duration::ZERO;
    for subscription in subscriptions.as_chunks::<48>().0 {
        let tag = field::<1>(subscription, 8)[0];
        let errno = match tag {
            CLOCK if u16::from_le_bytes(field(subscription, 40)) == 0 => {
                let nanos = u64::from_le_bytes(field(subscription, 24));
                // What would be negative when signed does not sleep at all.
                if i64::try_from(nanos).is_ok() {
                    longest = longest.max(Duration::from_nanos(nanos));
                }
                0
            }
            CLOCK => ENOTSUP,
            FD_READ | FD_WRITE => EBADF,
            _ => EINVAL,
        };
        let errno = u8::try_from(errno).unwrap_or_default();
        events.extend_from_slice(&field::<8>(subscription, 0));
        events.extend_from_slice(&[errno, 0, tag, 0, 0, 0, 0, 0]);
        events.extend_from_slice(&[0; 16]);
    }
    (events, longest)
}

/// A field of a subscription.
fn field<const N: usize>(subscription: &[u8], at: usize) -> [u8; N] {
    let bytes = subscription.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().unwrap_or([0; N])
}

const CLOCK: u8 = 0;
const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;
const ENOTSUP: i32 = 58;
const SUBSCRIPTION_BYTES: i32 = 48;
const EVENT_BYTES: i32 = 32;

/// More would overflow the reference's arithmetic.
const MAX_SUBSCRIPTIONS: i32 = 67_108_863;

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(tag: u8, timeout: u64, flags: u16) -> Vec<u8> {
        let mut bytes = vec![0; 48];
        bytes[..8].copy_from_slice(&0x1234_5678_u64.to_le_bytes());
        bytes[8] = tag;
        bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
        bytes[40..42].copy_from_slice(&flags.to_le_bytes());
        bytes[42] = 0x12; // Padding holds garbage in practice.
        bytes
    }

    #[test]
    fn the_longest_relative_timeout_decides() {
        let bytes = [subscription(0, 5, 0), subscription(0, 9, 0), subscription(0, 1 << 62, 1)];
        let (events, timeout) = answer(&bytes.concat());
        assert_eq!(timeout, Duration::from_nanos(9));
        assert_eq!(events.len(), 3 * 32);
        assert_eq!(events[..16], [0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(events[2 * 32 + 8], 58);
    }

    #[test]
    fn a_timeout_beyond_signed_range_does_not_sleep() {
        assert_eq!(answer(&subscription(0, 1 << 63, 0)).1, Duration::ZERO);
        assert_eq!(answer(&subscription(0, i64::MAX as u64, 0)).1.as_nanos(), i64::MAX as u128);
    }

    #[test]
    fn descriptors_and_unknown_tags_are_refused_event_by_event() {
        for (tag, errno) in [(1, 8), (2, 8), (9, 28)] {
            let (events, timeout) = answer(&subscription(tag, 1_000, 0));
            assert_eq!(
                (events[8], events[9], events[10], timeout),
                (errno, 0, tag, Duration::ZERO)
            );
        }
    }
}
