//! Who is counted, who is not, and what noise costs.

mod batch;
mod bundle;
mod cost;
mod properties;

use crypto::sign::SigningKey;

use super::*;
use crate::{
    committee::Committee,
    compute::{ComputeRequest, SignedComputeRequest},
    ids::FaultBound,
    relay::{Bundle, CapabilityRequestParams, CapabilityResult, SignedResult},
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
