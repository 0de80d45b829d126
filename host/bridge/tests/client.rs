//! The node's side: keys, requests over TCP, and answers that are believed only after every check.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

#[expect(dead_code, unreachable_pub, reason = "the stub serves several files of tests")]
mod stub;

use std::{
    fmt::Debug,
    time::{Duration, SystemTime},
};

use attestation::{Check, Outcome, TrustRoot};
use axum::{
    Router,
    routing::{get, post},
};
use host_bridge::{
    client::{
        Address, AnswerError, Asked, Challenged, Client, ConfigMismatch, ExecuteError,
        KeysCheckError, KeysError, RequestError, Step, Trust, VerifiedAnswer,
    },
    enclave::{CheckError, Images},
};
use http::{HeaderMap, StatusCode};
use protocol::{
    answer::{ExecuteResponse, PublicKeyResponse},
    clock::Clock as _,
    config::EnclaveConfig,
    ids::RequestId,
    json, limits,
};
use stub::{CONFIG, Running, Stub, TestClock, config_toml, enclave_config, image, member, request};
use tokio_util::sync::CancellationToken;
use transport::{
    TcpListen,
    http::{ServerLimits, serve},
    memory,
};

const MINUTE: Duration = Duration::from_secs(60);

fn images() -> Images {
    Images { first: image(), others: Vec::new() }
}

fn trust(stub: &Stub) -> Trust {
    Trust::dangerous_under(stub.root(), images(), enclave_config())
}

/// A bridge whose port for nodes is on loopback.
async fn bridge() -> (Running, Address) {
    let listener = TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = format!("http://{}", listener.local()).parse().unwrap();
    let config = format!("{CONFIG}{}", config_toml());
    let (unused, _) = memory::pair();
    (Running::listening(&config, Stub::root, unused, Box::new(listener)), address)
}

/// A server that answers everything like this.
async fn server(status: u16, headers: HeaderMap, body: &'static str) -> Address {
    let listener = TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = format!("http://{}/prefix", listener.local()).parse().unwrap();
    let router = Router::new()
        .fallback(move || async move { (StatusCode::from_u16(status).unwrap(), headers, body) });
    tokio::spawn(serve(Box::new(listener), router, SERVER, CancellationToken::new()));
    address
}

fn word(code: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-error-code", code.parse().unwrap());
    headers
}

async fn executed(status: u16, headers: HeaderMap, body: &'static str) -> ExecuteError {
    let address = server(status, headers, body).await;
    let client = Client::new(MINUTE).unwrap();
    client.execute(&address, &request(7).sign(&member(1)), &Challenged::No, None).await.unwrap_err()
}

#[tokio::test]
async fn a_node_gets_keys_and_a_verified_answer() {
    let (bridge, address) = bridge().await;
    let client = Client::new(MINUTE).unwrap();
    let trust = trust(&bridge.stub);
    let id = Some(RequestId::from([7; 32]));
    // The bridge configures the enclave first; asking for an execution waits for that.
    let early = client.execute(&address, &request(1).sign(&member(9)), &Challenged::No, None).await;
    assert!(matches!(early, Err(ExecuteError::Request(RequestError::Status { status: 400 }))));
    let (keys, _session) =
        client.public_keys(&address, id, &Challenged::No, &trust, &bridge.clock).await.unwrap();
    assert_eq!(keys.newest().unwrap().public, bridge.stub.key().public());

    let [first, second] = [1, 2].map(|number| request(7).sign(&member(number)));
    let (first, second) = tokio::join!(
        client.execute(&address, &first, &Challenged::No, None),
        client.execute(&address, &second, &Challenged::No, None)
    );
    let first = first.unwrap();
    assert_eq!(first.body, second.unwrap().body);
    assert!(first.timing.unwrap().starts_with("batch;dur="));
    let verification = trust.answer(&first.body, &Asked::of(&request(7)), bridge.clock.now());
    assert!(verification.steps().all(|(_step, outcome)| outcome == Outcome::Passed));
    let answer = verification.result.unwrap();
    assert_eq!(answer.output(), b"output");
    assert_eq!(answer.request_hash(), request(7).hash());
    assert_eq!(answer.config_hash(), enclave_config().hash());
    assert_eq!(answer.pcrs().get(&0), image().pcrs().next().map(|(_, pcr)| pcr).as_ref());
}

#[tokio::test]
async fn refusals_are_told_apart_by_their_code_w_55() {
    assert!(matches!(
        executed(500, word("quorum_timeout"), "any").await,
        ExecuteError::QuorumTimeout
    ));
    assert!(matches!(executed(429, word("busy"), "").await, ExecuteError::Busy));
    assert!(matches!(executed(429, HeaderMap::new(), "{}").await, ExecuteError::Busy));
    assert!(matches!(executed(409, HeaderMap::new(), "{}").await, ExecuteError::Replay));
    assert!(matches!(
        executed(503, word("attestation_refused"), "no").await,
        ExecuteError::Request(RequestError::Status { status: 503 })
    ));
}

#[tokio::test]
async fn w_55_the_word_counts_only_where_a_bridge_of_version_1_has_it() {
    let theirs = "error for request ID \
                  0707070707070707070707070707070707070707070707070707070707070707: \
                  quorum_timeout: received 1 of 2 required signatures within 20s\n";
    assert!(matches!(executed(500, HeaderMap::new(), theirs).await, ExecuteError::QuorumTimeout));
    let workflows = "{\"error\":\"my upstream said: quorum_timeout: received 1 of 2\"}";
    assert!(matches!(
        executed(500, HeaderMap::new(), workflows).await,
        ExecuteError::Enclave { status: 500, .. }
    ));
}

#[tokio::test]
async fn nobody_listening_is_an_unreachable_bridge_and_no_url_is_repeated() {
    let listener = TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address: Address = format!("http://{}", listener.local()).parse().unwrap();
    drop(listener);
    let client = Client::new(MINUTE).unwrap();
    let error = client
        .execute(&address, &request(7).sign(&member(1)), &Challenged::No, None)
        .await
        .unwrap_err();
    assert!(matches!(error, ExecuteError::Request(RequestError::Unreachable)));
    assert_eq!(error.to_string(), "the bridge cannot be reached");
}

#[tokio::test]
async fn an_answer_that_does_not_come_times_out() {
    let listener = TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address: Address = format!("http://{}", listener.local()).parse().unwrap();
    let client = Client::new(Duration::from_millis(1)).unwrap();
    let error = client
        .execute(&address, &request(7).sign(&member(1)), &Challenged::No, None)
        .await
        .unwrap_err();
    assert!(matches!(error, ExecuteError::Request(RequestError::TimedOut)), "{error:?}");
}

#[tokio::test]
async fn keys_that_are_refused_are_no_keys() {
    let client = Client::new(MINUTE).unwrap();
    let clock = TestClock::start();
    let stub = Stub::start(clock);
    let asked = async |status, body| {
        let address = server(status, HeaderMap::new(), body).await;
        client
            .public_keys(&address, None, &Challenged::No, &trust(&stub), &clock)
            .await
            .unwrap_err()
    };
    let refused = asked(503, "enclave config not set\n").await;
    assert!(matches!(refused, KeysError::Request(RequestError::Status { status: 503 })));
    assert!(matches!(asked(200, "{").await, KeysError::Check(KeysCheckError::Check(_))));
    assert!(matches!(asked(200, "null").await, KeysError::Check(KeysCheckError::Check(_))));
}

#[tokio::test(start_paused = true)]
async fn w_02_keys_of_an_enclave_that_is_configured_otherwise_are_refused() {
    let clock = TestClock::start();
    let stub = Stub::start(clock);
    for (config, expected) in other_configurations() {
        stub.state().config = Some(config);
        let body = json::to_vec(&stub.public_keys());
        let refused = trust(&stub).public_keys(&body, &Challenged::No, clock.now()).unwrap_err();
        assert!(matches!(refused, KeysCheckError::Config(got) if got == expected), "{refused:?}");
    }
    stub.state().config = Some(reordered());
    let body = json::to_vec(&stub.public_keys());
    assert!(
        trust(&stub).public_keys(&body, &Challenged::No, clock.now()).is_ok(),
        "the order is no difference"
    );
}

#[tokio::test(start_paused = true)]
async fn w_39_keys_and_their_times_are_as_many() {
    let clock = TestClock::start();
    let stub = Stub::start(clock);
    stub.state().config = Some(enclave_config());
    let good = stub.public_keys();
    let (times, lives) = (good.creation_times.clone().unwrap(), good.ttls.clone().unwrap());
    let odd = [
        PublicKeyResponse { creation_times: Some([times.clone(), times].concat()), ..good.clone() },
        PublicKeyResponse { ttls: Some([lives.clone(), lives].concat()), ..good.clone() },
        PublicKeyResponse { ttls: None, ..good.clone() },
        PublicKeyResponse { public_keys: Some(Vec::new()), ..good.clone() },
        PublicKeyResponse { public_keys: Some(vec![b"short".as_slice().into()]), ..good.clone() },
        PublicKeyResponse { public_keys: Some(vec![[0; 32].as_slice().into()]), ..good },
    ];
    for mut response in odd {
        response.attestation = stub.document(response.user_data()).into();
        let refused = trust(&stub)
            .public_keys(&json::to_vec(&response), &Challenged::No, clock.now())
            .unwrap_err();
        assert!(matches!(refused, KeysCheckError::Check(CheckError::Keys)), "{refused:?}");
    }
}

#[tokio::test]
async fn what_an_ingress_wants_to_see_is_sent() {
    let clock = TestClock::start();
    let stub = Stub::start(clock);
    stub.state().config = Some(enclave_config());
    let keys = String::from_utf8(json::to_vec(&stub.public_keys())).unwrap();
    let listener = TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address: Address = format!("http://{}", listener.local()).parse().unwrap();
    let address = address.with_auth("x-api-key: a:b".parse().unwrap());
    let heard = |headers: HeaderMap| async move {
        let heard = ["x-api-key", "sticky-session-a"].map(|name| headers.get(name).cloned());
        format!("{heard:?}")
    };
    let router = Router::new()
        .route(
            "/publicKeys",
            get(move || async move { ([("sticky-session-a", "enclave-1")], keys) }),
        )
        .route("/requests", post(heard));
    tokio::spawn(serve(Box::new(listener), router, SERVER, CancellationToken::new()));
    let client = Client::new(MINUTE).unwrap();
    let keys = client.public_keys(&address, None, &Challenged::No, &trust(&stub), &clock).await;
    let session = keys.unwrap().1;
    let signed = request(7).sign(&member(1));
    let answer =
        client.execute(&address, &signed, &Challenged::No, session.as_ref()).await.unwrap();
    assert_eq!(answer.body, "[Some(\"a:b\"), Some(\"enclave-1\")]");
    assert!(!format!("{session:?} {address:?}").contains("a:b"));
}

#[tokio::test(start_paused = true)]
async fn each_step_of_an_answer_can_fail() {
    let clock = TestClock::start();
    let stub = Stub::start(clock);
    stub.state().config = Some(enclave_config());
    let good = stub.executed(&request(7));
    let failed = |answer: &ExecuteResponse, at: SystemTime| {
        step_of(&trust(&stub), &json::to_vec(answer), at)
    };
    let now = clock.now();
    assert_eq!(failed(&good, now), None);
    assert_eq!(step_of(&trust(&stub), b"{", now), Some(Step::Json));
    let mut long = json::to_vec(&good);
    long.resize(limits::ENCLAVE_ANSWER_BYTES, b' ');
    assert_eq!(step_of(&trust(&stub), &long, now), None);
    long.push(b' ');
    assert_eq!(step_of(&trust(&stub), &long, now), Some(Step::Json));

    let other = stub.executed(&request(8));
    assert_eq!(failed(&other, now), Some(Step::RequestHash));
    let answer = ExecuteResponse { request_id: [8; 32].into(), ..good.clone() };
    assert_eq!(failed(&answer, now), Some(Step::RequestId));
    let answer = ExecuteResponse { application_request_id: "x".to_owned(), ..good.clone() };
    assert_eq!(failed(&answer, now), Some(Step::ApplicationRequestId));
    let answer = ExecuteResponse { output: b"other".as_slice().into(), ..good.clone() };
    assert_eq!(failed(&answer, now), Some(Step::Document(Check::UserData)));
    let answer = ExecuteResponse { config: reordered(), ..good.clone() };
    assert_eq!(failed(&answer, now), Some(Step::Document(Check::UserData)));
    let answer = ExecuteResponse { attestation: b"x".as_slice().into(), ..good.clone() };
    assert_eq!(failed(&answer, now), Some(Step::Document(Check::Envelope)));
    assert_eq!(failed(&good, now + 6 * MINUTE), Some(Step::Document(Check::Freshness)));

    let steps = [Step::Signers, Step::FaultBound, Step::Threshold, Step::MasterPublicKey];
    for ((config, expected), step) in other_configurations().into_iter().zip(steps) {
        stub.state().config = Some(config);
        let answer = stub.executed(&request(7));
        let verification =
            trust(&stub).answer(&json::to_vec(&answer), &Asked::of(&request(7)), now);
        assert!(matches!(&verification.result, Err(AnswerError::Config(got)) if *got == expected));
        let outcome =
            |wanted: Step| verification.steps().find(|(step, _)| *step == wanted).unwrap().1;
        assert_eq!(outcome(Step::ApplicationRequestId), Outcome::Passed);
        assert_eq!(outcome(step), Outcome::Failed);
        assert_eq!(outcome(Step::Document(Check::Signature)), Outcome::NotReached);
    }
}

/// What an answer says that its document covers.
fn vouched(answer: &VerifiedAnswer) -> impl PartialEq + Debug + use<> {
    let hashes = (answer.request_hash(), answer.config_hash());
    let enclave = (answer.module_id().to_owned(), answer.pcrs().clone(), answer.attested_at());
    let events = json::to_vec(&answer.attested_events().to_vec());
    (answer.output().to_vec(), hashes, enclave, answer.statement().cloned(), events)
}

#[tokio::test(start_paused = true)]
async fn one_bit_changed_in_any_byte_is_refused_or_changes_nothing_that_is_vouched_for() {
    let clock = TestClock::start();
    let stub = Stub::start(clock);
    stub.state().config = Some(enclave_config());
    let body = json::to_vec(&stub.executed(&request(7)));
    let (trust, asked) = (trust(&stub), request(7));
    let verify = |body: &[u8]| trust.answer(body, &Asked::of(&asked), clock.now()).result;
    let good = vouched(&verify(&body).unwrap());
    let mut refused = 0;
    for index in 0..body.len() {
        let mut changed = body.clone();
        changed[index] ^= 1 << (index % 7);
        match verify(&changed) {
            Ok(answer) => assert_eq!(vouched(&answer), good, "byte {index}"),
            Err(_refusal) => refused += 1,
        }
    }
    assert!(refused > body.len() * 9 / 10, "{refused} of {}", body.len());
}

#[tokio::test(start_paused = true)]
async fn an_answer_under_another_root_is_refused() {
    let clock = TestClock::start();
    let stub = Stub::start(clock);
    stub.state().config = Some(enclave_config());
    let body = json::to_vec(&stub.executed(&request(7)));
    let aws = Trust::new(images(), enclave_config());
    assert_eq!(step_of(&aws, &body, clock.now()), Some(Step::Document(Check::Path)));
    let same = Trust::dangerous_under(TrustRoot::aws(), images(), enclave_config());
    assert_eq!(step_of(&same, &body, clock.now()), Some(Step::Document(Check::Path)));
}

#[test]
fn steps_are_in_order_and_each_has_a_name() {
    let steps: Vec<_> = Step::all().collect();
    assert!(steps.is_sorted());
    assert_eq!(steps.len(), 8 + Check::ALL.len() + 1);
    let mut names: Vec<_> = steps.iter().map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), steps.len());
}

fn step_of(trust: &Trust, body: &[u8], now: SystemTime) -> Option<Step> {
    trust.answer(body, &Asked::of(&request(7)), now).result.err().map(|error| error.step())
}

/// Configurations that differ in one part, in the order in which they are noticed.
fn other_configurations() -> [(EnclaveConfig, ConfigMismatch); 4] {
    let base = enclave_config;
    let mut fewer = base();
    fewer.signers.as_mut().unwrap().pop();
    // The same curve and points, written with a space: other bytes are another key.
    let spaced = String::from_utf8(base().master_public_key.into_vec()).unwrap();
    let spaced = spaced.replacen(':', ": ", 1);
    [
        (fewer, ConfigMismatch::Signers),
        (EnclaveConfig { f: 0, ..base() }, ConfigMismatch::FaultBound { got: 0, want: 1 }),
        (EnclaveConfig { t: 1, ..base() }, ConfigMismatch::Threshold { got: 1, want: 2 }),
        (
            EnclaveConfig { master_public_key: spaced.into_bytes().into(), ..base() },
            ConfigMismatch::MasterPublicKey,
        ),
    ]
}

fn reordered() -> EnclaveConfig {
    let mut config = enclave_config();
    config.signers.as_mut().unwrap().reverse();
    config
}

const SERVER: ServerLimits = ServerLimits {
    connections: 16,
    head_bytes: 8192,
    head_timeout: MINUTE,
    write_stall: MINUTE,
    drain: Duration::ZERO,
};
