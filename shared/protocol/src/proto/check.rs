//! Whether bytes are a message: one walk in the order of the bytes, before anything is built.

use super::{
    DEPTH, EXPANSION, Field, Kind, Label, STRUCT_DEPTH, Schema, TIMES, WireError,
    read::{self, Raw},
};
use crate::memory::{self, Times};

/// Reads a whole message and everything inside it, also what later fields replace. Takes no memory.
///
/// # Errors
///
/// The first [`WireError`] met, reading from the start.
pub fn check(schema: &Schema, message: &[u8]) -> Result<(), WireError> {
    Walk { left_bytes: None, depth_limit: DEPTH }.message(schema, message, 0)
}

/// The same for a message that is to become a struct: it may nest no deeper than [`STRUCT_DEPTH`],
/// what the elements of its lists and maps will take is counted, and a known field has a wire type of
/// its kind. The derived reader refuses most other wire types, and reads a map's as another message.
///
/// # Errors
///
/// The first [`WireError`] met, reading from the start.
pub fn check_struct(schema: &Schema, message: &[u8]) -> Result<(), WireError> {
    check_within(TIMES, schema, message)
}

/// The same for a message that may take [`EXPANSION`] times its length, however long it is.
pub(crate) fn check_own(schema: &Schema, message: &[u8]) -> Result<(), WireError> {
    check_within(Times { if_long: EXPANSION, ..TIMES }, schema, message)
}

fn check_within(times: Times, schema: &Schema, message: &[u8]) -> Result<(), WireError> {
    let left_bytes = Some(times.allow(message.len()));
    Walk { left_bytes, depth_limit: STRUCT_DEPTH }.message(schema, message, 0)
}

/// One walk, with the memory that its elements may still take if the message becomes a struct.
struct Walk {
    left_bytes: Option<usize>,
    depth_limit: usize,
}

impl Walk {
    fn message(&mut self, schema: &Schema, message: &[u8], depth: usize) -> Result<(), WireError> {
        self.enter(depth)?;
        let mut rest = message;
        let mut seen = 0_u64;
        while let Some(entry) = read::entry(&mut rest)? {
            if let Some((index, field)) = schema.position(entry.number) {
                // None of a field that has no bit: each of its values counts as its first.
                let bit = 1_u64.checked_shl(index).unwrap_or_default();
                self.charge(cost(field, entry.value, seen & bit == 0))?;
                seen |= bit;
                self.value(field, entry.value, depth.saturating_add(1))?;
            }
        }
        Ok(())
    }

    fn enter(&self, depth: usize) -> Result<(), WireError> {
        let limit = self.depth_limit;
        if depth > limit { Err(WireError::Depth { limit }) } else { Ok(()) }
    }

    fn value(&mut self, field: &Field, value: Raw<'_>, depth: usize) -> Result<(), WireError> {
        if !holds(field, value) {
            let is_struct = self.left_bytes.is_some();
            return if is_struct { Err(WireError::Malformed) } else { Ok(()) };
        }
        let Raw::Bytes(bytes) = value else { return Ok(()) };
        match (field.label, field.kind) {
            (Label::Map(key), value) => self.entry(&entry_fields(key, value), bytes, depth),
            (_, Kind::Message(schema)) => self.message(schema(), bytes, depth),
            (_, Kind::Text) => match std::str::from_utf8(bytes) {
                Ok(_text) => Ok(()),
                Err(_error) => Err(WireError::NotUtf8),
            },
            (_, Kind::Bytes | Kind::Double) => Ok(()),
            // Packed numbers.
            _ => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    read::varint(&mut rest)?;
                }
                Ok(())
            }
        }
    }

    fn entry(&mut self, fields: &[Field; 2], entry: &[u8], depth: usize) -> Result<(), WireError> {
        self.enter(depth)?;
        let mut rest = entry;
        while let Some(part) = read::entry(&mut rest)? {
            if let Some(field) = fields.iter().find(|field| field.number == part.number) {
                self.value(field, part.value, depth.saturating_add(1))?;
            }
        }
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<(), WireError> {
        if let Some(left) = &mut self.left_bytes {
            *left = left.checked_sub(bytes).ok_or(WireError::Expansion)?;
        }
        Ok(())
    }
}

/// What one value of a list or map takes in it.
fn cost(field: &Field, value: Raw<'_>, is_first: bool) -> usize {
    let (element, packed) = match (field.kind, value) {
        (Kind::Message(schema), _) => (schema().size_bytes, 0),
        (Kind::Bytes | Kind::Text, _) => (size_of::<String>(), 0),
        // Numbers in a row, each of at least one byte.
        (_, Raw::Bytes(row)) => (size_of::<u64>(), row.len()),
        (_, _) => (size_of::<u64>(), 0),
    };
    match field.label {
        Label::Implicit | Label::Optional | Label::Oneof => 0,
        Label::Map(_) => memory::of_entry(element, is_first),
        Label::Repeated => memory::of_element(element, is_first)
            .saturating_add(memory::of_element(element, false).saturating_mul(packed)),
    }
}

/// The fields of a map's entry.
pub(super) fn entry_fields(key: Kind, value: Kind) -> [Field; 2] {
    let field = |number, kind| Field { number, name: "", label: Label::Optional, kind };
    [field(1, key), field(2, value)]
}

/// Whether a value has a wire type of this field; otherwise the field is unknown here.
pub(super) fn holds(field: &Field, value: Raw<'_>) -> bool {
    if matches!(field.label, Label::Map(_)) {
        return matches!(value, Raw::Bytes(_));
    }
    match field.kind {
        Kind::Bool | Kind::Enum | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => {
            let is_packed =
                matches!(field.label, Label::Repeated) && matches!(value, Raw::Bytes(_));
            is_packed || matches!(value, Raw::Varint(_))
        }
        Kind::Double => matches!(value, Raw::Fixed64(_)),
        Kind::Bytes | Kind::Message(_) | Kind::Text => matches!(value, Raw::Bytes(_)),
    }
}
