//! Compute requests: all of them or nothing in the enclave, as many as needed at a relay node.

use crypto::sign::SignatureError;

use super::{
    super::{batch::within, checks::Budget},
    *,
};
use crate::{
    committee::{SignerSet, tests::CHECKS},
    compute::ForwardedComputeRequest,
};

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
    let by = |requests: &[ForwardedComputeRequest], bound| {
        let quorum = Quorum::honest(FaultBound::new(bound));
        let agreed = forwarded(requests, committee.signers(), quorum);
        agreed.map(|agreed| agreed.signers().len())
    };
    assert_eq!(by(&ok, 1), Ok(2));
    let few = forwarded_by(&[9, 1, 8, 1]);
    let too_few = ForwardedError::TooFew { got: 1, want: 2 };
    assert_eq!(by(&few, 1), Err(too_few));
    let bft = ForwardedError::TooFew { got: 2, want: 3 };
    assert_eq!(by(&ok, 2), Err(bft));
    assert_eq!(by(&[], 1), Err(ForwardedError::Missing));
    let mut mixed = ok;
    mixed.extend(signed(b"y", [3]).into_iter().map(Into::into));
    assert_eq!(by(&mixed, 1), Err(ForwardedError::Mixed));
}

#[test]
fn a_batch_costs_one_check_for_each_honest_signature() {
    CHECKS.set(0);
    assert!(unanimous(signed(b"x", 0..16), &committee(16, 5)).is_ok());
    assert_eq!(CHECKS.get(), 16);
    // In the other order each signature is tried with every key that is missing, and no more.
    CHECKS.set(0);
    assert!(unanimous(signed(b"x", (0..16).rev()), &committee(16, 5)).is_ok());
    assert_eq!(CHECKS.get(), (1..=16).sum::<usize>());
}

#[test]
fn a_signature_that_occurs_again_costs_nothing() {
    CHECKS.set(0);
    let error = unanimous(signed(b"x", [0; 5_000]), &committee(4, 1)).unwrap_err();
    assert_eq!((error, CHECKS.get()), (BatchError::TooFew { got: 1, want: 2 }, 1));
}

#[test]
fn a_batch_ends_where_its_checks_end() {
    let committee = committee(4, 1);
    let batch = || signed(b"x", (0..4).rev());
    // Four, three, two and one.
    assert!(within(batch(), &committee, Budget::with(committee.signers(), 10)).is_ok());
    let error = within(batch(), &committee, Budget::with(committee.signers(), 9)).unwrap_err();
    assert_eq!(error, BatchError::TooMany { limit: 9 });
    assert_eq!(error.to_string(), "signatures of the request batch take more than 9 checks");
}

#[test]
fn any_batch_of_honest_members_is_within_its_checks() {
    for members in [1, 4, 31, 128, 129, 1000] {
        let set: SignerSet = (0..members).map(|seed| key(seed).public()).collect();
        assert!(Budget::of(&set).limit >= members * (members + 1) / 2, "{members}");
    }
}

#[test]
fn forwarded_noise_costs_no_more_than_its_checks() {
    let committee = committee(4, 1);
    let mut noise = ForwardedComputeRequest::from(request(b"x").sign(&key(9)));
    let mut requests = Vec::new();
    for number in 0..2_000_u64 {
        let mut signature = noise.signed.signature.as_slice().to_vec();
        signature[..8].copy_from_slice(&number.to_be_bytes());
        noise.signed.signature = signature.into();
        requests.push(noise.clone());
    }
    requests.extend(signed(b"x", [0, 1]).into_iter().map(Into::into));
    CHECKS.set(0);
    let quorum = Quorum::honest(FaultBound::new(1));
    let refused = forwarded(&requests, committee.signers(), quorum).unwrap_err();
    assert_eq!(refused, ForwardedError::TooFew { got: 0, want: 2 });
    assert_eq!(CHECKS.get(), Budget::of(committee.signers()).limit);
}
