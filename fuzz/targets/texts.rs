//! The smaller texts: the handshake between gateway and relay node, the enclave's configuration and
//! settings, durations, times, base64, addresses, decimals, JSON of no fixed form.
//!
//! Holds: what is read is written and read back as the same, unless Go's own arithmetic loses something or
//! a number is too long; an answer to a challenge is the answer of the member that made it.
//!
//! Memory: four times `json::EXPANSION`: that much for what is read, for what is read again, and
//! for the text of each, which is about as long as they are large. The constant is for decimals of few
//! bytes and the digits that they ask for.

#![no_main]

use std::time::SystemTime;

use crypto::sign::SignerKey;
use fuzz::{
    Bound, Input,
    known::{COMMITTEE, SIGNERS},
};
use protocol::{
    base64,
    config::Config,
    ids::Owner,
    json::{self, Tree},
    link::{self, Challenge, ChallengeFrame},
    messages::values::Decimal,
    quote::quote,
    settings::{Settings, WorkflowSettings},
    time::{GoDuration, Rfc3339},
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let members = COMMITTEE.members();
    BOUND.hold(input, || {
        let mut input = Input::new(input);
        let kind = input.below(10);
        let bytes = input.rest();
        match (kind, std::str::from_utf8(bytes)) {
            (0, _) => challenge(bytes, members),
            (1, _) => answer(bytes, members),
            (2, _) => config(bytes),
            (3, _) => settings(bytes),
            (4, _) => tree(bytes),
            (5, _) => {
                assert_eq!(base64::decode(&base64::encode(bytes)).as_deref(), Ok(bytes));
                assert!(quote(bytes).len() <= 2 + 6 * bytes.len());
            }
            (6, Ok(text)) => duration(text),
            (7, Ok(text)) => time(text),
            (8, Ok(text)) => number(text),
            (9, Ok(text)) => {
                if let Ok(bytes) = base64::decode(text) {
                    assert_eq!(base64::encode(&bytes), text);
                }
                let owner = Owner::normalised(text);
                assert_eq!(Owner::parse(&owner.to_string()), Ok(owner));
                if let Ok(parsed) = Owner::parse(text) {
                    assert_eq!(parsed, owner);
                }
            }
            _ => {}
        }
    });
});

/// A gateway's frame, as a relay node answers it.
fn challenge(frame: &[u8], members: &[SignerKey]) {
    let Ok(proof) = link::answer(frame, GATEWAY, &SIGNERS[0]) else { return };
    assert!(proof.frame.len() <= link::FRAME_BYTES);
    let frame: ChallengeFrame = json::from_slice(frame).expect("it was answered");
    let mut nonce = [0; 32];
    hex::decode_to_slice(frame.challenge, &mut nonce).expect("it was answered");
    let challenge = Challenge::new(GATEWAY, nonce, SystemTime::UNIX_EPOCH);
    assert_eq!(challenge.check(proof.frame.as_bytes(), members), Ok(SIGNERS[0].public()));
}

/// A relay node's frame, as a gateway checks it.
fn answer(frame: &[u8], members: &[SignerKey]) {
    let challenge = Challenge::new(GATEWAY, [8; 32], SystemTime::UNIX_EPOCH);
    match challenge.check(frame, members) {
        Ok(node) => assert!(members.contains(&node)),
        Err(error) => assert!(error.word().len() < 100 && error.to_string().len() < 300),
    }
}

fn config(text: &[u8]) {
    let Ok(config) = Config::decode(text) else { return };
    let again = Config::decode(&json::to_vec(config.wire())).expect("it was decoded before");
    assert_eq!(again.hash(), config.hash());
    assert_eq!(again.wire(), config.wire());
    assert!(config.committee().members().len() >= config.committee().fault_bound().quorum());
}

fn settings(text: &[u8]) {
    let Ok(wire) = WorkflowSettings::decode(text) else { return };
    let written = json::to_vec(&wire);
    let again = WorkflowSettings::decode(&written).expect("it was decoded before");
    let spans = [
        wire.binary_fetch_timeout,
        wire.request_timeout,
        wire.gateway_request_timeout,
        wire.execution_timeout,
        wire.workflow_grace_period,
    ];
    assert!(!spans.into_iter().all(is_exact) || json::to_vec(&again) == written);

    let Ok(settings) = Settings::decode(text) else { return };
    assert!(!settings.gateways.is_empty());
    assert!(settings.max_binary_bytes > 0 && !settings.request_timeout.is_zero());
    assert!(Settings::decode(&written).is_ok_and(|again| again.gateways == settings.gateways));
}

fn tree(text: &[u8]) {
    let Ok(tree) = json::from_slice::<Tree>(text) else { return };
    let written = json::to_vec(&tree);
    let again: Tree = json::from_slice(&written).expect("it was decoded before");
    assert_eq!(json::to_vec(&again), written);
}

fn duration(text: &str) {
    let Ok(duration) = text.parse::<GoDuration>() else { return };
    let again = duration.to_string().parse::<GoDuration>();
    assert!(again.is_ok_and(|again| !is_exact(duration) || again == duration));
}

/// Go computes fractions in floating point; below 2^53 ns nothing is lost.
fn is_exact(duration: GoDuration) -> bool {
    duration.nanos.unsigned_abs() < 1 << 53
}

fn time(text: &str) {
    let Ok(time) = text.parse::<Rfc3339>() else { return };
    assert_eq!(time.to_string().parse(), Ok(time));
    if let Ok(system) = SystemTime::try_from(time) {
        let again = Rfc3339::try_from(system).map(Rfc3339::unix_nanos);
        assert!(again.is_err() || again == Ok(time.unix_nanos()));
    }
}

fn number(text: &str) {
    let Ok(decimal) = text.parse::<Decimal>() else { return };
    // An exponent may ask for more digits than are written.
    let Ok(written) = decimal.to_text() else { return };
    assert!(written.len() < 8192);
    match written.parse::<Decimal>() {
        Ok(again) => assert_eq!(again.to_text(), Ok(written)),
        // Or for more than are read.
        Err(_) => assert!(written.bytes().filter(u8::is_ascii_digit).count() > 38),
    }
}

const GATEWAY: &str = "gateway";

const BOUND: Bound = Bound { times: 4 * json::EXPANSION, plus: 32 * 1024 };
