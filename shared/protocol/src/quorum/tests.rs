//! Who is counted, who is not, and what noise costs.

use crypto::sign::{SignatureError, SigningKey};
use proptest::prelude::*;

use super::*;
use crate::{
    committee::Committee,
    compute::{ComputeRequest, ForwardedComputeRequest, SignedComputeRequest},
    ids::FaultBound,
    limits,
    relay::{
        Bundle, CapabilityRequestParams, CapabilityResult, SecretsRequestParams, SignedResult,
    },
};

fn key(seed: usize) -> SigningKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    SigningKey::from_seed(&bytes)
}

/// The committee of the keys 0 to `members`, and F.
fn committee(members: usize, f: u32) -> Committee {
    let keys = (0..members).map(|seed| key(seed).public()).collect();
    Committee::new(keys, FaultBound::new(f)).unwrap()
}

fn request(data: &[u8]) -> ComputeRequest {
    ComputeRequest {
        public_data: data.into(),
        app_id: "app".to_owned(),
        ..ComputeRequest::default()
    }
}

fn signed(data: &[u8], seeds: impl IntoIterator<Item = usize>) -> Vec<SignedComputeRequest> {
    seeds.into_iter().map(|seed| request(data).sign(&key(seed))).collect()
}

fn params() -> CapabilityRequestParams {
    CapabilityRequestParams {
        workflow_id: "w".to_owned(),
        owner: format!("0x{}", "0".repeat(40)),
        execution_id: "e".to_owned(),
        reference_id: "1".to_owned(),
        capability_id: "c@1.0.0".to_owned(),
        payload: "AQ==".to_owned(),
        ..CapabilityRequestParams::default()
    }
}

fn result(error: &str) -> CapabilityResult {
    CapabilityResult { payload: String::new(), error: error.to_owned() }
}

fn vote(error: &str, seed: usize) -> SignedResult<CapabilityResult> {
    SignedResult::sign(&params(), result(error), &key(seed)).unwrap()
}

/// A result that claims a member's key and has no valid signature.
fn forged(error: &str, claimed: usize, noise: u64) -> SignedResult<CapabilityResult> {
    let mut vote = vote(error, 1000);
    let mut signature = vote.signature.signature.as_slice().to_vec();
    signature[..8].copy_from_slice(&noise.to_be_bytes());
    vote.signature.signature = signature.into();
    vote.signature.signer = key(claimed).public().as_bytes().as_slice().into();
    vote
}

fn bundle(responses: Vec<SignedResult<CapabilityResult>>) -> Bundle<CapabilityResult> {
    Bundle { responses: Some(responses) }
}

/// The index of what is selected, or the counts of the refusal.
fn index(
    responses: Vec<SignedResult<CapabilityResult>>,
    committee: &Committee,
) -> Result<usize, (usize, usize, usize)> {
    match select(&params(), &bundle(responses), committee) {
        Ok(agreed) => Ok(agreed.get().index),
        Err(no) => Err((no.valid, no.invalid, no.best())),
    }
}

#[test]
fn a_quorum_of_equal_requests_is_one_request() {
    let agreed = unanimous(signed(b"x", [2, 0]), &committee(4, 1)).unwrap();
    assert_eq!(agreed.get().request(), &request(b"x"));
    assert_eq!(agreed.get().hash(), request(b"x").hash());
    assert_eq!(agreed.get().signed().count(), 2);
    assert_eq!(agreed.signers(), [key(0).public(), key(2).public()]);
}

#[test]
fn an_empty_batch_is_nothing() {
    assert_eq!(unanimous(Vec::new(), &committee(4, 1)).unwrap_err(), BatchError::Empty);
}

#[test]
fn one_signer_twice_is_one_voice() {
    let error = unanimous(signed(b"x", [1, 1, 1]), &committee(4, 1)).unwrap_err();
    assert_eq!(error, BatchError::TooFew { got: 1, want: 2 });
}

#[test]
fn a_request_that_differs_spoils_the_batch_also_behind_a_quorum() {
    let mut batch = signed(b"x", [0, 1, 2]);
    batch.extend(signed(b"y", [3]));
    let (have, want) = (request(b"y").hash(), request(b"x").hash());
    let error = unanimous(batch, &committee(4, 1)).unwrap_err();
    assert_eq!(error, BatchError::Mixed { index: 3, have, want });
}

#[test]
fn a_stranger_spoils_the_batch_also_behind_a_quorum() {
    let error = unanimous(signed(b"x", [0, 1, 9]), &committee(4, 1)).unwrap_err();
    assert_eq!(error, BatchError::Unsigned { index: 2, reason: SignatureError::NotAllowed });
    let mut batch = signed(b"x", [0, 1]);
    batch[1].signature = vec![0; 63].into();
    let error = unanimous(batch, &committee(4, 1)).unwrap_err();
    assert_eq!(
        error,
        BatchError::Unsigned { index: 1, reason: SignatureError::Length { got: 63 } }
    );
}

#[test]
fn what_no_hash_covers_may_differ() {
    let mut batch = signed(b"x", [0, 1]);
    batch[1].request.encrypted_decryption_key_shares = Some(vec![None]);
    batch[1].request.ciphertexts = Some(Vec::new());
    assert!(unanimous(batch, &committee(4, 1)).is_ok());
}

#[test]
fn a_hash_beside_an_equal_request_is_that_hash_and_beside_another_its_own() {
    let one = request(b"x");
    let changes: [fn(&mut ComputeRequest); 9] = [
        |r| r.request_id = [1; 32].into(),
        |r| r.public_data = b"y".as_slice().into(),
        |r| r.ciphertext_names = Some(vec!["n".to_owned()]),
        |r| r.ciphertexts = Some(vec![b"c".as_slice().into()]),
        |r| r.enclave_ephemeral_public_key = b"k".as_slice().into(),
        |r| r.master_public_key = b"m".as_slice().into(),
        |r| r.app_id = "other".to_owned(),
        |r| r.application_request_id = "other".to_owned(),
        |r| r.version = "0.0.6".to_owned(),
    ];
    for change in changes {
        let mut other = one.clone();
        change(&mut other);
        assert_eq!(other.hash_beside(&one, one.hash()), other.hash());
        assert_ne!(other.hash(), one.hash());
    }
    assert_eq!(one.hash_beside(&one, one.hash()), one.hash());
}

#[test]
fn forwarded_requests_of_strangers_count_for_nothing() {
    let forwarded_by = |seeds: &[usize]| -> Vec<ForwardedComputeRequest> {
        signed(b"x", seeds.iter().copied()).into_iter().map(Into::into).collect()
    };
    let committee = committee(4, 1);
    let ok = forwarded_by(&[9, 1, 8, 1, 2]);
    assert_eq!(forwarded(&ok, &committee, 2).unwrap().signers().len(), 2);
    let few = forwarded_by(&[9, 1, 8, 1]);
    let too_few = ForwardedError::TooFew { got: 1, want: 2 };
    assert_eq!(forwarded(&few, &committee, 2).unwrap_err(), too_few);
    let bft = ForwardedError::TooFew { got: 2, want: 3 };
    assert_eq!(forwarded(&ok, &committee, 3).unwrap_err(), bft);
    assert_eq!(forwarded(&[], &committee, 2).unwrap_err(), ForwardedError::Missing);
    let mut mixed = ok;
    mixed.extend(signed(b"y", [3]).into_iter().map(Into::into));
    assert_eq!(forwarded(&mixed, &committee, 2).unwrap_err(), ForwardedError::Mixed);
}

#[test]
fn a_bundle_with_one_signer_twice_is_refused() {
    assert_eq!(index(vec![vote("x", 1), vote("x", 1)], &committee(4, 1)), Err((2, 0, 1)));
}

#[test]
fn a_minority_that_lies_changes_nothing() {
    let votes = vec![vote("lie", 0), vote("x", 1), forged("x", 2, 7), vote("x", 3)];
    assert_eq!(index(votes, &committee(4, 1)), Ok(1));
}

#[test]
fn a_signature_for_other_params_is_no_vote() {
    let mut other = params();
    other.reference_id = "2".to_owned();
    let replayed = |seed| SignedResult::sign(&other, result("x"), &key(seed)).unwrap();
    assert_eq!(index(vec![replayed(0), replayed(1)], &committee(4, 1)), Err((0, 2, 0)));
}

#[test]
fn the_claimed_key_is_a_hint_only() {
    let mut swapped = vec![vote("x", 0), vote("x", 1)];
    let claims = [swapped[1].signature.signer.clone(), b"nobody".as_slice().into()];
    for (vote, claim) in swapped.iter_mut().zip(claims) {
        vote.signature.signer = claim;
    }
    assert_eq!(index(swapped, &committee(4, 1)), Ok(0));
    // One member under two names is one voice.
    let mut twice = vec![vote("x", 0), vote("x", 0)];
    twice[1].signature.signer = key(1).public().as_bytes().as_slice().into();
    assert_eq!(index(twice, &committee(4, 1)), Err((2, 0, 1)));
}

#[test]
fn the_deprecated_list_of_signatures_is_not_read() {
    let mut only_list = vote("x", 1);
    only_list.signature = Default::default();
    assert_eq!(index(vec![vote("x", 0), only_list], &committee(4, 1)), Err((1, 1, 1)));
}

#[test]
fn of_two_quorums_the_larger_wins_wherever_it_stands() {
    let mut votes: Vec<_> = (0..3).map(|seed| vote("few", seed)).collect();
    votes.extend((3..7).map(|seed| vote("many", seed)));
    assert_eq!(index(votes.clone(), &committee(7, 2)), Ok(3));
    votes.reverse();
    assert_eq!(index(votes, &committee(7, 2)), Ok(0));
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

#[test]
fn the_text_of_a_failed_quorum_stays_short_and_whole() {
    let votes = (0..200).map(|i| forged(&format!("é{}", "ß".repeat(400)), 9, i)).collect();
    let error = select(&params(), &bundle(votes), &committee(4, 1)).unwrap_err();
    let text = error.to_string();
    assert!(text.len() < limits::DIAGNOSTIC_LIST_BYTES + 500);
    assert!(text.contains("...truncated\" payload=0B/empty"));
    assert!(text.ends_with("...truncated; skipped: "));
}

#[test]
fn invalid_params_of_the_caller_make_nothing_hashable() {
    let params = SecretsRequestParams::default();
    let bundle = Bundle { responses: Some(vec![SignedResult::default(); 3]) };
    let error = select(&params, &bundle, &committee(4, 1)).unwrap_err();
    assert_eq!((error.raw, error.hashable, error.valid, error.invalid), (3, 0, 0, 0));
    let skipped =
        "[idx=0 unhashable=invalid secrets request params: workflow_id is required secrets=0[]]";
    assert!(error.to_string().contains(skipped));
}

proptest! {
    #[test]
    fn the_order_of_votes_changes_no_outcome(
        votes in proptest::collection::vec((0..3_usize, 0..6_usize, any::<bool>()), 0..10),
        rotation in 0..10_usize,
    ) {
        let committee = committee(4, 1);
        let votes: Vec<_> = votes.into_iter().map(|(result, seed, honest)| {
            let result = ["a", "b", "c"][result];
            if honest { vote(result, seed) } else { forged(result, seed, 1) }
        }).collect();
        let mut rotated = votes.clone();
        rotated.rotate_left(rotation.min(votes.len()));
        let selected = |votes: &[SignedResult<CapabilityResult>]| {
            let bundle = bundle(votes.to_vec());
            let agreed = select(&params(), &bundle, &committee);
            agreed.map(|agreed| agreed.get().result.clone()).map_err(|no| (no.valid, no.signers))
        };
        prop_assert_eq!(selected(&votes), selected(&rotated));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_signed_request_is_refused(byte in 0..64_usize, bit in 0..8_u8, in_data: bool) {
        let mut batch = signed(b"a request of enough bytes to flip one of them, wherever it is, ....", [0, 1]);
        let member = if in_data { &mut batch[1].request.public_data } else { &mut batch[1].signature };
        let mut bytes = member.as_slice().to_vec();
        bytes[byte] ^= 1 << bit;
        *member = bytes.into();
        prop_assert!(unanimous(batch, &committee(4, 1)).is_err());
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_signed_result_is_no_vote(byte in 0..64_usize, bit in 0..8_u8, in_result: bool) {
        let text = "an answer of enough bytes to flip one of them, wherever it is, ......";
        let mut votes = vec![vote(text, 0), vote(text, 1)];
        if in_result {
            let mut bytes = text.as_bytes().to_vec();
            // Seven bits, so that the text stays ASCII.
            bytes[byte] ^= 1 << (bit % 7);
            votes[1].result.error = String::from_utf8(bytes).unwrap();
        } else {
            let mut bytes = votes[1].signature.signature.as_slice().to_vec();
            bytes[byte] ^= 1 << bit;
            votes[1].signature.signature = bytes.into();
        }
        prop_assert_eq!(index(votes, &committee(4, 1)), Err((1, 1, 1)));
    }

    #[test]
    fn permuting_a_batch_changes_nothing(rotation in 0..4_usize) {
        let mut batch = signed(b"x", [3, 1, 0, 2]);
        batch.rotate_left(rotation);
        let agreed = unanimous(batch, &committee(4, 1)).unwrap();
        prop_assert_eq!(agreed.signers().len(), 4);
        prop_assert_eq!(agreed.get().hash(), request(b"x").hash());
    }
}
