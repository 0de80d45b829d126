//! Sealed boxes: anonymous public-key boxes to the enclave's ephemeral key (tdh2 section 15).
//!
//! ```text
//! sealed = epk(32) ‖ tag(16) ‖ body          nonce = BLAKE2b-192(epk ‖ pk)
//! key    = HSalsa20(X25519(esk, pk))         tag ‖ body = XSalsa20-Poly1305(key, nonce, message)
//! ```
//!
//! A box says nothing about who sealed it: what is inside must prove itself.

use crypto_box::{PublicKey, SecretKey};
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// How much longer a sealed box is than its message.
pub const OVERHEAD_BYTES: usize = 48;

/// The enclave's short-lived X25519 key. Wiped when dropped.
// Boxed, so that moving the key does not leave copies of it behind.
pub struct EphemeralKey(Box<SecretKey>);

/// The public half of an [`EphemeralKey`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EphemeralPublicKey([u8; 32]);

/// Why bytes are not an ephemeral public key.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum EphemeralPublicKeyError {
    /// There are not 32 bytes.
    #[error("invalid public key length: expected 32 bytes, got {got} bytes")]
    Length {
        /// Bytes, or half the characters of a text.
        got: usize,
    },
    /// The text is not hexadecimal.
    #[error("a public key has only hexadecimal digits")]
    Digit,
    /// Every secret key shares the same secret with this point, so anybody can open its boxes.
    #[error("the public key has low order")]
    LowOrder,
}

/// The message is too long for a box; none that fits in memory is.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the message is too long to be sealed")]
pub struct SealError;

/// Why a sealed box was not opened.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    /// It is too short, for another key, or was changed; a box does not tell which.
    #[error("decryption failed")]
    Failed,
    /// Its key is a point of low order: nobody with a key of their own made it.
    #[error("decryption failed")]
    LowOrder,
}

impl EphemeralKey {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self::from_bytes(&bytes)
    }

    /// The key of 32 secret bytes; they are clamped when used (RFC 7748 section 5).
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Box::new(SecretKey::from_bytes(*bytes)))
    }

    /// The key to which boxes are sealed.
    #[must_use]
    pub fn public(&self) -> EphemeralPublicKey {
        EphemeralPublicKey(self.0.public_key().to_bytes())
    }

    /// Opens a box that was sealed to [`Self::public`].
    ///
    /// # Errors
    ///
    /// - [`OpenError::LowOrder`] for a box that the reference would open and nobody seals honestly.
    /// - [`OpenError::Failed`] for any other box that was not sealed to this key, as it is.
    pub fn open(&self, sealed: &[u8]) -> Result<Secret, OpenError> {
        let (sender, _) = sealed.split_first_chunk::<32>().ok_or(OpenError::Failed)?;
        if has_low_order(sender) {
            return Err(OpenError::LowOrder);
        }
        self.0.unseal(sealed).map(Secret::new).ok().ok_or(OpenError::Failed)
    }
}

impl Drop for EphemeralKey {
    fn drop(&mut self) {
        // The key's own drop wipes the scalar and leaves the bytes it came from. They are overwritten
        // in place; the black box keeps the compiler from leaving out a store that nobody reads.
        *self.0 = SecretKey::from_bytes([0; 32]);
        std::hint::black_box(&self.0);
    }
}

impl std::fmt::Debug for EphemeralKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EphemeralKey(of {})", self.public())
    }
}

impl EphemeralPublicKey {
    /// Parses the 32 bytes of a key.
    ///
    /// # Errors
    ///
    /// - [`EphemeralPublicKeyError::Length`], with the text of the reference.
    /// - [`EphemeralPublicKeyError::LowOrder`] for a point to which nothing can be sealed.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, EphemeralPublicKeyError> {
        let got = bytes.len();
        let key: [u8; 32] = bytes.try_into().ok().ok_or(EphemeralPublicKeyError::Length { got })?;
        if has_low_order(&key) {
            return Err(EphemeralPublicKeyError::LowOrder);
        }
        Ok(Self(key))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `message` so that only the holder of the key opens it. The random 32 bytes are the
    /// secret key of the box.
    ///
    /// # Errors
    ///
    /// [`SealError`] if the cipher refuses the length, which no message in memory reaches.
    pub fn seal(&self, message: &[u8], rng: &mut impl CryptoRngCore) -> Result<Vec<u8>, SealError> {
        PublicKey::from_bytes(self.0).seal(rng, message).ok().ok_or(SealError)
    }
}

impl std::str::FromStr for EphemeralPublicKey {
    type Err = EphemeralPublicKeyError;

    /// Reads 64 hexadecimal digits of any case, without `0x`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 64 {
            return Err(EphemeralPublicKeyError::Length { got: text.len() / 2 });
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok().ok_or(EphemeralPublicKeyError::Digit)?;
        Self::from_slice(&bytes)
    }
}

impl std::fmt::Display for EphemeralPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for EphemeralPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EphemeralPublicKey({self})")
    }
}

/// Whether a multiple of 8 times this point is zero, on the curve or its twist. Bit 255 does not count.
fn has_low_order(key: &[u8; 32]) -> bool {
    let mut key = *key;
    let [.., last] = &mut key;
    *last &= 0x7f;
    LOW_ORDER.contains(&key)
}

/// All encodings, below 2^255, of points whose order divides 8: `u` is 0, 1, -1, or one of the two
/// coordinates of order 8; only 0 and 1 are small enough to have a second encoding.
const LOW_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    low(1, 0),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    high(0xec),
    high(0xed),
    high(0xee),
];

/// A small number.
const fn low(first: u8, others: u8) -> [u8; 32] {
    let mut bytes = [others; 32];
    let [head, ..] = &mut bytes;
    *head = first;
    bytes
}

/// A number near 2^255 - 19, whose lowest byte is `0xed`.
const fn high(first: u8) -> [u8; 32] {
    let mut bytes = low(first, 0xff);
    let [.., last] = &mut bytes;
    *last = 0x7f;
    bytes
}

#[cfg(test)]
mod tests;
