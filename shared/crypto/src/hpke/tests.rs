//! Messages that open, and those that must not.

use ::hpke::Serializable as _;
use proptest::prelude::*;
use rand_core::OsRng;

use super::*;
use crate::x25519::LOW_ORDER;

const MESSAGE: &[u8] = b"hunter2";

fn sealed() -> (SecretKey, Vec<u8>) {
    let key = SecretKey::generate(&mut OsRng);
    let sealed = key.public().seal(b"info", b"aad", MESSAGE, &mut OsRng).unwrap();
    (key, sealed)
}

#[test]
fn another_key_info_or_aad_opens_nothing() {
    let (key, sealed) = sealed();
    assert_eq!(key.open(b"info", b"aad", &sealed).unwrap().expose(), MESSAGE);
    let other = SecretKey::generate(&mut OsRng);
    assert_eq!(other.open(b"info", b"aad", &sealed).unwrap_err(), OpenError::Failed);
    for (info, aad) in [(&b"inf"[..], &b"aad"[..]), (b"info", b"aa"), (b"", b"aad"), (b"info", b"")]
    {
        assert_eq!(key.open(info, aad, &sealed).unwrap_err(), OpenError::Failed);
    }
    // What is moved between the two is not the same.
    assert_eq!(key.open(b"infoa", b"ad", &sealed).unwrap_err(), OpenError::Failed);
}

#[test]
fn a_message_from_a_low_order_key_is_refused() {
    let (key, mut sealed) = sealed();
    for point in LOW_ORDER {
        sealed[..32].copy_from_slice(&point);
        assert_eq!(key.open(b"info", b"aad", &sealed).unwrap_err(), OpenError::LowOrder);
    }
}

#[test]
fn nothing_is_sealed_to_a_low_order_or_second_encoding() {
    for point in LOW_ORDER {
        assert_eq!(PublicKey::from_slice(&point), Err(PublicKeyError::LowOrder));
    }
    let mut second = *SecretKey::generate(&mut OsRng).public().as_bytes();
    second[31] |= 0x80;
    assert_eq!(PublicKey::from_slice(&second), Err(PublicKeyError::NotCanonical));
    assert_eq!(PublicKey::from_slice(&[9; 31]), Err(PublicKeyError::Length { got: 31 }));
}

#[test]
fn the_limits_hold_on_both_sides() {
    let (key, sealed) = sealed();
    let context = vec![7; LONGEST_CONTEXT_BYTES];
    let long = vec![7; LONGEST_CONTEXT_BYTES + 1];
    let at_limit = key.public().seal(&context, &context, MESSAGE, &mut OsRng).unwrap();
    assert_eq!(key.open(&context, &context, &at_limit).unwrap().expose(), MESSAGE);
    let (got, limit) = (LONGEST_CONTEXT_BYTES + 1, LONGEST_CONTEXT_BYTES);
    for (part, info, aad) in [("info", &long, &context), ("aad", &context, &long)] {
        let refused = TooLongError { part, got, limit };
        let unsealed = key.public().seal(info, aad, MESSAGE, &mut OsRng);
        assert_eq!(unsealed, Err(SealError::TooLong(refused)));
        let unopened = key.open(info, aad, &sealed).unwrap_err();
        assert_eq!(unopened, OpenError::TooLong(refused));
    }
}

#[test]
fn the_longest_message_is_sealed_and_one_byte_more_is_not_looked_at() {
    let key = SecretKey::generate(&mut OsRng);
    let mut message = vec![0; LONGEST_MESSAGE_BYTES];
    let mut sealed = key.public().seal(b"", b"", &message, &mut OsRng).unwrap();
    assert_eq!(key.open(b"", b"", &sealed).unwrap().expose(), message);
    message.push(0);
    sealed.push(0);
    let (got, limit) = (LONGEST_MESSAGE_BYTES + 1, LONGEST_MESSAGE_BYTES);
    let refused = TooLongError { part: "the message", got, limit };
    let unsealed = key.public().seal(b"", b"", &message, &mut OsRng);
    assert_eq!(unsealed, Err(SealError::TooLong(refused)));
    assert_eq!(key.open(b"", b"", &sealed).unwrap_err(), OpenError::TooLong(refused));
}

#[test]
fn a_secret_key_prints_only_its_public_half() {
    let key = SecretKey::generate(&mut OsRng);
    let secret = hex::encode(key.0.to_bytes());
    let printed = format!("{key:?}");
    assert_eq!(printed, format!("SecretKey(of {:?})", key.public()));
    assert!(!printed.contains(&secret));
}

#[test]
fn a_secret_key_is_wiped_on_drop() {
    // Bytes have nothing to do when dropped, unless the manifest turns the feature on.
    assert!(std::mem::needs_drop::<<X25519HkdfSha256 as ::hpke::Kem>::PrivateKey>());
    assert!(std::mem::needs_drop::<x25519_dalek::SharedSecret>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_is_opened(
        info: Vec<u8>,
        aad: Vec<u8>,
        message in prop::collection::vec(any::<u8>(), 0..3_000),
    ) {
        let key = SecretKey::generate(&mut OsRng);
        let sealed = key.public().seal(&info, &aad, &message, &mut OsRng).unwrap();
        prop_assert_eq!(sealed.len().checked_sub(message.len()), Some(OVERHEAD_BYTES));
        let opened = key.open(&info, &aad, &sealed).unwrap();
        prop_assert_eq!(opened.expose(), message);
    }

    #[test]
    fn one_flipped_bit_is_refused(bit in 0_usize..(7 + 48) * 8) {
        let (key, mut sealed) = sealed();
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(key.open(b"info", b"aad", &sealed).unwrap_err(), OpenError::Failed);
    }

    #[test]
    fn every_cut_is_refused(length in 0_usize..7 + 48) {
        let (key, sealed) = sealed();
        let cut = key.open(b"info", b"aad", &sealed[..length]).unwrap_err();
        prop_assert_eq!(cut, OpenError::Failed);
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (key, _) = sealed();
        prop_assert!(key.open(b"info", b"aad", &bytes).is_err());
    }
}
