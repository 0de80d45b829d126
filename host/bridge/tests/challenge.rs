//! Challenges and statements (profile v2): what a caller asks an enclave to answer, what the enclave
//! states about itself, and that hosts and enclaves of version 1 stay accepted.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

#[expect(dead_code, unreachable_pub, reason = "the stub serves several files of tests")]
mod stub;

use std::time::Duration;

use attestation::{
    Challenge, Check, Outcome, VerifyError,
    statement::{StatementError, StatementMismatch},
};
use host_bridge::{
    client::{AnswerError, Asked, Challenged, KeysCheckError, Step, Trust, Verification},
    enclave::{CheckError, Images},
};
use http::{Method, StatusCode};
use protocol::{answer::ExecuteResponse, clock::Clock as _, json};
use stub::{
    CONFIG, Running, Stub, TestClock, config_toml, enclave_config, image, member, request, send,
    text,
};

fn challenge(byte: u8) -> Challenge {
    Challenge::from([byte; 32])
}

fn trust(stub: &Stub) -> Trust {
    let images = Images { first: image(), others: Vec::new() };
    Trust::dangerous_under(stub.root(), images, enclave_config())
}

/// An enclave that is configured and states which start it is of.
fn stating() -> Stub {
    let stub = Stub::start(TestClock::start());
    stub.state().config = Some(enclave_config());
    stub.state().states = true;
    stub
}

async fn bridge() -> Running {
    let bridge = Running::start(&format!("{CONFIG}{}", config_toml()));
    bridge.ready().await;
    bridge
}

fn verdict(stub: &Stub, answer: &ExecuteResponse, asked: &Asked<'_>) -> Verification {
    trust(stub).answer(&json::to_vec(answer), asked, stub.now())
}

/// What differs from what was stated; no verification of these tests fails otherwise.
fn mismatch_of(verification: &Verification) -> StatementMismatch {
    let Err(AnswerError::Stated(mismatch)) = &verification.result else {
        panic!("{:?}", verification.result)
    };
    *mismatch
}

// A batch has one answer for all its callers.

#[tokio::test(start_paused = true)]
async fn the_challenge_that_all_of_a_batch_sent_is_answered() {
    let bridge = bridge().await;
    let nonce = challenge(7).to_string();
    let [first, second, third] = [1, 2, 3].map(|by| request(1).sign(&member(by)));
    let (first, second) =
        tokio::join!(bridge.challenge(&first, &nonce), bridge.challenge(&second, &nonce));
    let late = bridge.challenge(&third, &nonce).await;
    for response in [&second, &late] {
        assert_eq!(response.body(), first.body(), "the same bytes for every caller");
    }
    assert_eq!(bridge.stub.state().nonces, [Some(nonce)]);
    let request = request(1);
    for (byte, is_ours) in [(7, true), (8, false)] {
        let challenged = Challenged::Demanded(challenge(byte));
        let asked = Asked { challenged, ..Asked::of(&request) };
        let verdict = trust(&bridge.stub).answer(first.body(), &asked, bridge.clock.now());
        assert_eq!(verdict.result.is_ok(), is_ours);
    }
}

#[tokio::test(start_paused = true)]
async fn where_challenges_differ_none_stands_above_another() {
    let bridge = bridge().await;
    let [one, other] = [1, 2].map(|byte| challenge(byte).to_string());
    for (number, second) in [(1, Some(&other)), (2, None)] {
        let [a, b] = [1, 2].map(|by| request(number).sign(&member(by)));
        let second = async {
            match second {
                Some(nonce) => bridge.challenge(&b, nonce).await,
                None => bridge.submit(&b).await,
            }
        };
        let (a, b) = tokio::join!(bridge.challenge(&a, &one), second);
        assert_eq!((a.status(), a.body()), (StatusCode::OK, b.body()));
    }
    assert_eq!(bridge.stub.state().nonces, [None, None]);
}

#[tokio::test(start_paused = true)]
async fn a_member_without_a_quorum_cannot_spoil_a_batch_with_a_challenge() {
    let bridge = bridge().await;
    let signed = request(1).sign(&member(1));
    for nonce in ["", "0", "xy", &"00".repeat(513)] {
        let refused = bridge.challenge(&signed, nonce).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{nonce}");
        assert_eq!(refused.headers()["x-error-code"], "nonce");
        assert!(text(&refused).starts_with("invalid nonce"));
    }
    let second = request(1).sign(&member(2));
    let (first, _) = tokio::join!(bridge.submit(&signed), bridge.submit(&second));
    assert_eq!(first.status(), StatusCode::OK, "what was refused took no place");
}

// Keys are shown to one caller at a time.

#[tokio::test(start_paused = true)]
async fn keys_shown_for_another_challenge_are_refused() {
    let stub = stating();
    let keys = |nonce: Option<Challenge>| {
        let mut response = stub.public_keys();
        let nonce = nonce.map(|nonce| nonce.to_string());
        let document = stub.document_with(response.user_data(), None, nonce.as_deref());
        response.attestation = document.into();
        json::to_vec(&response)
    };
    let check = |body: &[u8], challenged: Challenged| match trust(&stub).public_keys(
        body,
        &challenged,
        stub.now(),
    ) {
        Ok(_) => None,
        Err(KeysCheckError::Check(CheckError::Document(error))) => Some(error.check()),
        Err(other) => panic!("{other:?}"),
    };
    let (ours, theirs, nobodys) = (keys(Some(challenge(1))), keys(Some(challenge(2))), keys(None));
    for challenged in [Challenged::Offered(challenge(1)), Challenged::Demanded(challenge(1))] {
        assert_eq!(check(&ours, challenged.clone()), None);
        assert_eq!(check(&theirs, challenged), Some(Check::Nonce));
    }
    assert_eq!(check(&nobodys, Challenged::Offered(challenge(1))), None, "a host of version 1");
    assert_eq!(check(&nobodys, Challenged::Demanded(challenge(1))), Some(Check::Nonce));
    assert_eq!(check(&theirs, Challenged::No), None);
}

// What an enclave states.

#[tokio::test(start_paused = true)]
async fn an_answer_that_agrees_with_its_statement_is_believed() {
    let stub = stating();
    let (request, boot_id) = (request(7), Some(stub.statement(None).boot_id));
    let asked = Asked { boot_id, ..Asked::of(&request) };
    let verification = verdict(&stub, &stub.executed(&request), &asked);
    assert!(verification.steps().all(|(_step, outcome)| outcome == Outcome::Passed));
    let answer = verification.result.unwrap();
    assert_eq!(answer.statement().unwrap().boot_id, boot_id.unwrap());
    let names = |events: &[protocol::answer::MetricEvent]| {
        events.iter().map(|event| event.event.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(answer.attested_events()), ["covered"]);
    assert_eq!(names(answer.unattested_events()), ["later"]);
}

#[tokio::test(start_paused = true)]
async fn an_enclave_of_version_1_states_nothing_and_is_believed() {
    let stub = stating();
    stub.state().states = false;
    let request = request(7);
    let answer = verdict(&stub, &stub.executed(&request), &Asked::of(&request)).result.unwrap();
    assert!(answer.statement().is_none() && answer.attested_events().is_empty());
    assert_eq!(answer.unattested_events().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_contradicts_its_statement_is_refused_by_what_differs() {
    let stub = stating();
    let request = request(7);
    let mismatch = |answer: &ExecuteResponse, boot_id: Option<[u8; 16]>| {
        let asked = Asked { boot_id, ..Asked::of(&request) };
        let verification = verdict(&stub, answer, &asked);
        let failed = verification.steps().find(|(_, outcome)| *outcome == Outcome::Failed);
        assert_eq!(failed.map(|(step, _)| step), Some(Step::Statement));
        mismatch_of(&verification)
    };
    let good = stub.executed(&request);
    assert_eq!(mismatch(&good, Some([9; 16])), StatementMismatch::BootId);
    let mut fewer = good.clone();
    fewer.metric_events.as_mut().unwrap().remove(0);
    assert_eq!(mismatch(&fewer, None), StatementMismatch::TelemetryHash);
    let none = ExecuteResponse { metric_events: None, ..good.clone() };
    assert_eq!(mismatch(&none, None), StatementMismatch::TelemetryHash);
    let of_keys = stub.document(good.user_data(&request.version));
    let no_answer = ExecuteResponse { attestation: of_keys.into(), ..good.clone() };
    assert_eq!(mismatch(&no_answer, None), StatementMismatch::NoAnswer);
    let mut last = good;
    last.metric_events.as_mut().unwrap().pop();
    assert!(verdict(&stub, &last, &Asked::of(&request)).result.is_ok(), "it was not covered");
}

#[tokio::test(start_paused = true)]
async fn a_statement_about_another_request_or_configuration_is_refused() {
    let stub = stating();
    let asked_for = request(7);
    let stated = |change: fn(&mut attestation::statement::Statement)| {
        let mut answer = stub.executed(&asked_for);
        let user_data = answer.user_data(&asked_for.version);
        let document = attestation::Document::decode_unverified(answer.attestation.as_slice());
        let key = document.unwrap().public_key.unwrap();
        let mut statement = attestation::statement::Statement::decode(&key).unwrap();
        change(&mut statement);
        answer.attestation = stub.document_of(user_data, &statement.encode()).into();
        mismatch_of(&verdict(&stub, &answer, &Asked::of(&asked_for)))
    };
    assert_eq!(stated(|of| of.config_hash = [9; 32]), StatementMismatch::ConfigHash);
    let of_answer = stated(|of| {
        of.answer.as_mut().unwrap().application_request_id = "another".into();
    });
    assert_eq!(of_answer, StatementMismatch::ApplicationRequestId);
    let of_answer = stated(|of| of.answer.as_mut().unwrap().request_version = "9".into());
    assert_eq!(of_answer, StatementMismatch::RequestVersion);
}

#[tokio::test(start_paused = true)]
async fn an_enclave_that_stated_something_with_its_keys_has_to_go_on() {
    let stub = stating();
    let request = request(7);
    let asked = Asked { boot_id: Some(stub.statement(None).boot_id), ..Asked::of(&request) };
    stub.state().states = false;
    let refused = verdict(&stub, &stub.executed(&request), &asked).result.unwrap_err();
    assert!(matches!(refused, AnswerError::Unstated), "{refused:?}");
    assert_eq!(refused.step(), Step::Statement);
}

#[tokio::test(start_paused = true)]
async fn a_public_key_that_is_no_statement_is_refused() {
    let stub = stating();
    let request = request(7);
    let mut answer = stub.executed(&request);
    answer.attestation = stub.document_of(answer.user_data(&request.version), b"a key").into();
    let refused = verdict(&stub, &answer, &Asked::of(&request)).result.unwrap_err();
    assert!(matches!(refused, AnswerError::Statement(StatementError::Cbor(_))), "{refused:?}");
    let mut keys = stub.public_keys();
    keys.attestation = stub.document_of(keys.user_data(), b"a key").into();
    let refused = trust(&stub).public_keys(&json::to_vec(&keys), &Challenged::No, stub.now());
    let refused = refused.unwrap_err();
    assert!(matches!(refused, KeysCheckError::Check(CheckError::Statement(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn keys_with_a_statement_about_another_configuration_are_refused() {
    let stub = stating();
    let mut keys = stub.public_keys();
    let mut statement = stub.statement(None);
    statement.config_hash = [9; 32];
    keys.attestation = stub.document_of(keys.user_data(), &statement.encode()).into();
    let refused = trust(&stub).public_keys(&json::to_vec(&keys), &Challenged::No, stub.now());
    let mismatch = StatementMismatch::ConfigHash;
    assert!(matches!(
        refused.unwrap_err(),
        KeysCheckError::Check(CheckError::Stated(found)) if found == mismatch
    ));
}

#[tokio::test(start_paused = true)]
async fn a_start_of_the_enclave_is_noticed_by_what_it_states() {
    let bridge = bridge().await;
    bridge.stub.state().states = true;
    let boots = async || {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let status = send(&bridge.nodes, Method::GET, "/status", "").await;
        let status: serde_json::Value = serde_json::from_slice(status.body()).unwrap();
        status["enclave"]["boots"].as_u64().unwrap()
    };
    let before = boots().await;
    assert_eq!(boots().await, before);
    bridge.stub.state().boot += 1;
    assert_eq!(boots().await, before + 1, "the keys are the same, and it is another start");
    bridge.stub.rotate();
    assert_eq!(boots().await, before + 1, "the keys are others, and it is the same start");
}

#[tokio::test(start_paused = true)]
async fn a_statement_does_not_stand_for_a_check_of_the_document() {
    let stub = stating();
    let request = request(7);
    let mut answer = stub.executed(&request);
    answer.output = b"other".as_slice().into();
    let refused = verdict(&stub, &answer, &Asked::of(&request)).result.unwrap_err();
    assert!(matches!(refused, AnswerError::Document(VerifyError::UserData(_))));
}
