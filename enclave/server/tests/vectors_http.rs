//! `http-transcripts.json`, target `enclave`: exchanges with the reference's enclave server, replayed
//! against ours. What depends on keys and times is a placeholder there and here.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

#[expect(dead_code, reason = "every test file uses a part of it")]
mod world;

use crypto::{
    sign::SigningKey,
    tdh2::{Threshold, deal},
};
use http::Method;
use protocol::{
    base64,
    compute::SignedComputeRequest,
    config::EnclaveConfig,
    json,
    messages::{
        self,
        confidential_workflow::WorkflowExecution,
        sdk::{CapabilityOutcome, CapabilityResponse},
    },
};
use rand_core::OsRng;
use serde_json::Value;
use vectors::Deviations;
use world::{Committee, Reply, Special, World, set_config, wire};

const FILE: &str = "http-transcripts.json";

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    name: String,
    target: String,
    phase: String,
    request: Sent,
    response: Got,
}

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    method: String,
    path: String,
    #[serde(default, rename = "headers")]
    _headers: Value,
    #[serde(default)]
    body: String,
}

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Got {
    status: u16,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    #[serde(default)]
    body: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "schema")]
    _schema: u32,
    source: String,
    exchanges: Vec<Exchange>,
}

fn exchanges() -> Vec<Exchange> {
    let Some(text) = vectors::text(FILE) else { return Vec::new() };
    let file: File = serde_json::from_str(&text).unwrap();
    assert!(!file.source.is_empty());
    let known = ["enclave", "host", "host-config"];
    assert!(file.exchanges.iter().all(|exchange| known.contains(&exchange.target.as_str())));
    let ours = |exchange: &Exchange| exchange.target == "enclave";
    let exchanges: Vec<_> = file.exchanges.into_iter().filter(ours).collect();
    assert!(!exchanges.is_empty() || !vectors::folder().1, "no exchange with an enclave");
    exchanges
}

/// The recorded signers: seeds of 31 zero bytes and a number, in the order of their public keys.
fn committee() -> Committee {
    let seed = |number: u8| {
        let mut seed = [0; 32];
        seed[31] = number;
        SigningKey::from_seed(&seed)
    };
    let mut keys: Vec<_> = (1..=4).map(seed).collect();
    keys.sort_by_key(SigningKey::public);
    Committee { keys, deal: deal(Threshold::new(2).unwrap(), 4, &mut OsRng).unwrap() }
}

fn stranger() -> SigningKey {
    let mut seed = [0; 32];
    seed[30] = 1;
    seed[31] = 1;
    SigningKey::from_seed(&seed)
}

async fn world() -> World {
    let special = Special { committee: Some(committee()), ..Special::default() };
    World::special(special).await
}

#[tokio::test]
async fn exchanges_go_as_with_the_reference() {
    let deviations = Deviations::read();
    for exchange in exchanges() {
        let world = world().await;
        let reply = match exchange.phase.as_str() {
            "unconfigured" | "config" => plain(&world, &exchange).await,
            "requests" | "execute" => request(&world, &exchange).await,
            other => panic!("unknown phase {other}"),
        };
        compare(&exchange, &reply, &deviations);
    }
}

async fn plain(world: &World, exchange: &Exchange) -> Reply {
    let Sent { method, path, body, .. } = &exchange.request;
    world.ask(method.parse().unwrap(), path, body.clone()).await
}

async fn request(world: &World, exchange: &Exchange) -> Reply {
    let config = shown_config(exchange).unwrap_or_else(|| world.committee.config());
    assert_eq!(world.ask(Method::POST, "/config", set_config(&config)).await.status, 200);
    world.settings("").await;
    let key = base64::encode(world.key().await.as_bytes());
    let body = exchange.request.body.replace("{{EPHEMERAL_PK_B64}}", &key);
    let body = body.replace("{{SIGNATURE_B64}}", "");
    let batch: Result<Vec<SignedComputeRequest>, _> = json::from_slice(body.as_bytes());
    let body = match batch {
        Ok(batch) if !batch.is_empty() => json::to_vec(&prepared(world, exchange, batch).await),
        _ => body.into_bytes(),
    };
    let method = exchange.request.method.parse().unwrap();
    if exchange.name == "replay" {
        world.ask(Method::POST, "/requests", body.clone()).await;
    }
    world.ask(method, &exchange.request.path, body).await
}

/// The configuration that a recorded answer shows.
fn shown_config(exchange: &Exchange) -> Option<EnclaveConfig> {
    let body: Value = serde_json::from_str(&exchange.response.body).ok()?;
    json::from_slice(body.get("config")?.to_string().as_bytes()).ok()
}

/// Puts in place of what was recorded what this world has: a binary that can be fetched, shares of
/// its own vault, signatures of the recorded signers.
async fn prepared(
    world: &World,
    exchange: &Exchange,
    mut batch: Vec<SignedComputeRequest>,
) -> Vec<SignedComputeRequest> {
    for (index, signed) in batch.iter_mut().enumerate() {
        let request = &mut signed.request;
        if exchange.phase == "execute" {
            request.public_data = runnable(world, request.public_data.as_slice()).into();
        }
        if exchange.name == "too few shares" {
            let ciphertext = world.committee.encrypt(b"secret");
            let share = world.committee.share(0, &ciphertext, &world.key().await);
            let first = index == 0;
            request.ciphertexts = Some(vec![wire(ciphertext.as_bytes())]);
            let shares = if first { vec![wire(&share)] } else { Vec::new() };
            request.encrypted_decryption_key_shares = Some(vec![Some(shares)]);
        }
    }
    if exchange.name == "too few shares" {
        let ciphertexts = batch[0].request.ciphertexts.clone();
        batch.iter_mut().for_each(|signed| signed.request.ciphertexts = ciphertexts.clone());
    }
    let foreign = |index: usize| exchange.name == "foreign signature" && index == 1;
    let sign = |(index, signed): (usize, SignedComputeRequest)| {
        let key = if foreign(index) { &stranger() } else { &world.committee.keys[index] };
        signed.request.sign(key)
    };
    batch.into_iter().enumerate().map(sign).collect()
}

/// The recorded execution with a guest that does what the recorded one did: it logs a line, calls a
/// capability, and answers.
fn runnable(world: &World, public_data: &[u8]) -> Vec<u8> {
    world.relays.serve(|_request| {
        let error = CapabilityOutcome::Payload(messages::well_known::Any::default());
        CapabilityResponse { response: Some(error) }
    });
    let mut execution: WorkflowExecution = messages::decode(public_data).unwrap();
    let published = world.publish(&guest(), "", "");
    execution.binary_hash = published.binary_hash;
    execution.binary_url = published.binary_url;
    messages::encode(&execution)
}

fn guest() -> Vec<u8> {
    let hex =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("\\{byte:02x}")).collect() };
    let line = b"time=2026 level=INFO msg=\"a line\"\n";
    let call = b"\x0a\x0dwrite-x@1.0.0\x1a\x02Do\x20\x01";
    let output = base64::decode("EhoKGCoWEgQKAm9rEg4KDG9rOmVjaG86RG86cA==").unwrap();
    let module = format!(
        r#"(module
          (import "env" "version_v2" (func))
          (import "env" "send_response" (func $send (param i32 i32) (result i32)))
          (import "env" "switch_modes" (func $mode (param i32)))
          (import "env" "log" (func $log (param i32 i32)))
          (import "env" "call_capability" (func $call (param i32 i32) (result i64)))
          (import "env" "await_capabilities"
            (func $wait (param i32 i32 i32 i32) (result i64)))
          (memory (export "memory") 1)
          (data (i32.const 1000) "{}") (data (i32.const 2000) "{}")
          (data (i32.const 3000) "\0a\01\01") (data (i32.const 4000) "{}")
          (func (export "_start")
            (call $mode (i32.const 1))
            (call $log (i32.const 1000) (i32.const {}))
            (drop (call $call (i32.const 2000) (i32.const {})))
            (drop (call $wait (i32.const 3000) (i32.const 3) (i32.const 5000) (i32.const 9000)))
            (drop (call $send (i32.const 4000) (i32.const {})))))"#,
        hex(line),
        hex(call),
        hex(&output[2..]),
        line.len(),
        call.len(),
        output.len() - 2,
    );
    wat::parse_str(module).unwrap()
}

fn compare(exchange: &Exchange, reply: &Reply, deviations: &Deviations) {
    let name = &exchange.name;
    let theirs = &exchange.response;
    // W-13: an application's error keeps its own status.
    let own_status = deviations.may_answer(FILE, "enclave", &theirs.body);
    if own_status {
        assert!(reply.status.is_client_error(), "{name}");
    } else {
        assert_eq!(reply.status.as_u16(), theirs.status, "{name}: {}", reply.text());
    }
    for (header, values) in &theirs.headers {
        if !["Date", "Content-Length"].contains(&header.as_str()) {
            let ours = reply.headers.get(header.to_lowercase()).unwrap().to_str().unwrap();
            assert_eq!(values[0], ours, "{name}: {header}");
        }
    }
    let known = ["content-length", "date"];
    for header in reply.headers.keys().filter(|header| !known.contains(&header.as_str())) {
        let recorded = |their: &String| their.eq_ignore_ascii_case(header.as_str());
        assert!(theirs.headers.keys().any(recorded), "{name}: {header} is ours alone");
    }
    match serde_json::from_str::<Value>(&theirs.body) {
        Err(_plain) => assert_eq!(reply.text(), theirs.body, "{name}"),
        Ok(value) => {
            let line_end = theirs.body.ends_with('\n');
            assert_eq!(reply.body.ends_with(b"\n"), line_end, "{name}: line end");
            let mut ours = reply.value();
            leave_out_additions(&mut ours);
            if own_status {
                for status in [
                    "/metrics/request_completed/status_code",
                    "/metricEvents/6/details/status_code",
                ] {
                    *ours.pointer_mut(status).unwrap() = theirs.status.into();
                }
            }
            assert!(same(&value, &ours), "{name}\n  theirs {value}\n  ours   {ours}");
            let order = |value: &Value| -> Vec<String> {
                value.as_object().unwrap().keys().cloned().collect()
            };
            assert_eq!(order(&ours), order(&value), "{name}: order of members");
        }
    }
}

/// Takes out what we add to v1 and v1 ignores: two members, and four kinds of events.
fn leave_out_additions(value: &mut Value) {
    let added = ["room_completed", "relay_call", "http_action", "workflow_metering"];
    let Some(object) = value.as_object_mut() else { return };
    object.shift_remove("code");
    object.shift_remove("retryable");
    if let Some(metrics) = object.get_mut("metrics").and_then(Value::as_object_mut) {
        metrics.retain(|name, _details| !added.contains(&name.as_str()));
    }
    if let Some(events) = object.get_mut("metricEvents").and_then(Value::as_array_mut) {
        events.retain(|event| !added.contains(&event["event"].as_str().unwrap()));
    }
}

/// Whether our value is theirs, where a placeholder stands for anything.
fn same(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::String(their), _) if their.starts_with("{{") && their.ends_with("}}") => true,
        (Value::String(their), Value::String(our)) => match their.split_once("{{TIME}}") {
            Some((before, after)) => our.starts_with(before) && our.ends_with(after),
            // The fake attestor's literal stands for a document.
            None if their == "ZmFrZS1hdHRlc3RhdGlvbg==" => our.len() > 1000,
            None => their == our,
        },
        (Value::Array(their), Value::Array(our)) => {
            their.len() == our.len() && their.iter().zip(our).all(|(their, our)| same(their, our))
        }
        (Value::Object(their), Value::Object(our)) => {
            let member = |(name, their): (&String, &Value)| {
                our.get(name).is_some_and(|our| same(their, our))
            };
            their.len() == our.len() && their.iter().all(member)
        }
        _ => theirs == ours,
    }
}
