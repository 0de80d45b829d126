//! The vault's public key, as encryptors, enclaves and vault nodes share it.

use super::{
    generator::g_bar_of,
    group::{POINT_BYTES, Point},
    json::{Object, ParseError, Writer},
};

/// A master public key: `H = xG`, the second generator `Ḡ`, and every party's `xᵢG`.
///
/// Peers compare and hash its bytes, so it keeps those it was parsed from, and equality is theirs.
#[derive(Clone)]
pub struct MasterPublicKey {
    bytes: Vec<u8>,
    pub(super) g_bar: Point,
    pub(super) h: Point,
    pub(super) shares: Vec<Point>,
}

impl MasterPublicKey {
    /// Parses the JSON bytes of a key.
    ///
    /// A key without `HArray` encrypts and checks ciphertexts, and every share fails under it.
    ///
    /// # Errors
    ///
    /// [`ParseError`]; the text is at most 64 KiB long.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let object = Object::parse(text, &["Group", "G_bar", "H", "HArray"], LONGEST_KEY_BYTES)?;
        object.group()?;
        Ok(Self {
            g_bar: object.point("G_bar")?,
            h: object.point("H")?,
            shares: object.points("HArray")?,
            bytes: text.to_vec(),
        })
    }

    /// A key made here.
    pub(super) fn of(g_bar: Point, h: Point, shares: Vec<Point>) -> Self {
        let mut key = Self { bytes: Vec::new(), g_bar, h, shares };
        key.bytes = key.to_json();
        key
    }

    /// The bytes it was parsed from. Hash and compare these.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes that an encoder writes for this key.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let capacity = self.shares.len().saturating_mul(91).saturating_add(222);
        let mut text = Writer::with_capacity(capacity)
            .group()
            .bytes("G_bar", self.g_bar.encoded())
            .bytes("H", self.h.encoded())
            .points("HArray", &self.shares)
            .finish();
        std::mem::take(&mut *text)
    }

    /// The same key with no party's share key in it: enough to encrypt, and short.
    #[must_use]
    pub fn without_parties(&self) -> Self {
        Self::of(self.g_bar.clone(), self.h.clone(), Vec::new())
    }

    /// How many parties hold a share. A threshold above it is never met.
    #[must_use]
    pub fn parties(&self) -> usize {
        self.shares.len()
    }

    /// Whether the second generator is the one that [`super::deal()`] derives from `H`, so that nobody knows
    /// its logarithm. Keys of other ceremonies are audited by [`super::production_g_bar`].
    #[must_use]
    pub fn derives_g_bar(&self) -> bool {
        self.g_bar.encoded() == g_bar_of(&self.h).encoded()
    }

    /// The second generator, encoded as `04 ‖ X ‖ Y`.
    #[must_use]
    pub fn g_bar(&self) -> &[u8; POINT_BYTES] {
        self.g_bar.encoded()
    }
}

impl PartialEq for MasterPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for MasterPublicKey {}

impl std::fmt::Debug for MasterPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterPublicKey")
            .field("h", &hex::encode(self.h.encoded()))
            .field("parties", &self.parties())
            .finish_non_exhaustive()
    }
}

/// Room for 717 parties; vaults have tens.
pub(super) const LONGEST_KEY_BYTES: usize = 64 * 1024;
