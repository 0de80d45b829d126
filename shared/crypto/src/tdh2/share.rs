//! Decryption shares: one party's contribution to opening one ciphertext, with its proof.
//!
//! ```text
//! Uᵢ = xᵢU   Û = tU   Ĥ = tG   Eᵢ = H4(Uᵢ, Û, Ĥ)   Fᵢ = t + xᵢEᵢ
//! valid: Eᵢ = H4(Uᵢ, FᵢU - EᵢUᵢ, FᵢG - Eᵢ·HArray[i])
//! ```

use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::secret::Secret;

use super::{
    Ciphertext, MasterPublicKey, PrivateShare,
    group::{
        Point, SecretPoint, SecretScalar, commitment, encode_scalar, random_scalar, response,
        secret,
    },
    hash::h4,
    json::{Object, ParseError, Writer},
};

/// A decryption share. With T of one ciphertext anybody reads it, so it is wiped when dropped and its
/// bytes leave only as a [`Secret`], to be sealed.
pub struct DecryptionShare {
    index: u32,
    pub(super) u_i: SecretPoint,
    e_i: SecretScalar,
    f_i: SecretScalar,
}

/// Why a share does not count.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ShareError {
    /// The ciphertext was verified under another key.
    #[error("the ciphertext is for another key")]
    OtherKey,
    /// The key has no party of this index.
    #[error("the key has no party of the share's index")]
    Index,
    /// The proof does not hold: for another ciphertext, from another party, or changed.
    #[error("the proof of the share does not hold")]
    Proof,
}

impl DecryptionShare {
    /// Makes a party's share of `ciphertext`. Draws 32 bytes, the nonce of the proof.
    ///
    /// The caller has compared [`Ciphertext::label`] with what the requester may read.
    pub fn create(
        share: &PrivateShare,
        ciphertext: &Ciphertext,
        rng: &mut impl CryptoRngCore,
    ) -> Self {
        let t = random_scalar(rng);
        let u_i = Box::new(Zeroizing::new(ciphertext.u.times(&share.value)));
        let (u_hat, h_hat) = (ciphertext.u.times(&t), Point::generator().times(&t));
        let e_i = secret(h4([&u_i, &u_hat, &h_hat]));
        let f_i = secret(response(&t, &share.value, &e_i));
        Self { index: share.index(), u_i, e_i, f_i }
    }

    /// Parses the JSON bytes of a share. Nothing is verified yet.
    ///
    /// # Errors
    ///
    /// [`ParseError`]; the text is at most 1 KiB long.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let names = ["Group", "Index", "U_i", "E_i", "F_i"];
        let object = Object::parse(text, &names, LONGEST_SHARE_BYTES)?;
        object.group()?;
        Ok(Self {
            index: object.index()?,
            u_i: Box::new(Zeroizing::new(object.point("U_i")?)),
            e_i: object.scalar("E_i")?,
            f_i: object.scalar("F_i")?,
        })
    }

    /// Holds if the party of its index made this share of `ciphertext`.
    ///
    /// # Errors
    ///
    /// [`ShareError`], in its order.
    pub fn verify(&self, key: &MasterPublicKey, ciphertext: &Ciphertext) -> Result<(), ShareError> {
        if !ciphertext.is_for(key) {
            return Err(ShareError::OtherKey);
        }
        let party = usize::try_from(self.index).ok().and_then(|index| key.shares.get(index));
        let party = party.ok_or(ShareError::Index)?;
        let u_hat = commitment(&self.f_i, &ciphertext.u, &self.e_i, &self.u_i);
        let h_hat = commitment(&self.f_i, &Point::generator(), &self.e_i, party);
        let e_i = h4([&self.u_i, &u_hat, &h_hat]);
        if e_i == **self.e_i { Ok(()) } else { Err(ShareError::Proof) }
    }

    /// The bytes to seal to the requester.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        Writer::with_capacity(LONGEST_EMITTED_SHARE_BYTES)
            .group()
            .index(self.index)
            .bytes("U_i", self.u_i.encoded())
            .bytes("E_i", &*encode_scalar(&self.e_i))
            .bytes("F_i", &*encode_scalar(&self.f_i))
            .finish()
            .into()
    }

    /// The party it claims to be from, counted from 0.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }
}

impl std::fmt::Debug for DecryptionShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DecryptionShare(of party {})", self.index)
    }
}

/// A share is at most 238 bytes long as it is written; the rest is room for unknown members.
const LONGEST_SHARE_BYTES: usize = 1024;

/// 228 bytes and the ten digits of the largest index.
const LONGEST_EMITTED_SHARE_BYTES: usize = 238;
