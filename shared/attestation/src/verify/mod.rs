//! The one way to a believed document.

use std::{num::NonZeroUsize, time::SystemTime};

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};

use crate::{
    certificate::{Certificate, CertificateError, PublicKey},
    chain::{Chain, ChainCache, ChainKey, Encoded},
    cose::Sign1,
    document::{self, Document},
    hash::sha256,
    policy::Policy,
};

mod check;
mod error;

pub use check::{Check, Outcome};
pub use error::{CertificatePosition, VerifyError};

/// Something that was verified. Only this module makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    set: usize,
    payload_sha256: [u8; 32],
}

impl<T> Verified<T> {
    /// What was verified.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// Lets go of the proof.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Position of the measurement set that agreed, in [`Policy::sets`].
    #[must_use]
    pub const fn matched_set(&self) -> usize {
        self.set
    }

    /// SHA-256 of the signed payload: the document's identity.
    ///
    /// The whole document has none: whoever holds one can write its signature in a second way.
    #[must_use]
    pub const fn payload_sha256(&self) -> &[u8; 32] {
        &self.payload_sha256
    }
}

/// Verifies a document: the checks of [`Check`], in that order, at the time `now`.
///
/// `now` is the verifier's own clock, or, for a document from an archive, a moment it was valid.
///
/// # Errors
///
/// The first [`VerifyError`] met; [`VerifyError::check`] names the check.
pub fn verify(
    document: &[u8],
    policy: &Policy,
    now: SystemTime,
) -> Result<Verified<Document>, VerifyError> {
    run(document, policy, now, None)
}

/// Verifies documents as [`verify`] does and remembers the chains of those it believed.
///
/// A remembered chain saves every signature but the document's own. The validity of each of its
/// certificates and the policy's revocations are checked again each time; where they fail, the
/// document is verified as if nothing were remembered.
#[derive(Debug)]
pub struct Verifier {
    chains: ChainCache,
}

impl Verifier {
    /// Remembers at most `chains` chains, of about 1,500 bytes each.
    #[must_use]
    pub fn new(chains: NonZeroUsize) -> Self {
        Self { chains: ChainCache::new(chains) }
    }

    /// Verifies a document.
    ///
    /// # Errors
    ///
    /// As [`verify`].
    pub fn verify(
        &self,
        document: &[u8],
        policy: &Policy,
        now: SystemTime,
    ) -> Result<Verified<Document>, VerifyError> {
        run(document, policy, now, Some(&self.chains))
    }
}

fn run(
    document: &[u8],
    policy: &Policy,
    now: SystemTime,
    chains: Option<&ChainCache>,
) -> Result<Verified<Document>, VerifyError> {
    document::check_size(document)?;
    let envelope = Sign1::decode(document)?;
    let document = Document::decode(envelope.payload())?;
    policy.check_freshness(&document, now)?;
    policy.check_user_data(&document).map_err(VerifyError::UserData)?;
    policy.check_nonce(&document).map_err(VerifyError::Nonce)?;
    let set = policy.find_set(&document.pcrs, now)?;

    let key =
        chains.map(|_| ChainKey::of(&document.certificate, &document.cabundle, &policy.roots));
    // A path that was remembered and no longer holds says nothing about the bundle's other paths.
    let known = chains.zip(key.as_ref()).and_then(|(chains, key)| chains.find(key));
    let known = known.filter(|chain| chain.check_links(&policy.revoked, now).is_ok());
    let is_new = known.is_none();
    let chain = known.map_or_else(|| verify_chain(&document, policy, now), Ok)?;
    verify_signature(&envelope, chain.leaf_key())?;

    // Only the chain of a believed document is remembered, or anybody could crowd out the others.
    if let Some((chains, key)) = chains.zip(key).filter(|_| is_new) {
        chains.insert(key, chain, now);
    }
    let payload_sha256 = sha256(envelope.payload());
    Ok(Verified { value: document, set, payload_sha256 })
}

fn verify_chain(
    document: &Document,
    policy: &Policy,
    now: SystemTime,
) -> Result<Chain, VerifyError> {
    let leaf = parse(CertificatePosition::Leaf, &document.certificate)?;
    let (key, is_es384) = (leaf.certificate.key, leaf.certificate.is_signed_with_es384);
    let of_leaf = |reason| VerifyError::Certificate { position: CertificatePosition::Leaf, reason };
    let key = key.ok_or(of_leaf(CertificateError::Key))?;
    if !is_es384 {
        return Err(of_leaf(CertificateError::SignatureAlgorithm));
    }
    let bundle = document.cabundle.iter().enumerate();
    let bundle = bundle.map(|(index, der)| parse(CertificatePosition::Bundle { index }, der));
    let bundle = bundle.collect::<Result<Vec<_>, _>>()?;
    Ok(Chain::verify(&leaf, key, &bundle, &policy.roots, &policy.revoked, now)?)
}

fn parse(position: CertificatePosition, der: &[u8]) -> Result<Encoded<'_>, VerifyError> {
    match Certificate::parse(der) {
        Ok(certificate) => Ok(Encoded { der, certificate }),
        Err(reason) => Err(VerifyError::Certificate { position, reason }),
    }
}

/// The signature over the payload as it was received.
fn verify_signature(envelope: &Sign1<'_>, key: &PublicKey) -> Result<(), VerifyError> {
    let is_signed = is_es384(key, &envelope.signed_bytes(), envelope.signature());
    if is_signed { Ok(()) } else { Err(VerifyError::Signature) }
}

/// ES384 (RFC 9053, section 2.1). Either of the two values of `s` that fit a signature is taken, as
/// the standard has it.
fn is_es384(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests;
