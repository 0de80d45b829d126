//! Writes deterministic CBOR.

use super::{NULL, major};

/// Builds CBOR in the one form that [`Reader`](super::Reader) takes.
///
/// The caller keeps two promises: an announced container gets as many items, and keys are distinct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an unsigned integer.
    #[must_use]
    pub fn unsigned(self, value: u64) -> Self {
        self.head(major::UNSIGNED, value)
    }

    /// Adds a byte string.
    #[must_use]
    pub fn bytes(self, value: &[u8]) -> Self {
        self.head(major::BYTES, length(value)).raw(value)
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, value: &str) -> Self {
        self.head(major::TEXT, length(value.as_bytes())).raw(value.as_bytes())
    }

    /// Announces an array of so many items.
    #[must_use]
    pub fn array(self, items: u64) -> Self {
        self.head(major::ARRAY, items)
    }

    /// Announces a map of so many entries, each a key and a value.
    #[must_use]
    pub fn map(self, entries: u64) -> Self {
        self.head(major::MAP, entries)
    }

    /// Adds `null`.
    #[must_use]
    pub fn null(self) -> Self {
        self.raw(&[NULL])
    }

    /// Adds an item that is encoded already.
    #[must_use]
    pub fn raw(mut self, item: &[u8]) -> Self {
        self.0.extend_from_slice(item);
        self
    }

    /// Returns the bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Adds an item's first byte and its argument, in as few bytes as hold it.
    fn head(mut self, major: u8, argument: u64) -> Self {
        let major = major << 5;
        match argument.to_be_bytes() {
            [0, 0, 0, 0, 0, 0, 0, value @ 0..=23] => self.0.push(major | value),
            [0, 0, 0, 0, 0, 0, 0, value] => self.0.extend([major | 24, value]),
            [0, 0, 0, 0, 0, 0, a, b] => self.0.extend([major | 25, a, b]),
            [0, 0, 0, 0, a, b, c, d] => self.0.extend([major | 26, a, b, c, d]),
            all => {
                self.0.push(major | 27);
                self.0.extend(all);
            }
        }
        self
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
