//! The protobuf messages that cross a border, one module per package.
//!
//! A declaration gives the struct, its full name and its schema ([`Message`]), so `Any` payloads are
//! packed and unpacked by one pair of functions. [`encode`] writes what the reference's
//! deterministic encoder writes: fields by number, members of a `oneof` after all others, map
//! entries by key. Unknown fields do not survive a struct; where they must, use
//! [`crate::proto`] on the bytes.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::proto::{self, Schema, WireError};

#[macro_use]
mod declare;

pub mod capabilities;
pub mod confidential_http;
pub mod confidential_workflow;
pub mod conformance;
pub mod consensus;
pub mod cron;
pub mod devnet;
pub mod http;
pub mod sdk;
pub mod storage;
pub mod telemetry;
pub mod values;
pub mod vault;
pub mod well_known;

use well_known::Any;

/// A message of the schema, by its full name.
pub trait Message: prost::Message + Described + Default {
    /// The full name with its package.
    const NAME: &'static str;
}

/// Something whose bytes are those of a message type.
pub trait Described {
    /// The fields of that type.
    fn schema() -> &'static Schema;
}

impl<T: Described> Described for Option<T> {
    fn schema() -> &'static Schema {
        T::schema()
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema() -> &'static Schema {
        T::schema()
    }
}

impl<K, T: Described> Described for BTreeMap<K, T> {
    fn schema() -> &'static Schema {
        T::schema()
    }
}

/// The bytes were not the expected message.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeMessageError {
    /// The payload names another message.
    #[error("payload is not a {want}")]
    OtherType {
        /// The message that was expected.
        want: &'static str,
    },
    /// The bytes are no such message, nest deeper than [`proto::STRUCT_DEPTH`], or would take far
    /// more memory than they are long.
    #[error("malformed {name}")]
    Malformed {
        /// The message that was expected.
        name: &'static str,
        /// What is wrong with them.
        #[source]
        source: WireError,
    },
}

/// Encodes a message as the reference's deterministic encoder does.
#[must_use]
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    if !M::schema().is_derived_otherwise() {
        return message.encode_to_vec();
    }
    // It may hold secrets.
    let derived = Zeroizing::new(message.encode_to_vec());
    proto::reordered(M::schema(), &derived)
}

/// Decodes a message; unknown fields are dropped.
///
/// Lists and maps of the message take at most [`proto::EXPANSION`] bytes for each byte of it, and at most
/// four and 8 MiB where it is long.
///
/// # Errors
///
/// [`DecodeMessageError::Malformed`] if the bytes are no such message, or have a known field in a wire
/// type that it cannot have; the reference takes that as an unknown field, and nobody writes it.
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, DecodeMessageError> {
    proto::check_struct(M::schema(), bytes).and_then(|()| checked(bytes)).map_err(malformed::<M>)
}

/// The same for a message of the reader's own, whose lists and maps may take [`proto::EXPANSION`] bytes
/// for each byte of it however long it is: a workflow has its memory to itself, a caller asked for a result.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_own<M: Message>(bytes: &[u8]) -> Result<M, DecodeMessageError> {
    proto::check_own(M::schema(), bytes).and_then(|()| checked(bytes)).map_err(malformed::<M>)
}

/// What is left to refuse are groups that nest deep.
fn checked<M: Message>(bytes: &[u8]) -> Result<M, WireError> {
    M::decode(bytes).map_err(|_error| WireError::Malformed)
}

fn malformed<M: Message>(source: WireError) -> DecodeMessageError {
    DecodeMessageError::Malformed { name: M::NAME, source }
}

/// Wraps a message in an `Any` under its type URL.
#[must_use]
pub fn pack<M: Message>(message: &M) -> Any {
    Any { type_url: type_url(M::NAME), value: encode(message) }
}

/// Takes a message out of an `Any`.
///
/// # Errors
///
/// - [`DecodeMessageError::OtherType`] if the `Any` names another message.
/// - [`DecodeMessageError::Malformed`] if its bytes are no such message.
pub fn unpack<M: Message>(any: &Any) -> Result<M, DecodeMessageError> {
    decode(value_of::<M>(any)?)
}

/// The same for a message of the reader's own; see [`decode_own`].
///
/// # Errors
///
/// As [`unpack`].
pub fn unpack_own<M: Message>(any: &Any) -> Result<M, DecodeMessageError> {
    decode_own(value_of::<M>(any)?)
}

fn value_of<M: Message>(any: &Any) -> Result<&[u8], DecodeMessageError> {
    if names(any, M::NAME) {
        Ok(&any.value)
    } else {
        Err(DecodeMessageError::OtherType { want: M::NAME })
    }
}

/// Decodes a message without unknown fields of any level, a known field in a foreign wire type among them.
///
/// # Errors
///
/// [`WireError`], as the reference's decoder has it, and for what nests deeper than
/// [`proto::STRUCT_DEPTH`] or would take too much memory.
pub fn decode_known<M: Message>(bytes: &[u8]) -> Result<M, WireError> {
    let known = proto::canonical_known(M::schema(), bytes)?;
    proto::check_struct(M::schema(), &known)?;
    checked(&known)
}

/// The name of the message in an `Any`; none if the text is no such name.
#[must_use]
pub fn name(any: &Any) -> &str {
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if name.split('.').all(is_word) { name } else { "" }
}

/// Whether an `Any` names this message: only what follows the last `/` counts.
#[must_use]
pub fn names(any: &Any, name: &str) -> bool {
    self::name(any) == name
}

/// The type URL under which a message is packed.
#[must_use]
pub fn type_url(name: &str) -> String {
    format!("type.googleapis.com/{name}")
}

#[cfg(test)]
mod tests;
