//! Package `google.protobuf`: the types every other package uses.

use std::time::{Duration as StdDuration, SystemTime, UNIX_EPOCH};

message! {
    /// A message of any type, under its type URL.
    Any = "google.protobuf.Any" {
        1 type_url: (string) String,
        2 value: (bytes) Vec<u8>,
    }
}

message! {
    /// Nothing.
    Empty = "google.protobuf.Empty" {}
}

message! {
    /// A point in time, UTC; nanoseconds count forward also before the epoch.
    #[derive(Copy, Eq)]
    Timestamp = "google.protobuf.Timestamp" {
        1 seconds: (int64) i64,
        2 nanos: (int32) i32,
    }
}

message! {
    /// A span of time; both members have its sign.
    #[derive(Copy, Eq)]
    Duration = "google.protobuf.Duration" {
        1 seconds: (int64) i64,
        2 nanos: (int32) i32,
    }
}

/// A time or a span that the type asked for cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time is out of range")]
pub struct TimeRangeError;

impl TryFrom<SystemTime> for Timestamp {
    type Error = TimeRangeError;

    fn try_from(time: SystemTime) -> Result<Self, TimeRangeError> {
        let (span, before) = match time.duration_since(UNIX_EPOCH) {
            Ok(span) => (span, false),
            Err(error) => (error.duration(), true),
        };
        let seconds = i64::try_from(span.as_secs()).map_err(|_error| TimeRangeError)?;
        let nanos = i32::try_from(span.subsec_nanos()).map_err(|_error| TimeRangeError)?;
        Ok(match (before, nanos) {
            (false, _) => Self { seconds, nanos },
            (true, 0) => Self { seconds: seconds.saturating_neg(), nanos },
            (true, _) => Self {
                seconds: seconds.saturating_neg().saturating_sub(1),
                nanos: NANOS_PER_SECOND.saturating_sub(nanos),
            },
        })
    }
}

impl TryFrom<Timestamp> for SystemTime {
    type Error = TimeRangeError;

    fn try_from(time: Timestamp) -> Result<Self, TimeRangeError> {
        let nanos = u32::try_from(time.nanos).map_err(|_error| TimeRangeError)?;
        if time.nanos >= NANOS_PER_SECOND {
            return Err(TimeRangeError);
        }
        let whole = StdDuration::from_secs(time.seconds.unsigned_abs());
        let moved = if time.seconds < 0 {
            UNIX_EPOCH.checked_sub(whole)
        } else {
            UNIX_EPOCH.checked_add(whole)
        };
        let time = moved.and_then(|time| time.checked_add(StdDuration::new(0, nanos)));
        time.ok_or(TimeRangeError)
    }
}

impl TryFrom<StdDuration> for Duration {
    type Error = TimeRangeError;

    fn try_from(span: StdDuration) -> Result<Self, TimeRangeError> {
        let seconds = i64::try_from(span.as_secs()).map_err(|_error| TimeRangeError)?;
        let nanos = i32::try_from(span.subsec_nanos()).map_err(|_error| TimeRangeError)?;
        Ok(Self { seconds, nanos })
    }
}

impl TryFrom<Duration> for StdDuration {
    type Error = TimeRangeError;

    fn try_from(span: Duration) -> Result<Self, TimeRangeError> {
        let seconds = u64::try_from(span.seconds).map_err(|_error| TimeRangeError)?;
        let nanos = u32::try_from(span.nanos).map_err(|_error| TimeRangeError)?;
        if span.nanos >= NANOS_PER_SECOND {
            return Err(TimeRangeError);
        }
        Ok(Self::new(seconds, nanos))
    }
}

const NANOS_PER_SECOND: i32 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_count_forward_before_the_epoch() {
        let time = UNIX_EPOCH - StdDuration::from_millis(1500);
        let stamp = Timestamp::try_from(time).unwrap();
        assert_eq!(stamp, Timestamp { seconds: -2, nanos: 500_000_000 });
        assert_eq!(SystemTime::try_from(stamp), Ok(time));
    }

    #[test]
    fn impossible_nanoseconds_are_refused() {
        for nanos in [-1, NANOS_PER_SECOND] {
            assert_eq!(SystemTime::try_from(Timestamp { seconds: 0, nanos }), Err(TimeRangeError));
            assert_eq!(StdDuration::try_from(Duration { seconds: 0, nanos }), Err(TimeRangeError));
        }
    }

    #[test]
    fn a_negative_span_is_refused() {
        let span = Duration { seconds: -1, nanos: 0 };
        assert_eq!(StdDuration::try_from(span), Err(TimeRangeError));
    }
}
