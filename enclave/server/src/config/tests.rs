use std::{sync::Arc, time::SystemTime};

use attestation::{AttestError, AttestationRequest, Attestor};
use crypto::{
    sign::{Domain, SigningKey},
    tdh2::{Threshold, deal},
};
use protocol::json::Bytes;
use rand_core::OsRng;

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

struct Refusing(bool);

impl Attestor for Refusing {
    fn attest(&self, _request: &AttestationRequest) -> Result<Vec<u8>, AttestError> {
        if self.0 { Err(AttestError::UnexpectedAnswer) } else { Ok(b"document".to_vec()) }
    }
}

fn notary(refuses: bool) -> Notary {
    Notary::start(Arc::new(Refusing(refuses)), [1; 16]).unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn config(seeds: &[u8], t: u32, f: u32) -> EnclaveConfig {
    let dealt = deal(Threshold::new(2).unwrap(), 4, &mut OsRng).unwrap();
    let signers = seeds.iter().map(|seed| key(*seed).public().as_bytes().as_slice().into());
    EnclaveConfig {
        signers: Some(signers.collect()),
        master_public_key: dealt.public_key.as_bytes().into(),
        t,
        f,
    }
}

fn set(config: &EnclaveConfig) -> Vec<u8> {
    json::to_vec(&ConfigRequest { config: json::to_vec(config).into() })
}

fn vote(config: &EnclaveConfig, by: &SigningKey) -> Vec<u8> {
    let signature = by.sign(Domain::ConfigVote, config.hash().as_bytes());
    let signature = signature.as_bytes().as_slice().into();
    json::to_vec(&UpdateConfigRequest { config: json::to_vec(config).into(), signature })
}

async fn store(first: &EnclaveConfig) -> ConfigStore {
    let store = ConfigStore::new(false);
    store.set(&set(first), &notary(false)).await.unwrap();
    store
}

fn in_force(store: &ConfigStore) -> ConfigHash {
    store.snapshot().unwrap().hash()
}

#[tokio::test]
async fn w11_what_cannot_work_is_refused_and_uses_nothing_up() {
    let store = ConfigStore::new(false);
    let good = config(&[1, 2, 3], 2, 1);
    let with = |change: fn(&mut EnclaveConfig)| {
        let mut config = good.clone();
        change(&mut config);
        config
    };
    let bad = [
        EnclaveConfig::default(),
        with(|c| c.signers = None),
        with(|c| c.f = 3),
        with(|c| c.master_public_key = Bytes::nil()),
        with(|c| c.master_public_key = b"{}".as_slice().into()),
    ];
    for config in bad {
        let error = store.set(&set(&config), &notary(false)).await.unwrap_err();
        assert!(matches!(error, SetConfigError::Invalid(_)), "{error}");
        assert!(store.snapshot().is_none());
    }
    for body in [&b"null"[..], b"{\"config\":\"bnVsbA==\"}"] {
        store.set(body, &notary(false)).await.unwrap_err();
    }
    store.set(&set(&good), &notary(false)).await.unwrap();
}

#[tokio::test]
async fn w12_a_signer_that_is_no_key_is_refused() {
    let store = ConfigStore::new(false);
    for signer in [vec![], vec![7; 31], vec![7; 33], vec![0; 32]] {
        let mut config = config(&[1, 2, 3], 2, 1);
        config.signers.as_mut().unwrap().push(signer.into());
        let error = store.set(&set(&config), &notary(false)).await.unwrap_err();
        assert!(error.to_string().starts_with("invalid config: signer 3 "), "{error}");
    }
    let twice = config(&[1, 2, 1], 2, 1);
    let error = store.set(&set(&twice), &notary(false)).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid config: signer 2 occurs twice");
}

#[tokio::test]
async fn w54_a_threshold_of_zero_is_refused() {
    let store = ConfigStore::new(false);
    let error = store.set(&set(&config(&[1, 2], 0, 1)), &notary(false)).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid config: the threshold is zero");
}

#[tokio::test]
async fn the_same_configuration_may_be_set_again_and_another_may_not() {
    let first = config(&[1, 2, 3], 2, 1);
    let store = store(&first).await;
    store.set(&set(&first), &notary(false)).await.unwrap();
    let other = config(&[1, 2, 3], 2, 1);
    for body in [set(&other), b"{".to_vec(), b"{}".to_vec()] {
        let error = store.set(&body, &notary(false)).await.unwrap_err();
        assert_eq!(error, SetConfigError::AlreadySet);
    }
    assert_eq!(in_force(&store), first.hash());
}

#[tokio::test]
async fn w11_nothing_is_in_force_that_was_not_attested() {
    let store = ConfigStore::new(false);
    let first = config(&[1, 2, 3], 2, 1);
    let error = store.set(&set(&first), &notary(true)).await.unwrap_err();
    assert!(matches!(error, SetConfigError::Attest(_)));
    assert!(store.snapshot().is_none());

    store.set(&set(&first), &notary(false)).await.unwrap();
    let second = config(&[1, 2], 2, 1);
    store.vote(&vote(&second, &key(1)), &notary(false), NOW).await.unwrap();
    let error = store.vote(&vote(&second, &key(2)), &notary(true), NOW).await.unwrap_err();
    assert!(matches!(error, VoteError::Attest(_)));
    assert_eq!(in_force(&store), first.hash());
    let applied = store.vote(&vote(&second, &key(2)), &notary(false), NOW).await.unwrap();
    assert!(applied.applied);
    assert_eq!(in_force(&store), second.hash());
}

#[tokio::test]
async fn votes_for_what_cannot_work_lead_to_nothing() {
    let store = store(&config(&[1, 2, 3], 2, 1)).await;
    let bad = config(&[1, 2], 2, 2);
    for seed in [1, 2, 3] {
        let error = store.vote(&vote(&bad, &key(seed)), &notary(false), NOW).await.unwrap_err();
        assert!(matches!(error, VoteError::Invalid(_)));
    }
    assert!(store.snapshot().unwrap().hash() != bad.hash());
}

#[tokio::test]
async fn votes_that_are_none_are_refused() {
    let store = store(&config(&[1, 2, 3], 2, 1)).await;
    let second = config(&[1, 2], 2, 1);
    let refusal = |body: Vec<u8>| {
        let store = &store;
        async move { store.vote(&body, &notary(false), NOW).await.unwrap_err().to_string() }
    };
    let stranger = refusal(vote(&second, &key(9))).await;
    assert_eq!(
        stranger,
        "config update signature verification failed: signature not from any allowed signer"
    );
    let text = refusal(b"[]".to_vec()).await;
    assert!(text.starts_with("failed to parse config update request: "), "{text}");
    let text = refusal(b"{\"config\":\"ew==\"}".to_vec()).await;
    assert!(text.starts_with("failed to parse proposed config: "), "{text}");
    let none = ConfigStore::new(false);
    let error = none.vote(&vote(&second, &key(1)), &notary(false), NOW).await.unwrap_err();
    assert_eq!(error.to_string(), "config has not been initialized, cannot update");
}

#[tokio::test]
async fn a_vote_with_a_flipped_bit_anywhere_is_refused_and_not_counted() {
    let store = store(&config(&[1, 2, 3], 2, 1)).await;
    let second = config(&[1, 2], 2, 1);
    let good = vote(&second, &key(1));
    for bit in 0..good.len() * 8 {
        let mut body = good.clone();
        body[bit / 8] ^= 1 << (bit % 8);
        let error = store.vote(&body, &notary(false), NOW).await.unwrap_err();
        // A configuration is judged once its vote is believed.
        assert!(!matches!(error, VoteError::Invalid(_)), "bit {bit}: {error}");
    }
    let counted = store.vote(&vote(&second, &key(2)), &notary(false), NOW).await.unwrap();
    assert_eq!((counted.applied, counted.signers_collected), (false, 1));
    let counted = store.vote(&good, &notary(false), NOW).await.unwrap();
    assert_eq!((counted.applied, counted.signers_collected), (true, 2));
}

#[tokio::test]
async fn w09_a_configuration_set_by_the_host_clears_the_votes() {
    let store = ConfigStore::new(true);
    let first = config(&[1, 2, 3], 2, 1);
    store.set(&set(&first), &notary(false)).await.unwrap();
    let proposed = config(&[1, 2], 2, 1);
    store.vote(&vote(&proposed, &key(1)), &notary(false), NOW).await.unwrap();
    store.set(&set(&config(&[1, 2, 3], 2, 1)), &notary(false)).await.unwrap();
    let counted = store.vote(&vote(&proposed, &key(2)), &notary(false), NOW).await.unwrap();
    assert_eq!((counted.applied, counted.signers_collected), (false, 1));
}
