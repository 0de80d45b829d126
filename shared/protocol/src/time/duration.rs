//! Durations in Go's syntax: `1h2m3.5s`.

use std::{fmt, str::FromStr, time::Duration};

use serde::de::{self, Deserializer, Visitor};

use crate::json::{Context, Refusal, Wire, Writer};

/// A signed span of time in nanoseconds; in JSON a text, read also from a number of nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    /// The span in nanoseconds.
    pub nanos: i64,
}

/// The text was no duration in Go's syntax, or longer than 292 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a duration is a number with a unit (ns, us, ms, s, m, h), or several of these: 1h30m")]
pub struct ParseDurationError;

impl GoDuration {
    /// The span if it is longer than zero.
    #[must_use]
    pub fn positive(self) -> Option<Duration> {
        u64::try_from(self.nanos).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }
}

impl From<Duration> for GoDuration {
    /// Spans beyond 292 years become that long.
    fn from(span: Duration) -> Self {
        Self { nanos: i64::try_from(span.as_nanos()).unwrap_or(i64::MAX) }
    }
}

impl FromStr for GoDuration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, ParseDurationError> {
        let (negative, mut rest) = match text.as_bytes() {
            [b'-', ..] => (true, text.get(1..).unwrap_or_default()),
            [b'+', ..] => (false, text.get(1..).unwrap_or_default()),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(ParseDurationError);
        }
        let mut total = 0_u64;
        while !rest.is_empty() {
            let (part, after) = part(rest).ok_or(ParseDurationError)?;
            total =
                total.checked_add(part).filter(|sum| *sum <= LONGEST).ok_or(ParseDurationError)?;
            rest = after;
        }
        let nanos =
            if negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() };
        nanos.map(|nanos| Self { nanos }).ok_or(ParseDurationError)
    }
}

/// Reads one number with its unit, in nanoseconds, and what follows.
fn part(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(end)?;
    let (_name, unit) = UNITS.iter().find(|(name, _nanos)| *name == unit)?;
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let nanos = whole.checked_mul(*unit).filter(|nanos| *nanos <= LONGEST)?;
    let nanos = nanos.checked_add(of_fraction(fraction, *unit))?;
    Some((nanos, rest)).filter(|(nanos, _rest)| *nanos <= LONGEST)
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// The part behind the point in nanoseconds. Digits that no 63-bit number holds are left out, and the
/// product is rounded as Go rounds it.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go computes the fraction in floating point; it is below the unit, so it fits"
)]
fn of_fraction(digits: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0_u64, 1_f64);
    for digit in digits.bytes().map(|byte| u64::from(byte.wrapping_sub(b'0'))) {
        let next = value.checked_mul(10).and_then(|value| value.checked_add(digit));
        let Some(next) = next.filter(|next| *next <= LONGEST) else { break };
        (value, scale) = (next, scale * 10.0);
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.nanos < 0 { "-" } else { "" };
        let nanos = self.nanos.unsigned_abs();
        match nanos {
            0 => f.write_str("0s"),
            1..MICROSECOND => write!(f, "{sign}{nanos}ns"),
            MICROSECOND..MILLISECOND => write!(f, "{sign}{}µs", decimal(nanos, MICROSECOND)),
            MILLISECOND..SECOND => write!(f, "{sign}{}ms", decimal(nanos, MILLISECOND)),
            SECOND.. => {
                let (minutes, rest) = (nanos / MINUTE, nanos % MINUTE);
                let (hours, minutes) = (minutes / 60, minutes % 60);
                f.write_str(sign)?;
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                write!(f, "{}s", decimal(rest, SECOND))
            }
        }
    }
}

/// A number of units with the digits behind the point that are needed.
fn decimal(nanos: u64, unit: u64) -> String {
    let (whole, fraction) =
        (nanos.checked_div(unit).unwrap_or(0), nanos.checked_rem(unit).unwrap_or(0));
    if fraction == 0 {
        return whole.to_string();
    }
    let places = usize::try_from(unit.checked_ilog10().unwrap_or(0)).unwrap_or(0);
    let digits = format!("{fraction:0places$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

impl Wire for GoDuration {
    fn write(&self, out: &mut Writer) {
        out.text(&self.to_string());
    }

    fn read<'de, D: Deserializer<'de>>(input: D, context: &Context) -> Result<Self, D::Error> {
        input.deserialize_any(DurationVisitor(context))
    }

    fn is_empty(&self) -> bool {
        self.nanos == 0
    }
}

struct DurationVisitor<'c>(&'c Context);

impl Visitor<'_> for DurationVisitor<'_> {
    type Value = GoDuration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration")
    }

    fn visit_unit<E: de::Error>(self) -> Result<GoDuration, E> {
        Err(self.0.refuse(Refusal::Null))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<GoDuration, E> {
        text.parse().map_err(|_error: ParseDurationError| self.0.refuse(Refusal::Time))
    }

    fn visit_i64<E: de::Error>(self, nanos: i64) -> Result<GoDuration, E> {
        Ok(GoDuration { nanos })
    }

    fn visit_u64<E: de::Error>(self, nanos: u64) -> Result<GoDuration, E> {
        let nanos = i64::try_from(nanos).map_err(|_range| self.0.refuse(Refusal::Integer))?;
        Ok(GoDuration { nanos })
    }

    fn visit_f64<E: de::Error>(self, _value: f64) -> Result<GoDuration, E> {
        Err(self.0.refuse(Refusal::Integer))
    }
}

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// The units and their nanoseconds; the two signs for micro are U+00B5 and U+03BC.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", MICROSECOND),
    ("\u{b5}s", MICROSECOND),
    ("\u{3bc}s", MICROSECOND),
    ("ms", MILLISECOND),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", 60 * MINUTE),
];

/// The magnitude of the most negative number of 64 bits: no sum may pass it.
const LONGEST: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> Option<i64> {
        text.parse::<GoDuration>().ok().map(|duration| duration.nanos)
    }

    #[test]
    fn reads_what_go_reads() {
        for (text, want) in [
            ("0", 0),
            ("+0", 0),
            ("1h2m3.5s", 3_723_500_000_000),
            ("-1ns", -1),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1.0000000000000000000000000001s", 1_000_000_000),
            ("100\u{3bc}s", 100_000),
            ("-9223372036854775808ns", i64::MIN),
            ("9223372036854775807ns", i64::MAX),
        ] {
            assert_eq!(nanos(text), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "-",
            "80",
            "s",
            ".s",
            "1d",
            " 1s",
            "1s ",
            "1.5",
            "9223372036854775808ns",
            "3000000h",
            "1s-1s",
            "--1s",
        ] {
            assert_eq!(nanos(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_go_writes() {
        for (nanos, want) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (3_600_000_000_000, "1h0m0s"),
            (-80_000_000_000, "-1m20s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(GoDuration { nanos }.to_string(), want);
        }
    }

    proptest::proptest! {
        #[test]
        fn reading_undoes_writing(nanos: i64) {
            let duration = GoDuration { nanos };
            // Go computes fractions in floating point; below 2^53 ns nothing is lost.
            if nanos.unsigned_abs() < 1 << 53 {
                proptest::prop_assert_eq!(duration.to_string().parse(), Ok(duration));
            }
        }
    }
}
