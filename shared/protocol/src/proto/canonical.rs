//! The deterministic encoding of a message whose bytes are given.

use std::collections::BTreeMap;

use super::{
    Field, Kind, Label, Schema, WireError,
    back::Back,
    check::{check, entry_fields, holds},
    read::{self, Raw},
};

/// Re-encodes a message deterministically; unknown fields follow the known ones as they came.
///
/// A field in a wire type that its kind does not have is unknown, as it is to the reference.
///
/// # Errors
///
/// [`WireError`] if the bytes are no message of this schema.
pub fn canonical(schema: &Schema, message: &[u8]) -> Result<Vec<u8>, WireError> {
    encode(schema, message, Rewrite::default())
}

/// Re-encodes a message deterministically without unknown fields of any level.
///
/// # Errors
///
/// [`WireError`] if the bytes are no message of this schema.
pub fn canonical_known(schema: &Schema, message: &[u8]) -> Result<Vec<u8>, WireError> {
    encode(schema, message, Rewrite { drop_unknown: true, drop_field: None })
}

/// Re-encodes a message deterministically without one field of the outermost message.
///
/// # Errors
///
/// [`WireError`] if the bytes are no message of this schema; the field that is left out counts.
pub fn canonical_without(
    schema: &Schema,
    message: &[u8],
    number: u32,
) -> Result<Vec<u8>, WireError> {
    encode(schema, message, Rewrite { drop_unknown: false, drop_field: Some(number) })
}

/// What is left out.
#[derive(Clone, Copy, Default)]
struct Rewrite {
    drop_unknown: bool,
    drop_field: Option<u32>,
}

fn encode(schema: &Schema, message: &[u8], rewrite: Rewrite) -> Result<Vec<u8>, WireError> {
    check(schema, message)?;
    let mut out = Back::default();
    write_message(schema, &[message], rewrite, &mut out);
    Ok(out.finish())
}

/// One value of a known field.
struct Known<'a> {
    /// Where the field stands in the output.
    rank: (bool, u32),
    field: &'static Field,
    value: Raw<'a>,
}

impl<'a> Known<'a> {
    fn is_member(&self) -> bool {
        self.rank.0
    }

    fn bytes(&self) -> &'a [u8] {
        as_bytes(self.value)
    }
}

/// Writes the message whose bytes are the segments one after another: that is how protobuf merges.
/// They were checked, so they can be read and nest no deeper than is allowed.
fn write_message(schema: &Schema, segments: &[&[u8]], rewrite: Rewrite, out: &mut Back) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for segment in segments {
        let mut rest = *segment;
        while let Ok(Some(entry)) = read::entry(&mut rest) {
            match schema.field(entry.number).filter(|field| holds(field, entry.value)) {
                Some(field) if rewrite.drop_field == Some(field.number) => {}
                Some(field) => {
                    let rank = (matches!(field.label, Label::Oneof), field.number);
                    known.push(Known { rank, field, value: entry.value });
                }
                None if rewrite.drop_unknown => {}
                None => unknown.push(entry.bytes),
            }
        }
    }
    keep_last_member(&mut known);
    known.sort_by_key(|value| value.rank);
    for bytes in unknown.iter().rev() {
        out.bytes(bytes);
    }
    let below = Rewrite { drop_field: None, ..rewrite };
    for values in known.chunk_by(|a, b| a.rank == b.rank).rev() {
        if let Some(Known { field, .. }) = values.first() {
            write_field(field, values, below, out);
        }
    }
}

/// Drops all members of the `oneof` but the last run of one member: what is merged into it.
fn keep_last_member(known: &mut Vec<Known<'_>>) {
    let last = known.iter().rfind(|value| value.is_member()).map(|value| value.rank);
    let other = known.iter().rposition(|value| value.is_member() && Some(value.rank) != last);
    let Some(other) = other else { return };
    let mut index = 0_usize;
    known.retain(|value| {
        let keep = index > other || !value.is_member();
        index = index.saturating_add(1);
        keep
    });
}

fn write_field(field: &Field, values: &[Known<'_>], rewrite: Rewrite, out: &mut Back) {
    let number = field.number;
    match (field.label, field.kind) {
        (Label::Map(key), value) => write_map(number, (key, value), values, rewrite, out),
        (Label::Repeated, Kind::Message(schema)) => {
            for value in values.iter().rev() {
                write_submessage(number, schema(), &[value.bytes()], rewrite, out);
            }
        }
        (_, Kind::Message(schema)) => {
            let segments: Vec<&[u8]> = values.iter().map(Known::bytes).collect();
            write_submessage(number, schema(), &segments, rewrite, out);
        }
        (Label::Repeated, Kind::Bytes | Kind::Text) => {
            for value in values.iter().rev() {
                write_bytes(number, value.bytes(), out);
            }
        }
        (Label::Repeated, kind) => write_packed(number, kind, values, out),
        (label, kind) => {
            if let Some(Known { value, .. }) = values.last() {
                write_scalar(number, kind, *value, matches!(label, Label::Implicit), out);
            }
        }
    }
}

fn write_submessage(
    number: u32,
    schema: &Schema,
    segments: &[&[u8]],
    rewrite: Rewrite,
    out: &mut Back,
) {
    let before = out.len();
    write_message(schema, segments, rewrite, out);
    out.prefix(number, before);
}

/// Writes one value that is no message; an implicit default is left out.
fn write_scalar(number: u32, kind: Kind, value: Raw<'_>, implicit: bool, out: &mut Back) {
    match value {
        Raw::Bytes([]) if implicit => {}
        Raw::Bytes(bytes) => write_bytes(number, bytes, out),
        Raw::Fixed64(0) if implicit => {}
        Raw::Fixed64(bits) => {
            out.bytes(&bits.to_le_bytes());
            out.tag(number, 1);
        }
        Raw::Varint(raw) => match normal(kind, raw) {
            0 if implicit => {}
            value => {
                out.varint(value);
                out.tag(number, 0);
            }
        },
        Raw::Foreign => {}
    }
}

fn write_bytes(number: u32, bytes: &[u8], out: &mut Back) {
    let before = out.len();
    out.bytes(bytes);
    out.prefix(number, before);
}

fn write_packed(number: u32, kind: Kind, values: &[Known<'_>], out: &mut Back) {
    let mut numbers = Vec::new();
    for value in values {
        match value.value {
            Raw::Varint(raw) => numbers.push(normal(kind, raw)),
            Raw::Bytes(mut rest) => {
                while let Ok(raw) = read::varint(&mut rest) {
                    numbers.push(normal(kind, raw));
                }
            }
            Raw::Fixed64(_) | Raw::Foreign => {}
        }
    }
    if !numbers.is_empty() {
        let before = out.len();
        for value in numbers.into_iter().rev() {
            out.varint(value);
        }
        out.prefix(number, before);
    }
}

/// A map's key, in the order in which entries are written.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Number(i64),
    Text(&'a [u8]),
}

/// Writes a map: of entries with one key the last counts; key and value are always written.
fn write_map(
    number: u32,
    (key_kind, value_kind): (Kind, Kind),
    values: &[Known<'_>],
    rewrite: Rewrite,
    out: &mut Back,
) {
    let [key_field, value_field] = entry_fields(key_kind, value_kind);
    let mut entries = BTreeMap::new();
    for value in values {
        let (mut key, mut parts) = (None, Vec::new());
        let mut rest = value.bytes();
        while let Ok(Some(entry)) = read::entry(&mut rest) {
            if entry.number == key_field.number && holds(&key_field, entry.value) {
                key = Some(entry.value);
            } else if entry.number == value_field.number && holds(&value_field, entry.value) {
                parts.push(entry.value);
            }
        }
        entries.insert(map_key(key_kind, key), parts);
    }
    for (key, parts) in entries.iter().rev() {
        let before = out.len();
        if let Kind::Message(schema) = value_kind {
            let segments: Vec<&[u8]> = parts.iter().copied().map(as_bytes).collect();
            write_submessage(value_field.number, schema(), &segments, rewrite, out);
        } else {
            let value = parts.last().copied().unwrap_or_else(|| zero(value_kind));
            write_scalar(value_field.number, value_kind, value, false, out);
        }
        match key {
            Key::Number(raw) => {
                let raw = Raw::Varint(raw.cast_unsigned());
                write_scalar(key_field.number, Kind::Int64, raw, false, out);
            }
            Key::Text(text) => write_bytes(key_field.number, text, out),
        }
        out.prefix(number, before);
    }
}

fn as_bytes(value: Raw<'_>) -> &[u8] {
    match value {
        Raw::Bytes(bytes) => bytes,
        Raw::Varint(_) | Raw::Fixed64(_) | Raw::Foreign => &[],
    }
}

fn map_key(kind: Kind, key: Option<Raw<'_>>) -> Key<'_> {
    match key.unwrap_or_else(|| zero(kind)) {
        Raw::Varint(raw) => Key::Number(normal(kind, raw).cast_signed()),
        Raw::Bytes(text) => Key::Text(text),
        Raw::Fixed64(_) | Raw::Foreign => Key::Number(0),
    }
}

/// The value of a field that is not there.
fn zero(kind: Kind) -> Raw<'static> {
    match kind {
        Kind::Bytes | Kind::Message(_) | Kind::Text => Raw::Bytes(&[]),
        Kind::Double => Raw::Fixed64(0),
        Kind::Bool | Kind::Enum | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => {
            Raw::Varint(0)
        }
    }
}

/// The number that a kind keeps of what was read: 32 bits of it, or whether it is zero.
#[expect(
    clippy::cast_possible_truncation,
    reason = "kinds of 32 bits take the low half, as the reference does"
)]
fn normal(kind: Kind, raw: u64) -> u64 {
    match kind {
        Kind::Bool => u64::from(raw != 0),
        Kind::Enum | Kind::Int32 => i64::from((raw as u32).cast_signed()).cast_unsigned(),
        Kind::Uint32 => u64::from(raw as u32),
        Kind::Int64 | Kind::Uint64 | Kind::Bytes | Kind::Double | Kind::Message(_) | Kind::Text => {
            raw
        }
    }
}
