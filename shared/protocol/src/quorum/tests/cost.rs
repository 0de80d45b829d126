//! What a bundle costs: each result is hashed once, and signatures are checked with keys that matter.

use super::{super::checks::Budget, *};
use crate::{
    committee::tests::CHECKS,
    json::{self, RawJson},
    limits,
    relay::{SecretEntry, SecretsRequestParams, SecretsResult, tests::HASHES},
};

/// What `work` gives, with the signatures it checked and the results it hashed.
fn counted<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    CHECKS.set(0);
    HASHES.set(0);
    let outcome = work();
    (outcome, CHECKS.get(), HASHES.get())
}

#[test]
fn an_honest_bundle_costs_one_hash_and_a_quorum_of_checks() {
    let votes: Vec<_> = (0..16).map(|seed| vote("x", seed)).collect();
    let committee = committee(16, 5);
    let (outcome, checks, hashes) = counted(|| index(votes, &committee));
    assert_eq!((outcome, checks, hashes), (Ok(0), 6, 1));
}

#[test]
fn what_can_no_longer_win_is_not_read() {
    // Once eleven of sixteen agree, the other five are no quorum, whatever they say.
    let committee = committee(16, 5);
    for (liar, hashed) in [(10, 2), (11, 1), (15, 1)] {
        let mut votes: Vec<_> = (0..16).map(|seed| vote("x", seed)).collect();
        votes[liar] = vote("lie", liar);
        let (outcome, checks, hashes) = counted(|| index(votes, &committee));
        assert_eq!((outcome, checks, hashes), (Ok(0), 6, hashed), "{liar}");
    }
}

#[test]
fn a_liar_costs_one_hash_more() {
    let mut votes: Vec<_> = (0..16).map(|seed| vote("x", seed)).collect();
    votes[3] = vote("lie", 3);
    let committee = committee(16, 5);
    let (outcome, checks, hashes) = counted(|| index(votes, &committee));
    assert_eq!((outcome, checks, hashes), (Ok(0), 6, 2));
}

#[test]
fn what_the_first_look_found_out_is_not_done_again() {
    // Five votes are checked before the dispute shows.
    let mut votes: Vec<_> = (0..5).map(|seed| vote("x", seed)).collect();
    votes.push(vote("lie", 9));
    votes.extend((5..8).map(|seed| vote("x", seed)));
    let committee = committee(16, 5);
    let (outcome, checks, hashes) = counted(|| index(votes, &committee));
    assert_eq!((outcome, checks, hashes), (Ok(0), 6, 2));
}

#[test]
fn repeated_results_are_hashed_once_however_many_others_there_are() {
    let results: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    let votes: Vec<_> =
        (0..20).flat_map(|_round| results.iter().map(|r| forged(r, 9, 1))).collect();
    let committee = committee(4, 1);
    let (outcome, _checks, hashes) = counted(|| index(votes, &committee));
    assert_eq!((outcome, hashes), (Err((0, 1000, 0)), 50));
}

#[test]
fn keys_that_are_counted_are_not_tried_again() {
    // Nobody says who they are: the first vote is looked for with every key, the second with the
    // three that are left.
    let mut votes = vec![vote("x", 3), vote("x", 2)];
    for vote in &mut votes {
        vote.signature.signer = b"nobody".as_slice().into();
    }
    let committee = committee(4, 1);
    let (outcome, checks, _hashes) = counted(|| index(votes, &committee));
    assert_eq!((outcome, checks), (Ok(0), 4 + 3));
}

#[test]
fn whoever_is_no_member_is_not_checked_while_members_are_left() {
    let mut votes = vec![vote("x", 0)];
    votes.extend((0..10).map(|noise| forged("x", 1000, noise)));
    votes.push(vote("x", 1));
    let committee = committee(4, 1);
    let (outcome, checks, _hashes) = counted(|| index(votes, &committee));
    assert_eq!((outcome, checks), (Ok(0), 2));
}

#[test]
fn noise_in_other_results_costs_no_checks() {
    let mut votes: Vec<_> = (0..20_000).map(|i| forged(&format!("noise {i}"), 0, i)).collect();
    votes.extend([vote("x", 2), vote("x", 3)]);
    assert_eq!(index(votes, &committee(4, 1)), Ok(20_000));
}

#[test]
fn noise_under_a_counted_name_costs_no_checks() {
    let mut votes = vec![vote("x", 0)];
    votes.extend((0..20_000).map(|i| forged("x", 0, i)));
    votes.push(vote("x", 1));
    assert_eq!(index(votes, &committee(4, 1)), Ok(0));
}

#[test]
fn checks_end_where_the_budget_ends() {
    let committee = committee(4, 1);
    let noise = 4 * u64::try_from(limits::CHECKS_PER_MEMBER).unwrap();
    let mut votes: Vec<_> = (0..noise).map(|i| forged("x", 9, i)).collect();
    votes.extend([vote("x", 0), vote("x", 1)]);
    let counts = index(votes, &committee);
    assert_eq!(counts, Err((0, usize::try_from(noise).unwrap() + 2, 0)));
    // So much as honest gateways and all faulty members together can send is far below it.
    let mut votes: Vec<_> = (0..64).map(|i| forged("x", 9, i)).collect();
    votes.extend([vote("x", 0), vote("x", 1)]);
    assert_eq!(index(votes, &committee), Ok(64));
}

#[test]
fn an_entry_that_repeats_another_is_checked_once() {
    let votes = vec![vote("x", 0); 20_000];
    assert_eq!(index(votes, &committee(4, 1)), Err((20_000, 0, 1)));
}

/// So many forged entries of so many bytes that their JSON is as long as an answer may be.
fn noise(result: impl Fn(u64) -> String) -> Vec<SignedResult<CapabilityResult>> {
    let one = json::to_vec(&forged(&result(0), 0, 0)).len().saturating_add(1);
    let entries = limits::GATEWAY_ANSWER_BYTES.saturating_sub(10_000).checked_div(one).unwrap();
    (0..entries as u64).map(|number| forged(&result(number), 0, number)).collect()
}

fn answered(
    votes: Vec<SignedResult<CapabilityResult>>,
    committee: &Committee,
) -> (Result<String, String>, usize, usize) {
    let text = RawJson::of(&bundle(votes));
    let length = text.as_str().len();
    let range = 9_500_000..=limits::GATEWAY_ANSWER_BYTES;
    assert!(range.contains(&length), "{length}");
    let read = || params().read_answer(Some(&text), committee);
    let (outcome, checks, hashes) = counted(read);
    let text = |agreed: Agreed<_>| format!("{:?}", agreed.get());
    (outcome.map(text).map_err(|error| error.to_string()), checks, hashes)
}

#[test]
fn ten_megabytes_of_noise_cost_what_their_size_costs() {
    let committee = committee(16, 5);
    let limit = Budget::of(committee.signers()).limit;
    // Distinct results: each is hashed once, and nothing is checked but the quorum and, with every
    // key, what came first.
    let mut votes = noise(|number| format!("{number:0500}"));
    let entries = votes.len();
    votes.extend((0..6).map(|seed| vote("x", seed)));
    let (outcome, checks, hashes) = answered(votes, &committee);
    assert!(outcome.unwrap().contains("\"x\""));
    assert_eq!((checks, hashes), (16 + 6, entries + 1));
    // One result under one name: it is hashed once, and each signature is looked at once at most.
    let mut votes = vec![vote("x", 0)];
    votes.extend(noise(|_number| "x".to_owned()));
    votes.extend((1..6).map(|seed| vote("x", seed)));
    let (outcome, checks, hashes) = answered(votes, &committee);
    assert_eq!((outcome.is_ok(), checks, hashes), (true, 6, 1));
    // In front of everything else it uses up the checks, and no more.
    let mut votes = noise(|_number| "x".to_owned());
    votes.extend((0..6).map(|seed| vote("x", seed)));
    let (outcome, checks, hashes) = answered(votes, &committee);
    assert!(outcome.unwrap_err().starts_with("verifying capability response: no relay-DON result"));
    assert_eq!((checks, hashes), (limit, 1));
    // Groups that could all win.
    let votes = noise(|number| format!("{:0500}", number / 6));
    let (outcome, checks, hashes) = answered(votes, &committee);
    assert!(outcome.is_err() && checks <= limit && hashes < entries / 5, "{checks} {hashes}");
}

#[test]
fn results_that_resemble_each_other_cost_no_square() {
    // They differ in their last byte only.
    let long = "x".repeat(1000);
    let votes = noise(|number| format!("{long}{number:05}"));
    let entries = votes.len();
    let (outcome, _checks, hashes) = answered(votes, &committee(4, 1));
    assert_eq!((outcome.is_err(), hashes), (true, entries));
}

#[test]
fn secrets_in_another_order_are_one_result_of_two_spellings() {
    let entry = |key: &str| SecretEntry {
        id: crate::relay::SecretIdentifier { key: key.to_owned(), namespace: "n".to_owned() },
        ..SecretEntry::default()
    };
    let ids = ["a", "b"].map(|key| entry(key).id);
    let params = SecretsRequestParams {
        workflow_id: "w".to_owned(),
        owner: params().owner,
        execution_id: "e".to_owned(),
        enclave_public_key: "00".to_owned(),
        secrets: Some(ids.to_vec()),
        ..SecretsRequestParams::default()
    };
    let spelt = |keys: [&str; 2], seed| {
        let secrets = SecretsResult { secrets: Some(keys.map(entry).to_vec()) };
        SignedResult::sign(&params, secrets, &key(seed)).unwrap()
    };
    let votes = vec![spelt(["a", "b"], 0), spelt(["b", "a"], 1)];
    let bundle = Bundle { responses: Some(votes) };
    let committee = committee(4, 1);
    let (outcome, checks, hashes) = counted(|| select(&params, &bundle, &committee));
    assert_eq!((outcome.unwrap().get().index, checks, hashes), (0, 2, 2));
}
