//! The hash functions of TDH2 (tdh2 section 4). There is no H3.
//!
//! ```text
//! L(P₁ … Pₘ) = "P256" ‖ "," ‖ hex(P₁) ‖ … ‖ "," ‖ hex(Pₘ)
//! ```

use p256::{Scalar, U256, elliptic_curve::ops::Reduce};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::group::{NAME, POINT_BYTES, Point};

/// `H1(P) = SHA-256("tdh2hash1" ‖ L(P))`: the pad of a wrapped key.
pub(super) fn h1(point: &Point) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(digest(&[b"tdh2hash1"], &[point]))
}

/// `H2(c, ℓ, U, W, Ū, W̄)`: the challenge of a ciphertext's proof.
pub(super) fn h2(c: &[u8; 32], label: &[u8; 32], points: [&Point; 4]) -> Scalar {
    reduce(digest(&[b"tdh2hash2", c, label], &points))
}

/// `H4(Uᵢ, Û, Ĥ)`: the challenge of a decryption share's proof.
pub(super) fn h4(points: [&Point; 3]) -> Scalar {
    reduce(digest(&[b"tdh2hash4"], &points))
}

fn digest(head: &[&[u8]], points: &[&Point]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in head {
        hash.update(part);
    }
    hash.update(NAME);
    let mut digits = Zeroizing::new([0; 2 * POINT_BYTES]);
    for point in points {
        hash.update(b",");
        write_hex(point.encoded(), &mut digits);
        hash.update(digits.as_slice());
    }
    hash.finalize().into()
}

/// Lower-case digits. Written here because the points may be secret and need no other copy.
fn write_hex(bytes: &[u8; POINT_BYTES], digits: &mut [u8; 2 * POINT_BYTES]) {
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = if nibble < 10 { b'0' | nibble } else { (b'a' - 10).saturating_add(nibble) };
        }
    }
}

/// The digest as a big-endian number, once modulo the group order.
fn reduce(digest: [u8; 32]) -> Scalar {
    <Scalar as Reduce<U256>>::reduce_bytes(&digest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_hexadecimal() {
        let bytes: Vec<u8> = (0..=255).step_by(4).take(POINT_BYTES - 1).chain([0xff]).collect();
        let bytes = bytes.try_into().unwrap();
        let mut digits = [0; 2 * POINT_BYTES];
        write_hex(&bytes, &mut digits);
        assert_eq!(digits.as_slice(), hex::encode(bytes).as_bytes());
    }

    #[test]
    fn a_digest_above_the_group_order_is_reduced() {
        let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
        let order: [u8; 32] = hex::decode(order).unwrap().try_into().unwrap();
        assert_eq!(reduce(order), Scalar::ZERO);
        let mut next = order;
        next[31] += 1;
        assert_eq!(reduce(next), Scalar::ONE);
    }
}
