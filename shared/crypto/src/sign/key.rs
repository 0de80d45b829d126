//! Public keys of committee members, refused here or good for ever (W-12).

use std::cmp::Ordering;

use ed25519_dalek::VerifyingKey;

use crate::digits::{self, DigitsError};

/// An ed25519 public key that can stand for a member of a committee.
///
/// Ordered and hashed by its 32 bytes.
#[derive(Clone, Copy)]
pub struct SignerKey(VerifyingKey);

/// Why bytes are not a signer's key.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignerKeyError {
    /// There are not 32 bytes.
    #[error("a signer key has 32 bytes, got {got}")]
    Length {
        /// Bytes.
        got: usize,
    },
    /// The text does not have 64 characters.
    #[error("a signer key has 64 hexadecimal digits, got {got} characters")]
    DigitCount {
        /// Characters.
        got: usize,
    },
    /// The text is not hexadecimal.
    #[error("a signer key has only hexadecimal digits")]
    Digit,
    /// No point of the curve has this encoding.
    #[error("the signer key is not a point of the curve")]
    NotAPoint,
    /// The point has an order of at most 8, so anybody can sign for it.
    #[error("the signer key has small order")]
    SmallOrder,
    /// The point has another, shorter encoding, so one signer could count as two.
    #[error("the signer key is not in its canonical encoding")]
    NotCanonical,
}

impl SignerKey {
    /// Parses the 32 bytes of a key.
    ///
    /// # Errors
    ///
    /// - [`SignerKeyError::Length`], [`SignerKeyError::NotAPoint`] for what is no key at all.
    /// - [`SignerKeyError::SmallOrder`], [`SignerKeyError::NotCanonical`] for keys that the reference
    ///   takes and no honest node has.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SignerKeyError> {
        let got = bytes.len();
        let bytes = bytes.try_into().ok().ok_or(SignerKeyError::Length { got })?;
        let key = VerifyingKey::from_bytes(bytes).ok().ok_or(SignerKeyError::NotAPoint)?;
        if key.is_weak() {
            return Err(SignerKeyError::SmallOrder);
        }
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(SignerKeyError::NotCanonical);
        }
        Ok(Self(key))
    }

    /// A key that was just computed from a seed, so it is canonical and of prime order.
    pub(super) fn of_signing_key(key: VerifyingKey) -> Self {
        Self(key)
    }

    pub(super) fn verifying(&self) -> &VerifyingKey {
        &self.0
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl From<DigitsError> for SignerKeyError {
    fn from(error: DigitsError) -> Self {
        match error {
            DigitsError::Count { got } => Self::DigitCount { got },
            DigitsError::Digit => Self::Digit,
        }
    }
}

impl std::str::FromStr for SignerKey {
    type Err = SignerKeyError;

    /// Reads 64 hexadecimal digits of any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_slice(&digits::decode(text)?)
    }
}

impl std::fmt::Display for SignerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl std::fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignerKey({self})")
    }
}

impl PartialEq for SignerKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for SignerKey {}

impl PartialOrd for SignerKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SignerKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl std::hash::Hash for SignerKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}
