//! What a bridge believes of its enclave, and what it gives it.
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

use attestation::TrustRoot;
use host_bridge::RunError;
use http::{Method, StatusCode};
use protocol::{
    answer::SetConfigResponse,
    config::{EnclaveConfig, set_config_user_data},
    json,
};
use serde_json::Value;
use stub::{
    CONFIG, Running, answer, config_toml, enclave_config, member, plain, request, send, text,
    try_send,
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

const SETTINGS: &str = "[enclave.settings]\ngatewayUrl = \"https://gateway.example/\"\n";

fn everything() -> String {
    format!("{CONFIG}{}{SETTINGS}", config_toml())
}

async fn status(bridge: &Running) -> Value {
    let response = send(&bridge.nodes, Method::GET, "/status", "").await;
    serde_json::from_slice(response.body()).unwrap()
}

async fn is_ready(bridge: &Running) -> bool {
    send(&bridge.nodes, Method::GET, "/readyz", "").await.status() == StatusCode::OK
}

async fn executes(bridge: &Running, number: u8) -> StatusCode {
    let [first, second] = [1, 2].map(|by| request(number).sign(&member(by)));
    tokio::join!(bridge.submit(&first), bridge.submit(&second)).0.status()
}

#[tokio::test(start_paused = true)]
async fn an_enclave_is_given_configuration_and_settings_once_it_is_there() {
    let bridge = Running::start(&everything());
    bridge.ready().await;
    let state = bridge.stub.state();
    assert_eq!(state.config, Some(enclave_config()));
    assert_eq!(
        state.settings.as_deref(),
        Some(&br#"{"gatewayUrl":"https://gateway.example/"}"#[..])
    );
    assert_eq!(state.calls, ["POST /config", "POST /settings"]);
}

#[tokio::test(start_paused = true)]
async fn w_08_a_bridge_that_restarts_serves_an_enclave_that_did_not() {
    // Nothing is configured here: all it knows is what the enclave proves.
    let bridge = Running::start(CONFIG);
    bridge.stub.state().config = Some(enclave_config());
    bridge.ready().await;
    assert_eq!(executes(&bridge, 1).await, StatusCode::OK);
    assert!(!bridge.stub.state().calls.contains(&"POST /config".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn w_23_an_enclave_that_restarts_is_given_everything_again() {
    let bridge = Running::start(&everything());
    bridge.ready().await;
    bridge.stub.restart();
    tokio::time::sleep(11 * SECOND).await;
    bridge.ready().await;
    assert_eq!(bridge.stub.state().config, Some(enclave_config()));
    assert!(bridge.stub.state().settings.is_some());
    assert_eq!(executes(&bridge, 1).await, StatusCode::OK);
    assert_eq!(status(&bridge).await["enclave"]["boots"], 2);
}

#[tokio::test(start_paused = true)]
async fn w_23_a_restart_is_noticed_though_somebody_else_configured_the_enclave() {
    let bridge = Running::start(&everything());
    bridge.ready().await;
    bridge.stub.restart();
    bridge.stub.state().config = Some(enclave_config());
    tokio::time::sleep(11 * SECOND).await;
    bridge.ready().await;
    assert!(bridge.stub.state().settings.is_some(), "the new enclave had none");
    assert_eq!(status(&bridge).await["enclave"]["boots"], 2);
}

#[tokio::test(start_paused = true)]
async fn w_23_readiness_reflects_enclave_configuration_and_settings() {
    let bridge = Running::start(&everything());
    bridge.ready().await;
    bridge.stub.stop();
    tokio::time::sleep(11 * SECOND).await;
    assert!(!is_ready(&bridge).await, "there is no enclave");
    assert_eq!(status(&bridge).await["enclave"]["condition"], "unreachable");
    assert_eq!(send(&bridge.nodes, Method::GET, "/livez", "").await.status(), StatusCode::OK);

    let bridge = Running::start(CONFIG);
    tokio::time::sleep(11 * SECOND).await;
    assert!(!is_ready(&bridge).await, "there is no configuration");
    assert_eq!(status(&bridge).await["enclave"]["condition"], "unconfigured");
    bridge.stub.state().config = Some(enclave_config());
    tokio::time::sleep(11 * SECOND).await;
    assert!(is_ready(&bridge).await);
}

#[tokio::test(start_paused = true)]
async fn w_23_settings_that_were_rejected_are_not_offered_again() {
    let bridge = Running::start(&format!("{CONFIG}{SETTINGS}"));
    bridge
        .stub
        .state()
        .next
        .push_back(plain(500, "injecting settings: missing required settings\n"));
    bridge.stub.state().config = Some(enclave_config());
    tokio::time::sleep(300 * SECOND).await;
    assert!(!is_ready(&bridge).await);
    assert_eq!(status(&bridge).await["enclave"]["settings"], "rejected");
    assert_eq!(bridge.stub.state().calls, ["POST /settings"]);
}

#[tokio::test(start_paused = true)]
async fn settings_that_could_not_be_handed_over_are_offered_again() {
    let bridge = Running::start(&format!("{CONFIG}{SETTINGS}"));
    bridge.stub.state().next.push_back(plain(503, "starting\n"));
    bridge.stub.state().config = Some(enclave_config());
    bridge.ready().await;
    assert_eq!(bridge.stub.state().calls, ["POST /settings", "POST /settings"]);
}

#[tokio::test(start_paused = true)]
async fn an_enclave_under_another_root_is_given_and_asked_nothing() {
    let bridge = Running::trusting(&everything(), |_stub| TrustRoot::aws());
    bridge.stub.state().config = Some(enclave_config());
    tokio::time::sleep(60 * SECOND).await;
    assert!(!is_ready(&bridge).await);
    assert_eq!(status(&bridge).await["enclave"]["condition"], "refused");
    assert_eq!(executes(&bridge, 1).await, StatusCode::SERVICE_UNAVAILABLE);
    let keys = send(&bridge.nodes, Method::GET, "/publicKeys", "").await;
    assert_eq!(keys.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(keys.headers()["x-error-code"], "attestation_refused");
    assert!(bridge.stub.state().calls.is_empty());
    assert!(bridge.stub.state().settings.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_enclave_that_cannot_prove_its_first_configuration_gets_no_settings() {
    let bridge = Running::trusting(&everything(), |_stub| TrustRoot::aws());
    tokio::time::sleep(60 * SECOND).await;
    assert!(bridge.stub.state().calls.iter().all(|call| call == "POST /config"));
    assert!(bridge.stub.state().settings.is_none());
    assert_eq!(status(&bridge).await["enclave"]["condition"], "refused");
}

#[tokio::test(start_paused = true)]
async fn an_enclave_that_sets_another_configuration_than_the_posted_is_refused() {
    let bridge = Running::start(&everything());
    let config = EnclaveConfig { f: 0, ..enclave_config() };
    let attestation = bridge.stub.document(set_config_user_data(config.hash())).into();
    let other = answer(&SetConfigResponse { config, attestation });
    bridge.stub.state().next.push_back(other);
    let status_after = status(&bridge).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_ne!(status_after["enclave"]["condition"], "ready");
    assert_eq!(status(&bridge).await["enclave"]["condition"], "refused");
    assert!(bridge.stub.state().settings.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_enclave_with_other_measurements_is_refused() {
    let other = format!(
        "measurements = [{{ pcr0 = \"{0}\", pcr1 = \"{0}\", pcr2 = \"{0}\" }}]",
        "11".repeat(48)
    );
    let bridge = Running::start(&everything().replace("MEASUREMENTS", &other));
    bridge.stub.state().config = Some(enclave_config());
    tokio::time::sleep(SECOND).await;
    assert_eq!(status(&bridge).await["enclave"]["condition"], "refused");
    assert_eq!(executes(&bridge, 1).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn w_11_w_12_an_enclave_with_an_impossible_configuration_is_refused_and_nothing_panics() {
    let base = enclave_config();
    let short = vec![b"short".as_slice().into()];
    let impossible = [
        EnclaveConfig { signers: Some(short), ..base.clone() },
        EnclaveConfig { f: 4, ..base.clone() },
        EnclaveConfig { t: 0, ..base.clone() },
        EnclaveConfig { signers: None, ..base.clone() },
        EnclaveConfig { master_public_key: b"{}".as_slice().into(), ..base },
    ];
    for config in impossible {
        let bridge = Running::start(CONFIG);
        bridge.stub.state().config = Some(config);
        tokio::time::sleep(SECOND).await;
        assert_eq!(status(&bridge).await["enclave"]["condition"], "refused");
        assert_eq!(executes(&bridge, 1).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(send(&bridge.nodes, Method::GET, "/livez", "").await.status(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_before_the_first_look_are_answered_by_what_it_shows() {
    let bridge = Running::start(&everything());
    assert_eq!(executes(&bridge, 1).await, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_unconfigured_enclave_is_told_in_the_words_of_the_reference() {
    let bridge = Running::start(CONFIG);
    let response = bridge.submit(&request(1).sign(&member(1))).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(&response), "service not accepting requests (T and F are zero)\n");
    let keys = send(&bridge.nodes, Method::GET, "/publicKeys", "").await;
    assert_eq!((keys.status().as_u16(), text(&keys)), (503, "enclave config not set\n"));
}

#[tokio::test(start_paused = true)]
async fn w_23_a_port_that_fails_ends_the_bridge() {
    let bridge = Running::start(&everything());
    drop(bridge.nodes);
    let ended = bridge.task.await.unwrap();
    assert!(matches!(ended, Err(RunError::Port { port: "nodes", .. })), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn w_23_both_ports_share_one_deadline_when_the_bridge_stops() {
    let bridge = Running::start(&format!("shutdown_ms = 5000\n{}", everything()));
    bridge.ready().await;
    bridge.stub.state().delay = 60 * SECOND;
    let [first, second] = [1, 2].map(|by| json::to_vec(&request(1).sign(&member(by))));
    let stop = async {
        tokio::time::sleep(SECOND).await;
        let started = Instant::now();
        bridge.stop.cancel();
        bridge.task.await.unwrap().unwrap();
        assert_eq!(started.elapsed(), 5 * SECOND);
    };
    let execute = |body| try_send(&bridge.nodes, Method::POST, "/requests", body);
    let settings = try_send(&bridge.operator, Method::POST, "/settings", "{}");
    let cut_off = tokio::join!(execute(first), execute(second), settings, stop);
    assert!(cut_off.0.is_err() && cut_off.1.is_err() && cut_off.2.is_err());
}
