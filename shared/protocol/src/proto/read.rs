//! The wire format: tags, numbers and byte strings, each bounded by what is there.

use super::DEPTH;

/// Why bytes are no message of a schema. The texts of the first two are those peers write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A tag, number or length is impossible, or the bytes end too early.
    #[error("proto: cannot parse invalid wire-format data")]
    Malformed,
    /// A text is not UTF-8.
    #[error("string field contains invalid UTF-8")]
    NotUtf8,
    /// Messages, map entries or groups nest too deep.
    #[error("messages nest deeper than {limit} levels")]
    Depth {
        /// The depth that is allowed.
        limit: usize,
    },
    /// The structs would take far more memory than the bytes.
    #[error("the lists and maps of the message take far more memory than it does")]
    Expansion,
}

/// One value on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// A fixed number of 32 bits or a group: no schema of ours has one, so it is only carried along.
    Foreign,
}

/// One field on the wire: its number, its value, and all of its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) number: u32,
    pub(super) value: Raw<'a>,
    pub(super) bytes: &'a [u8],
}

/// Reads the next field, or `None` at the end.
pub(super) fn entry<'a>(rest: &mut &'a [u8]) -> Result<Option<Entry<'a>>, WireError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let start = *rest;
    let (number, wire_type) = tag(rest)?;
    let value = match wire_type {
        VARINT => Raw::Varint(varint(rest)?),
        FIXED64 => Raw::Fixed64(u64::from_le_bytes(array(rest)?)),
        BYTES => Raw::Bytes(bytes(rest)?),
        START_GROUP => {
            skip_group(number, rest)?;
            Raw::Foreign
        }
        FIXED32 => {
            array::<4>(rest)?;
            Raw::Foreign
        }
        _ => return Err(WireError::Malformed),
    };
    let length = start.len().saturating_sub(rest.len());
    let bytes = start.get(..length).unwrap_or_default();
    Ok(Some(Entry { number, value, bytes }))
}

/// Reads one number of at most 64 bits; longer spellings than needed are taken.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0_u64;
    for shift in (0..64_u32).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or(WireError::Malformed)?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        let placed = bits.checked_shl(shift).unwrap_or(0);
        if placed.checked_shr(shift) != Some(bits) {
            return Err(WireError::Malformed);
        }
        value |= placed;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(WireError::Malformed)
}

/// Takes the last number off a run of numbers that was checked; gives what is in front of it, too.
pub(super) fn last_varint(run: &[u8]) -> Option<(u64, &[u8])> {
    let (_last, front) = run.split_last()?;
    let ends = |byte: &u8| byte & 0x80 == 0;
    let start = front.iter().rposition(ends).map_or(0, |end| end.saturating_add(1));
    let (head, mut number) = run.split_at_checked(start)?;
    Some((varint(&mut number).ok()?, head))
}

fn tag(rest: &mut &[u8]) -> Result<(u32, u8), WireError> {
    let tag = varint(rest)?;
    let number = u32::try_from(tag >> 3).map_err(|_range| WireError::Malformed)?;
    if !(1..=LARGEST_NUMBER).contains(&number) {
        return Err(WireError::Malformed);
    }
    let wire_type = u8::try_from(tag & 7).map_err(|_range| WireError::Malformed)?;
    Ok((number, wire_type))
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let length = usize::try_from(varint(rest)?).map_err(|_range| WireError::Malformed)?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or(WireError::Malformed)?;
    *rest = tail;
    Ok(bytes)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], WireError> {
    let (array, tail) = rest.split_first_chunk().ok_or(WireError::Malformed)?;
    *rest = tail;
    Ok(*array)
}

/// Skips a group, whose opening tag is read, with the groups inside it.
fn skip_group(number: u32, rest: &mut &[u8]) -> Result<(), WireError> {
    let mut open = vec![number];
    while let Some(innermost) = open.last() {
        let (number, wire_type) = tag(rest)?;
        match wire_type {
            VARINT => drop(varint(rest)?),
            FIXED64 => drop(array::<8>(rest)?),
            BYTES => drop(bytes(rest)?),
            FIXED32 => drop(array::<4>(rest)?),
            START_GROUP if open.len() >= DEPTH => return Err(WireError::Depth { limit: DEPTH }),
            START_GROUP => open.push(number),
            END_GROUP if *innermost == number => drop(open.pop()),
            _ => return Err(WireError::Malformed),
        }
    }
    Ok(())
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const START_GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const FIXED32: u8 = 5;

/// The largest number a field may have.
const LARGEST_NUMBER: u32 = (1 << 29) - 1;
