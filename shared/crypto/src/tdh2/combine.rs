//! From T shares to the secret (tdh2 sections 10 and 12).

use aes_gcm::{AeadInPlace as _, Aes256Gcm, KeyInit as _};
use zeroize::Zeroizing;

use crate::secret::Secret;

use super::{
    Ciphertext, DecryptionShare, MasterPublicKey, Threshold,
    ciphertext::{TAG_BYTES, xor},
    group::{SecretPoint, interpolate_points},
    hash::h1,
};

/// Why the shares do not open a ciphertext. Holds counts and positions, never a byte of a share: who
/// reads the text may be the one who handed in shares of another secret (W-01).
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CombineError {
    /// The ciphertext was verified under another key.
    #[error("the ciphertext is for another key")]
    OtherKey,
    /// Too few distinct parties gave a valid share.
    #[error(
        "failed to aggregate decryption shares: not enough valid shares to decrypt ({got}/{want})"
    )]
    NotEnough {
        /// Distinct parties whose share is valid.
        got: u32,
        /// The threshold.
        want: u32,
        /// Positions in the list, counted from 0, of what is not a valid share.
        invalid: Vec<usize>,
    },
    /// The combined key does not open the payload: it was changed, or more shares are needed than the
    /// threshold says.
    #[error("failed to aggregate decryption shares: cannot decrypt payload")]
    Decrypt,
}

/// Opens `ciphertext` with the first valid shares of `threshold` distinct parties.
///
/// Each element of `shares` is the JSON bytes of one decryption share, as they came out of a sealed
/// box. What is not a valid share is skipped; a second share of a party that has one is not looked
/// at (W-28); the list is read no further than needed. Each share looked at costs four
/// multiplications on the curve, so the caller bounds the list.
///
/// # Errors
///
/// [`CombineError`].
pub fn combine<'s>(
    key: &MasterPublicKey,
    ciphertext: &Ciphertext,
    shares: impl IntoIterator<Item = &'s [u8]>,
    threshold: Threshold,
) -> Result<Secret, CombineError> {
    if !ciphertext.is_for(key) {
        return Err(CombineError::OtherKey);
    }
    let (mut got, want) = (0_u32, threshold.get());
    let mut held: Vec<(u32, SecretPoint)> = Vec::new();
    let mut invalid = Vec::new();
    for (position, text) in shares.into_iter().enumerate() {
        let Ok(share) = DecryptionShare::parse(text) else {
            invalid.push(position);
            continue;
        };
        if held.iter().any(|(index, _)| *index == share.index()) {
            continue;
        }
        if share.verify(key, ciphertext).is_err() {
            invalid.push(position);
            continue;
        }
        held.push((share.index(), share.u_i));
        got = got.saturating_add(1);
        if got == want {
            return open(ciphertext, &held);
        }
    }
    Err(CombineError::NotEnough { got, want, invalid })
}

/// `key = H1(Σ λᵢUᵢ) ⊕ C`, then AES-256-GCM without associated data.
fn open(ciphertext: &Ciphertext, shares: &[(u32, SecretPoint)]) -> Result<Secret, CombineError> {
    let pad = h1(&interpolate_points(shares));
    let key = Zeroizing::new(xor(&pad, &ciphertext.c));
    let (body, tag) =
        ciphertext.sealed().split_last_chunk::<TAG_BYTES>().ok_or(CombineError::Decrypt)?;
    let mut plaintext = Zeroizing::new(body.to_vec());
    Aes256Gcm::new((&*key).into())
        .decrypt_in_place_detached(&ciphertext.nonce.into(), b"", &mut plaintext, tag.into())
        .ok()
        .ok_or(CombineError::Decrypt)?;
    Ok(plaintext.into())
}
