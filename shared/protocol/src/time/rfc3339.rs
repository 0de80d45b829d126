//! Points in time with a zone, to the nanosecond: RFC 3339 as Go writes it.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::de::{self, Deserializer, Visitor};

use crate::json::{Context, Refusal, Wire, Writer};

/// A point in time in the years 0 to 9999, with the zone in which it was written.
///
/// The zone is kept because the text must survive a round trip; comparing looks at it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rfc3339 {
    /// Seconds since 1970 in UTC.
    seconds: i64,
    /// Nanoseconds that follow them, below 10^9.
    nanos: u32,
    /// Minutes by which local time is ahead of UTC.
    offset_minutes: i32,
}

/// The text was no point in time as RFC 3339 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as 2006-01-02T15:04:05.999999999Z or with an offset as +07:00")]
pub struct ParseTimeError;

impl Rfc3339 {
    /// Nanoseconds since 1970. Outside the years 1678 to 2262 the number wraps, as Go's does: it is
    /// hashed, and both sides must hash the same.
    #[must_use]
    pub fn unix_nanos(self) -> i64 {
        self.seconds.wrapping_mul(1_000_000_000).wrapping_add(i64::from(self.nanos))
    }
}

impl Default for Rfc3339 {
    /// Go's zero time: the first instant of the year 1.
    fn default() -> Self {
        Self { seconds: FIRST_OF_YEAR_1, nanos: 0, offset_minutes: 0 }
    }
}

impl TryFrom<SystemTime> for Rfc3339 {
    type Error = ParseTimeError;

    fn try_from(time: SystemTime) -> Result<Self, ParseTimeError> {
        let since =
            |time: SystemTime| time.duration_since(UNIX_EPOCH).map_err(|_before| ParseTimeError);
        // Moved by ten thousand years so that times before 1970 have a positive distance too.
        let shift = Duration::from_secs(SHIFT_SECONDS.unsigned_abs());
        let span = since(time.checked_add(shift).ok_or(ParseTimeError)?)?;
        let seconds = i64::try_from(span.as_secs()).map_err(|_range| ParseTimeError)?;
        let seconds = seconds.checked_sub(SHIFT_SECONDS).ok_or(ParseTimeError)?;
        let time = Self { seconds, nanos: span.subsec_nanos(), offset_minutes: 0 };
        if (0..=9999).contains(&time.civil().0) { Ok(time) } else { Err(ParseTimeError) }
    }
}

impl TryFrom<Rfc3339> for SystemTime {
    type Error = ParseTimeError;

    fn try_from(time: Rfc3339) -> Result<Self, ParseTimeError> {
        let whole = Duration::from_secs(time.seconds.unsigned_abs());
        let moved = if time.seconds < 0 {
            UNIX_EPOCH.checked_sub(whole)
        } else {
            UNIX_EPOCH.checked_add(whole)
        };
        moved
            .and_then(|moved| moved.checked_add(Duration::new(0, time.nanos)))
            .ok_or(ParseTimeError)
    }
}

impl FromStr for Rfc3339 {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        parse(text.as_bytes()).ok_or(ParseTimeError)
    }
}

fn parse(text: &[u8]) -> Option<Rfc3339> {
    let (date, rest) = text.split_at_checked(10)?;
    let [y3, y2, y1, y0, b'-', m1, m0, b'-', d1, d0] = *date else { return None };
    let (time, rest) = rest.split_at_checked(9)?;
    let [b'T', h1, h0, b':', i1, i0, b':', s1, s0] = *time else { return None };
    let (year, month, day) = (number(&[y3, y2, y1, y0])?, number(&[m1, m0])?, number(&[d1, d0])?);
    let (hour, minute, second) = (number(&[h1, h0])?, number(&[i1, i0])?, number(&[s1, s0])?);
    let (nanos, zone) = match rest {
        [b'.', rest @ ..] => {
            let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
            let (digits, zone) = rest.split_at_checked(end).filter(|(d, _zone)| !d.is_empty())?;
            // What is finer than a nanosecond is cut off.
            let digits = digits.get(..9).unwrap_or(digits);
            let scale = 10_i64.checked_pow(u32::try_from(digits.len()).ok()?)?;
            (number(digits)?.checked_mul(1_000_000_000_i64.checked_div(scale)?)?, zone)
        }
        zone => (0, zone),
    };
    let offset_minutes = match *zone {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h0, b':', i1, i0] => {
            let (hours, minutes) = (number(&[h1, h0])?, number(&[i1, i0])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
            if sign == b'-' { minutes.checked_neg()? } else { minutes }
        }
        _ => return None,
    };
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_from_civil(year, month, day)
        .checked_mul(DAY_SECONDS)?
        .checked_add(hour.checked_mul(3600)?)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)?
        .checked_sub(offset_minutes.checked_mul(60)?)?;
    Some(Rfc3339 {
        seconds,
        nanos: u32::try_from(nanos).ok()?,
        offset_minutes: i32::try_from(offset_minutes).ok()?,
    })
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit.wrapping_sub(b'0'))?;
        number.checked_mul(10)?.checked_add(i64::from(digit))
    })
}

impl Rfc3339 {
    /// Year, month, day, second of the day in the zone of the text.
    fn civil(self) -> (i64, i64, i64, i64) {
        let local = self.seconds.saturating_add(i64::from(self.offset_minutes).saturating_mul(60));
        let (year, month, day) = civil_from_days(local.div_euclid(DAY_SECONDS));
        (year, month, day, local.rem_euclid(DAY_SECONDS))
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, second) = self.civil();
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if self.nanos > 0 {
            let digits = format!("{:09}", self.nanos);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        let offset = self.offset_minutes.unsigned_abs();
        match self.offset_minutes {
            0 => f.write_str("Z"),
            minutes => {
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", offset / 60, offset % 60)
            }
        }
    }
}

impl Wire for Rfc3339 {
    fn write(&self, out: &mut Writer) {
        out.text(&self.to_string());
    }

    fn read<'de, D: Deserializer<'de>>(input: D, context: &Context) -> Result<Self, D::Error> {
        input.deserialize_any(TimeVisitor(context))
    }
}

struct TimeVisitor<'c>(&'c Context);

impl Visitor<'_> for TimeVisitor<'_> {
    type Value = Rfc3339;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a point in time")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Rfc3339, E> {
        Err(self.0.refuse(Refusal::Null))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rfc3339, E> {
        // Written again it is the same: no zeros behind a fraction, `Z` where there is no offset.
        let time = text.parse().ok().filter(|time: &Rfc3339| time.to_string() == text);
        time.ok_or_else(|| self.0.refuse(Refusal::Time))
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March here, so that the
/// leap day is their last.
#[expect(clippy::arithmetic_side_effects, reason = "years are at most 9999, so nothing overflows")]
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}

/// The inverse of [`days_from_civil`].
#[expect(
    clippy::arithmetic_side_effects,
    reason = "days come from 64-bit seconds, so nothing overflows"
)]
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = year_of_era + era * 400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const DAY_SECONDS: i64 = 86_400;

/// Days in 400 years.
const ERA_DAYS: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// 0001-01-01T00:00:00Z in seconds since 1970.
const FIRST_OF_YEAR_1: i64 = -62_135_596_800;

/// More seconds than the first year that can be written lies before 1970.
const SHIFT_SECONDS: i64 = 10_000 * 366 * DAY_SECONDS;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::{self, DecodeError};

    #[test]
    fn the_zone_and_the_nanoseconds_survive() {
        for text in [
            "2023-11-14T22:13:20.123456789Z",
            "2023-11-15T00:13:20.12+02:00",
            "2023-11-14T18:43:20.000000001-03:30",
            "1969-12-31T23:59:59.0000005Z",
            "0001-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
            "2024-02-29T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Rfc3339>().unwrap().to_string(), text);
        }
        assert_eq!(Rfc3339::default().to_string(), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "2023-11-14t22:13:20Z",
            "2023-11-14T22:13:20z",
            "2023-11-14 22:13:20Z",
            "2023-11-14T22:13:60Z",
            "2023-02-29T22:13:20Z",
            "2023-13-01T22:13:20Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:20,5Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+24:00",
            "2023-11-14T22:13:20+0200",
            "2023-11-14T22:13:20",
            "10000-01-01T00:00:00Z",
            "-001-01-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Rfc3339>(), Err(ParseTimeError), "{text}");
        }
    }

    #[test]
    fn what_is_finer_than_a_nanosecond_is_cut_off() {
        let fine = "2023-11-14T22:13:20.1234567891Z".parse::<Rfc3339>().unwrap();
        assert_eq!(fine.to_string(), "2023-11-14T22:13:20.123456789Z");
    }

    #[test]
    fn nanoseconds_are_those_of_the_instant_not_of_the_text() {
        let there = "2023-11-15T00:13:20.123456789+02:00".parse::<Rfc3339>().unwrap();
        assert_eq!(there.unix_nanos(), 1_700_000_000_123_456_789);
        let before = "1969-12-31T23:59:58.5Z".parse::<Rfc3339>().unwrap();
        assert_eq!(before.unix_nanos(), -1_500_000_000);
    }

    #[test]
    fn in_json_there_is_one_text_for_a_time() {
        let read = |text: &str| json::from_slice::<Rfc3339>(format!("\"{text}\"").as_bytes());
        assert!(read("2023-11-14T22:13:20.5+02:00").is_ok());
        for text in [
            "2023-11-14T22:13:20.50Z",
            "2023-11-14T22:13:20.0Z",
            "2023-11-14T22:13:20.1234567891Z",
            "2023-11-14T22:13:20+00:00",
            "2023-11-14T22:13:20-00:00",
        ] {
            assert!(text.parse::<Rfc3339>().is_ok(), "{text}");
            assert!(matches!(read(text), Err(DecodeError::Time { .. })), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(seconds in -62_167_219_200_i64..253_402_300_800, nanos in 0..1_000_000_000_u32) {
            let time = Rfc3339 { seconds, nanos, offset_minutes: 0 };
            prop_assert_eq!(time.to_string().parse(), Ok(time));
            let system = SystemTime::try_from(time).unwrap();
            prop_assert_eq!(Rfc3339::try_from(system), Ok(time));
        }
    }
}
