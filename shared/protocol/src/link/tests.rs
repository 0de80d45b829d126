//! Both halves against each other, and every answer that must not let anybody in.

use crypto::sign::payload;

use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn challenge(nonce: u8) -> Challenge {
    Challenge::new("gateway-1", [nonce; 32], now())
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(1_700_000_000_123)).unwrap()
}

fn answered(challenge: &Challenge, key: &SigningKey) -> String {
    answer(challenge.frame().as_bytes(), "gateway-1", key).unwrap().frame
}

/// The answer with one member replaced.
fn with(frame: &str, member: &str, value: serde_json::Value) -> String {
    let mut object: serde_json::Value = serde_json::from_str(frame).unwrap();
    object[member] = value;
    object.to_string()
}

#[test]
fn a_member_that_answers_is_named() {
    let members = [key(1).public(), key(2).public()];
    for seed in [1, 2] {
        let challenge = challenge(9);
        let frame = answered(&challenge, &key(seed));
        assert_eq!(challenge.check(frame.as_bytes(), &members), Ok(key(seed).public()));
    }
}

#[test]
fn the_frames_have_the_documented_form() {
    let challenge = challenge(0xab);
    let nonce = "ab".repeat(32);
    assert_eq!(
        challenge.frame(),
        format!(r#"{{"gateway":"gateway-1","challenge":"{nonce}","time":1700000000123}}"#)
    );
    let frame: serde_json::Value = serde_json::from_str(&answered(&challenge, &key(1))).unwrap();
    assert_eq!(frame["node"], key(1).public().to_string());
    assert_eq!(frame["signature"].as_str().map(str::len), Some(128));
    assert_eq!(frame.as_object().map(serde_json::Map::len), Some(2));
}

#[test]
fn the_signed_message_binds_gateway_challenge_and_node() {
    use sha2::{Digest as _, Sha256};
    let node = key(1).public();
    let mut hash = Sha256::new();
    hash.update(b"CONFIDENTIAL_COMPUTE_PAYLOAD\nGatewayNodeLink\n");
    for field in [b"gateway-1".as_slice(), &[9; 32], node.as_bytes()] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    let expected = payload(Domain::GatewayNode, &hash.finalize());
    let signature = key(1).sign_payload(&expected);
    let frame =
        format!(r#"{{"node":"{node}","signature":"{}"}}"#, hex::encode(signature.as_bytes()));
    assert_eq!(challenge(9).check(frame.as_bytes(), &[node]), Ok(node));
}

#[test]
fn the_node_learns_the_gateways_clock() {
    let proof = answer(challenge(1).frame().as_bytes(), "gateway-1", &key(1)).unwrap();
    assert_eq!(proof.gateway_time, now());
}

#[test]
fn an_unknown_key_is_refused() {
    let challenge = challenge(9);
    let frame = answered(&challenge, &key(3));
    let refused = challenge.check(frame.as_bytes(), &[key(1).public()]).unwrap_err();
    assert_eq!(refused, CheckError::UnknownNode { node: Box::new(key(3).public()) });
    assert_eq!(refused.word(), "unknown node");
}

#[test]
fn a_replayed_answer_meets_another_challenge() {
    let members = [key(1).public()];
    let frame = answered(&challenge(9), &key(1));
    let refused = challenge(10).check(frame.as_bytes(), &members);
    assert_eq!(refused, Err(CheckError::Signature(SignatureError::NotAllowed)));
}

#[test]
fn an_answer_for_another_gateway_is_refused() {
    let members = [key(1).public()];
    let other = Challenge::new("gateway-2", [9; 32], now());
    let frame = answer(other.frame().as_bytes(), "gateway-2", &key(1)).unwrap().frame;
    let refused = challenge(9).check(frame.as_bytes(), &members);
    assert_eq!(refused, Err(CheckError::Signature(SignatureError::NotAllowed)));
}

#[test]
fn one_member_cannot_speak_for_another() {
    let members = [key(1).public(), key(2).public()];
    let frame = answered(&challenge(9), &key(1));
    let stolen = with(&frame, "node", key(2).public().to_string().into());
    let refused = challenge(9).check(stolen.as_bytes(), &members);
    assert_eq!(refused, Err(CheckError::Signature(SignatureError::NotAllowed)));
}

#[test]
fn a_signature_for_another_purpose_is_refused() {
    let node = key(1).public();
    let message = message("gateway-1", &[9; 32], &node);
    for domain in [Domain::ComputeRequest, Domain::ConfigVote, Domain::RelayResponse] {
        let signature = hex::encode(key(1).sign(domain, &message).as_bytes());
        let frame = format!(r#"{{"node":"{node}","signature":"{signature}"}}"#);
        let refused = challenge(9).check(frame.as_bytes(), &[node]);
        assert_eq!(refused, Err(CheckError::Signature(SignatureError::NotAllowed)));
    }
}

#[test]
fn frames_that_are_no_answer_are_refused() {
    let node = key(1).public();
    let good = answered(&challenge(9), &key(1));
    let check = |frame: &str| challenge(9).check(frame.as_bytes(), &[node]).unwrap_err();
    for frame in ["", "{", "[]x", "null", r#"{"node":1}"#, r#"{"NODE":"","signature":""}"#] {
        assert!(matches!(check(frame), CheckError::Decode(_)), "{frame}");
    }
    for frame in ["{}", &with(&good, "node", "00".into())] {
        assert!(matches!(check(frame), CheckError::Key(_)), "{frame}");
    }
    let weak = with(&good, "node", "00".repeat(32).into());
    assert_eq!(check(&weak), CheckError::Key(SignerKeyError::SmallOrder));
    for signature in ["", "00", &"0".repeat(129), &"g".repeat(128)] {
        let frame = with(&good, "signature", signature.into());
        assert_eq!(check(&frame), CheckError::SignatureForm);
        assert_eq!(check(&frame).word(), "not an answer");
    }
    let long = format!("{good}{}", " ".repeat(FRAME_BYTES));
    assert_eq!(check(&long), CheckError::Long { got: long.len() });
}

#[test]
fn every_flipped_bit_of_a_signature_is_refused() {
    let node = key(1).public();
    let good: serde_json::Value = serde_json::from_str(&answered(&challenge(9), &key(1))).unwrap();
    let signature = hex::decode(good["signature"].as_str().unwrap()).unwrap();
    for bit in 0..512 {
        let mut forged = signature.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        let frame = with(&good.to_string(), "signature", hex::encode(forged).into());
        assert!(challenge(9).check(frame.as_bytes(), &[node]).is_err(), "bit {bit}");
    }
}

#[test]
fn a_node_signs_only_for_its_gateway() {
    let frame = challenge(9).frame();
    let refused = answer(frame.as_bytes(), "gateway-2", &key(1));
    assert_eq!(refused, Err(AnswerError::OtherGateway));
}

#[test]
fn a_node_signs_no_frame_that_is_not_a_challenge() {
    let good = challenge(9).frame();
    let refuse = |frame: &str| answer(frame.as_bytes(), "gateway-1", &key(1)).unwrap_err();
    for frame in ["", "[]", r#"{"gateway":"gateway-1","challenge":7}"#] {
        assert!(matches!(refuse(frame), AnswerError::Decode(_)), "{frame}");
    }
    for nonce in ["", "00", &"0".repeat(66), &"g".repeat(64)] {
        assert_eq!(refuse(&with(&good, "challenge", nonce.into())), AnswerError::Challenge);
    }
    let long = format!("{good}{}", " ".repeat(FRAME_BYTES));
    assert_eq!(refuse(&long), AnswerError::Long { got: long.len() });
    // The time decides nothing, however far it is.
    let far = with(&good, "time", u64::MAX.into());
    let proof = answer(far.as_bytes(), "gateway-1", &key(1)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::MAX);
    assert_eq!((proof.gateway_time, proof.frame), (time, answered(&challenge(9), &key(1))));
}

#[test]
fn the_longest_gateway_id_fits_a_frame() {
    let id = "\u{1}".repeat(GATEWAY_ID_BYTES);
    let challenge = Challenge::new(&id, [9; 32], now());
    let proof = answer(challenge.frame().as_bytes(), &id, &key(1)).unwrap();
    assert_eq!(challenge.check(proof.frame.as_bytes(), &[key(1).public()]), Ok(key(1).public()));
}
