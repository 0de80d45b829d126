//! Batches of compute requests: as any JSON, and put together from requests that a known committee
//! signed.
//!
//! Holds: what is decoded is written, decoded again, and is the same; a batch is one request exactly
//! if all of it is, members signed all of it, and F + 1 of them did; a relay node that is handed the
//! batch agrees, and needs no more than that the strangers are left out.
//!
//! Memory: four times `json::EXPANSION`: that much for what is read, for what is read again, and
//! for the text of each. A batch that is put together has few requests, for which the constant is.

#![no_main]

use std::collections::BTreeSet;

use crypto::sign::{Domain, Signature};
use fuzz::{
    Bound, Input,
    known::{COMMITTEE, SIGNERS},
};
use protocol::{
    compute::{ComputeRequest, ForwardedComputeRequest, SignedComputeRequest},
    json,
    quorum::{self, Quorum},
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _committee = &*COMMITTEE;
    BOUND.hold(input, || {
        let mut input = Input::new(input);
        match input.below(3) {
            0 => read::<SignedComputeRequest>(input.rest(), check),
            1 => read::<ForwardedComputeRequest>(input.rest(), |batch| {
                let _agreed = quorum::forwarded(&batch, COMMITTEE.signers(), quorum());
            }),
            _ => check(batch(&mut input)),
        }
    });
});

fn read<T: json::Wire>(text: &[u8], judge: impl FnOnce(Vec<T>)) {
    let Ok(batch) = json::from_slice::<Vec<T>>(text) else { return };
    let written = json::to_vec(&batch);
    let again: Vec<T> = json::from_slice(&written).expect("it was decoded before");
    assert_eq!(json::to_vec(&again), written);
    judge(batch);
}

/// A few requests that differ little, each signed by somebody.
fn batch(input: &mut Input<'_>) -> Vec<SignedComputeRequest> {
    let mut batch = Vec::new();
    while !input.is_empty() && batch.len() < LONGEST_BATCH {
        let mut request = ComputeRequest {
            app_id: "app".to_owned(),
            version: input.pick(&["0.0.6", "0.0.7"]).to_owned(),
            ..ComputeRequest::default()
        };
        match input.byte() {
            0 => request.public_data = input.piece().into(),
            1 => request.ciphertexts = Some(vec![input.piece().into()]),
            2 => request.application_request_id = String::from_utf8_lossy(input.piece()).into(),
            3 => {
                let shares = Some(vec![input.piece().into()]);
                request.encrypted_decryption_key_shares = Some(vec![shares]);
            }
            _ => {}
        }
        let mut signed = request.sign(&SIGNERS[input.below(SIGNERS.len())]);
        if input.byte() == 0 {
            signed.signature = input.piece().into();
        }
        batch.push(signed);
    }
    batch
}

fn quorum() -> Quorum {
    Quorum::honest(COMMITTEE.fault_bound())
}

fn check(batch: Vec<SignedComputeRequest>) {
    let signer = |signed: &SignedComputeRequest| {
        let signature = Signature::from_slice(signed.signature.as_slice()).ok()?;
        let hash = signed.request.hash();
        let members = COMMITTEE.members().iter();
        let mut signed = members.filter(|member| {
            member.verify(Domain::ComputeRequest, hash.as_bytes(), &signature).is_ok()
        });
        signed.next().map(|member| *member.as_bytes())
    };
    let want = COMMITTEE.fault_bound().quorum();
    let hashes: BTreeSet<_> = batch.iter().map(|signed| signed.request.hash()).collect();
    let signers: Vec<_> = batch.iter().map(signer).collect();
    let voices: BTreeSet<_> = signers.iter().flatten().collect();
    let is_one = hashes.len() == 1 && voices.len() >= want;
    let is_all_signed = signers.iter().all(Option::is_some);

    let forwarded: Vec<_> = batch.iter().cloned().map(ForwardedComputeRequest::from).collect();
    assert_eq!(quorum::forwarded(&forwarded, COMMITTEE.signers(), quorum()).is_ok(), is_one);

    let length = batch.len();
    match quorum::unanimous(batch, &COMMITTEE) {
        Ok(agreed) => {
            assert!(is_one && is_all_signed);
            assert_eq!(agreed.signers().len(), voices.len());
            assert_eq!(agreed.get().signed().count(), length);
            assert!(hashes.contains(&agreed.get().hash()));
        }
        Err(error) => {
            assert!(!is_one || !is_all_signed, "{error}");
            assert!(error.to_string().len() < 300);
        }
    }
}

/// Few enough that relay nodes never run out of signature checks.
const LONGEST_BATCH: usize = 64;

const BOUND: Bound = Bound { times: 4 * json::EXPANSION, plus: 64 * 1024 };
