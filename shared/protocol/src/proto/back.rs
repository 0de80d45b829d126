//! A writer that fills its buffer from the end, so that the length of what a prefix precedes is
//! known when the prefix is written, and nested messages are written once instead of copied at
//! every level.

/// Bytes in reverse order.
#[derive(Debug)]
pub(super) struct Back(Vec<u8>);

impl Back {
    /// An empty buffer with room for so many bytes: what is written may be secret, and a buffer that
    /// grows leaves a copy behind.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// How many bytes are written.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Puts bytes in front of what is written.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes.iter().rev());
    }

    /// Puts a number in front.
    pub(super) fn varint(&mut self, mut number: u64) {
        let mut encoded = [0_u8; 10];
        let mut length = 0_usize;
        for byte in &mut encoded {
            let low = u8::try_from(number & 0x7f).unwrap_or(0);
            number >>= 7;
            length = length.saturating_add(1);
            if number == 0 {
                *byte = low;
                break;
            }
            *byte = low | 0x80;
        }
        self.bytes(encoded.get(..length).unwrap_or_default());
    }

    /// Puts the tag and the length in front of what was written since there were `before` bytes.
    pub(super) fn prefix(&mut self, number: u32, before: usize) {
        self.varint(self.len().saturating_sub(before) as u64);
        self.tag(number, 2);
    }

    /// Puts a tag in front.
    pub(super) fn tag(&mut self, number: u32, wire_type: u64) {
        self.varint(u64::from(number) << 3 | wire_type);
    }

    /// The bytes in the right order.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.reverse();
        self.0
    }
}
