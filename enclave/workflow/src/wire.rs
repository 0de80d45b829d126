//! Walking over the top level of a protobuf message without decoding it.
//!
//! Decoding drops what it does not know; where that must survive or decide, bytes are walked.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'b> {
    pub(crate) number: u32,
    /// Key and value.
    pub(crate) whole: &'b [u8],
    /// The value, where its length precedes it; otherwise empty.
    pub(crate) contents: &'b [u8],
}

/// The bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub(crate) struct Malformed;

/// Walks over the fields in their order; ends after the first error.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, Malformed>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = next(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

/// The contents of all occurrences of a message field, joined: that is how they merge.
pub(crate) fn merged(message: &[u8], number: u32) -> Result<Option<Vec<u8>>, Malformed> {
    let mut merged = None;
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            merged.get_or_insert_with(Vec::new).extend_from_slice(field.contents);
        }
    }
    Ok(merged)
}

fn next<'b>(rest: &mut &'b [u8]) -> Result<Field<'b>, Malformed> {
    let start = *rest;
    let (number, wire_type) = decode_key(rest).map_err(|_error| Malformed)?;
    let mut value = *rest;
    skip_field(wire_type, number, rest, DecodeContext::default()).map_err(|_error| Malformed)?;
    let contents = if wire_type == WireType::LengthDelimited {
        decode_varint(&mut value).map_err(|_error| Malformed)?;
        upto(value, rest)
    } else {
        &[]
    };
    Ok(Field { number, whole: upto(start, rest), contents })
}

/// What of `start` lies before `rest`, its own end.
fn upto<'b>(start: &'b [u8], rest: &[u8]) -> &'b [u8] {
    start.get(..start.len().saturating_sub(rest.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_their_order_with_key_and_contents() {
        let all: Vec<_> = fields(b"\x0a\x02ab\x20\x07\x0a\x00").map(Result::unwrap).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], Field { number: 1, whole: b"\x0a\x02ab", contents: b"ab" });
        assert_eq!(all[1], Field { number: 4, whole: b"\x20\x07", contents: b"" });
        assert_eq!(all[2], Field { number: 1, whole: b"\x0a\x00", contents: b"" });
    }

    #[test]
    fn what_is_no_message_ends_the_walk() {
        for bytes in [&b"\x0a"[..], b"\x0a\x05abc", b"\x00", b"\x0f", b"\x12\x80", b"\xff"] {
            let all: Vec<_> = fields(bytes).collect();
            assert_eq!(all, [Err(Malformed)], "{bytes:x?}");
        }
    }

    #[test]
    fn occurrences_of_a_message_are_joined() {
        let message = b"\x22\x02\x08\x01\x20\x05\x22\x02\x10\x02";
        assert_eq!(merged(message, 4).unwrap().unwrap(), b"\x08\x01\x10\x02");
        assert_eq!(merged(message, 9), Ok(None));
    }
}
