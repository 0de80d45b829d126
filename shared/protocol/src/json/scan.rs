//! What the deserializer does not tell apart: depth, and half surrogate pairs.

use std::ops::RangeInclusive;

/// Whether lists and objects nest deeper than `limit`. Needs no memory, whatever the text.
pub(super) fn is_deeper_than(text: &str, limit: usize) -> bool {
    let opening = |byte: &&u8| matches!(byte, b'[' | b'{');
    if text.as_bytes().iter().filter(opening).count() <= limit {
        return false;
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth = depth.saturating_add(1);
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether the deserializer stopped at half a surrogate pair. It stops behind a second half without a
/// first one, behind the byte that shows that a first half stays alone, or behind the escape that
/// should have been the second half.
pub(super) fn stops_at_lone_surrogate(text: &str, line: usize, column: usize) -> bool {
    let lines = text.split_inclusive('\n').take(line.saturating_sub(1));
    let end = lines.map(str::len).fold(column, usize::saturating_add);
    // What was read last, if an escape begins there: an even number of backslashes is in front of it.
    let escape = |length: usize| {
        let (before, read) =
            text.as_bytes().get(..end)?.split_at_checked(end.checked_sub(length)?)?;
        let slashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        let unit = unit(read).filter(|_| slashes.is_multiple_of(2))?;
        Some((unit, read.get(ESCAPE_BYTES..).unwrap_or_default()))
    };
    let lone_second = escape(ESCAPE_BYTES).is_some_and(|(unit, _rest)| SECOND.contains(&unit));
    let lone_first = |length: usize| match escape(ESCAPE_BYTES.saturating_add(length)) {
        Some((unit, rest)) if FIRST.contains(&unit) => match rest {
            [byte] => *byte != b'\\',
            [b'\\', byte] => *byte != b'u',
            _ => self::unit(rest).is_some_and(|unit| !SECOND.contains(&unit)),
        },
        Some(_) | None => false,
    };
    lone_second || [1, 2, ESCAPE_BYTES].into_iter().any(lone_first)
}

/// The UTF-16 unit whose escape these bytes begin with.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// First and second halves of surrogate pairs.
const FIRST: RangeInclusive<u16> = 0xd800..=0xdbff;
const SECOND: RangeInclusive<u16> = 0xdc00..=0xdfff;

/// The length of `\ud83d`, in bytes.
const ESCAPE_BYTES: usize = 6;
