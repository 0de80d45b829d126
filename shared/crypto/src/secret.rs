//! The one type for bytes that nobody may read by accident.

use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Bytes of a secret. Cannot be printed, compared or cloned; wiped when dropped.
///
/// The bytes stay in the allocation they came in: moving a `Secret` moves a pointer.
#[derive(ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes over `bytes` without copying them. What the caller copied before stays the caller's.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Lends the bytes. Search for this name to find every use of a secret.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The number of bytes. It is no secret: boxes and ciphertexts show it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes; an empty secret is a valid one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Zeroizing<Vec<u8>>> for Secret {
    /// Takes over the buffer itself, so that no second copy exists.
    fn from(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(std::mem::take(&mut *bytes))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lends_what_it_was_given() {
        let secret = Secret::new(b"hunter2".to_vec());
        assert_eq!(secret.expose(), b"hunter2");
        assert_eq!((secret.len(), secret.is_empty()), (7, false));
        assert!(Secret::new(Vec::new()).is_empty());
    }

    #[test]
    fn a_zeroizing_buffer_is_moved_not_copied() {
        let buffer = Zeroizing::new(b"hunter2".to_vec());
        let address = buffer.as_ptr();
        assert_eq!(Secret::from(buffer).expose().as_ptr(), address);
    }

    #[test]
    fn no_format_prints_it() {
        let secret = Secret::new(b"hunter2".to_vec());
        assert_eq!(
            format!("{secret:?} {secret:#?} {:?}", Some(&secret)),
            "Secret Secret Some(Secret)"
        );
    }

    #[test]
    fn is_wiped_on_drop() {
        fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<Secret>();
    }
}
