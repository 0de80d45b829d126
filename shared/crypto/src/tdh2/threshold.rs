//! How many decryption shares open a ciphertext.

use std::num::NonZeroU32;

/// T: distinct decryption shares needed. At least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(NonZeroU32);

/// No share at all would be needed; the reference then takes every share and checks no count (W-54).
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the threshold is zero")]
pub struct ThresholdError;

impl Threshold {
    /// A threshold of `shares`.
    ///
    /// # Errors
    ///
    /// [`ThresholdError`] if `shares` is zero.
    pub fn new(shares: u32) -> Result<Self, ThresholdError> {
        NonZeroU32::new(shares).map(Self).ok_or(ThresholdError)
    }

    /// The number of shares.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<u32> for Threshold {
    type Error = ThresholdError;

    fn try_from(shares: u32) -> Result<Self, Self::Error> {
        Self::new(shares)
    }
}

impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_threshold() {
        assert_eq!(Threshold::new(0), Err(ThresholdError));
        assert_eq!(Threshold::try_from(1).map(Threshold::get), Ok(1));
    }
}
