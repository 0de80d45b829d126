//! The two outer encodings of a ciphertext: JSON, and fields with their length in front.
//!
//! ```text
//! JSON      {"TDH2Ctxt":base64,"SymCtxt":base64,"Nonce":base64}                      first byte {
//! prefixed  length(4) ‖ TDH2Ctxt ‖ length(4) ‖ SymCtxt ‖ length(4) ‖ Nonce           first byte 0
//! ```
//!
//! Clients write JSON today. Of the second form enclave-and-host 5.1 and 17.3 say: it replaces the
//! outer JSON alone, by fields behind a big-endian length of 4 bytes, and the first byte tells the two
//! apart. Assumed beyond that, and nowhere recorded: the fields are all three and in the order of the
//! JSON members, and nothing stands before, between or behind them. `TDH2Ctxt` stays the JSON text
//! that the proof is read from, so a wrong assumption refuses ciphertexts and accepts none.

use super::json::{Object, ParseError, Writer};

/// What both encodings carry.
#[derive(Clone)]
pub(super) struct Outer {
    /// The JSON text of the inner ciphertext.
    pub(super) inner: Vec<u8>,
    /// The AES-GCM ciphertext with its tag.
    pub(super) sealed: Vec<u8>,
    /// The AES-GCM nonce.
    pub(super) nonce: Vec<u8>,
}

/// Why bytes are in neither encoding.
pub(super) enum OuterError {
    Json(ParseError),
    Fields,
}

impl Outer {
    /// Reads at most `limit` bytes in either encoding.
    pub(super) fn parse(bytes: &[u8], limit: usize) -> Result<Self, OuterError> {
        // A length of at most `limit` does not fill the first of its four bytes, and no JSON text
        // begins with a zero byte.
        if bytes.first() == Some(&0) && bytes.len() <= limit {
            return Self::of_fields(bytes).ok_or(OuterError::Fields);
        }
        Self::of_json(bytes, limit).map_err(OuterError::Json)
    }

    fn of_json(text: &[u8], limit: usize) -> Result<Self, ParseError> {
        let object = Object::parse(text, &["TDH2Ctxt", "SymCtxt", "Nonce"], limit)?;
        let member = |name| object.bytes(name).map(|bytes| bytes.to_vec());
        let (inner, sealed, nonce) = (member("TDH2Ctxt")?, member("SymCtxt")?, member("Nonce")?);
        Ok(Self { inner, sealed, nonce })
    }

    fn of_fields(bytes: &[u8]) -> Option<Self> {
        let (inner, rest) = split_field(bytes)?;
        let (sealed, rest) = split_field(rest)?;
        let (nonce, rest) = split_field(rest)?;
        let [] = rest else { return None };
        Some(Self { inner: inner.to_vec(), sealed: sealed.to_vec(), nonce: nonce.to_vec() })
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let bytes = self.inner.len().saturating_add(self.sealed.len());
        let mut text = Writer::with_capacity(bytes.saturating_mul(2))
            .bytes("TDH2Ctxt", &self.inner)
            .bytes("SymCtxt", &self.sealed)
            .bytes("Nonce", &self.nonce)
            .finish();
        std::mem::take(&mut *text)
    }

    pub(super) fn to_fields(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in [&self.inner, &self.sealed, &self.nonce] {
            // The limit of what was read or made is far below the largest length.
            let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(field);
        }
        bytes
    }
}

/// A field and what follows it.
fn split_field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests;
