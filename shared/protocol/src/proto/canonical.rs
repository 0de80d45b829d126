//! The deterministic encoding of a message whose bytes are given.
//!
//! Fields are put in order by what points at them, never by copies. A field of two bytes, the shortest
//! there is, takes 24 bytes in the list of its message and at most 32 more while a map or a message that is
//! split is put together; the output is at most twice as long as the input. All of it stays below
//! thirty-two bytes for each byte of the message.

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
    Ok(rewritten(schema, message, rewrite))
}

/// Re-encodes what the derived encoder wrote, in which there is nothing to check.
pub(crate) fn reordered(schema: &Schema, derived: &[u8]) -> Vec<u8> {
    rewritten(schema, derived, Rewrite::default())
}

fn rewritten(schema: &Schema, message: &[u8], rewrite: Rewrite) -> Vec<u8> {
    // Keys of map entries that were left out are written, and negative numbers in ten bytes.
    let room = message.len().saturating_add(message.len() / 2);
    let mut out = Back::with_capacity(room);
    write_message(schema, &[message], rewrite, &mut out);
    out.finish()
}

/// One value of a known field.
#[derive(Clone, Copy)]
struct Known<'a> {
    /// Its bytes with their tag: a value takes more room than the two bytes it may be read from.
    entry: &'a [u8],
    rank: Rank,
}

/// Where a field stands in the output: members of a `oneof` behind all others, then by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u32);

impl Rank {
    fn of(field: &Field) -> Self {
        let member = if matches!(field.label, Label::Oneof) { MEMBER } else { 0 };
        Self(field.number | member)
    }

    fn is_member(self) -> bool {
        self.0 & MEMBER != 0
    }

    fn number(self) -> u32 {
        self.0 & !MEMBER
    }
}

impl<'a> Known<'a> {
    fn value(&self) -> Raw<'a> {
        let mut rest = self.entry;
        read::entry(&mut rest).ok().flatten().map_or(Raw::Foreign, |entry| entry.value)
    }

    fn bytes(&self) -> &'a [u8] {
        as_bytes(self.value())
    }
}

/// Writes the message whose bytes are the segments one after another: that is how protobuf merges.
/// They were checked, so they can be read and nest no deeper than is allowed.
fn write_message(schema: &Schema, segments: &[&[u8]], rewrite: Rewrite, out: &mut Back) {
    let (mut known, unknown) = sort(schema, segments, rewrite);
    keep_last_member(&mut known);
    if !known.is_sorted_by_key(|value| value.rank) {
        known.sort_by_key(|value| value.rank);
    }
    for bytes in unknown.iter().rev() {
        out.bytes(bytes);
    }
    drop(unknown);
    let below = Rewrite { drop_field: None, ..rewrite };
    for values in known.chunk_by(|a, b| a.rank == b.rank).rev() {
        let field = values.first().and_then(|value| schema.field(value.rank.number()));
        if let Some(field) = field {
            write_field(field, values, below, out);
        }
    }
}

/// Tells known fields from unknown ones, both in the order in which they came. They are counted
/// before room is made for them, because a list that grows takes twice its room.
fn sort<'a>(
    schema: &Schema,
    segments: &[&'a [u8]],
    rewrite: Rewrite,
) -> (Vec<Known<'a>>, Vec<&'a [u8]>) {
    let rank = |entry: &read::Entry<'_>| {
        schema.field(entry.number).filter(|field| holds(field, entry.value)).map(Rank::of)
    };
    let (mut knowns, mut unknowns) = (0_usize, 0_usize);
    for entry in entries(segments) {
        let count = if rank(&entry).is_some() { &mut knowns } else { &mut unknowns };
        *count = count.saturating_add(1);
    }
    if rewrite.drop_unknown {
        unknowns = 0;
    }
    let (mut known, mut unknown) = (Vec::with_capacity(knowns), Vec::with_capacity(unknowns));
    for entry in entries(segments) {
        match rank(&entry) {
            Some(rank) if rewrite.drop_field == Some(rank.number()) => {}
            Some(rank) => known.push(Known { entry: entry.bytes, rank }),
            None if rewrite.drop_unknown => {}
            None => unknown.push(entry.bytes),
        }
    }
    (known, unknown)
}

/// The fields of all segments.
fn entries<'a>(segments: &[&'a [u8]]) -> impl Iterator<Item = read::Entry<'a>> {
    segments.iter().flat_map(|segment| {
        let mut rest = *segment;
        std::iter::from_fn(move || read::entry(&mut rest).ok().flatten())
    })
}

/// Drops all members of the `oneof` but the last run of one member: what is merged into it.
fn keep_last_member(known: &mut Vec<Known<'_>>) {
    let is_member = |value: &&Known<'_>| value.rank.is_member();
    let last = known.iter().rfind(is_member).map(|value| value.rank);
    let other = known.iter().rposition(|value| is_member(&value) && Some(value.rank) != last);
    let Some(other) = other else { return };
    let mut index = 0_usize;
    known.retain(|value| {
        let keep = index > other || !value.rank.is_member();
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
            if let Some(value) = values.last() {
                write_scalar(number, kind, value.value(), matches!(label, Label::Implicit), out);
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

/// Writes a list of numbers, whatever runs of it were packed.
fn write_packed(number: u32, kind: Kind, values: &[Known<'_>], out: &mut Back) {
    let before = out.len();
    for value in values.iter().rev() {
        match value.value() {
            Raw::Varint(raw) => out.varint(normal(kind, raw)),
            Raw::Bytes(mut run) => {
                while let Some((raw, head)) = read::last_varint(run) {
                    out.varint(normal(kind, raw));
                    run = head;
                }
            }
            Raw::Fixed64(_) | Raw::Foreign => {}
        }
    }
    if out.len() > before {
        out.prefix(number, before);
    }
}

/// A map's key, in the order in which entries are written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    let mut sorted = Vec::with_capacity(values.len());
    for (position, value) in values.iter().enumerate() {
        sorted.push((map_key(key_kind, parts(value.bytes(), key_field).last()), position));
    }
    sorted.sort_unstable();
    let last_of_key = sorted.chunk_by(|a, b| a.0 == b.0).rev().filter_map(|equal| equal.last());
    for (key, position) in last_of_key {
        let Some(entry) = values.get(*position).map(Known::bytes) else { continue };
        let before = out.len();
        if let Kind::Message(schema) = value_kind {
            let segments: Vec<&[u8]> = parts(entry, value_field).map(as_bytes).collect();
            write_submessage(value_field.number, schema(), &segments, rewrite, out);
        } else {
            let value = parts(entry, value_field).last().unwrap_or_else(|| zero(value_kind));
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

/// The values of one field of a map's entry.
fn parts(mut entry: &[u8], field: Field) -> impl Iterator<Item = Raw<'_>> {
    let next = move || read::entry(&mut entry).ok().flatten();
    let of_field =
        move |part: &read::Entry<'_>| part.number == field.number && holds(&field, part.value);
    std::iter::from_fn(next).filter(of_field).map(|part| part.value)
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

/// What the head of this file says a field takes.
const _: () = assert!(size_of::<Known<'_>>() <= 24 && size_of::<(Key<'_>, usize)>() <= 32);

/// Set in the rank of a member of a `oneof`; numbers have 29 bits.
const MEMBER: u32 = 1 << 31;
