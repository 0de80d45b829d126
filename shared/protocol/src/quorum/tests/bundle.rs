//! Bundles: a minority may be absent, wrong or noise.

use super::*;
use crate::{
    base64, limits,
    messages::{
        self,
        sdk::{CapabilityOutcome, CapabilityResponse},
        well_known::Any,
    },
    relay::{Params as _, SecretEntry, SecretIdentifier, SecretsRequestParams, SecretsResult},
};

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
fn of_equal_quorums_the_one_with_the_smaller_hash_wins_wherever_it_stands() {
    let hash = |text| params().hash_result(&result(text)).unwrap();
    for (one, other) in [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")] {
        let smaller = if hash(one) < hash(other) { one } else { other };
        let votes = [(one, 0), (other, 1), (other, 2), (one, 3)];
        let mut votes: Vec<_> = votes.into_iter().map(|(text, seed)| vote(text, seed)).collect();
        for _order in 0..4 {
            let bundle = bundle(votes.clone());
            let agreed = select(&params(), &bundle, &committee(4, 1)).unwrap();
            assert_eq!(agreed.get().result.error, smaller);
            votes.rotate_left(1);
        }
    }
}

#[test]
fn a_failed_quorum_names_hashes_and_keys_by_their_first_bytes() {
    let hash = |text| hex::encode(&params().hash_result(&result(text)).unwrap().as_bytes()[..4]);
    let head = |seed| hex::encode(&key(seed).public().as_bytes()[..8]);
    let mut nameless = forged("y", 9, 1);
    nameless.signature.signer = Default::default();
    let votes = vec![vote("x", 1), forged("y", 9, 3), nameless];
    let text = select(&params(), &bundle(votes), &committee(4, 1)).unwrap_err().to_string();
    let of = |text| format!("group={0} sigHash={0}", hash(text));
    let wanted = [
        format!("signers by result: {}=1; entries: ", hash("x")),
        format!("[idx=0 {} signature=valid signer={} ", of("x"), head(1)),
        format!("[idx=1 {} signature=invalid(", of("y")),
        format!(") claimedSigner={} ", head(9)),
        ") claimedSigner=none ".to_owned(),
    ];
    for wanted in wanted {
        assert!(text.contains(&wanted), "{wanted}: {text}");
    }
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
fn a_text_is_cut_beyond_its_limit_and_not_at_it() {
    let said = |bytes| {
        let votes = vec![vote(&"x".repeat(bytes), 1)];
        select(&params(), &bundle(votes), &committee(4, 1)).unwrap_err().to_string()
    };
    let limit = limits::DIAGNOSTIC_FIELD_BYTES;
    let whole = format!("resultError=\"{}\"", "x".repeat(limit));
    assert!(said(limit).contains(&whole), "{}", said(limit));
    let cut = format!("resultError=\"{}...truncated\"", "x".repeat(limit));
    assert!(said(limit + 1).contains(&cut), "{}", said(limit + 1));
}

#[test]
fn names_from_a_peer_stay_in_their_line() {
    let of_type = |type_url: &str| {
        let any = Any { type_url: type_url.to_owned(), value: Vec::new() };
        let response = CapabilityResponse { response: Some(CapabilityOutcome::Payload(any)) };
        let payload = base64::encode(&messages::encode(&response));
        CapabilityRequestParams::describe(&CapabilityResult { payload, ..result("") })
    };
    for (type_url, shown) in [
        ("x/a.B_2", " type=a.B_2"),
        ("x/\nforged line", " type="),
        ("x/a..B", " type="),
        ("2a.B", " type="),
        ("", " type="),
    ] {
        assert!(of_type(type_url).ends_with(shown), "{}", of_type(type_url));
    }
    let described = |namespace: &str, key: &str| {
        let id = SecretIdentifier { key: key.to_owned(), namespace: namespace.to_owned() };
        let secrets = Some(vec![SecretEntry { id, ..Default::default() }]);
        SecretsRequestParams::describe(&SecretsResult { secrets })
    };
    let text = described("é\u{7f}", "a\nb\u{2028}");
    assert_eq!(text, "secrets=1[é\u{fffd}/a\u{fffd}b\u{fffd}:ct=empty,shares=0]");
    let [whole, long] = [0, 1].map(|more| "x".repeat(limits::DIAGNOSTIC_FIELD_BYTES + more));
    let text = described(&whole, &long);
    assert_eq!(text, format!("secrets=1[{whole}/{whole}...truncated:ct=empty,shares=0]"));
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
