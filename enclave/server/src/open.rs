//! Room 8: sealed shares become a secret (enclave-and-host 7.2, tdh2 12).
//!
//! Shares of all nodes are pooled, each box is opened once, a party counts once (W-28). What an error
//! says is a count; no byte of a share leaves this module but inside a [`Secret`] (W-01).

use std::{collections::HashSet, time::SystemTime};

use crypto::{
    secret::Secret,
    tdh2::{Ciphertext, CombineError, MasterPublicKey, Threshold, combine},
};

use crate::keychain::KeyPair;

/// What opens secrets during one request: one enclave key, one vault key, one threshold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opener<'r> {
    /// The key to which the shares are sealed.
    pub(crate) key: &'r KeyPair,
    /// The vault's key.
    pub(crate) master: &'r MasterPublicKey,
    /// The shares needed.
    pub(crate) threshold: Threshold,
}

/// Why a secret stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenSecretError {
    /// The ciphertext is not one for the vault's key.
    #[error("failed to aggregate decryption shares: cannot use ciphertext")]
    Ciphertext,
    /// The shares are enough, but the payload does not open.
    #[error("failed to aggregate decryption shares: cannot decrypt payload")]
    Payload,
    /// Too few distinct parties gave a share that counts.
    #[error(
        "failed to aggregate decryption shares: not enough valid shares to decrypt \
         ({got}/{want}). invalid shares: {}", Count(*invalid)
    )]
    TooFew {
        /// Distinct parties whose share counts.
        got: u32,
        /// The threshold.
        want: u32,
        /// Opened shares that do not count.
        invalid: usize,
    },
}

impl Opener<'_> {
    /// Opens one ciphertext with the sealed shares that came for it, those of all nodes together.
    ///
    /// A box that does not open is passed over. At most [`BOXES_PER_CIPHERTEXT`] distinct boxes are
    /// tried, because each costs some hundred microseconds and anybody can make them.
    ///
    /// # Errors
    ///
    /// [`OpenSecretError`].
    pub(crate) fn open<'s>(
        &self,
        ciphertext: &[u8],
        sealed: impl IntoIterator<Item = &'s [u8]>,
        now: SystemTime,
    ) -> Result<Secret, OpenSecretError> {
        let ciphertext = Ciphertext::parse(ciphertext, self.master);
        let ciphertext = ciphertext.map_err(|_error| OpenSecretError::Ciphertext)?;
        let mut seen = HashSet::new();
        let boxes = sealed.into_iter().filter(|sealed| seen.insert(*sealed));
        let shares: Vec<Secret> = boxes
            .take(BOXES_PER_CIPHERTEXT)
            .filter_map(|sealed| self.key.open(sealed, now).ok())
            .collect();
        let shares = shares.iter().map(Secret::expose);
        combine(self.master, &ciphertext, shares, self.threshold).map_err(Into::into)
    }
}

impl From<CombineError> for OpenSecretError {
    fn from(error: CombineError) -> Self {
        match error {
            CombineError::OtherKey => Self::Ciphertext,
            CombineError::Decrypt => Self::Payload,
            CombineError::NotEnough { got, want, invalid } => {
                Self::TooFew { got, want, invalid: invalid.len() }
            }
        }
    }
}

/// Takes the boxes of several nodes in turn, so that one node's rubbish does not use up the limit
/// before another node's shares are reached.
pub(crate) fn in_turn<'s>(nodes: &[Vec<&'s [u8]>]) -> impl Iterator<Item = &'s [u8]> {
    let longest = nodes.iter().map(Vec::len).max().unwrap_or(0).min(BOXES_PER_CIPHERTEXT);
    (0..longest)
        .flat_map(move |index| nodes.iter().filter_map(move |node| node.get(index).copied()))
}

/// A number where the reference writes `none` for zero.
struct Count(usize);

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == 0 { f.write_str("none") } else { self.0.fmt(f) }
    }
}

/// Boxes that are tried for one ciphertext. A vault of 31 nodes sends 31, and F + 1 nodes forward
/// the same ones.
const BOXES_PER_CIPHERTEXT: usize = 256;

#[cfg(test)]
mod tests;
