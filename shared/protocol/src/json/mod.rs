//! JSON exactly as the Go encoder writes it, and a reader that is as strict as the writer is exact.
//!
//! A type's members are declared once, in a `wire!` block; the writer and the reader both come from
//! that declaration, so no second place knows a member's name, order or encoding.
//!
//! The reader takes whatever a Go *encoder* of the type can emit and refuses what only Go's *decoder*
//! tolerates, each with its own [`DecodeError`]; the table is in `json/read.rs`. It builds the typed
//! value while it reads, and its lists and maps take at most [`EXPANSION`] bytes for each byte of text,
//! and at most eight and 8 MiB where the text is long.
//!
//! Nil and empty are told apart, because re-encoding must give the same bytes.

use crate::memory::Times;

#[macro_use]
mod declare;
mod bytes;
mod raw;
mod read;
mod scalar;
mod scan;
mod tree;
mod write;

pub use bytes::Bytes;
pub use declare::Names;
pub use raw::RawJson;
pub use read::{Context, Fields, Refusal};
pub(crate) use read::{Member, Seed, read_members};
pub use tree::{Details, NotFiniteError, Number, TREE_DEPTH, Tree};
pub(crate) use write::Object;
pub use write::{Writer, text_token};

/// A type with a fixed JSON form.
pub trait Wire: Sized {
    /// Appends the JSON form.
    fn write(&self, out: &mut Writer);

    /// Reads the JSON form; refusals are left in the context.
    ///
    /// # Errors
    ///
    /// The deserializer's, or one that only says that the context holds a [`Refusal`].
    fn read<'de, D: serde::Deserializer<'de>>(
        input: D,
        context: &Context,
    ) -> Result<Self, D::Error>;

    /// Whether a member that is left out when empty would be left out.
    fn is_empty(&self) -> bool {
        false
    }
}

/// Why a text is not the JSON form of the expected type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A list has not the fixed length of its type.
    #[error("{member} has not {want} elements")]
    ArrayLength {
        /// The member at fault.
        member: &'static str,
        /// The length it must have.
        want: usize,
    },
    /// A byte string is not canonical base64 of the standard alphabet with padding.
    #[error("{member} is not canonical base64")]
    Base64 {
        /// The member at fault.
        member: &'static str,
    },
    /// A byte string is written as a list of numbers.
    #[error("{member} is a list of numbers instead of base64")]
    BytesAsNumbers {
        /// The member at fault.
        member: &'static str,
    },
    /// Values nest too deep.
    #[error("nested deeper than {limit} levels")]
    Depth {
        /// The depth that is allowed.
        limit: usize,
    },
    /// A member occurs twice.
    #[error("{member} occurs twice")]
    Duplicate {
        /// The member at fault, or the map it is in.
        member: &'static str,
    },
    /// The value would take far more memory than its text.
    #[error("the lists and maps of the text take far more memory than it does")]
    Expansion,
    /// A name differs from a known one only in the case of its letters.
    #[error("{member} is spelt in other letters")]
    Folded {
        /// The member it resembles.
        member: &'static str,
    },
    /// A number is no integer, or outside the range of its type.
    #[error("{member} is not an integer of its range")]
    Integer {
        /// The member at fault.
        member: &'static str,
    },
    /// A value is `null` whose type has no nil.
    #[error("{member} is null")]
    Null {
        /// The member at fault.
        member: &'static str,
    },
    /// The text is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A text holds half of a UTF-16 surrogate pair.
    #[error("lone surrogate")]
    Surrogate,
    /// The text is not JSON.
    #[error("not JSON at line {line}, column {column}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1.
        column: usize,
    },
    /// A point in time or a duration is not in its form.
    #[error("{member} is not in the form of a time or duration")]
    Time {
        /// The member at fault.
        member: &'static str,
    },
    /// Something follows the value.
    #[error("something follows the value")]
    Trailing,
    /// A value has another JSON type.
    #[error("{member} has the wrong type")]
    Type {
        /// The member at fault.
        member: &'static str,
    },
}

/// Writes a value.
#[must_use]
pub fn to_vec<T: Wire>(value: &T) -> Vec<u8> {
    let mut out = Writer::new();
    value.write(&mut out);
    out.into_bytes()
}

/// Reads one value that takes up the whole text.
///
/// # Errors
///
/// The first [`DecodeError`] met, reading from the start; encoding and depth are looked at first.
pub fn from_slice<T: Wire>(text: &[u8]) -> Result<T, DecodeError> {
    let text = std::str::from_utf8(text).map_err(|_error| DecodeError::NotUtf8)?;
    if scan::is_deeper_than(text, DEPTH) {
        return Err(DecodeError::Depth { limit: DEPTH });
    }
    let context = Context::new(text.len());
    let mut input = serde_json::Deserializer::from_str(text);
    let value = T::read(&mut input, &context).map_err(|error| context.error(text, &error))?;
    input.end().map_err(|_error| DecodeError::Trailing)?;
    Ok(value)
}

/// How many bytes of memory a byte of text may ask for. The densest that the Go encoder emits takes 136, a
/// list of objects with one number each under an empty name; of a fixed form it is 24, a list of empty texts.
pub const EXPANSION: usize = 160;

/// Where the text is long, it is at most eight: events of a workflow take five or six.
const TIMES: Times = Times { at_most: EXPANSION, if_long: 8 };

/// How deep values may nest: the limit of the Go decoder. Nothing recurses that deep here, because
/// what has no fixed form is skipped or kept as text.
pub const DEPTH: usize = 10_000;

#[cfg(test)]
mod tests;
