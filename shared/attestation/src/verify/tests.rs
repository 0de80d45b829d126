//! A document that AWS made, which binds no user data, so its chain and signature are looked at
//! here, behind [`verify`]. All else is tested with documents of a test root, in `testkit`.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::{
    ChainError, Measurements, Nonce, TrustRoot, UserData, attestor::PUBLIC_KEY_LIMIT_BYTES,
    policy::BindingError,
};

const CAPTURED: &[u8] = include_bytes!("../../tests/captured/eu-central-1.cose");

/// When the captured document was made.
fn made() -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(1_736_179_625_472)).unwrap()
}

fn policy(document: &Document) -> Policy {
    let [pcr0, pcr1, pcr2] = [0, 1, 2].map(|index| document.pcrs[&index]);
    let image = Measurements::new(pcr0, pcr1, pcr2).unwrap();
    Policy::new(TrustRoot::aws(), image, UserData::from([0; 32]), Nonce::NotUsed)
}

fn captured() -> Document {
    Document::decode_unverified(CAPTURED).unwrap()
}

#[test]
fn a_document_from_aws_is_read() {
    let document = captured();
    assert_eq!(document.module_id, "i-0bee92034f3d60691-enc01943c5eaab3ad6a");
    assert_eq!(document.timestamp, made());
    assert_eq!(document.pcrs.keys().copied().collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
    assert!(!document.pcrs[&0].is_zero() && document.pcrs[&8].is_zero());
    assert_eq!(document.cabundle.len(), 4);
    assert_eq!(document.cabundle[0], TrustRoot::aws().der());
    assert!(document.public_key.unwrap().len() < PUBLIC_KEY_LIMIT_BYTES);
    assert_eq!((document.user_data, document.nonce, document.unknown_fields), (None, None, 0));
}

#[test]
fn the_chain_of_a_document_from_aws_leads_to_the_pinned_root() {
    let document = captured();
    let chain = verify_chain(&document, &policy(&document), made()).unwrap();
    let envelope = Sign1::decode(CAPTURED).unwrap();
    assert_eq!(verify_signature(&envelope, chain.leaf_key()), Ok(()));
}

#[test]
fn the_root_need_not_be_in_the_bundle_nor_the_bundle_in_order() {
    let mut document = captured();
    document.cabundle.remove(0);
    document.cabundle.reverse();
    assert!(verify_chain(&document, &policy(&document), made()).is_ok());
    document.cabundle.remove(1);
    let refusal = verify_chain(&document, &policy(&document), made()).map(|_| ());
    assert_eq!(refusal, Err(ChainError::NoPath.into()));
}

#[test]
fn the_leaf_of_a_document_from_aws_expires_after_three_hours() {
    let document = captured();
    let later = |hours: u64| made().checked_add(Duration::from_secs(hours * 3600)).unwrap();
    let verify_at = |now| verify_chain(&document, &policy(&document), now).map(|_| ());
    assert_eq!(verify_at(later(2)), Ok(()));
    assert_eq!(verify_at(later(3)), Err(ChainError::Expired { depth: 0 }.into()));
    let earlier = made().checked_sub(Duration::from_secs(60)).unwrap();
    assert_eq!(verify_at(earlier), Err(ChainError::NotYetValid { depth: 0 }.into()));
}

#[test]
fn one_bit_of_the_payload_breaks_the_signature_of_aws() {
    let document = captured();
    let chain = verify_chain(&document, &policy(&document), made()).unwrap();
    let mut changed = CAPTURED.to_vec();
    changed[60] ^= 1;
    let envelope = Sign1::decode(&changed).unwrap();
    let refusal = verify_signature(&envelope, chain.leaf_key());
    assert_eq!(refusal, Err(VerifyError::Signature));
}

#[test]
fn a_document_that_binds_nothing_is_not_believed() {
    let refusal = verify(CAPTURED, &policy(&captured()), made());
    assert_eq!(refusal, Err(VerifyError::UserData(BindingError::Absent)));
}
