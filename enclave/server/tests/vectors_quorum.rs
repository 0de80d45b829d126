//! `quorum.json`: batches of signed requests, and configurations with their votes, against a whole
//! server.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

#[expect(dead_code, reason = "every test file uses a part of it")]
mod world;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crypto::sign::SignatureError;
use enclave_server::{Decision, Votes};
use http::Method;
use protocol::{
    answer::UpdateConfigRequest,
    committee::Committee,
    config::{Config, EnclaveConfig},
    ids::FaultBound,
    json,
};
use rand_core::{CryptoRng, Error, OsRng, RngCore};
use serde_json::{Value, json};
use vectors::{Answer, Case, Refusal, Text, model};
use world::{
    Special, World,
    echo::{Echo, Numbering},
    set_config,
};

/// What others walk over.
const OTHERS: &[&str] = &[
    "call_capability",
    "canonical_payload",
    "capability_bundle",
    "describe",
    "get_secrets",
    "host_batch",
    "secrets_bundle",
];

const START: SystemTime = SystemTime::UNIX_EPOCH;

/// Gives the bytes of one key first.
struct First(Option<[u8; 32]>);

impl RngCore for First {
    fn next_u32(&mut self) -> u32 {
        OsRng.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        OsRng.next_u64()
    }

    fn fill_bytes(&mut self, to: &mut [u8]) {
        match self.0.take_if(|key| key.len() == to.len()) {
            Some(bytes) => to.copy_from_slice(&bytes),
            None => OsRng.fill_bytes(to),
        }
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(to);
        Ok(())
    }
}

impl CryptoRng for First {}

async fn enclave(input: &Value, allow_reconfig: bool) -> (World, Arc<Numbering>) {
    let attestor = Arc::new(Numbering::default());
    let key = model::hex(input["enclave_secret_key"].as_str().unwrap()).try_into().unwrap();
    let hour = Duration::from_secs(3600);
    let special = Special {
        app: Some(Arc::new(Echo)),
        attestor: Some(Arc::clone(&attestor) as _),
        config: enclave_server::Config::new(hour * 12, hour * 24, allow_reconfig, hour).unwrap(),
        randomness: Box::new(First(Some(key))),
        start: START + Duration::from_secs(1_700_000_000),
        committee: None,
    };
    (World::special(special).await, attestor)
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

#[test]
fn batches_and_configurations_are_judged_as_in_the_reference() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answer = |case: &Case| match case.op.as_str() {
        "enclave_batch" => runtime.block_on(batch(case)),
        _ => runtime.block_on(sequence(case)),
    };
    vectors::run("quorum.json", &["enclave_batch", "config_sequence"], OTHERS, text, answer);
}

/// Texts are the protocol's own.
fn text(_case: &Case) -> Text {
    Text::Exact
}

async fn batch(case: &Case) -> Answer {
    let input = &case.input;
    let (world, attestor) = enclave(input, false).await;
    let config = config(&input["config"]);
    if !config.is_zero() {
        let reply = world.ask(Method::POST, "/config", set_config(&config)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    for body in input["executed"].as_array().into_iter().flatten() {
        world.ask(Method::POST, "/requests", body.as_str().unwrap().to_owned()).await;
    }
    attestor.take();
    let reply =
        world.ask(Method::POST, "/requests", input["body"].as_str().unwrap().to_owned()).await;
    if reply.status != 200 {
        let (value, ours) = (reply.value(), reply.status.as_u16());
        let theirs = &case.output.as_ref().unwrap()["status"];
        // The status of an application's error is its own (W-13).
        let is_app = reply.error().starts_with("error executing enclave app request: ");
        assert!(*theirs == ours || (is_app && ours == 418), "{}: {ours}", case.name);
        let variant = format!("{ours} {}", value["code"].as_str().unwrap());
        return Answer::Refused(Refusal { variant, text: reply.error() });
    }
    let answer = reply.answer();
    Answer::Value(json!({
        "status": 200,
        "output_b64": protocol::base64::encode(answer.output.as_slice()),
        "request_hash": answer.request_hash.to_string(),
        "user_data": attestor.take().first().map(hex::encode),
    }))
}

/// Plays the steps of a sequence. From the first configuration that we refuse on, the reference talks
/// about another enclave; then every step is held to change and attest nothing.
async fn sequence(case: &Case) -> Answer {
    let (world, attestor) = enclave(&case.input, case.input["allow_reconfig"] == true).await;
    let mut steps = Vec::new();
    let mut refused = None;
    for step in case.input["steps"].as_array().unwrap() {
        let text = |name: &str| step[name].as_str().unwrap().to_owned();
        attestor.take();
        let reply = world.ask(method(&step["method"]), &text("path"), text("body")).await;
        let attested = attestor.take();
        refused = refused.or_else(|| refused_config(&text("body")));
        if refused.is_some() {
            // Nothing is configured, so keys are not shown either.
            let status = reply.status.as_u16();
            assert!(matches!(status, 400 | 409 | 503), "{}: {}", case.name, reply.text());
            assert!(attested.is_empty(), "{}: {}", case.name, reply.text());
            continue;
        }
        let mut shown = json!({ "status": reply.status.as_u16(), "body": reply.text() });
        if let Some(bound) = attested.first() {
            shown["user_data"] = hex::encode(bound).into();
        }
        steps.push(shown);
    }
    if let Some(error) = refused {
        hold_votes_to_the_vector(case);
        return Answer::refused(&error);
    }
    own_words(&mut steps, case);
    Answer::Value(json!({ "steps": steps }))
}

/// The configuration in a body, if it is one that cannot work.
fn refused_config(body: &str) -> Option<protocol::config::ConfigError> {
    let outer: UpdateConfigRequest = json::from_slice(body.as_bytes()).ok()?;
    let wire: EnclaveConfig = json::from_slice(outer.config.as_slice()).ok()?;
    Config::check(wire).err()
}

/// Go's own words about JSON are not ours to repeat: beyond the prefix they are taken as given.
fn own_words(steps: &mut [Value], case: &Case) {
    let theirs = case.output.as_ref().unwrap()["steps"].as_array().unwrap();
    for (ours, theirs) in steps.iter_mut().zip(theirs) {
        let (Some(our), Some(their)) = (ours["body"].as_str(), theirs["body"].as_str()) else {
            continue;
        };
        for prefix in [
            "failed to parse config request: ",
            "failed to parse new config: ",
            "failed to parse config update request: ",
            "failed to parse proposed config: ",
        ] {
            if our.starts_with(prefix) && their.starts_with(prefix) {
                ours["body"] = theirs["body"].clone();
                break;
            }
        }
    }
}

/// The recorded configurations name a vault key that is none, so the server refuses them (W-09). The
/// rule about votes is held to the recording all the same, without the vault key.
fn hold_votes_to_the_vector(case: &Case) {
    let mut votes = Votes::default();
    let mut in_force: Option<EnclaveConfig> = None;
    let theirs = case.output.as_ref().unwrap()["steps"].as_array().unwrap();
    for (step, theirs) in case.input["steps"].as_array().unwrap().iter().zip(theirs) {
        let status = theirs["status"].as_u64().unwrap();
        let parsed = parsed(step["body"].as_str().unwrap());
        match (step["method"].as_str().unwrap(), parsed) {
            ("POST", Some((wire, _signature))) if status == 200 => {
                votes.clear();
                in_force = Some(wire);
            }
            ("PATCH", Some((wire, signature))) => {
                let current = in_force.clone().unwrap();
                let decided = decide(&mut votes, &current, &wire, &signature);
                match decided {
                    Err(error) => {
                        let text =
                            format!("config update signature verification failed: {error}\n");
                        assert_eq!(
                            (status, theirs["body"].as_str().unwrap()),
                            (400, text.as_str())
                        );
                    }
                    Ok(decision) => {
                        let carried = !matches!(decision, Decision::Pending(_));
                        assert_eq!(status, if carried { 200 } else { 202 }, "{}", case.name);
                        let body: Value =
                            serde_json::from_str(theirs["body"].as_str().unwrap()).unwrap();
                        let tally = decision.tally();
                        assert_eq!(body["signersCollected"], tally.collected, "{}", case.name);
                        assert_eq!(body["signersRequired"], tally.required, "{}", case.name);
                        if let Decision::Carried(_) = decision {
                            votes.clear();
                            in_force = Some(wire);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

fn parsed(body: &str) -> Option<(EnclaveConfig, Vec<u8>)> {
    let outer: UpdateConfigRequest = json::from_slice(body.as_bytes()).ok()?;
    let wire = json::from_slice(outer.config.as_slice()).ok()?;
    Some((wire, outer.signature.into_vec()))
}

fn decide(
    votes: &mut Votes,
    current: &EnclaveConfig,
    proposed: &EnclaveConfig,
    signature: &[u8],
) -> Result<Decision, SignatureError> {
    let signers = current.signers.iter().flatten().map(json::Bytes::as_slice);
    let committee = Committee::parse(signers, FaultBound::new(current.f)).unwrap();
    votes.vote(&committee, current.hash(), proposed.hash(), signature, START)
}

fn method(value: &Value) -> Method {
    value.as_str().unwrap().parse().unwrap()
}
