//! What the deserializer does not tell apart: depth, and half surrogate pairs.

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

/// Whether the deserializer stopped at half a surrogate pair: the twelve bytes before the place
/// where it stopped hold an escape of that range, and the next one is not its other half.
pub(super) fn ends_in_lone_surrogate(text: &str, line: usize, column: usize) -> bool {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .fold(0, usize::saturating_add);
    let end = before.saturating_add(column).saturating_add(PAIR_BYTES).min(text.len());
    let start = before.saturating_add(column).saturating_sub(PAIR_BYTES.saturating_mul(2));
    let window = text.as_bytes().get(start..end).unwrap_or_default();
    let mut rest = window;
    while let Some((_first, tail)) = rest.split_first() {
        match (half(rest), rest.get(ESCAPE_BYTES..).and_then(half)) {
            (Some(Half::Leading), Some(Half::Trailing)) => {
                rest = rest.get(PAIR_BYTES..).unwrap_or_default();
            }
            (Some(_), _) => return true,
            (None, _) => rest = tail,
        }
    }
    false
}

enum Half {
    Leading,
    Trailing,
}

/// The half of a pair whose escape these bytes begin with.
fn half(bytes: &[u8]) -> Option<Half> {
    match bytes.get(..4)? {
        [b'\\', b'u', b'd' | b'D', third] => match third {
            b'8' | b'9' | b'a' | b'b' | b'A' | b'B' => Some(Half::Leading),
            b'c'..=b'f' | b'C'..=b'F' => Some(Half::Trailing),
            _ => None,
        },
        _ => None,
    }
}

/// The length of `\ud83d`, in bytes.
const ESCAPE_BYTES: usize = 6;

/// The length of `\ud83d\ude00`, in bytes.
const PAIR_BYTES: usize = 12;
