//! Boxes that open, and those that must not.

use crypto_box::{PublicKey, SecretKey};
use proptest::prelude::*;
use rand_core::OsRng;

use super::*;
use crate::{
    scripted::Scripted,
    x25519::{LOW_ORDER, PublicKeyError, has_low_order},
};

#[test]
fn opens_the_worked_example_of_the_specification() {
    let secret: Vec<u8> = (1..=32).collect();
    let key = EphemeralKey::from_bytes(&secret.try_into().unwrap());
    assert_eq!(
        key.public().to_string(),
        "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"
    );
    let sealed = hex::decode(
        "132c442be010fbd57e72603328aa76e71fccc1503aae219327d14d9c9993f472\
         a1dae574d81e658e0593ca2efbed710d64156be8122cd84407c3d4",
    );
    assert_eq!(key.open(&sealed.unwrap()).unwrap().expose(), b"hello share");
}

#[test]
fn every_low_order_key_shares_one_secret_with_all() {
    // The list is right if X25519 maps each of its points to zero, and no other that is near.
    let key = EphemeralKey::from_bytes(&[7; 32]);
    for mut point in LOW_ORDER {
        for bit in [0, 0x80] {
            point[31] |= bit;
            assert!(has_low_order(&point) && key.cipher(&point).is_none());
        }
        point[0] ^= 2;
        assert!(has_low_order(&point) || key.cipher(&point).is_some());
    }
}

#[test]
fn a_box_from_a_low_order_key_is_refused() {
    let key = EphemeralKey::generate(&mut OsRng);
    let mut sealed = key.public().seal(b"share", &mut OsRng).unwrap();
    for point in LOW_ORDER {
        sealed[..32].copy_from_slice(&point);
        assert_eq!(key.open(&sealed).unwrap_err(), OpenError::LowOrder);
    }
}

#[test]
fn a_box_for_another_key_is_refused() {
    let (key, other) = (EphemeralKey::generate(&mut OsRng), EphemeralKey::generate(&mut OsRng));
    let sealed = key.public().seal(b"share", &mut OsRng).unwrap();
    assert_eq!(other.open(&sealed).unwrap_err(), OpenError::Failed);
}

#[test]
fn texts_that_are_no_key_are_refused() {
    let text = EphemeralKey::from_bytes(&[7; 32]).public().to_string();
    assert_eq!(text.parse::<EphemeralPublicKey>().unwrap().to_string(), text);
    let prefixed = format!("0x{text}").parse::<EphemeralPublicKey>();
    assert_eq!(prefixed, Err(PublicKeyError::DigitCount { got: 66 }));
    let odd = format!("{text}0").parse::<EphemeralPublicKey>().unwrap_err();
    assert_eq!(odd.to_string(), "a public key has 64 hexadecimal digits, got 65 characters");
    let other = text.replace(&text[..1], "x").parse::<EphemeralPublicKey>();
    assert_eq!(other, Err(PublicKeyError::Digit));
}

#[test]
fn a_box_for_a_second_encoding_of_a_key_would_never_open() {
    // Why such a key is refused: the nonce holds the encoding, and the recipient knows its own.
    let key = EphemeralKey::from_bytes(&[7; 32]);
    let mut long = *key.public().as_bytes();
    long[31] |= 0x80;
    let sealed = EphemeralPublicKey(long).seal(b"share", &mut OsRng).unwrap();
    assert_eq!(key.open(&sealed).unwrap_err(), OpenError::Failed);
}

#[test]
fn the_limit_is_the_longest_message_and_one_byte_more_is_refused() {
    let key = EphemeralKey::generate(&mut OsRng);
    let longest = vec![7; LONGEST_MESSAGE_BYTES];
    let sealed = key.public().seal(&longest, &mut OsRng).unwrap();
    assert_eq!(key.open(&sealed).unwrap().expose(), longest);
    let longer = key.public().seal(&[7; LONGEST_MESSAGE_BYTES + 1], &mut OsRng);
    assert_eq!(longer, Err(SealError::TooLong { got: 1_025 }));
    // The same box as others can seal it.
    let longer = PublicKey::from_bytes(*key.public().as_bytes()).seal(&mut OsRng, &[7; 1_025]);
    let refused = key.open(&longer.unwrap()).unwrap_err();
    assert_eq!(refused, OpenError::TooLong { got: 1_073 });
    assert_eq!(refused.to_string(), "decryption failed");
}

#[test]
fn a_key_is_wiped_on_drop() {
    // Bytes have nothing to do when dropped, unless the manifest turns the feature on.
    assert!(std::mem::needs_drop::<StaticSecret>());
    let mut key = EphemeralKey::from_bytes(&[7; 32]);
    zeroize::Zeroize::zeroize(&mut *key.0);
    assert_eq!(key.0.to_bytes(), [0; 32]);
}

#[test]
fn a_secret_key_prints_only_its_public_half() {
    let key = EphemeralKey::from_bytes(&[7; 32]);
    assert_eq!(format!("{key:?}"), format!("EphemeralKey(of {})", key.public()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_is_opened(secret: [u8; 32], message: Vec<u8>) {
        let key = EphemeralKey::from_bytes(&secret);
        let sealed = key.public().seal(&message, &mut OsRng).unwrap();
        prop_assert_eq!(sealed.len().checked_sub(message.len()), Some(OVERHEAD_BYTES));
        let opened = key.open(&sealed).unwrap();
        prop_assert_eq!(opened.expose(), &message);
    }

    #[test]
    fn boxes_are_those_of_crypto_box(secret: [u8; 32], message: Vec<u8>) {
        let key = EphemeralKey::from_bytes(&[7; 32]);
        let ours = key.public().seal(&message, &mut Scripted::new(&secret)).unwrap();
        let theirs = PublicKey::from_bytes(*key.public().as_bytes());
        let theirs = theirs.seal(&mut Scripted::new(&secret), &message).unwrap();
        prop_assert_eq!(&ours, &theirs);
        let opened = SecretKey::from_bytes([7; 32]).unseal(&ours).unwrap();
        prop_assert_eq!(opened, message);
    }

    #[test]
    fn one_flipped_bit_is_refused(message: [u8; 20], bit in 0_usize..(20 + 48) * 8) {
        let key = EphemeralKey::generate(&mut OsRng);
        let mut sealed = key.public().seal(&message, &mut OsRng).unwrap();
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(key.open(&sealed).unwrap_err(), OpenError::Failed);
    }

    #[test]
    fn every_cut_is_refused(message: [u8; 20], length in 0_usize..20 + 48) {
        let key = EphemeralKey::generate(&mut OsRng);
        let sealed = key.public().seal(&message, &mut OsRng).unwrap();
        prop_assert_eq!(key.open(&sealed[..length]).unwrap_err(), OpenError::Failed);
    }
}
