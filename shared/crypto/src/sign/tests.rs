//! Keys and signatures that count, and those that must not.

use proptest::prelude::*;
use rand_core::OsRng;

use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

#[test]
fn signs_the_worked_example_of_the_specification() {
    let hash = bytes("f2001446d578c054585d5c9db34cdbd411771f6b75c6dfa631d1048a60aca24f");
    let mut seed = [0; 32];
    seed[31] = 1;
    let key = SigningKey::from_seed(&seed);
    assert_eq!(
        key.public().to_string(),
        "4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29"
    );
    let signature = key.sign(Domain::ComputeRequest, &hash);
    assert_eq!(
        hex::encode(signature.as_bytes()),
        "cfb75cada9bb49623a5f3863917fe32b53292b153ee59a6487d70ad2ddabd94c\
         c73b6e8cf413703eae08ae187a0c696087b4ef8f225b6ce85c1a4acb944f5200"
    );
}

#[test]
fn the_exported_seed_makes_the_same_key() {
    let key = SigningKey::generate(&mut OsRng);
    let seed = key.seed();
    let again = SigningKey::from_seed(seed.expose().try_into().unwrap());
    assert_eq!(key.public(), again.public());
}

#[test]
fn a_signing_key_prints_only_its_public_half() {
    let key = key(1);
    assert_eq!(format!("{key:?}"), format!("SigningKey(of {})", key.public()));
    assert!(!format!("{key:?}").contains("0101"));
}

#[test]
fn a_public_key_survives_text() {
    let public = key(1).public();
    assert_eq!(public.to_string().parse::<SignerKey>(), Ok(public));
    assert_eq!(public.to_string().to_uppercase().parse::<SignerKey>(), Ok(public));
    assert_eq!(SignerKey::from_slice(public.as_bytes()), Ok(public));
}

#[test]
fn texts_that_are_no_key_are_refused() {
    let text = key(1).public().to_string();
    for length in [0, 62, 63] {
        let short = text[..length].parse::<SignerKey>();
        assert_eq!(short, Err(SignerKeyError::DigitCount { got: length }));
    }
    let odd = format!("{text}0").parse::<SignerKey>().unwrap_err();
    assert_eq!(odd.to_string(), "a signer key has 64 hexadecimal digits, got 65 characters");
    let prefixed = format!("0x{text}");
    assert_eq!(prefixed.parse::<SignerKey>(), Err(SignerKeyError::DigitCount { got: 66 }));
    let other = text.replace(&text[..1], "g");
    assert_eq!(other.parse::<SignerKey>(), Err(SignerKeyError::Digit));
}

#[test]
fn a_key_of_wrong_length_is_an_error_not_a_panic() {
    for got in [0, 31, 33, 64] {
        assert_eq!(SignerKey::from_slice(&vec![1; got]), Err(SignerKeyError::Length { got }));
    }
}

#[test]
fn bytes_that_are_no_point_are_refused() {
    let mut y = [0; 32];
    y[0] = 2;
    assert_eq!(SignerKey::from_slice(&y), Err(SignerKeyError::NotAPoint));
}

#[test]
fn every_small_order_key_is_refused() {
    let tail = |head: &str, middle: &str, end: &str| format!("{head}{}{end}", middle.repeat(30));
    let low = [
        tail("01", "00", "00"),
        tail("01", "00", "80"),
        tail("00", "00", "00"),
        tail("00", "00", "80"),
        tail("ec", "ff", "7f"),
        tail("ec", "ff", "ff"),
        tail("ee", "ff", "7f"),
        tail("ee", "ff", "ff"),
        tail("ed", "ff", "7f"),
        tail("ed", "ff", "ff"),
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05".to_owned(),
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85".to_owned(),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a".to_owned(),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa".to_owned(),
    ];
    for hex in low {
        assert_eq!(SignerKey::from_slice(&bytes(&hex)), Err(SignerKeyError::SmallOrder), "{hex}");
    }
}

#[test]
fn a_key_with_a_second_encoding_is_refused() {
    // y = p + 3 and y = 3 are the same point, of large order.
    let mut long = [0xff; 32];
    (long[0], long[31]) = (0xf0, 0x7f);
    assert_eq!(SignerKey::from_slice(&long), Err(SignerKeyError::NotCanonical));
    let mut short = [0; 32];
    short[0] = 3;
    assert!(SignerKey::from_slice(&short).is_ok());
}

#[test]
fn a_signature_for_one_purpose_never_counts_for_another() {
    use Domain::{ComputeRequest, ConfigVote, GatewayNode, RelayResponse};
    let (key, message) = (key(1), [7; 32]);
    let domains = [ComputeRequest, ConfigVote, GatewayNode, RelayResponse];
    for made in domains {
        let signature = key.sign(made, &message);
        for read in domains {
            let answer = key.public().verify(read, &message, &signature);
            assert_eq!(answer.is_ok(), made == read, "{made:?} as {read:?}");
        }
    }
}

#[test]
fn the_signer_is_found_wherever_it_stands() {
    let keys: Vec<SignerKey> = (1..=4).map(|seed| key(seed).public()).collect();
    for seed in 1..=4 {
        let signature = key(seed).sign(Domain::RelayResponse, b"answer");
        let found = find_signer(&keys, Domain::RelayResponse, b"answer", signature.as_bytes());
        assert_eq!(found, Ok(&key(seed).public()));
    }
}

#[test]
fn a_claim_decides_nothing() {
    let keys: Vec<SignerKey> = (1..=3).map(|seed| key(seed).public()).collect();
    let payload = payload(Domain::RelayResponse, b"answer");
    let signature = key(2).sign_payload(&payload);
    let stranger = key(9).public();
    let claims: [Option<&[u8]>; 5] = [
        None,
        Some(keys[0].as_bytes()),
        Some(keys[1].as_bytes()),
        Some(stranger.as_bytes()),
        Some(b""),
    ];
    for claimed in claims {
        let found = find_signer_of_payload(&keys, claimed, &payload, signature.as_bytes());
        assert_eq!(found, Ok(&keys[1]));
    }
    let forged = key(9).sign_payload(&payload);
    for claimed in claims {
        let found = find_signer_of_payload(&keys, claimed, &payload, forged.as_bytes());
        assert_eq!(found, Err(SignatureError::NotAllowed));
    }
}

#[test]
fn strangers_and_empty_committees_are_refused() {
    let signature = key(9).sign(Domain::ConfigVote, b"vote");
    let keys = [key(1).public()];
    for keys in [&keys[..], &[]] {
        let found = find_signer(keys, Domain::ConfigVote, b"vote", signature.as_bytes());
        assert_eq!(found, Err(SignatureError::NotAllowed));
    }
}

#[test]
fn lengths_other_than_64_are_refused_with_the_exact_text() {
    let keys = [key(1).public()];
    for got in [0, 63, 65] {
        let error = find_signer(&keys, Domain::ConfigVote, b"vote", &vec![0; got]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("invalid signature length: expected 64 bytes, got {got}")
        );
    }
}

#[test]
fn a_second_form_of_s_is_refused() {
    let group_order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let key = key(1);
    let mut twin = *key.sign(Domain::ConfigVote, b"vote").as_bytes();
    let mut carry = 0;
    for (digit, order) in twin[32..].iter_mut().zip(&group_order) {
        let sum = u16::from(*digit) + u16::from(*order) + carry;
        (*digit, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    let twin = Signature::from_slice(&twin).unwrap();
    let answer = key.public().verify(Domain::ConfigVote, b"vote", &twin);
    assert_eq!(answer, Err(SignatureError::NotAllowed));
}

#[test]
fn a_signature_that_gives_its_secret_away_is_refused() {
    // Nonce zero: R is the identity and S = k·a. The lenient equation holds; whoever sees it
    // computes a = S/k, so no honest signer makes it.
    let key = key(1);
    let mut forged = [0; 64];
    forged[0] = 1;
    let s = bytes("8b7f672dd414f39afbd08937c46a96e637638c148b4afd55e506383acec4750f");
    forged[32..].copy_from_slice(&s);
    let lenient = ed25519_dalek::Verifier::verify(
        key.public().verifying(),
        &payload(Domain::ConfigVote, b"vote"),
        &ed25519_dalek::Signature::from_bytes(&forged),
    );
    assert!(lenient.is_ok());
    let forged = Signature::from_slice(&forged).unwrap();
    let answer = key.public().verify(Domain::ConfigVote, b"vote", &forged);
    assert_eq!(answer, Err(SignatureError::NotAllowed));
}

#[test]
fn a_signing_key_is_wiped_on_drop() {
    fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
    wiped(&*key(1).0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_flipped_bit_is_refused(seed: [u8; 32], message: Vec<u8>, bit in 0_usize..512) {
        let key = SigningKey::from_seed(&seed);
        let mut signature = *key.sign(Domain::RelayResponse, &message).as_bytes();
        prop_assert!(find_signer(&[key.public()], Domain::RelayResponse, &message, &signature).is_ok());
        signature[bit / 8] ^= 1 << (bit % 8);
        let found = find_signer(&[key.public()], Domain::RelayResponse, &message, &signature)
            .map(SignerKey::to_string);
        prop_assert_eq!(found, Err(SignatureError::NotAllowed));
    }

    #[test]
    fn one_flipped_bit_of_the_message_is_refused(
        seed: [u8; 32],
        message in prop::collection::vec(any::<u8>(), 1..1_100),
        position: prop::sample::Index,
        bit in 0_u8..8,
    ) {
        let key = SigningKey::from_seed(&seed);
        let signature = key.sign(Domain::RelayResponse, &message);
        prop_assert_eq!(key.public().verify(Domain::RelayResponse, &message, &signature), Ok(()));
        let mut other = message;
        let position = position.index(other.len());
        other[position] ^= 1 << bit;
        let answer = key.public().verify(Domain::RelayResponse, &other, &signature);
        prop_assert_eq!(answer, Err(SignatureError::NotAllowed));
    }

    #[test]
    fn one_flipped_bit_of_the_payload_around_it_is_refused(seed: [u8; 32], bit in 0_usize..174 * 8) {
        let key = SigningKey::from_seed(&seed);
        let mut payload = payload(Domain::RelayResponse, &[7; 32]);
        let signature = key.sign_payload(&payload);
        prop_assert_eq!(key.public().verify_payload(&payload, &signature), Ok(()));
        payload[bit / 8] ^= 1 << (bit % 8);
        let answer = key.public().verify_payload(&payload, &signature);
        prop_assert_eq!(answer, Err(SignatureError::NotAllowed));
    }

    #[test]
    fn one_flipped_bit_of_the_key_is_no_key_or_another_s(seed: [u8; 32], bit in 0_usize..256) {
        let key = SigningKey::from_seed(&seed);
        let signature = key.sign(Domain::ComputeRequest, &[7; 32]);
        let mut other = *key.public().as_bytes();
        other[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = SignerKey::from_slice(&other) {
            let answer = other.verify(Domain::ComputeRequest, &[7; 32], &signature);
            prop_assert_eq!(answer, Err(SignatureError::NotAllowed));
        }
    }

    #[test]
    fn parsing_any_bytes_answers(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
        if let Ok(key) = SignerKey::from_slice(&bytes) {
            prop_assert_eq!(key.as_bytes().as_slice(), bytes.as_slice());
        }
    }
}
