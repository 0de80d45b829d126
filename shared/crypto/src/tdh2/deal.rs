//! Key creation by a trusted dealer: the master secret, split into one private share per party.
//!
//! The dealer of this module knows the logarithm of `Ḡ` for a moment, so its keys are for development
//! and tests; production keys come from a distributed ceremony (tdh2 section 5).

use p256::Scalar;
use rand_core::CryptoRngCore;
use zeroize::{Zeroize, Zeroizing};

use crate::secret::Secret;

use super::{
    MasterPublicKey, Threshold,
    group::{Point, encode_scalar, evaluate, position_of, random_scalar},
    json::{Object, ParseError, Writer},
};

/// A dealt key: who holds the master secret decrypts alone, who holds T private shares does too.
#[derive(Debug)]
pub struct Deal {
    /// The dealer's, to redeal later. Destroy it or keep it offline.
    pub master_secret: MasterSecret,
    /// Everybody's.
    pub public_key: MasterPublicKey,
    /// One for each party, in the order of their indices.
    pub shares: Vec<PrivateShare>,
}

/// The secret `x` of a key. Wiped when dropped.
pub struct MasterSecret(Zeroizing<Scalar>);

/// One party's `xᵢ`. Wiped when dropped.
pub struct PrivateShare {
    index: u32,
    pub(super) value: Zeroizing<Scalar>,
}

/// Why no key was dealt.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DealError {
    /// More shares would be needed than there are.
    #[error("{want} shares are needed and {got} dealt")]
    TooFewParties {
        /// Parties.
        got: u32,
        /// The threshold.
        want: u32,
    },
    /// The public key would be longer than parsers accept.
    #[error("{got} parties are too many, the limit is {limit}")]
    TooManyParties {
        /// Parties.
        got: u32,
        /// The most there can be.
        limit: u32,
    },
    /// The master secret is not the one of the public key.
    #[error("the master secret belongs to another key")]
    OtherKey,
}

/// Deals a fresh key: `parties` private shares, of which `threshold` decrypt.
///
/// Draws the coefficients of the polynomial, lowest first, then the logarithm of `Ḡ`; each is 32 bytes.
///
/// # Errors
///
/// - [`DealError::TooFewParties`] if there are fewer parties than the threshold.
/// - [`DealError::TooManyParties`] for more than 717.
pub fn deal(
    threshold: Threshold,
    parties: u32,
    rng: &mut impl CryptoRngCore,
) -> Result<Deal, DealError> {
    refuse_impossible(threshold, parties)?;
    let master_secret = MasterSecret(random_scalar(rng));
    let shares = split(&master_secret, threshold, parties, rng);
    let g_bar = Point::generator().times(&random_scalar(rng));
    let public_key = public_key_of(g_bar, &master_secret, &shares);
    Ok(Deal { master_secret, public_key, shares })
}

/// Deals the same key again, to other parties or with another threshold.
///
/// Ciphertexts stay valid. Old shares neither verify under the new key nor combine with new ones.
///
/// # Errors
///
/// Those of [`deal`], and [`DealError::OtherKey`] if `secret` is not the master secret of `key`.
pub fn redeal(
    key: &MasterPublicKey,
    secret: &MasterSecret,
    threshold: Threshold,
    parties: u32,
    rng: &mut impl CryptoRngCore,
) -> Result<(MasterPublicKey, Vec<PrivateShare>), DealError> {
    refuse_impossible(threshold, parties)?;
    if Point::generator().times(&secret.0).encoded() != key.h.encoded() {
        return Err(DealError::OtherKey);
    }
    let shares = split(secret, threshold, parties, rng);
    Ok((public_key_of(key.g_bar.clone(), secret, &shares), shares))
}

impl MasterSecret {
    /// Parses the JSON bytes of a master secret.
    ///
    /// # Errors
    ///
    /// [`ParseError`]; the text is at most 1 KiB long.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let object = Object::parse(text, &["Group", "S"], LONGEST_SECRET_BYTES)?;
        object.group()?;
        object.scalar("S").map(Self)
    }

    /// The bytes to keep in the dealer's file.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        let writer = Writer::with_capacity(LONGEST_EMITTED_SECRET_BYTES).group();
        writer.bytes("S", &*encode_scalar(&self.0)).finish().into()
    }
}

impl PrivateShare {
    /// Parses the JSON bytes of a private share.
    ///
    /// # Errors
    ///
    /// [`ParseError`]; the text is at most 1 KiB long.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let object = Object::parse(text, &["Group", "Index", "V"], LONGEST_SECRET_BYTES)?;
        object.group()?;
        Ok(Self { index: object.index()?, value: object.scalar("V")? })
    }

    /// The bytes to keep in the party's file.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        let writer = Writer::with_capacity(LONGEST_EMITTED_SECRET_BYTES).group().index(self.index);
        writer.bytes("V", &*encode_scalar(&self.value)).finish().into()
    }

    /// The party, counted from 0.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Whether this is that party's share of `key`.
    #[must_use]
    pub fn belongs_to(&self, key: &MasterPublicKey) -> bool {
        let expected = usize::try_from(self.index).ok().and_then(|index| key.shares.get(index));
        let own = Point::generator().times(&self.value);
        expected.is_some_and(|expected| expected.encoded() == own.encoded())
    }
}

impl std::fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterSecret")
    }
}

impl std::fmt::Debug for PrivateShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateShare(of party {})", self.index)
    }
}

fn refuse_impossible(threshold: Threshold, parties: u32) -> Result<(), DealError> {
    if threshold.get() > parties {
        return Err(DealError::TooFewParties { got: parties, want: threshold.get() });
    }
    if parties > MOST_PARTIES {
        return Err(DealError::TooManyParties { got: parties, limit: MOST_PARTIES });
    }
    Ok(())
}

/// Shares of a polynomial of degree `threshold - 1` whose value at zero is the secret.
fn split(
    secret: &MasterSecret,
    threshold: Threshold,
    parties: u32,
    rng: &mut impl CryptoRngCore,
) -> Vec<PrivateShare> {
    let others = (1..threshold.get()).map(|_| *random_scalar(rng));
    let mut coefficients: Vec<Scalar> = std::iter::once(*secret.0).chain(others).collect();
    let share = |index| PrivateShare {
        index,
        value: Zeroizing::new(evaluate(&coefficients, &position_of(index))),
    };
    let shares = (0..parties).map(share).collect();
    coefficients.zeroize();
    shares
}

fn public_key_of(g_bar: Point, secret: &MasterSecret, shares: &[PrivateShare]) -> MasterPublicKey {
    let public = |value: &Scalar| Point::generator().times(value);
    let shares = shares.iter().map(|share| public(&share.value)).collect();
    MasterPublicKey::of(g_bar, public(&secret.0), shares)
}

/// The longest public key that a parser takes has this many parties.
const MOST_PARTIES: u32 = 717;

/// A private share is at most 86 bytes long as it is written; the rest is room for unknown members.
const LONGEST_SECRET_BYTES: usize = 1024;

/// 76 bytes and the ten digits of the largest index.
const LONGEST_EMITTED_SECRET_BYTES: usize = 86;
