//! SHA-256, for what is known by its hash.

use aws_lc_rs::digest::{self, SHA256};

/// A SHA-256 under way.
#[derive(Clone)]
pub(crate) struct Sha256(digest::Context);

/// SHA-256 of these bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.finish()
}

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(digest::Context::new(&SHA256))
    }

    /// Adds bytes as they are.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds bytes with their length before them, so that no two lists of fields are one.
    pub(crate) fn field(&mut self, bytes: &[u8]) {
        self.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.update(bytes);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut value = [0; 32];
        value.copy_from_slice(self.0.finish().as_ref());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        // FIPS 180-4, the example of one block.
        let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(sha256(b"abc")), want);
    }

    #[test]
    fn a_field_is_its_length_and_its_bytes() {
        let mut hash = Sha256::new();
        hash.field(b"abc");
        assert_eq!(hash.finish(), sha256(b"\0\0\0\0\0\0\0\x03abc"));
    }
}
