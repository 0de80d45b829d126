//! Protobuf bytes without generated code: schemas, a bounded reader, a deterministic writer.
//!
//! [`canonical()`] gives a message the bytes that the reference's deterministic encoder gives it:
//! known fields by number, the member of a `oneof` after all others, map entries by key, unknown
//! fields last and as they came. Two messages mean the same exactly if these bytes are equal, so
//! they are what replies are grouped by. Time and memory grow with the input alone, whatever it is.

use crate::memory::Times;

mod back;
mod canonical;
mod check;
mod read;
mod schema;

pub(crate) use canonical::reordered;
pub use canonical::{canonical, canonical_known, canonical_without};
pub(crate) use check::check_own;
pub use check::{check, check_struct};
pub use read::WireError;
pub use schema::{Field, Kind, Label, Schema};

/// How deep messages and map entries may nest in bytes. A list in a list nests two, a map in a map
/// three; the reference allows 10,000, which would take more stack than a thread has. Results of
/// workflows are passed on as bytes, so they may nest deeper than what anybody here looks into.
pub const DEPTH: usize = 200;

/// How deep they may nest in what becomes a struct: the derived decoder's own limit, said in words.
pub const STRUCT_DEPTH: usize = 100;

/// How many bytes of memory a byte of a message may ask for where it becomes a struct, for the elements of
/// lists and maps. The densest that workflows have reason to send takes 65, a list of maps of one number each.
pub const EXPANSION: usize = 128;

/// Where the message is long and not the reader's own, it is at most four.
const TIMES: Times = Times { at_most: EXPANSION, if_long: 4 };

#[cfg(test)]
mod tests;
