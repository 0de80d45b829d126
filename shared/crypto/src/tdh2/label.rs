//! Labels: 32 bytes that a ciphertext's proof binds (tdh2 section 17).

use crate::address::Address;

/// What a ciphertext is for; by the vault's convention, whose it is.
///
/// Holders of shares compare it with the label they expect before they make a share.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label([u8; 32]);

/// The zero address owns nothing: its label is [`Label::NONE`].
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the zero address has no label")]
pub struct LabelError;

impl Label {
    /// No label: 32 zero bytes, as older tools write it.
    pub const NONE: Self = Self([0; 32]);

    /// The label of a workflow owner: 12 zero bytes, then the address.
    ///
    /// # Errors
    ///
    /// [`LabelError`] for the zero address.
    pub fn of_owner(owner: &Address) -> Result<Self, LabelError> {
        let label = Self::of_any_owner(owner);
        if label == Self::NONE { Err(LabelError) } else { Ok(label) }
    }

    /// The label that the reference derives, for the zero address too. Together with
    /// [`Address::parse_permissive`] it says what a peer makes of any text.
    #[must_use]
    pub fn of_any_owner(owner: &Address) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().skip(12).zip(owner.as_bytes()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Label {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Label({})", hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_fills_the_last_twenty_bytes() {
        let label = Label::of_owner(&Address::from([7; 20])).unwrap();
        assert_eq!(label.as_bytes()[..12], [0; 12]);
        assert_eq!(label.as_bytes()[12..], [7; 20]);
    }

    #[test]
    fn the_zero_address_has_no_label() {
        let zero = Address::from([0; 20]);
        assert_eq!(Label::of_owner(&zero), Err(LabelError));
        assert_eq!(Label::of_any_owner(&zero), Label::NONE);
    }
}
