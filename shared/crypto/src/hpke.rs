//! Public-key encryption of RFC 9180 in its base mode, one message per key exchange.
//!
//! ```text
//! suite   DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305
//! sealed  = enc(32) ‖ ciphertext ‖ tag(16)
//! enc, S  = Encap(pk)                key, nonce = KeySchedule(S, info)
//! ciphertext ‖ tag = ChaCha20-Poly1305(key, nonce, aad, message)
//! ```
//!
//! `info` says what the message is for and `aad` to what it belongs; both ends know them, neither is
//! sent. As with [`crate::seal`], nothing says who sealed it: what is inside must prove itself.
//!
//! ```
//! use crypto::hpke::SecretKey;
//! use rand_core::OsRng;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = SecretKey::generate(&mut OsRng);
//! let sealed = key.public().seal(b"settings", b"epoch 7", b"hunter2", &mut OsRng)?;
//! assert_eq!(key.open(b"settings", b"epoch 7", &sealed)?.expose(), b"hunter2");
//! assert!(key.open(b"settings", b"epoch 8", &sealed).is_err());
//! # Ok(())
//! # }
//! ```

use hpke::{
    Deserializable as _, HpkeError, Kem as _, OpModeR, OpModeS, Serializable as _,
    aead::{AeadTag, ChaCha20Poly1305},
    kdf::HkdfSha256,
    kem::X25519HkdfSha256,
    single_shot_open_in_place_detached, single_shot_seal_in_place_detached,
};
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::{
    secret::Secret,
    x25519::{self, PublicKeyError},
};

/// How much longer a sealed message is than the message.
pub const OVERHEAD_BYTES: usize = ENC_BYTES + TAG_BYTES;

/// The longest message: room for every answer of an enclave, and a bound on what a reader copies.
pub const LONGEST_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The longest `info` and the longest `aad`: they are names and hashes, no data.
pub const LONGEST_CONTEXT_BYTES: usize = 64 * 1024;

/// An X25519 key that opens messages. Cannot be printed; wiped when dropped.
// Boxed, so that moving the key does not leave copies of it behind.
pub struct SecretKey(Box<<X25519HkdfSha256 as hpke::Kem>::PrivateKey>);

/// The public half of a [`SecretKey`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// The message, `info` or `aad` is longer than its limit.
    #[error(transparent)]
    TooLong(#[from] TooLongError),
    /// The cipher refuses; within the limits it does not.
    #[error("the message cannot be sealed")]
    Cipher,
}

/// Why a sealed message was not opened.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    /// The message, `info` or `aad` is longer than its limit; nothing was looked at.
    #[error(transparent)]
    TooLong(#[from] TooLongError),
    /// It is too short, for another key, `info` or `aad`, or was changed; which, it does not tell.
    #[error("decryption failed")]
    Failed,
    /// Its `enc` is a point of low order: nobody with a key of their own made it (RFC 9180 section 7.1.4).
    #[error("decryption failed")]
    LowOrder,
}

/// A part is longer than its limit.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{got} bytes of {part} are too long, the limit is {limit}")]
pub struct TooLongError {
    /// `info`, `aad` or the message.
    pub part: &'static str,
    /// Its length in bytes.
    pub got: usize,
    /// The limit in bytes.
    pub limit: usize,
}

impl SecretKey {
    /// A fresh key: `DeriveKeyPair` of 32 random bytes (RFC 9180 section 7.1.3).
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let mut material = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *material);
        let (secret, _) = X25519HkdfSha256::derive_keypair(&*material);
        Self(Box::new(secret))
    }

    /// The key to which messages are sealed.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(X25519HkdfSha256::sk_to_pk(&self.0).to_bytes().into())
    }

    /// Opens what was sealed to [`Self::public`] with the same `info` and `aad`.
    ///
    /// # Errors
    ///
    /// [`OpenError`], in the order of its variants but the last two, between which the length of the
    /// message and its `enc` decide.
    pub fn open(&self, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Secret, OpenError> {
        bound(info, aad, sealed.len().saturating_sub(OVERHEAD_BYTES))?;
        let (enc, rest) = sealed.split_first_chunk::<ENC_BYTES>().ok_or(OpenError::Failed)?;
        let (body, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(OpenError::Failed)?;
        let refused = |error| {
            if error == HpkeError::DecapError { OpenError::LowOrder } else { OpenError::Failed }
        };
        let enc = <X25519HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(enc).map_err(refused)?;
        let tag = AeadTag::<ChaCha20Poly1305>::from_bytes(tag).map_err(refused)?;
        let mut message = Zeroizing::new(body.to_vec());
        single_shot_open_in_place_detached::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.0,
            &enc,
            info,
            &mut message,
            aad,
            &tag,
        )
        .map_err(refused)?;
        Ok(message.into())
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}

impl PublicKey {
    /// Parses the 32 bytes of a key.
    ///
    /// # Errors
    ///
    /// [`PublicKeyError`]: the length, then a point of low order, then a second encoding.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        x25519::parse(bytes).map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `message` so that only the holder of the key opens it, with the same `info` and `aad`.
    ///
    /// Draws 32 bytes, the key material of the message.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLong`]: `info`, `aad`, then the message.
    pub fn seal(
        &self,
        info: &[u8],
        aad: &[u8],
        message: &[u8],
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<u8>, SealError> {
        bound(info, aad, message.len())?;
        let key = <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(&self.0);
        let mut body = message.to_vec();
        let (enc, tag) = key
            .and_then(|key| {
                single_shot_seal_in_place_detached::<
                    ChaCha20Poly1305,
                    HkdfSha256,
                    X25519HkdfSha256,
                    _,
                >(&OpModeS::Base, &key, info, &mut body, aad, rng)
            })
            .ok()
            .ok_or(SealError::Cipher)?;
        Ok([enc.to_bytes().as_slice(), &body, tag.to_bytes().as_slice()].concat())
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.0))
    }
}

fn bound(info: &[u8], aad: &[u8], message_bytes: usize) -> Result<(), TooLongError> {
    for (part, got, limit) in [
        ("info", info.len(), LONGEST_CONTEXT_BYTES),
        ("aad", aad.len(), LONGEST_CONTEXT_BYTES),
        ("the message", message_bytes, LONGEST_MESSAGE_BYTES),
    ] {
        if got > limit {
            return Err(TooLongError { part, got, limit });
        }
    }
    Ok(())
}

/// Bytes of an encapsulated key.
const ENC_BYTES: usize = 32;

/// Bytes of a Poly1305 tag.
const TAG_BYTES: usize = 16;

#[cfg(test)]
mod tests;
