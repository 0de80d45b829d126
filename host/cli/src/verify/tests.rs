use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use attestation::{
    AttestationRequest, Attestor as _, Pcr,
    statement::{AnswerStatement, Statement, TelemetryHash},
};
use crypto::{
    seal::EphemeralKey,
    sign::SigningKey,
    tdh2::{self, Threshold},
};
use protocol::{
    answer::MetricEvent,
    compute::{ComputeRequest, SignedComputeRequest},
    messages::confidential_workflow::WorkflowExecution,
};
use rand_core::OsRng;
use testkit::{chain::TestRoot, nsm::MockNsm};

use super::*;
use crate::network::enclave_config;

/// An answer that an enclave attested, and what to believe.
struct World {
    believed: Believed,
    requests: Vec<SignedComputeRequest>,
    response: ExecuteResponse,
    /// What the receipt says that the document answers.
    nonce: Option<Challenge>,
}

fn now() -> SystemTime {
    after(UNIX_EPOCH, 1_800_000_000)
}

fn world() -> World {
    world_that(true)
}

fn world_that(states: bool) -> World {
    let keys: Vec<_> = (1..=4).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
    let members: Vec<_> = keys.iter().map(SigningKey::public).collect();
    let deal = tdh2::deal(Threshold::new(2).unwrap(), 4, &mut OsRng).unwrap();
    let config = enclave_config(&members, 1, 2, deal.public_key.as_bytes());
    let message = WorkflowExecution { execution_id: "e".repeat(64), ..Default::default() };
    let key = EphemeralKey::generate(&mut OsRng).public();
    let request = ComputeRequest::for_execution(&message, &key);
    let mut response = ExecuteResponse {
        request_id: request.request_id,
        application_request_id: request.application_request_id.clone(),
        request_hash: request.hash(),
        output: vec![0x12, 0x03, 0x12, 0x01, b'x'].into(),
        config: config.clone(),
        ..ExecuteResponse::default()
    };
    let root = TestRoot::generate(now()).unwrap();
    let trusted = root.trust().unwrap();
    let pcr = |byte: u8| hex::encode([byte; 48]).parse::<Pcr>().unwrap();
    let measurements = Measurements::new(pcr(1), pcr(2), pcr(3)).unwrap();
    let nsm = MockNsm::new(root, &measurements, Arc::new(now));
    let user_data = response.user_data(&request.version);
    let mut telemetry = TelemetryHash::new();
    response.metric_events = Some(vec![MetricEvent { event: "a".to_owned(), details: None }]);
    response.metric_events.iter().flatten().for_each(|event| telemetry.add(&json::to_vec(event)));
    let statement = Statement {
        boot_id: [1; 16],
        config_hash: *config.hash().as_bytes(),
        config_epoch: 0,
        settings_hash: None,
        hpke_public_key: None,
        answer: Some(AnswerStatement {
            shares_hash: None,
            telemetry_hash: telemetry.value(),
            application_request_id: request.application_request_id.as_str().into(),
            request_version: request.version.as_str().into(),
        }),
    };
    let asked = AttestationRequest::new(user_data.as_bytes()).unwrap();
    let asked = asked.with_nonce(challenge().as_bytes()).unwrap();
    let asked = if states { asked.with_public_key(&statement.encode()).unwrap() } else { asked };
    response.attestation = nsm.attest(&asked).unwrap().into();
    let requests = keys.iter().take(3).map(|key| request.clone().sign(key)).collect();
    World {
        believed: Believed {
            root: trusted,
            other_roots: Vec::new(),
            measurements,
            config: Some(config),
        },
        requests,
        response,
        nonce: Some(challenge()),
    }
}

fn challenge() -> Challenge {
    Challenge::from([0xab; 32])
}

fn after(time: SystemTime, seconds: u64) -> SystemTime {
    time.checked_add(Duration::from_secs(seconds)).unwrap()
}

/// The verdict over the receipt of a world.
fn verdict(world: &World, at: Option<SystemTime>) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.json");
    Receipt::store(&path, now(), &world.requests, &world.response, world.nonce.as_ref()).unwrap();
    check(&std::fs::read(path).unwrap(), &world.believed, at)
}

/// The step that failed; all before it passed and none after it was taken.
fn failed(verdict: Verdict) -> String {
    let failed = verdict.result.unwrap_err().step;
    let at = verdict.steps.iter().position(|(step, _)| *step == failed).unwrap();
    let (before, rest) = verdict.steps.split_at(at);
    assert!(before.iter().all(|(_, mark)| matches!(mark, Mark::Passed | Mark::NotChecked(_))));
    assert_eq!(rest[0].1, Mark::Failed);
    assert!(rest[1..].iter().all(|(_, mark)| *mark == Mark::NotReached));
    failed
}

#[test]
fn a_receipt_of_an_attested_answer_passes_every_step() {
    let verdict = verdict(&world(), None);
    assert!(verdict.steps.iter().all(|(_, mark)| *mark == Mark::Passed));
    assert_eq!(verdict.steps.len(), Step::all().count() + 3);
    assert_eq!(verdict.at, Some(now()));
    let answer = verdict.result.unwrap();
    assert_eq!(Outcome::decode(answer.output()).unwrap(), Outcome::Error("x".to_owned()));
}

#[test]
fn every_part_that_changes_fails_the_check_that_covers_it() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 11] = [
        ("request hash", |world| world.requests[0].request.public_data = vec![1].into()),
        ("request id", |world| world.response.request_id = [9; 32].into()),
        ("application request id", |world| world.response.application_request_id.push('x')),
        ("committee signers", |world| world.response.config.signers = None),
        ("committee fault bound", |world| world.response.config.f = 0),
        ("vault threshold", |world| world.response.config.t = 1),
        ("attestation: user data", |world| world.response.output = vec![0x12, 0].into()),
        ("attestation: document signature", |world| {
            let mut document = world.response.attestation.as_slice().to_vec();
            *document.last_mut().unwrap() ^= 1;
            world.response.attestation = document.into();
        }),
        ("attestation: nonce", |world| world.nonce = Some(Challenge::from([1; 32]))),
        ("enclave statement", |world| world.response.metric_events = None),
        ("committee signatures", |world| world.requests.truncate(1)),
    ];
    for (step, change) in changes {
        let mut world = world();
        change(&mut world);
        assert_eq!(failed(verdict(&world, None)), step);
    }
}

#[test]
fn a_receipt_of_version_1_passes_without_a_statement_and_without_a_nonce() {
    let world = World { nonce: None, ..world_that(false) };
    let verdict = verdict(&world, None);
    assert!(verdict.result.is_ok());
    let statement = verdict.steps.iter().find(|(step, _)| step == "enclave statement").unwrap();
    assert_eq!(statement.1, Mark::NotChecked("the enclave states nothing"));
}

#[test]
fn another_enclave_and_another_time_are_refused() {
    let mut other_root = world();
    other_root.believed.root = TrustRoot::aws();
    assert_eq!(failed(verdict(&other_root, None)), "attestation: path to a trusted root");
    let mut other_image = world();
    let pcr = |byte: u8| hex::encode([byte; 48]).parse::<Pcr>().unwrap();
    other_image.believed.measurements = Measurements::new(pcr(9), pcr(2), pcr(3)).unwrap();
    assert_eq!(failed(verdict(&other_image, None)), "attestation: measurements");
    let later = after(now(), 3_600);
    assert_eq!(failed(verdict(&world(), Some(later))), "attestation: timestamp");
}

#[test]
fn one_signer_twice_is_one_signature() {
    let mut world = world();
    world.requests = vec![world.requests[0].clone(); 3];
    assert_eq!(failed(verdict(&world, None)), "committee signatures");
}

#[test]
fn without_a_network_the_committee_is_not_compared_and_its_signatures_are() {
    let mut world = world();
    world.believed.config = None;
    let verdict = verdict(&world, None);
    assert!(verdict.result.is_ok());
    let unchecked = verdict.steps.iter().filter(|(_, mark)| matches!(mark, Mark::NotChecked(_)));
    assert_eq!(unchecked.count(), 4);
    world.requests.truncate(1);
    assert_eq!(failed(self::verdict(&world, None)), "committee signatures");
}

#[test]
fn a_receipt_that_is_damaged_elsewhere_fails_at_last() {
    let world = world();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.json");
    Receipt::store(&path, now(), &world.requests, &world.response, world.nonce.as_ref()).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let time = Rfc3339::try_from(now()).unwrap().to_string();
    let later = Rfc3339::try_from(after(now(), 1)).unwrap().to_string();
    let changed = text.replace(&time, &later);
    assert_ne!(changed, text);
    assert_eq!(failed(check(changed.as_bytes(), &world.believed, None)), "receipt digest");
    assert_eq!(failed(check(b"{}", &world.believed, None)), "receipt format");
}

#[test]
fn every_byte_of_a_receipt_counts() {
    let world = world();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.json");
    Receipt::store(&path, now(), &world.requests, &world.response, world.nonce.as_ref()).unwrap();
    let text = std::fs::read(path).unwrap();
    for index in (0..text.len()).step_by(97) {
        let mut changed = text.clone();
        changed[index] ^= 1;
        failed(check(&changed, &world.believed, None));
    }
}

#[test]
fn times_are_those_of_rfc_3339() {
    assert_eq!(parse_time("1970-01-01T00:00:01Z").unwrap(), after(UNIX_EPOCH, 1));
    assert!(parse_time("yesterday").unwrap_err().starts_with("a time is written as"));
}
