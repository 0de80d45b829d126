//! The subset of CBOR (RFC 8949) that attestation documents are made of.
//!
//! [`Reader`] takes what a deterministic encoder writes and nothing else: definite lengths,
//! shortest integers and lengths, no key twice in a map, text that is UTF-8, at most [`MAX_DEPTH`]
//! containers in each other, no tag inside a document, no key that is a floating-point number or a
//! container, because these have several encodings of one value, nothing after the item. It borrows from its
//! input and allocates one list of keys per map, so memory grows with what arrived, never with what
//! a header announces. [`Writer`] writes exactly this subset.

mod reader;
mod writer;

pub use reader::{Key, Reader};
pub use writer::Writer;

/// Why bytes are not the CBOR that is read here. Each names the offset of the item in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The input ends inside the item, or the item announces more than the input holds.
    #[error("the item at byte {at} is longer than the input")]
    Truncated {
        /// Offset of the item.
        at: usize,
    },
    /// Bytes follow the one item there may be.
    #[error("bytes follow the item at byte {at}")]
    Trailing {
        /// Offset of the first byte too many.
        at: usize,
    },
    /// The item has another type than its place asks for.
    #[error("the item at byte {at} is not {want}")]
    Type {
        /// Offset of the item.
        at: usize,
        /// What belongs there.
        want: Kind,
    },
    /// The item has no length of its own but an end mark.
    #[error("the item at byte {at} has an indefinite length")]
    Indefinite {
        /// Offset of the item.
        at: usize,
    },
    /// A number or length is written in more bytes than it needs.
    #[error("the head of the item at byte {at} is longer than it need be")]
    Overlong {
        /// Offset of the item.
        at: usize,
    },
    /// The item's head is one that CBOR leaves without a meaning.
    #[error("the head of the item at byte {at} is reserved")]
    Reserved {
        /// Offset of the item.
        at: usize,
    },
    /// A map has the same key twice.
    #[error("the key at byte {at} is in its map twice")]
    DuplicateKey {
        /// Offset of the second one.
        at: usize,
    },
    /// Containers are nested deeper than [`MAX_DEPTH`].
    #[error("the item at byte {at} is nested deeper than {MAX_DEPTH}")]
    TooDeep {
        /// Offset of the container.
        at: usize,
    },
    /// A tag stands where none may.
    #[error("the item at byte {at} is tagged")]
    Tag {
        /// Offset of the tag.
        at: usize,
    },
    /// A text is not UTF-8.
    #[error("the text at byte {at} is not UTF-8")]
    NotUtf8 {
        /// Offset of the text.
        at: usize,
    },
}

/// What a place asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An unsigned integer of up to 64 bits.
    Unsigned,
    /// A byte string.
    Bytes,
    /// A text string.
    Text,
    /// An array.
    Array,
    /// A map.
    Map,
    /// The key of a map: a number, a text, a byte string or a simple value.
    Key,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "an unsigned integer",
            Self::Bytes => "a byte string",
            Self::Text => "a text",
            Self::Array => "an array",
            Self::Map => "a map",
            Self::Key => "a key with one encoding",
        })
    }
}

/// Containers that may be nested. A document needs two; two more are left to fields to come.
pub const MAX_DEPTH: u8 = 4;

/// Major types, the upper three bits of an item's first byte (RFC 8949, section 3.1).
mod major {
    pub(super) const UNSIGNED: u8 = 0;
    pub(super) const BYTES: u8 = 2;
    pub(super) const TEXT: u8 = 3;
    pub(super) const ARRAY: u8 = 4;
    pub(super) const MAP: u8 = 5;
    pub(super) const TAG: u8 = 6;
    pub(super) const SIMPLE: u8 = 7;
}

/// The whole item `null`.
const NULL: u8 = 0xf6;

#[cfg(test)]
mod tests;
