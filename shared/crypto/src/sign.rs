//! Committee signatures: ed25519 over a payload that names its purpose.
//!
//! A signature counts for the key that verifies it, never for a name beside it (relay-protocol 6.3).
//! The equation is the one of the reference: `S < L`, no cofactor, `R` compared byte by byte. What no
//! honest signer makes is refused beyond that: keys of small order or in a second encoding, once, when
//! they are parsed; and a signature whose `R` has small order, which gives its maker's secret away.

use ed25519_dalek::Signer as _;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::secret::Secret;

mod domain;
mod key;

pub use domain::{Domain, payload, payload_with_prefix};
pub use key::{SignerKey, SignerKeyError};

/// An ed25519 signature: `R ‖ S`. Whether it is one, only a key can say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

/// Why no allowed key stands behind a signature.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// The signature is not 64 bytes long.
    #[error("invalid signature length: expected 64 bytes, got {got}")]
    Length {
        /// Its length in bytes.
        got: usize,
    },
    /// No allowed key made it.
    #[error("signature not from any allowed signer")]
    NotAllowed,
}

/// An ed25519 key that signs for a member of a committee. Wiped when dropped.
// Boxed, so that moving the key does not leave copies of it behind.
pub struct SigningKey(Box<ed25519_dalek::SigningKey>);

impl Signature {
    /// Takes the 64 bytes of a signature.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Length`] if there are not 64.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SignatureError> {
        let got = bytes.len();
        bytes.try_into().map(Self).ok().ok_or(SignatureError::Length { got })
    }

    /// The 64 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({})", hex::encode(self.0))
    }
}

impl SigningKey {
    /// The key of a 32-byte seed (RFC 8032 section 5.1.5).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Box::new(ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self::from_seed(&seed)
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public(&self) -> SignerKey {
        SignerKey::of_signing_key(self.0.verifying_key())
    }

    /// Signs `message` for one purpose. Equal input gives an equal signature.
    #[must_use]
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        self.sign_payload(&payload(domain, message))
    }

    /// Signs a payload made by [`payload_with_prefix`].
    #[must_use]
    pub fn sign_payload(&self, payload: &[u8]) -> Signature {
        Signature(self.0.sign(payload).to_bytes())
    }

    /// The seed, for a key file.
    #[must_use]
    pub fn seed(&self) -> Secret {
        Secret::new(self.0.as_bytes().to_vec())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey(of {})", self.public())
    }
}

impl SignerKey {
    /// Holds if this key signed `message` for this purpose.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NotAllowed`] if it did not.
    pub fn verify(
        &self,
        domain: Domain,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        self.verify_payload(&payload(domain, message), signature)
    }

    /// The same for a payload that was made before.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NotAllowed`] if this key did not sign it.
    pub fn verify_payload(
        &self,
        payload: &[u8],
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        self.verifying().verify_strict(payload, &signature).ok().ok_or(SignatureError::NotAllowed)
    }
}

/// Finds the key that made `signature` over `message`: the first of `keys` that verifies it.
///
/// Costs one verification for each key before the signer.
///
/// # Errors
///
/// - [`SignatureError::Length`] if the signature is not 64 bytes long; no key is tried.
/// - [`SignatureError::NotAllowed`] if no key verifies it.
pub fn find_signer<'k>(
    keys: &'k [SignerKey],
    domain: Domain,
    message: &[u8],
    signature: &[u8],
) -> Result<&'k SignerKey, SignatureError> {
    find_signer_of_payload(keys, None, &payload(domain, message), signature)
}

/// The same for many signatures over one payload, which is made once.
///
/// `claimed` is what stands beside the signature as its signer's key. It decides nothing: a key with
/// these bytes is tried first, then the others, so a true claim costs one verification.
///
/// # Errors
///
/// As [`find_signer`].
pub fn find_signer_of_payload<'k>(
    keys: &'k [SignerKey],
    claimed: Option<&[u8]>,
    payload: &[u8],
    signature: &[u8],
) -> Result<&'k SignerKey, SignatureError> {
    let signature = Signature::from_slice(signature)?;
    let is_claimed = |key: &&SignerKey| claimed == Some(key.as_bytes().as_slice());
    let first = keys.iter().find(is_claimed);
    let others = keys.iter().filter(|key| !is_claimed(key));
    first
        .into_iter()
        .chain(others)
        .find(|key| key.verify_payload(payload, &signature).is_ok())
        .ok_or(SignatureError::NotAllowed)
}

#[cfg(test)]
mod tests;
