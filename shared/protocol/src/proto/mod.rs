//! Protobuf bytes without generated code: schemas, a bounded reader, a deterministic writer.
//!
//! [`canonical()`] gives a message the bytes that the reference's deterministic encoder gives it:
//! known fields by number, the member of a `oneof` after all others, map entries by key, unknown
//! fields last and as they came. Two messages mean the same exactly if these bytes are equal, so
//! they are what replies are grouped by. Time and memory grow with the input alone, whatever it is.

mod back;
mod canonical;
mod check;
mod read;
mod schema;

pub use canonical::{canonical, canonical_known, canonical_without};
pub use check::{check, check_density};
pub use read::WireError;
pub(crate) use schema::is_derived_otherwise;
pub use schema::{Field, Kind, Label, Schema};

/// How deep messages may nest. A list in a list nests two messages, a map in a map three; the
/// reference allows 10,000, which would take more stack than a thread has.
pub const DEPTH: usize = 200;

/// How many bytes of lists and maps a byte of a message may ask for. The densest that workflows have
/// reason to send, a list of nulls at two bytes each, takes 28.
pub const EXPANSION: usize = 32;

#[cfg(test)]
mod tests;
