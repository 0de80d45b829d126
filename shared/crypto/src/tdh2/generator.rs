//! Second generators of which nobody knows the logarithm (tdh2 section 5): whoever knows it can break
//! the argument that a ciphertext's maker knew the plaintext.

use p256::{
    AffinePoint,
    elliptic_curve::{
        bigint::{Encoding as _, U384},
        point::DecompressPoint as _,
        subtle::Choice,
    },
};
use sha3::{
    Shake256,
    digest::{ExtendableOutput as _, Update as _, XofReader as _},
};

use super::group::{POINT_BYTES, Point};

/// Derives `Ḡ` of a key from the id of the instance that generated it; nobody knows its logarithm.
///
/// Try and increment: SHAKE256 absorbs three strings, each as `06 ‖ length(8) ‖ bytes`. Squeezed 48 bytes
/// modulo `p` are `x` unless the curve has no such point; then the next 48 are tried. The lowest bit
/// of one more byte is the parity of `y`. Compare with [`super::MasterPublicKey::g_bar`].
#[must_use]
pub fn production_g_bar(instance_id: &str) -> [u8; POINT_BYTES] {
    *derive(instance_id).encoded()
}

/// The `Ḡ` of a key that [`super::deal()`] makes, derived in the same way from its `H`: anybody who has
/// the key can derive it again, and a redeal keeps both.
pub(super) fn g_bar_of(h: &Point) -> Point {
    derive(&format!("enclavectl/vault/v1/{}", hex::encode(h.encoded())))
}

fn derive(instance_id: &str) -> Point {
    let mut hash = Shake256::default();
    for text in ["chain.link/san-marino-dkg/v1/crs", instance_id, "tdh2shim"] {
        hash.update(&[STRING]);
        hash.update(&(text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    let mut stream = hash.finalize_xof();
    let mut wide = [0; 48];
    // Every second number is a coordinate.
    loop {
        stream.read(&mut wide);
        let x = modulo_field_order(&wide);
        if let Some(even) = decompress(&x, 0) {
            let mut parity = [0];
            stream.read(&mut parity);
            let [parity] = parity;
            return Point::of(decompress(&x, parity & 1).unwrap_or(even).into());
        }
    }
}

fn modulo_field_order(wide: &[u8; 48]) -> [u8; 32] {
    let order = U384::from_be_hex(FIELD_ORDER);
    let (rest, _) = U384::from_be_slice(wide).const_rem(&order);
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(rest.to_be_bytes().iter().skip(16)) {
        *to = *from;
    }
    bytes
}

fn decompress(x: &[u8; 32], parity: u8) -> Option<AffinePoint> {
    AffinePoint::decompress(x.into(), Choice::from(parity)).into()
}

/// The mark of a string in front of its length.
const STRING: u8 = 6;

/// The order `p` of the curve's field, with 16 leading zero bytes.
const FIELD_ORDER: &str = "00000000000000000000000000000000\
                           ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
