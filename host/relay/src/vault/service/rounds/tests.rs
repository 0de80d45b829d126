use crypto::sign::SigningKey;
use protocol::messages::vault::SecretIdentifier;

use super::*;

const ID: RoundId = ([1; 32], [2; 32]);
const SECOND: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_millis(300);

fn members() -> Vec<SignerKey> {
    let keys = (1..=4).map(|seed| SigningKey::from_seed(&[seed; 32]).public());
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable();
    keys
}

fn rounds() -> Rounds {
    Rounds::new(Rules {
        members: members(),
        faults: FaultBound::new(1),
        threshold: 2,
        deadline: DEADLINE,
        grace: GRACE,
    })
}

/// A request for `a`, which is stored, and `b`, which is not.
fn request() -> GetSecretsRequest {
    let request = |key: &str| SecretRequest {
        id: Some(SecretIdentifier { key: key.into(), namespace: "main".into(), owner: "o".into() }),
        encryption_keys: vec!["enclave".into()],
    };
    GetSecretsRequest { requests: vec![request("a"), request("b")], ..Default::default() }
}

fn stored(request: &SecretRequest) -> Option<Vec<u8>> {
    (request.id.as_ref()?.key == "a").then(|| b"ciphertext".to_vec())
}

fn open(rounds: &mut Rounds, now: Instant, member: usize) -> Result<Ciphertexts, OpenError> {
    rounds.open(now, ID, members()[member], request(), stored)
}

fn contribute(
    rounds: &mut Rounds,
    now: Instant,
    member: usize,
    share: u8,
) -> Result<(), ContributeError> {
    rounds.contribute(now, ID, members()[member], vec![Some(vec![share]), None])
}

fn closed(rounds: &mut Rounds, now: Instant) -> GetSecretsResponse {
    match rounds.progress(now, ID) {
        Progress::Closed(answer) => messages::decode(&answer).unwrap(),
        other @ (Progress::Failed | Progress::Waits(_)) => panic!("{other:?}"),
    }
}

fn shares(answer: &GetSecretsResponse) -> Vec<String> {
    match answer.responses[0].result.clone().unwrap() {
        SecretResult::Data(data) => data.encrypted_decryption_key_shares[0].shares.clone(),
        SecretResult::Error(text) => panic!("{text}"),
    }
}

#[test]
fn all_members_close_a_round_at_once_and_hear_the_same() {
    let (mut rounds, now) = (rounds(), Instant::now());
    for member in [2, 0, 3, 1] {
        assert_eq!(
            open(&mut rounds, now, member).unwrap()[..],
            [Some(b"ciphertext".to_vec()), None]
        );
        contribute(&mut rounds, now, member, u8::try_from(member).unwrap()).unwrap();
    }
    let answer = closed(&mut rounds, now);
    assert_eq!(shares(&answer), ["00", "01", "02", "03"]);
    let missing = SecretResult::Error("key does not exist".into());
    assert_eq!(answer.responses[1].result, Some(missing));
    assert_eq!(rounds.progress(now, ID), rounds.progress(now + SECOND, ID));
}

#[test]
fn a_quorum_closes_a_round_after_the_grace_and_a_late_member_hears_the_same() {
    let (mut rounds, now) = (rounds(), Instant::now());
    open(&mut rounds, now, 0).unwrap();
    for member in 0..3 {
        contribute(&mut rounds, now, member, 7).unwrap();
    }
    assert_eq!(rounds.progress(now, ID), Progress::Waits(now + GRACE));
    let answer = closed(&mut rounds, now + GRACE);
    assert_eq!(shares(&answer).len(), 3);
    let late = now + SECOND;
    assert!(open(&mut rounds, late, 3).is_ok());
    contribute(&mut rounds, late, 3, 9).unwrap();
    assert_eq!(closed(&mut rounds, late), answer);
}

#[test]
fn f_plus_one_silent_members_fail_a_round_at_its_deadline() {
    let (mut rounds, now) = (rounds(), Instant::now());
    open(&mut rounds, now, 0).unwrap();
    for member in 0..2 {
        contribute(&mut rounds, now, member, 7).unwrap();
    }
    let end = now + 20 * SECOND;
    assert_eq!(rounds.progress(end - GRACE, ID), Progress::Waits(end));
    assert_eq!(rounds.progress(end, ID), Progress::Failed);
    assert_eq!(contribute(&mut rounds, end, 2, 7), Err(ContributeError::Unknown));
}

#[test]
fn a_failed_round_can_be_opened_again() {
    let (mut rounds, now) = (rounds(), Instant::now());
    open(&mut rounds, now, 0).unwrap();
    let end = now + 20 * SECOND;
    assert_eq!(rounds.progress(end, ID), Progress::Failed);
    open(&mut rounds, end, 0).unwrap();
    assert_eq!(rounds.progress(end, ID), Progress::Waits(end + 20 * SECOND));
}

#[test]
fn the_same_contribution_twice_is_one_voice() {
    let (mut rounds, now) = (rounds(), Instant::now());
    open(&mut rounds, now, 0).unwrap();
    for _ in 0..4 {
        contribute(&mut rounds, now, 0, 7).unwrap();
    }
    assert_eq!(rounds.progress(now, ID), Progress::Waits(now + 20 * SECOND));
}

#[test]
fn another_contribution_of_the_same_member_is_equivocation() {
    let (mut rounds, now) = (rounds(), Instant::now());
    open(&mut rounds, now, 0).unwrap();
    contribute(&mut rounds, now, 0, 7).unwrap();
    assert_eq!(contribute(&mut rounds, now, 0, 8), Err(ContributeError::Equivocation));
    for member in 1..4 {
        contribute(&mut rounds, now, member, 9).unwrap();
    }
    assert!(shares(&closed(&mut rounds, now)).contains(&"07".to_owned()));
}

#[test]
fn a_contribution_to_no_round_or_of_the_wrong_size_is_refused() {
    let (mut rounds, now) = (rounds(), Instant::now());
    assert_eq!(contribute(&mut rounds, now, 0, 7), Err(ContributeError::Unknown));
    open(&mut rounds, now, 0).unwrap();
    let few = rounds.contribute(now, ID, members()[0], vec![None]);
    assert_eq!(few, Err(ContributeError::ShareCount { got: 1, want: 2 }));
    let long = rounds.contribute(now, ID, members()[0], vec![Some(vec![0; 601]), None]);
    assert_eq!(long, Err(ContributeError::ShareLength { limit: 600 }));
}

#[test]
fn a_secret_with_fewer_shares_than_the_threshold_is_a_failure_of_the_vault() {
    let (mut rounds, now) = (rounds(), Instant::now());
    open(&mut rounds, now, 0).unwrap();
    contribute(&mut rounds, now, 0, 7).unwrap();
    for member in 1..4 {
        rounds.contribute(now, ID, members()[member], vec![None, None]).unwrap();
    }
    let answer = closed(&mut rounds, now);
    assert_eq!(answer.responses[0].result, Some(SecretResult::Error(SYSTEM_FAILURE.to_owned())));
}

#[test]
fn w_49_one_member_cannot_use_up_the_rounds() {
    let (mut rounds, now) = (rounds(), Instant::now());
    let mut open = |member: usize, number: u32| {
        let mut id = ID;
        id.0[..4].copy_from_slice(&number.to_be_bytes());
        let none = GetSecretsRequest::default();
        rounds.open(now, id, members()[member], none, stored).map(|_| ())
    };
    let limit = u32::try_from(ROUNDS / 4).unwrap();
    for number in 0..limit {
        open(0, number).unwrap();
    }
    assert_eq!(open(0, limit), Err(OpenError::TooMany { limit: ROUNDS / 4 }));
    open(1, limit).unwrap();
}

#[test]
fn rounds_that_take_too_much_memory_are_refused_until_old_ones_are_forgotten() {
    let (mut rounds, now) = (rounds(), Instant::now());
    let large = |_: &SecretRequest| Some(vec![0; 40 * 1024 * 1024]);
    open(&mut rounds, now, 0).unwrap();
    rounds.open(now, (ID.0, [3; 32]), members()[0], request(), large).unwrap();
    let third = rounds.open(now, (ID.0, [4; 32]), members()[0], request(), large);
    assert_eq!(third, Err(OpenError::TooLarge));
    let later = now + 31 * SECOND;
    rounds.open(later, (ID.0, [5; 32]), members()[0], request(), large).unwrap();
    assert_eq!(rounds.rounds.len(), 1);
}
