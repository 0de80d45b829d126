//! Key creation by a trusted dealer: the master secret, split into one private share per party.
//!
//! The dealer holds the master secret for a moment, and nothing else that a distributed ceremony would
//! keep from it: `Ḡ` is derived from the key, so nobody ever knows its logarithm (tdh2 section 5).

use std::collections::BTreeMap;

use p256::elliptic_curve::Field as _;
use rand_core::CryptoRngCore;

use crate::secret::Secret;

use super::{
    MasterPublicKey, Threshold,
    generator::g_bar_of,
    group::{
        Point, ScalarError, SecretScalar, encode_scalar, evaluate, interpolate_scalars,
        position_of, random_scalar,
    },
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
pub struct MasterSecret(SecretScalar);

/// One party's `xᵢ`. Wiped when dropped.
pub struct PrivateShare {
    index: u32,
    pub(super) value: SecretScalar,
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

/// Why private shares do not make up a master secret.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecoverError {
    /// This party's share is not one of the key.
    #[error("the share of index {index} belongs to another key")]
    OtherKey {
        /// The index that it claims.
        index: u32,
    },
    /// The shares of this many parties do not determine the secret: fewer than the threshold.
    #[error("the shares of {got} members are fewer than the threshold of the key")]
    TooFew {
        /// Distinct parties.
        got: usize,
    },
}

/// Deals a fresh key: `parties` private shares, of which `threshold` decrypt.
///
/// Draws the coefficients of the polynomial, lowest first, each of 32 bytes. `Ḡ` is derived from `H`;
/// [`MasterPublicKey::derives_g_bar`] tells such a key from others.
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
    deal_with(threshold, parties, rng, |h, _rng| g_bar_of(h))
}

/// Deals as the reference's test dealer does: the logarithm of `Ḡ` is drawn after the coefficients, so
/// the dealer could keep it. For comparing with the reference only.
///
/// # Errors
///
/// Those of [`deal`].
pub fn dangerous_deal(
    threshold: Threshold,
    parties: u32,
    rng: &mut impl CryptoRngCore,
) -> Result<Deal, DealError> {
    deal_with(threshold, parties, rng, |_h, rng| Point::generator().times(&random_scalar(rng)))
}

fn deal_with<R: CryptoRngCore>(
    threshold: Threshold,
    parties: u32,
    rng: &mut R,
    g_bar: impl FnOnce(&Point, &mut R) -> Point,
) -> Result<Deal, DealError> {
    refuse_impossible(threshold, parties)?;
    let master_secret = MasterSecret(random_scalar(rng));
    let shares = split(&master_secret, threshold, parties, rng);
    let g_bar = g_bar(&master_secret.public(), rng);
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
    if secret.public().encoded() != key.h.encoded() {
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
    /// [`ParseError`]; the text is at most 1 KiB long. Zero is no secret: its public key would be the
    /// identity, which no parser takes.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let (member, error) = ("S", ScalarError::Zero);
        let object = Object::parse(text, &["Group", member], LONGEST_SECRET_BYTES)?;
        object.group()?;
        let secret = object.scalar(member)?;
        if bool::from(secret.is_zero()) {
            return Err(ParseError::Scalar { member, error });
        }
        Ok(Self(secret))
    }

    /// The master secret of `key`, out of private shares of at least the threshold's number of parties.
    ///
    /// # Errors
    ///
    /// [`RecoverError`], in its order.
    pub fn recover<'s>(
        key: &MasterPublicKey,
        shares: impl IntoIterator<Item = &'s PrivateShare>,
    ) -> Result<Self, RecoverError> {
        let mut known = BTreeMap::new();
        for share in shares {
            let index = share.index;
            if !share.belongs_to(key) {
                return Err(RecoverError::OtherKey { index });
            }
            known.insert(index, share);
        }
        let values = known.iter().map(|(index, share)| (*index, &**share.value.as_ref()));
        let secret = Self(interpolate_scalars(values));
        if secret.public().encoded() == key.h.encoded() {
            Ok(secret)
        } else {
            Err(RecoverError::TooFew { got: known.len() })
        }
    }

    /// The bytes to keep in the dealer's file.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        let writer = Writer::with_capacity(LONGEST_EMITTED_SECRET_BYTES).group();
        writer.bytes("S", &*encode_scalar(&self.0)).finish().into()
    }

    /// `H = xG`.
    fn public(&self) -> Point {
        Point::generator().times(&self.0)
    }
}

impl PrivateShare {
    /// Parses the JSON bytes of a private share.
    ///
    /// Zero is read, as the reference does; it belongs to no key that parses, and its decryption
    /// shares are refused by whoever reads them.
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
    let constant = secret.0.clone();
    let others = (1..threshold.get()).map(|_| random_scalar(rng));
    let coefficients: Vec<SecretScalar> = std::iter::once(constant).chain(others).collect();
    let share = |index| PrivateShare { index, value: evaluate(&coefficients, &position_of(index)) };
    (0..parties).map(share).collect()
}

fn public_key_of(g_bar: Point, secret: &MasterSecret, shares: &[PrivateShare]) -> MasterPublicKey {
    let shares = shares.iter().map(|share| Point::generator().times(&share.value)).collect();
    MasterPublicKey::of(g_bar, secret.public(), shares)
}

/// The longest public key that a parser takes has this many parties.
const MOST_PARTIES: u32 = 717;

/// A private share is at most 86 bytes long as it is written; the rest is room for unknown members.
const LONGEST_SECRET_BYTES: usize = 1024;

/// 76 bytes and the ten digits of the largest index.
const LONGEST_EMITTED_SECRET_BYTES: usize = 86;

#[cfg(test)]
mod tests;
