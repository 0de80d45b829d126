//! `quorum.json`, `get_secrets`: what a workflow gets when shares are really opened. That a bundle is
//! believed, and what is said of those that are not, the protocol crate holds to the same cases.

use std::time::{Duration, SystemTime};

use attestation::{AttestError, AttestationRequest, Attestor};
use crypto::sign::SigningKey;
use http::Response;
use protocol::{
    compute::ComputeRequest,
    config::EnclaveConfig,
    ids::FaultBound,
    messages::{
        self,
        confidential_workflow::WorkflowExecution,
        sdk::{GetSecretsRequest, SecretOutcome, SecretResponse},
    },
    quorum::unanimous,
};
use rand_core::{CryptoRng, Error, RngCore};
use serde_json::{Value, json};
use vectors::{Answer, Case, Deviations, Text, model};

use super::*;
use crate::{
    bridge::Bridge,
    egress::{Egress, EgressPolicy},
    keychain::Keychain,
    settings::SettingsStore,
};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

struct Paper;

impl Attestor for Paper {
    fn attest(&self, _request: &AttestationRequest) -> Result<Vec<u8>, AttestError> {
        Ok(b"document".to_vec())
    }
}

/// Gives the bytes of one key.
struct Given([u8; 32]);

impl RngCore for Given {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn next_u64(&mut self) -> u64 {
        0
    }

    fn fill_bytes(&mut self, to: &mut [u8]) {
        to.copy_from_slice(&self.0);
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(to);
        Ok(())
    }
}

impl CryptoRng for Given {}

fn relay(input: &Value) -> Relay {
    let body = input["http_body"].as_str().unwrap().to_owned();
    let bridge = Bridge::serving(move |_request| Response::new(body.clone().into()));
    let dialer = Arc::new(bridge.dialer);
    let egress = Arc::new(Egress::new(dialer, EgressPolicy::production()).unwrap());
    let remote = Remote {
        gateway: GatewayClient::new(egress),
        notary: Notary::start(Arc::new(Paper), [1; 16]).unwrap(),
        attempt_timeout: Duration::from_secs(30),
    };
    let key = model::hex(input["enclave_secret_key"].as_str().unwrap()).try_into().unwrap();
    let keychain = Keychain::new(Duration::from_secs(3600), &mut Given(key), NOW);
    let call = |name: &str| input["call"][name].as_str().unwrap().to_owned();
    let execution = WorkflowExecution {
        workflow_id: call("workflow_id"),
        owner: call("owner"),
        execution_id: call("execution_id"),
        org_id: call("org_id"),
        ..WorkflowExecution::default()
    };
    Relay {
        remote: Arc::new(remote),
        settings: settings(),
        config: Arc::new(Config::check(config(&input["config"])).unwrap()),
        caller: Caller::from(&execution),
        batch: Arc::new(batch()),
        key: keychain.live(NOW).remove(0),
        events: Events::default(),
        turns: LargeBodies::one_at_a_time(),
    }
}

fn settings() -> Arc<Active> {
    let store = SettingsStore::default();
    let key = "01".repeat(32);
    let body = format!(
        r#"{{"storageKey":"{key}","storageServiceUrl":"s:1","gatewayUrl":"gateway.invalid"}}"#
    );
    store.inject(body.as_bytes()).unwrap();
    store.snapshot().unwrap()
}

fn config(model: &Value) -> EnclaveConfig {
    let number = |name: &str| u32::try_from(model[name].as_u64().unwrap()).unwrap();
    EnclaveConfig {
        signers: model::list(&model["signers"], |signer| model::bytes(signer).into()),
        master_public_key: model::bytes(&model["masterPublicKey"]).into(),
        t: number("t"),
        f: number("f"),
    }
}

/// What made the enclave execute; nobody looks at it here.
fn batch() -> Agreed<Batch> {
    let key = SigningKey::from_seed(&[1; 32]);
    let committee = Committee::new(vec![key.public()], FaultBound::new(0)).unwrap();
    unanimous(vec![ComputeRequest::default().sign(&key)], &committee).unwrap()
}

#[test]
fn secrets_are_opened_as_in_the_reference() {
    let others = [
        "call_capability",
        "canonical_payload",
        "capability_bundle",
        "config_sequence",
        "describe",
        "enclave_batch",
        "host_batch",
        "secrets_bundle",
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let deviations = Deviations::read();
    let answer = |case: &Case| runtime.block_on(answer(case, &deviations));
    vectors::run("quorum.json", &["get_secrets"], &others, |_case| Text::Exact, answer);
}

async fn answer(case: &Case, deviations: &Deviations) -> Answer {
    let request = model::hex(case.input["call"]["request_hex"].as_str().unwrap());
    let request: GetSecretsRequest = messages::decode(&request).unwrap();
    let responses = match relay(&case.input).secrets(&request, NOW).await {
        Ok(responses) => responses,
        Err(error) => return Answer::refused(&error),
    };
    assert_eq!(responses.len(), request.requests.len(), "one for each that was asked (W-21)");
    // The reference answers a secret that is asked for twice once.
    let mut distinct: Vec<SecretResponse> = Vec::new();
    for response in responses {
        if !distinct.contains(&response) {
            distinct.push(response);
        }
    }
    let theirs = case.output.as_ref().unwrap()["responses_hex"].as_array().unwrap();
    let hex: Vec<Value> = distinct
        .iter()
        .zip(theirs)
        .map(|(ours, theirs)| shown(ours, theirs, case, deviations))
        .collect();
    assert_eq!(distinct.len(), theirs.len());
    Answer::Value(json!({ "responses_hex": hex }))
}

/// Our response, or theirs where a rule allows the difference.
fn shown(ours: &SecretResponse, theirs: &Value, case: &Case, deviations: &Deviations) -> Value {
    let their: SecretResponse = messages::decode(&model::hex(theirs.as_str().unwrap())).unwrap();
    match (&ours.response, &their.response) {
        (Some(SecretOutcome::Secret(_)), Some(SecretOutcome::Error(error))) => {
            let allowed = Case {
                op: "get_secrets".to_owned(),
                output: None,
                error: Some(error.error.clone()),
                ..case.clone()
            };
            let opened = Answer::Value(Value::Null);
            let held = deviations.compare("quorum.json", &allowed, &opened, Text::Exact);
            held.map_or(Value::Null, |()| theirs.clone())
        }
        (Some(SecretOutcome::Error(ours)), Some(SecretOutcome::Error(error))) => {
            // Texts of the recording are cut where they would repeat shares.
            let is_cut = error.error.ends_with("invalid shares");
            let same = if is_cut {
                ours.error.starts_with(&error.error)
            } else {
                ours.error == error.error
            };
            let same = same && (&ours.id, &ours.namespace) == (&error.id, &error.namespace);
            if same { theirs.clone() } else { Value::from(ours.error.clone()) }
        }
        _ => hex::encode(messages::encode(ours)).into(),
    }
}
