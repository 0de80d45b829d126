//! Ciphertexts: read and proven valid in one step, or made.
//!
//! ```text
//! C = key ⊕ H1(rH)   U = rG   Ū = rḠ   W = sG   W̄ = sḠ   E = H2(C, ℓ, U, W, Ū, W̄)   F = s + rE
//! valid: E = H2(C, ℓ, U, FG - EU, Ū, FḠ - EŪ)
//! ```
//!
//! Of the two encodings in the field, JSON and fields with a length in front, the second is known only
//! by its outline. It is recognised and refused by an error of its own.

use aes_gcm::{AeadInPlace as _, Aes256Gcm, KeyInit as _};
use p256::Scalar;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::{
    Label, MasterPublicKey,
    group::{POINT_BYTES, Point, commitment, encode_scalar, random_scalar, response},
    hash::{h1, h2},
    json::{Object, ParseError, Writer},
};

/// A secret encrypted for a key, proven to be made by somebody who knew what they did.
///
/// Only [`Ciphertext::parse`] and [`encrypt`] make one, so shares are never made for, and never
/// combined over, a ciphertext that was not verified.
#[derive(Clone)]
pub struct Ciphertext {
    bytes: Vec<u8>,
    label: Label,
    /// The `Ḡ` under which the proof holds.
    g_bar: [u8; POINT_BYTES],
    pub(super) c: [u8; 32],
    pub(super) u: Point,
    pub(super) sealed: Vec<u8>,
    pub(super) nonce: [u8; NONCE_BYTES],
}

/// Why bytes are not a ciphertext under a key.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CiphertextError {
    /// The outer or the inner text is not an object of its kind.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The bytes begin like the length-prefixed encoding, which is not supported.
    #[error("the ciphertext is not in its JSON encoding")]
    LengthPrefixed,
    /// `C` or `Label` does not have 32 bytes.
    #[error("{member} does not have 32 bytes")]
    InputSize {
        /// Its name.
        member: &'static str,
    },
    /// The nonce does not have 12 bytes, or the sealed part is shorter than a tag.
    #[error("the symmetric part of the ciphertext has the wrong size")]
    SymmetricSize,
    /// The proof does not hold: changed, or made for another key.
    #[error("the proof of the ciphertext does not hold")]
    Proof,
}

/// Why nothing was encrypted.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum EncryptError {
    /// The ciphertext would be longer than parsers accept.
    #[error("{got} bytes are too long, the limit is {limit}")]
    TooLong {
        /// Bytes of the plaintext.
        got: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl Ciphertext {
    /// Parses the JSON bytes of a ciphertext and verifies its proof under `key`.
    ///
    /// Only `Ḡ` of the key counts, so ciphertexts outlive a redeal.
    ///
    /// # Errors
    ///
    /// [`CiphertextError`]; the text is at most 1 MiB long.
    pub fn parse(text: &[u8], key: &MasterPublicKey) -> Result<Self, CiphertextError> {
        // No length of ours fills the first of four bytes, and no JSON text begins with a zero byte.
        if text.first() == Some(&0) {
            return Err(CiphertextError::LengthPrefixed);
        }
        let outer =
            Object::parse(text, &["TDH2Ctxt", "SymCtxt", "Nonce"], LONGEST_CIPHERTEXT_BYTES)?;
        let inner = outer.bytes("TDH2Ctxt")?;
        let sealed = outer.bytes("SymCtxt")?.to_vec();
        let nonce = outer.bytes("Nonce")?.as_slice().try_into();
        let nonce = nonce.ok().ok_or(CiphertextError::SymmetricSize)?;
        if sealed.len() < TAG_BYTES {
            return Err(CiphertextError::SymmetricSize);
        }
        let inner = Inner::parse(&inner)?;
        inner.verify(&key.g_bar)?;
        Ok(Self {
            bytes: text.to_vec(),
            label: inner.label,
            g_bar: *key.g_bar(),
            c: inner.c,
            u: inner.u,
            sealed,
            nonce,
        })
    }

    /// The bytes it was parsed from, or those to send. Hash and compare these.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it is for. Whoever makes shares compares this first.
    #[must_use]
    pub fn label(&self) -> Label {
        self.label
    }

    /// Whether its proof was verified under `key`, or one that was redealt from it.
    #[must_use]
    pub fn is_for(&self, key: &MasterPublicKey) -> bool {
        self.g_bar == *key.g_bar()
    }
}

impl std::fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ciphertext")
            .field("label", &self.label)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Encrypts `plaintext`, which may be empty, for the holders of shares of `key`.
///
/// Draws the AES key, the nonce, `r` and `s`: 32, 12, 32 and 32 bytes.
///
/// # Errors
///
/// [`EncryptError::TooLong`] if no parser would take the ciphertext.
pub fn encrypt(
    key: &MasterPublicKey,
    label: Label,
    plaintext: &[u8],
    rng: &mut impl CryptoRngCore,
) -> Result<Ciphertext, EncryptError> {
    let too_long = EncryptError::TooLong { got: plaintext.len(), limit: LONGEST_PLAINTEXT_BYTES };
    if plaintext.len() > LONGEST_PLAINTEXT_BYTES {
        return Err(too_long);
    }
    let mut symmetric_key = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *symmetric_key);
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);

    let capacity = plaintext.len().saturating_add(TAG_BYTES);
    let mut sealed = Zeroizing::new(Vec::with_capacity(capacity));
    sealed.extend_from_slice(plaintext);
    Aes256Gcm::new((&*symmetric_key).into())
        .encrypt_in_place(&nonce.into(), b"", &mut *sealed)
        .ok()
        .ok_or(too_long)?;
    let inner = Inner::prove(key, label, &symmetric_key, rng);
    let bytes = Writer::with_capacity(LONGEST_CIPHERTEXT_BYTES.min(capacity.saturating_mul(2)))
        .bytes("TDH2Ctxt", &inner.to_json())
        .bytes("SymCtxt", &sealed)
        .bytes("Nonce", &nonce)
        .finish()
        .to_vec();
    let sealed = std::mem::take(&mut *sealed);
    let (c, u) = (inner.c, inner.u);
    Ok(Ciphertext { bytes, label, g_bar: *key.g_bar(), c, u, sealed, nonce })
}

/// The part that the proof covers: the wrapped key under its label.
struct Inner {
    c: [u8; 32],
    label: Label,
    u: Point,
    u_bar: Point,
    e: Scalar,
    f: Scalar,
}

impl Inner {
    fn parse(text: &[u8]) -> Result<Self, CiphertextError> {
        let names = ["Group", "C", "Label", "U", "U_bar", "E", "F"];
        let object = Object::parse(text, &names, LONGEST_CIPHERTEXT_BYTES)?;
        object.group()?;
        let (c, label) = (object.bytes("C")?, object.bytes("Label")?);
        let (u, u_bar) = (object.point("U")?, object.point("U_bar")?);
        let (e, f) = (*object.scalar("E")?, *object.scalar("F")?);
        let block = |member, bytes: &[u8]| {
            <[u8; 32]>::try_from(bytes).ok().ok_or(CiphertextError::InputSize { member })
        };
        Ok(Self { c: block("C", &c)?, label: block("Label", &label)?.into(), u, u_bar, e, f })
    }

    fn verify(&self, g_bar: &Point) -> Result<(), CiphertextError> {
        let w = commitment(&self.f, &Point::generator(), &self.e, &self.u);
        let w_bar = commitment(&self.f, g_bar, &self.e, &self.u_bar);
        let e = h2(&self.c, self.label.as_bytes(), [&self.u, &w, &self.u_bar, &w_bar]);
        if e == self.e { Ok(()) } else { Err(CiphertextError::Proof) }
    }

    fn prove(
        key: &MasterPublicKey,
        label: Label,
        message: &[u8; 32],
        rng: &mut impl CryptoRngCore,
    ) -> Self {
        let (r, s) = (random_scalar(rng), random_scalar(rng));
        let g = Point::generator();
        let pad = h1(&Zeroizing::new(key.h.times(&r)));
        let c = xor(&pad, message);
        let (u, u_bar) = (g.times(&r), key.g_bar.times(&r));
        let (w, w_bar) = (g.times(&s), key.g_bar.times(&s));
        let e = h2(&c, label.as_bytes(), [&u, &w, &u_bar, &w_bar]);
        let f = response(&s, &r, &e);
        Self { c, label, u, u_bar, e, f }
    }

    fn to_json(&self) -> Zeroizing<Vec<u8>> {
        Writer::with_capacity(INNER_BYTES)
            .group()
            .bytes("C", &self.c)
            .bytes("Label", self.label.as_bytes())
            .bytes("U", self.u.encoded())
            .bytes("U_bar", self.u_bar.encoded())
            .bytes("E", &*encode_scalar(&self.e))
            .bytes("F", &*encode_scalar(&self.f))
            .finish()
    }
}

/// `a ⊕ b`.
pub(super) fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    let mut sum = *a;
    for (to, from) in sum.iter_mut().zip(b) {
        *to ^= from;
    }
    sum
}

/// Bytes of an AES-GCM nonce.
pub(super) const NONCE_BYTES: usize = 12;

/// Bytes of an AES-GCM tag.
pub(super) const TAG_BYTES: usize = 16;

/// Bytes of the inner text, always.
const INNER_BYTES: usize = 418;

/// Far above the vault's 2 kB, and small enough to hold hundreds of them.
const LONGEST_CIPHERTEXT_BYTES: usize = 1024 * 1024;

/// A ciphertext of m bytes has 615 + 4·⌈(m + 16) / 3⌉ bytes; this is the largest m within the limit.
const LONGEST_PLAINTEXT_BYTES: usize = (LONGEST_CIPHERTEXT_BYTES - 615) / 4 * 3 - TAG_BYTES;
