//! `quorum.json`: batches of signed requests, and configurations with their votes, against a whole
//! server.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

#[expect(dead_code, reason = "every test file uses a part of it")]
mod world;

mod sequence;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::Method;
use protocol::config::EnclaveConfig;
use rand_core::{CryptoRng, Error, OsRng, RngCore};
use serde_json::{Value, json};
use vectors::{Answer, Case, Deviations, Refusal, Text, model};
use world::{
    Special, World,
    echo::{self, Echo, Numbering},
    set_config,
};

const FILE: &str = "quorum.json";

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
        _ => runtime.block_on(sequence::answer(case)),
    };
    vectors::run(FILE, &["enclave_batch", "config_sequence"], OTHERS, text, answer);
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
        let text = case.error.as_deref().unwrap_or_default();
        let theirs = if Deviations::read().may_answer(FILE, &case.op, text) {
            json!(echo::STATUS)
        } else {
            case.output.as_ref().unwrap()["status"].clone()
        };
        assert_eq!(ours, theirs, "{}", case.name);
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
