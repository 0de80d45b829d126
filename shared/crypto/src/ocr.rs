//! Signatures of OCR signers over a 32-byte digest (relay-protocol 12.2).
//!
//! ```text
//! signature = r(32) ‖ s(32) ‖ v(1), v in {0, 1}      address = Keccak256(X ‖ Y)[12..]
//! ```
//!
//! The digest is signed as it is. The signer is what recovery gives, never what is claimed.

use k256::ecdsa::{RecoveryId, SigningKey, VerifyingKey};
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::address::Address;

/// A secp256k1 key that signs reports. Wiped when dropped.
// Boxed, so that moving the key does not leave copies of it behind.
pub struct OcrSigningKey(Box<SigningKey>);

/// Why no address stands behind a signature.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum OcrSignatureError {
    /// The signature is not 65 bytes long.
    #[error("an OCR signature has 65 bytes, got {got}")]
    Length {
        /// Its length in bytes.
        got: usize,
    },
    /// The last byte is neither 0 nor 1. The values 27 and 28 of older tools are not accepted.
    #[error("the recovery id of an OCR signature is 0 or 1, got {got}")]
    RecoveryId {
        /// The byte.
        got: u8,
    },
    /// No key made this signature: a number is out of range, or `r` is no point's coordinate.
    #[error("no key made the OCR signature")]
    NoKey,
    /// The key that made it has another address.
    #[error("the OCR signature is from another signer")]
    OtherSigner,
}

/// The bytes are not a number from 1 to the group order less one.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the bytes are not a secp256k1 key")]
pub struct OcrSigningKeyError;

impl OcrSigningKey {
    /// The key of 32 secret bytes, big-endian.
    ///
    /// # Errors
    ///
    /// [`OcrSigningKeyError`] for zero and for numbers not below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, OcrSigningKeyError> {
        let key = SigningKey::from_bytes(bytes.into()).ok().ok_or(OcrSigningKeyError)?;
        Ok(Self(Box::new(key)))
    }

    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        // One draw of 2^128 is out of range.
        loop {
            rng.fill_bytes(&mut *bytes);
            if let Ok(key) = Self::from_bytes(&bytes) {
                return key;
            }
        }
    }

    /// The address under which the key is known.
    #[must_use]
    pub fn address(&self) -> Address {
        address_of(self.0.verifying_key())
    }

    /// Signs `digest`: `r ‖ s ‖ v` with low `s` and the nonce of RFC 6979.
    ///
    /// # Errors
    ///
    /// [`OcrSignatureError::NoKey`] for a digest that has no signature; none is known.
    pub fn sign(&self, digest: &[u8; 32]) -> Result<[u8; 65], OcrSignatureError> {
        let signed = self.0.sign_prehash_recoverable(digest).ok();
        let (signature, recovery) = signed.ok_or(OcrSignatureError::NoKey)?;
        let mut bytes = [recovery.to_byte(); 65];
        for (to, from) in bytes.iter_mut().zip(signature.to_bytes()) {
            *to = from;
        }
        Ok(bytes)
    }
}

impl std::fmt::Debug for OcrSigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OcrSigningKey(of {})", self.address())
    }
}

/// Recovers the address of the key that signed `digest`. Both halves of `s` are accepted.
///
/// # Errors
///
/// [`OcrSignatureError`]: the length, the recovery id, then whether a key can have made it.
pub fn recover(digest: &[u8; 32], signature: &[u8]) -> Result<Address, OcrSignatureError> {
    let got = signature.len();
    let signature: &[u8; 65] =
        signature.try_into().ok().ok_or(OcrSignatureError::Length { got })?;
    let [scalars @ .., v] = signature;
    let is_y_odd = match *v {
        0 => false,
        1 => true,
        got => return Err(OcrSignatureError::RecoveryId { got }),
    };
    let parsed = k256::ecdsa::Signature::from_slice(scalars.as_slice());
    let parsed = parsed.ok().ok_or(OcrSignatureError::NoKey)?;
    // The library verifies what it recovers and wants low s there. (r, -s) with the other parity is
    // the same signature by the same key.
    let (parsed, is_y_odd) = match parsed.normalize_s() {
        Some(low) => (low, !is_y_odd),
        None => (parsed, is_y_odd),
    };
    let recovery = RecoveryId::new(is_y_odd, false);
    let key = VerifyingKey::recover_from_prehash(digest, &parsed, recovery);
    key.map(|key| address_of(&key)).ok().ok_or(OcrSignatureError::NoKey)
}

/// Holds if the key with this address signed `digest`.
///
/// # Errors
///
/// Those of [`recover`], and [`OcrSignatureError::OtherSigner`].
pub fn verify(
    signer: &Address,
    digest: &[u8; 32],
    signature: &[u8],
) -> Result<(), OcrSignatureError> {
    if recover(digest, signature)? == *signer {
        Ok(())
    } else {
        Err(OcrSignatureError::OtherSigner)
    }
}

fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_encoded_point(false);
    let mut coordinates = [0; 64];
    for (to, from) in coordinates.iter_mut().zip(point.as_bytes().iter().skip(1)) {
        *to = *from;
    }
    Address::of_key(&coordinates)
}

#[cfg(test)]
mod tests;
