//! What lists and maps take: counted before they are built from bytes that somebody sent.
//!
//! Texts and byte strings are not counted: the shortest take eight bytes for three, the others what they are
//! long. The counts are those of std's collections at their worst, with what they leave free.

use std::mem::size_of;

/// What the lists and maps that are read from an input may take, for each of its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// However short or long it is.
    pub(crate) at_most: usize,
    /// Beyond [`LONG_BYTES`].
    pub(crate) if_long: usize,
}

impl Times {
    /// The bytes in all.
    pub(crate) fn allow(self, input_bytes: usize) -> usize {
        let short = input_bytes.saturating_mul(self.at_most);
        let long = input_bytes.saturating_mul(self.if_long).saturating_add(LONG_BYTES);
        short.min(long).saturating_add(FREE_BYTES)
    }
}

/// What one more element takes in a list that, when it is full, moves to one of twice its room. The first
/// takes room for four.
pub(crate) const fn of_element(element_bytes: usize, is_first: bool) -> usize {
    element_bytes.saturating_mul(if is_first { 4 } else { 3 })
}

/// What one more entry takes in a B-tree. The first takes a node for eleven; later nodes, and those above
/// them, are not quite half full at their worst.
pub(crate) const fn of_entry(value_bytes: usize, is_first: bool) -> usize {
    let entry_bytes = value_bytes.saturating_add(size_of::<String>());
    entry_bytes.saturating_mul(if is_first { 11 } else { 3 }).saturating_add(NODE_BYTES)
}

/// Memory that every input may ask for, however short it is: first elements of lists in lists, as deep as
/// values of no fixed form may nest.
const FREE_BYTES: usize = 16 * 1024;

/// What a long input may ask for besides: inputs within the limit that a DON has for agreements, 100,000
/// bytes, get all that the densest values there are can take.
const LONG_BYTES: usize = 8 * 1024 * 1024;

/// The links of a node.
const NODE_BYTES: usize = 16;
