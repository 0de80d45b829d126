//! The one type for what nobody may read by accident.

use std::ops::Deref;

use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A secret: bytes, or text as [`SecretText`]. Cannot be printed or cloned; wiped when dropped.
///
/// The contents stay in the allocation they came in: moving a `Secret` moves a pointer. Two secrets
/// are compared in a time that depends on their lengths alone. Reading one from a file is easy;
/// whoever writes one says so by [`Secret::expose`].
#[derive(Default, Zeroize, ZeroizeOnDrop)]
pub struct Secret<T: Zeroize = Vec<u8>>(T);

/// A secret that is UTF-8 text: a token, a key in hexadecimal digits.
pub type SecretText = Secret<String>;

/// The bytes of a secret are not UTF-8 text. Where they stop to be is not said.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the secret is not UTF-8 text")]
pub struct NotTextError;

impl<T: Zeroize> Secret<T> {
    /// Takes over the contents without copying them. What the caller copied before stays the caller's.
    #[must_use]
    pub fn new(contents: T) -> Self {
        Self(contents)
    }
}

impl<T: Zeroize + Deref<Target: AsRef<[u8]>>> Secret<T> {
    /// Lends the contents. Search for this name to find every use of a secret.
    #[must_use]
    pub fn expose(&self) -> &T::Target {
        &self.0
    }

    /// The number of bytes. It is no secret: boxes and ciphertexts show it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether there are no bytes; an empty secret is a valid one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Whether these are its bytes. How long that takes depends on the two lengths alone.
    #[must_use]
    pub fn equals(&self, other: &[u8]) -> bool {
        self.bytes().ct_eq(other).into()
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl Secret {
    /// The same secret as text, in the same allocation.
    ///
    /// # Errors
    ///
    /// [`NotTextError`] if the bytes are not UTF-8; they are wiped.
    pub fn into_text(mut self) -> Result<SecretText, NotTextError> {
        let text = String::from_utf8(std::mem::take(&mut self.0)).map_err(|error| {
            drop(Self(error.into_bytes()));
            NotTextError
        });
        text.map(Secret)
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl<T: Zeroize + Default> From<Zeroizing<T>> for Secret<T> {
    /// Takes over the buffer itself, so that no second copy exists.
    fn from(mut contents: Zeroizing<T>) -> Self {
        Self(std::mem::take(&mut *contents))
    }
}

impl<T: Zeroize + Deref<Target: AsRef<[u8]>>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.equals(other.bytes())
    }
}

impl<T: Zeroize + Deref<Target: AsRef<[u8]>>> Eq for Secret<T> {}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        String::deserialize(reader).map(Self)
    }
}

impl<T: Zeroize> std::fmt::Debug for Secret<T> {
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
        assert_eq!(SecretText::from("hunter2".to_owned()).expose(), "hunter2");
    }

    #[test]
    fn a_zeroizing_buffer_is_moved_not_copied() {
        let buffer = Zeroizing::new(b"hunter2".to_vec());
        let address = buffer.as_ptr();
        assert_eq!(Secret::from(buffer).expose().as_ptr(), address);
    }

    #[test]
    fn text_is_moved_not_copied() {
        let secret = Secret::new("hünter2".as_bytes().to_vec());
        let address = secret.expose().as_ptr();
        let text = secret.into_text().unwrap();
        assert_eq!((text.expose(), text.len()), ("hünter2", 8));
        assert_eq!(text.expose().as_ptr(), address);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_no_text_and_are_not_repeated() {
        let refused = Secret::new(b"hunter2\xff".to_vec()).into_text().unwrap_err();
        assert_eq!(refused, NotTextError);
        assert_eq!(refused.to_string(), "the secret is not UTF-8 text");
    }

    #[test]
    fn only_equal_bytes_are_equal() {
        let secret = Secret::new(b"hunter2".to_vec());
        assert!(secret.equals(b"hunter2") && secret == Secret::new(b"hunter2".to_vec()));
        for other in [&b"hunter1"[..], b"Hunter2", b"hunter", b"hunter22", b""] {
            assert!(!secret.equals(other) && secret != Secret::new(other.to_vec()), "{other:?}");
        }
    }

    #[test]
    fn no_format_prints_it() {
        let secret = Secret::new(b"hunter2".to_vec());
        let text = SecretText::from("hunter2".to_owned());
        assert_eq!(
            format!("{secret:?} {secret:#?} {:?} {text:?}", Some(&secret)),
            "Secret Secret Some(Secret) Secret"
        );
    }

    #[test]
    fn is_wiped_on_drop() {
        fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<Secret>();
        wiped::<SecretText>();
    }

    #[test]
    fn wiping_leaves_nothing_to_lend() {
        let (mut secret, mut text) = (Secret::new(vec![7; 7]), SecretText::from("a".to_owned()));
        secret.zeroize();
        text.zeroize();
        assert!(secret.is_empty() && text.is_empty());
    }
}
