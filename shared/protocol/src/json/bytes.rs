//! Byte strings: base64 in JSON, nil told apart from empty.

use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::{Context, Refusal, Wire, Writer};
use crate::base64;

/// A byte string that may be nil.
///
/// Nil and empty hash and compare alike to a peer's logic, but are written differently (`null` and
/// `""`), so both survive a round trip. Only the length is printed.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Option<Vec<u8>>);

impl Bytes {
    /// No byte string at all; written as `null`.
    #[must_use]
    pub const fn nil() -> Self {
        Self(None)
    }

    /// Whether this is nil rather than a byte string.
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes; none for nil.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// The bytes by value; none for nil.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0.unwrap_or_default()
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Some(bytes))
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(Some(bytes.to_vec()))
    }
}

impl From<Option<Vec<u8>>> for Bytes {
    fn from(bytes: Option<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(bytes) => write!(f, "Bytes({})", bytes.len()),
            None => f.write_str("Bytes(nil)"),
        }
    }
}

impl Wire for Bytes {
    fn write(&self, out: &mut Writer) {
        match &self.0 {
            Some(bytes) => out.base64(bytes),
            None => out.null(),
        }
    }

    fn read<'de, D: Deserializer<'de>>(input: D, context: &Context) -> Result<Self, D::Error> {
        input.deserialize_any(BytesVisitor(context))
    }

    fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

struct BytesVisitor<'c>(&'c Context);

impl<'de> Visitor<'de> for BytesVisitor<'_> {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64 text")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Bytes, E> {
        Ok(Bytes::nil())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        match base64::decode(text) {
            Ok(bytes) => Ok(Bytes(Some(bytes))),
            Err(_error) => Err(self.0.refuse(Refusal::Base64)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _items: A) -> Result<Bytes, A::Error> {
        Err(self.0.refuse(Refusal::BytesAsNumbers))
    }
}
