//! Ciphertexts: read and proven valid in one step, or made.
//!
//! ```text
//! C = key ⊕ H1(rH)   U = rG   Ū = rḠ   W = sG   W̄ = sḠ   E = H2(C, ℓ, U, W, Ū, W̄)   F = s + rE
//! valid: E = H2(C, ℓ, U, FG - EU, Ū, FḠ - EŪ)
//! ```

use aes_gcm::{AeadInPlace as _, Aes256Gcm, KeyInit as _};
use p256::Scalar;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::{
    Label, MasterPublicKey,
    encoding::{Outer, OuterError},
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
    outer: Outer,
    label: Label,
    /// The `Ḡ` under which the proof holds.
    g_bar: [u8; POINT_BYTES],
    pub(super) c: [u8; 32],
    pub(super) u: Point,
    pub(super) nonce: [u8; NONCE_BYTES],
}

/// Why bytes are not a ciphertext under a key.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CiphertextError {
    /// The outer or the inner text is not an object of its kind.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The bytes begin like fields with their length in front, and are not three of them and no more.
    #[error("the fields of the ciphertext do not fill it")]
    Fields,
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
    /// Parses the bytes of a ciphertext, in either encoding, and verifies its proof under `key`.
    ///
    /// A first byte of zero is fields with their length in front, everything else is JSON. Only `Ḡ` of
    /// the key counts, so ciphertexts outlive a redeal.
    ///
    /// # Errors
    ///
    /// [`CiphertextError`]; there are at most 1 MiB.
    pub fn parse(bytes: &[u8], key: &MasterPublicKey) -> Result<Self, CiphertextError> {
        let outer = Outer::parse(bytes, LONGEST_CIPHERTEXT_BYTES)?;
        let nonce = outer.nonce.as_slice().try_into();
        let nonce = nonce.ok().ok_or(CiphertextError::SymmetricSize)?;
        if outer.sealed.len() < TAG_BYTES {
            return Err(CiphertextError::SymmetricSize);
        }
        let Inner { c, label, u, .. } = Inner::parse(&outer.inner)?.verified(&key.g_bar)?;
        Ok(Self { bytes: bytes.to_vec(), outer, label, g_bar: *key.g_bar(), c, u, nonce })
    }

    /// The bytes it was parsed from, or those to send. Hash and compare these.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The JSON encoding, which clients write and peers pass on.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.outer.to_json()
    }

    /// The other encoding: three fields, each behind its length in four bytes.
    #[must_use]
    pub fn to_length_prefixed(&self) -> Vec<u8> {
        self.outer.to_fields()
    }

    /// The AES-GCM ciphertext with its tag.
    pub(super) fn sealed(&self) -> &[u8] {
        &self.outer.sealed
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
    let outer = Outer {
        inner: inner.to_json().to_vec(),
        sealed: std::mem::take(&mut *sealed),
        nonce: nonce.to_vec(),
    };
    let (bytes, Inner { c, u, .. }) = (outer.to_json(), inner);
    Ok(Ciphertext { bytes, outer, label, g_bar: *key.g_bar(), c, u, nonce })
}

impl From<OuterError> for CiphertextError {
    fn from(error: OuterError) -> Self {
        match error {
            OuterError::Json(error) => Self::Parse(error),
            OuterError::Fields => Self::Fields,
        }
    }
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
        let (e, f) = (**object.scalar("E")?, **object.scalar("F")?);
        let block = |member, bytes: &[u8]| {
            <[u8; 32]>::try_from(bytes).ok().ok_or(CiphertextError::InputSize { member })
        };
        Ok(Self { c: block("C", &c)?, label: block("Label", &label)?.into(), u, u_bar, e, f })
    }

    fn verified(self, g_bar: &Point) -> Result<Self, CiphertextError> {
        let w = commitment(&self.f, &Point::generator(), &self.e, &self.u);
        let w_bar = commitment(&self.f, g_bar, &self.e, &self.u_bar);
        let e = h2(&self.c, self.label.as_bytes(), [&self.u, &w, &self.u_bar, &w_bar]);
        if e == self.e { Ok(self) } else { Err(CiphertextError::Proof) }
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
