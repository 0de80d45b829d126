//! Signatures that count, and those that must not.

use proptest::prelude::*;
use rand_core::OsRng;

use super::*;

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn digest() -> [u8; 32] {
    array("f93592e40ab839929fcb8ee435e1cb29378ea36cc37ce8745c995d8a15984d40")
}

fn signature() -> [u8; 65] {
    array(
        "b1ac861f9406477c6b65b9f76783acd84648ab3345dfe19fdd7847a811dddf27\
         662eb0a2b0d9c279b2e6a40e469b1700531745a7bcc616677e5b530319780d5000",
    )
}

/// `n - s` with the other parity.
fn with_high_s(signature: &[u8; 65]) -> [u8; 65] {
    let parsed = k256::ecdsa::Signature::from_slice(&signature[..64]).unwrap();
    let (r, s) = parsed.split_scalars();
    let high = k256::ecdsa::Signature::from_scalars(r, std::ops::Neg::neg(s)).unwrap();
    let mut bytes = [signature[64] ^ 1; 65];
    bytes[..64].copy_from_slice(&high.to_bytes());
    bytes
}

#[test]
fn signs_and_recovers_the_worked_example_of_the_specification() {
    let key = OcrSigningKey::from_bytes(&[1; 32]).unwrap();
    let address = "0x1a642f0e3c3af545e7acbd38b07251b3990914f1".parse().unwrap();
    assert_eq!(key.address(), address);
    assert_eq!(key.sign(&digest()), Ok(signature()));
    assert_eq!(recover(&digest(), &signature()), Ok(address));
    assert_eq!(verify(&address, &digest(), &signature()), Ok(()));
}

#[test]
fn high_s_is_accepted() {
    let high = with_high_s(&signature());
    assert_ne!(high, signature());
    assert_eq!(recover(&digest(), &high), recover(&digest(), &signature()));
}

#[test]
fn another_signer_is_refused() {
    let other = OcrSigningKey::generate(&mut OsRng).address();
    let answer = verify(&other, &digest(), &signature());
    assert_eq!(answer, Err(OcrSignatureError::OtherSigner));
}

#[test]
fn recovery_ids_of_older_tools_are_refused() {
    for got in [2, 3, 27, 28, 255] {
        let mut signature = signature();
        signature[64] = got;
        let answer = recover(&digest(), &signature);
        assert_eq!(answer, Err(OcrSignatureError::RecoveryId { got }));
    }
}

#[test]
fn lengths_other_than_65_are_refused() {
    for got in [0, 64, 66] {
        let answer = recover(&digest(), &vec![0; got]);
        assert_eq!(answer, Err(OcrSignatureError::Length { got }));
    }
}

#[test]
fn zero_and_oversized_numbers_are_refused() {
    for half in [0..32, 32..64] {
        for fill in [0, 0xff] {
            let mut signature = signature();
            signature[half.clone()].fill(fill);
            assert_eq!(recover(&digest(), &signature), Err(OcrSignatureError::NoKey));
        }
    }
}

#[test]
fn zero_and_oversized_keys_are_refused() {
    for bytes in [[0; 32], [0xff; 32]] {
        assert_eq!(OcrSigningKey::from_bytes(&bytes).unwrap_err(), OcrSigningKeyError);
    }
}

#[test]
fn a_signing_key_prints_only_its_address() {
    let key = OcrSigningKey::from_bytes(&[1; 32]).unwrap();
    assert_eq!(format!("{key:?}"), format!("OcrSigningKey(of {})", key.address()));
}

#[test]
fn a_signing_key_is_wiped_on_drop() {
    fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
    wiped(&*OcrSigningKey::from_bytes(&[1; 32]).unwrap().0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn one_flipped_bit_is_another_signer_or_none(digest: [u8; 32], bit in 0_usize..520) {
        let key = OcrSigningKey::generate(&mut OsRng);
        let mut signature = key.sign(&digest).unwrap();
        prop_assert_eq!(verify(&key.address(), &digest, &signature), Ok(()));
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify(&key.address(), &digest, &signature).is_err());
    }
}
