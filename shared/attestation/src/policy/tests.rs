#![expect(clippy::arithmetic_side_effects, reason = "the sums of these tests are small")]

use std::time::UNIX_EPOCH;

use super::*;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn pcr(byte: u8) -> Pcr {
    Pcr::from([byte; 48])
}

fn image(byte: u8) -> Measurements {
    Measurements::new(pcr(byte), pcr(byte + 1), pcr(byte + 2)).unwrap()
}

fn policy(set: impl Into<MeasurementSet>) -> Policy {
    Policy::new(TrustRoot::aws(), set, UserData::from([1; 32]), Nonce::NotUsed)
}

/// The registers of `image(byte)`, and zeros up to PCR15 as the module has them.
fn registers(byte: u8) -> BTreeMap<u8, Pcr> {
    let zeros = (0..16).map(|index| (index, Pcr::ZERO));
    zeros.chain(image(byte).pcrs()).collect()
}

fn reason(policy: &Policy, pcrs: &BTreeMap<u8, Pcr>) -> MismatchReason {
    policy.find_set(pcrs, at(50)).unwrap_err().reason
}

#[test]
fn the_first_set_that_agrees_is_named() {
    let policy = policy(image(1)).or_measurements(image(10)).or_measurements(image(20));
    assert_eq!(policy.find_set(&registers(1), at(50)), Ok(0));
    assert_eq!(policy.find_set(&registers(10), at(50)), Ok(1));
    assert_eq!(policy.find_set(&registers(20), at(50)), Ok(2));
    assert_eq!(policy.sets()[1].measurements(), &image(10));
}

#[test]
fn the_reason_is_that_of_the_set_that_came_closest() {
    let policy = policy(image(1)).or_measurements(image(10)).or_measurements(image(20));
    let mut pcrs = registers(10);
    pcrs.insert(2, pcr(99));
    let want = Mismatch { set: 1, reason: MismatchReason::Differs { index: 2 } };
    assert_eq!(policy.find_set(&pcrs, at(50)), Err(want));
    let want = Mismatch { set: 0, reason: MismatchReason::Differs { index: 0 } };
    assert_eq!(policy.find_set(&registers(30), at(50)), Err(want));
}

#[test]
fn pcr0_alone_is_not_the_image() {
    for index in [1, 2] {
        let mut pcrs = registers(1);
        pcrs.insert(index, pcr(99));
        assert_eq!(reason(&policy(image(1)), &pcrs), MismatchReason::Differs { index });
        pcrs.remove(&index);
        assert_eq!(reason(&policy(image(1)), &pcrs), MismatchReason::Absent { index });
    }
}

#[test]
fn debug_mode_is_called_by_its_name() {
    let zeros: BTreeMap<_, _> = (0..16).map(|index| (index, Pcr::ZERO)).collect();
    assert_eq!(reason(&policy(image(1)), &zeros), MismatchReason::DebugMode);
    let mut partly = zeros;
    partly.insert(2, pcr(1));
    assert_eq!(reason(&policy(image(1)), &partly), MismatchReason::Differs { index: 0 });
}

#[test]
fn each_further_register_is_compared_at_its_own_index() {
    let asked = image(1).with_role(pcr(3)).with_instance(pcr(4)).with_signer(pcr(8)).unwrap();
    let mut pcrs = registers(1);
    pcrs.extend([(3, pcr(3)), (4, pcr(4)), (8, pcr(8))]);
    assert_eq!(policy(asked.clone()).find_set(&pcrs, at(50)), Ok(0));
    assert_eq!(policy(image(1)).find_set(&pcrs, at(50)), Ok(0));
    for index in [3, 4, 8] {
        let mut other = pcrs.clone();
        other.insert(index, pcr(77));
        assert_eq!(reason(&policy(asked.clone()), &other), MismatchReason::Differs { index });
        other.remove(&index);
        assert_eq!(reason(&policy(asked.clone()), &other), MismatchReason::Absent { index });
    }
    let mut swapped = pcrs;
    swapped.extend([(3, pcr(4)), (4, pcr(3))]);
    assert_eq!(reason(&policy(asked), &swapped), MismatchReason::Differs { index: 3 });
}

#[test]
fn the_policys_signer_holds_for_every_set() {
    let policy = policy(image(1)).or_measurements(image(10)).with_signer(pcr(8)).unwrap();
    for byte in [1, 10] {
        let mut pcrs = registers(byte);
        assert_eq!(reason(&policy, &pcrs), MismatchReason::Differs { index: 8 });
        pcrs.insert(8, pcr(8));
        assert!(policy.find_set(&pcrs, at(50)).is_ok());
    }
}

#[test]
fn a_zero_signer_cannot_be_asked_for() {
    let refusal = policy(image(1)).with_signer(Pcr::ZERO).map(|_| ());
    assert_eq!(refusal, Err(ZeroPcrError { index: 8 }));
}

#[test]
fn a_set_is_accepted_within_its_window_ends_included() {
    let find = |from: Option<u64>, until: Option<u64>, now| {
        let set = MeasurementSet::within(image(1), from.map(at), until.map(at)).unwrap();
        policy(set).find_set(&registers(1), at(now)).map_err(|mismatch| mismatch.reason)
    };
    let (early, late) = (MismatchReason::NotYetAccepted, MismatchReason::NoLongerAccepted);
    assert_eq!(find(Some(10), Some(20), 9), Err(early));
    assert_eq!(find(Some(10), Some(20), 10), Ok(0));
    assert_eq!(find(Some(10), Some(20), 20), Ok(0));
    assert_eq!(find(Some(10), Some(20), 21), Err(late));
    assert_eq!(find(Some(10), Some(10), 10), Ok(0));
    assert_eq!(find(Some(10), None, 9), Err(early));
    assert_eq!(find(Some(10), None, 1000), Ok(0));
    assert_eq!(find(None, Some(20), 0), Ok(0));
    assert_eq!(find(None, Some(20), 21), Err(late));
}

#[test]
fn a_window_that_ends_before_it_begins_is_refused() {
    let refusal = MeasurementSet::within(image(1), Some(at(11)), Some(at(10)));
    assert_eq!(refusal, Err(WindowError));
}

#[test]
fn a_challenge_is_neither_empty_nor_longer_than_a_nonce() {
    for got in [0, 1025] {
        let refusal = Challenge::try_from(vec![1; got].as_slice());
        assert_eq!(refusal, Err(ChallengeLengthError { got }));
    }
    for length in [1, 1024] {
        let bytes = vec![1; length];
        assert_eq!(Challenge::try_from(bytes.as_slice()).unwrap().as_bytes(), bytes);
    }
    assert_eq!(Challenge::from([0xab; 32]).to_string(), "ab".repeat(32));
}

#[test]
fn an_expired_set_does_not_hide_a_current_one() {
    let old = MeasurementSet::within(image(1), None, Some(at(20))).unwrap();
    let policy = policy(old).or_measurements(image(1));
    assert_eq!(policy.find_set(&registers(1), at(50)), Ok(1));
}

#[test]
fn the_default_window_is_five_minutes_back_and_one_ahead() {
    let check = |timestamp, now| Freshness::default().check(at(timestamp), at(now));
    assert_eq!(check(1000, 1300), Ok(()));
    assert_eq!(check(1000, 1301), Err(FreshnessError::Old { age: Duration::from_secs(301) }));
    assert_eq!(check(1060, 1000), Ok(()));
    let ahead = Duration::from_secs(61);
    assert_eq!(check(1061, 1000), Err(FreshnessError::Ahead { ahead }));
}

#[test]
fn the_references_window_is_five_minutes_both_ways() {
    let check = |timestamp, now| Freshness::reference().check(at(timestamp), at(now));
    assert_eq!(check(1000, 1300), Ok(()));
    assert_eq!(check(1300, 1000), Ok(()));
    assert!(check(1000, 1301).is_err() && check(1301, 1000).is_err());
}

#[test]
fn user_data_is_32_bytes() {
    for got in [0, 31, 33, 64] {
        let bytes = vec![1; got];
        assert_eq!(UserData::try_from(bytes.as_slice()), Err(UserDataLengthError { got }));
    }
    let user_data = UserData::try_from([1; 32].as_slice()).unwrap();
    assert_eq!(user_data.to_string(), "01".repeat(32));
}

#[test]
fn what_is_bound_is_compared_as_a_whole() {
    assert_eq!(bound(Some(b"abc"), b"abc"), Ok(()));
    assert_eq!(bound(Some(b"ab"), b"abc"), Err(BindingError::Differs));
    assert_eq!(bound(Some(b"abcd"), b"abc"), Err(BindingError::Differs));
    assert_eq!(bound(None, b"abc"), Err(BindingError::Absent));
    assert_eq!(bound(None, b""), Err(BindingError::Absent));
}
