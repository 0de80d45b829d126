//! Boxes that open, and those that must not.

use proptest::prelude::*;
use rand_core::OsRng;

use super::*;

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
fn every_low_order_key_gives_one_box_that_any_key_would_open() {
    // The list is right if X25519 maps each of its points to zero: then the box is the same for
    // two unrelated secret keys.
    for mut point in LOW_ORDER {
        for bit in [0, 0x80] {
            point[31] |= bit;
            assert!(has_low_order(&point));
            let shared = |secret: u8| {
                let secret = SecretKey::from_bytes([secret; 32]);
                let salsa = crypto_box::SalsaBox::new(&PublicKey::from_bytes(point), &secret);
                crypto_box::aead::Aead::encrypt(&salsa, &Default::default(), &b"x"[..]).unwrap()
            };
            assert_eq!(shared(1), shared(2), "{}", hex::encode(point));
        }
    }
}

#[test]
fn nothing_is_sealed_to_a_low_order_key() {
    for point in LOW_ORDER {
        let key = EphemeralPublicKey::from_slice(&point);
        assert_eq!(key, Err(EphemeralPublicKeyError::LowOrder));
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
fn lengths_other_than_32_bytes_are_refused_with_the_exact_text() {
    for got in [0, 31, 33] {
        let error = EphemeralPublicKey::from_slice(&vec![9; got]).unwrap_err();
        let text = format!("invalid public key length: expected 32 bytes, got {got} bytes");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn texts_that_are_no_key_are_refused() {
    let text = EphemeralKey::from_bytes(&[7; 32]).public().to_string();
    assert_eq!(text.parse::<EphemeralPublicKey>().unwrap().to_string(), text);
    let prefixed = format!("0x{text}").parse::<EphemeralPublicKey>();
    assert_eq!(prefixed, Err(EphemeralPublicKeyError::Length { got: 33 }));
    let other = text.replace(&text[..1], "x").parse::<EphemeralPublicKey>();
    assert_eq!(other, Err(EphemeralPublicKeyError::Digit));
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
