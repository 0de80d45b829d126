//! Sealed boxes: anonymous public-key boxes to the enclave's ephemeral key (tdh2 section 15).
//!
//! ```text
//! sealed = epk(32) ‖ tag(16) ‖ body          nonce = BLAKE2b-192(epk ‖ pk)
//! key    = HSalsa20(X25519(esk, pk))         tag ‖ body = XSalsa20-Poly1305(key, nonce, message)
//! ```
//!
//! A box says nothing about who sealed it: what is inside must prove itself.
//!
//! The nonce binds the recipient's key in its encoding, so a box to a second encoding of a key never
//! opens: a recipient's key is canonical or refused. The key inside a box is part of the nonce as it
//! was sent, in any encoding, as the reference has it; no sender that makes keys writes a second one.
//!
//! The exchange is RFC 7748's on every point, which crypto_box 0.9 is not: it reduces the secret scalar
//! modulo the group order, so its boxes differ for points outside the group of that order.

use blake2::{Blake2b, Digest as _, digest::consts::U24};
use crypto_secretbox::{AeadInPlace as _, KeyInit as _, Nonce, Tag, XSalsa20Poly1305};
use rand_core::CryptoRngCore;
use salsa20::{cipher::consts::U10, hsalsa};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use crate::{
    digits,
    secret::Secret,
    x25519::{self, PublicKeyError},
};

/// How much longer a sealed box is than its message.
pub const OVERHEAD_BYTES: usize = 48;

/// The longest message of a box: decryption shares travel in boxes, and their reader takes 1 KiB.
pub const LONGEST_MESSAGE_BYTES: usize = 1024;

/// The longest box that is opened.
pub const LONGEST_SEALED_BYTES: usize = LONGEST_MESSAGE_BYTES + OVERHEAD_BYTES;

/// The enclave's short-lived X25519 key. Wiped when dropped.
// Boxed, so that moving the key does not leave copies of it behind.
pub struct EphemeralKey(Box<StaticSecret>);

/// The public half of an [`EphemeralKey`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EphemeralPublicKey([u8; 32]);

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// The box would be longer than its reader takes.
    #[error("{got} bytes are too long to be sealed, the limit is {LONGEST_MESSAGE_BYTES}")]
    TooLong {
        /// Bytes of the message.
        got: usize,
    },
    /// The cipher refuses; for a message within the limit it does not.
    #[error("the message cannot be sealed")]
    Cipher,
}

/// Why a sealed box was not opened.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    /// It is too short, for another key, or was changed; a box does not tell which.
    #[error("decryption failed")]
    Failed,
    /// It is longer than [`LONGEST_SEALED_BYTES`] and was not looked at.
    #[error("decryption failed")]
    TooLong {
        /// Its length in bytes.
        got: usize,
    },
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
        Self(Box::new(StaticSecret::from(*bytes)))
    }

    /// The key to which boxes are sealed.
    #[must_use]
    pub fn public(&self) -> EphemeralPublicKey {
        EphemeralPublicKey(x25519_dalek::PublicKey::from(&*self.0).to_bytes())
    }

    /// Opens a box that was sealed to [`Self::public`].
    ///
    /// # Errors
    ///
    /// - [`OpenError::TooLong`] for more than [`LONGEST_SEALED_BYTES`].
    /// - [`OpenError::LowOrder`] for a box that the reference would open and nobody seals honestly.
    /// - [`OpenError::Failed`] for any other box that was not sealed to this key, as it is.
    pub fn open(&self, sealed: &[u8]) -> Result<Secret, OpenError> {
        let got = sealed.len();
        if got > LONGEST_SEALED_BYTES {
            return Err(OpenError::TooLong { got });
        }
        let (sender, rest) = sealed.split_first_chunk().ok_or(OpenError::Failed)?;
        let (tag, body) = rest.split_first_chunk::<16>().ok_or(OpenError::Failed)?;
        let cipher = self.cipher(sender).ok_or(OpenError::LowOrder)?;
        let nonce = nonce(sender, &self.public().0);
        let mut message = Zeroizing::new(body.to_vec());
        cipher
            .decrypt_in_place_detached(&nonce, b"", &mut message, Tag::from_slice(tag))
            .map(|()| message.into())
            .ok()
            .ok_or(OpenError::Failed)
    }

    /// The cipher of a box between this key and another; `None` if that one has low order.
    fn cipher(&self, other: &[u8; 32]) -> Option<XSalsa20Poly1305> {
        let shared = self.0.diffie_hellman(&(*other).into());
        if !shared.was_contributory() {
            return None;
        }
        let key = Zeroizing::new(hsalsa::<U10>(shared.as_bytes().into(), &[0; 16].into()));
        Some(XSalsa20Poly1305::new(&key))
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
    /// - [`PublicKeyError::Length`], with the text of the reference.
    /// - [`PublicKeyError::LowOrder`] for a point to which nothing can be sealed.
    /// - [`PublicKeyError::NotCanonical`] for a number not below 2^255 - 19.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        x25519::parse(bytes).map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `message` so that only the holder of the key opens it. The random 32 bytes are the
    /// secret key of the box; they are wiped.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLong`] for more than [`LONGEST_MESSAGE_BYTES`].
    pub fn seal(&self, message: &[u8], rng: &mut impl CryptoRngCore) -> Result<Vec<u8>, SealError> {
        let got = message.len();
        if got > LONGEST_MESSAGE_BYTES {
            return Err(SealError::TooLong { got });
        }
        let ephemeral = EphemeralKey::generate(rng);
        let sender = ephemeral.public();
        let cipher = ephemeral.cipher(&self.0).ok_or(SealError::Cipher)?;
        // Encrypted where it is sent from: no other copy of the message is made.
        let mut body = message.to_vec();
        let tag = cipher
            .encrypt_in_place_detached(&nonce(&sender.0, &self.0), b"", &mut body)
            .ok()
            .ok_or(SealError::Cipher)?;
        Ok([sender.0.as_slice(), tag.as_slice(), body.as_slice()].concat())
    }
}

impl std::str::FromStr for EphemeralPublicKey {
    type Err = PublicKeyError;

    /// Reads 64 hexadecimal digits of any case, without `0x`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_slice(&digits::decode(text)?)
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

/// `BLAKE2b-192(epk ‖ pk)`.
fn nonce(sender: &[u8; 32], recipient: &[u8; 32]) -> Nonce {
    Blake2b::<U24>::new().chain_update(sender).chain_update(recipient).finalize()
}

#[cfg(test)]
mod tests;
