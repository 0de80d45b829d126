//! Real workflows against a whole enclave: secrets, capabilities, http-actions, and everything that
//! can go wrong on the way to the relay nodes.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

#[expect(dead_code, reason = "every test file uses a part of it")]
mod world;

use enclave_server::{Config, LimitSet};
use http::Method;
use protocol::{
    compute::ComputeRequest,
    json,
    messages::{
        self,
        devnet::{
            echo::{EchoRequest, EchoResponse},
            price_feed::{LatestRequest, LatestResponse},
        },
        sdk::{
            CapabilityOutcome, CapabilityRequest, CapabilityResponse, GetSecretsRequest, Outcome,
            SecretOutcome, SecretRequest,
        },
        values::{Kind, Map},
        well_known::Any,
    },
    relay::SecretsRequestParams,
};
use world::{Reply, Special, World, built, guest, relays::Fault};

const SECRET: &str = "hunter2-is-the-secret";

/// Answers prices and echoes.
fn capabilities(request: CapabilityRequest) -> CapabilityResponse {
    let payload = request.payload.unwrap();
    let answer = if messages::unpack::<EchoRequest>(&payload).is_ok() {
        let EchoRequest { payload } = messages::unpack(&payload).unwrap();
        messages::pack(&EchoResponse { payload })
    } else {
        let LatestRequest { symbol } = messages::unpack(&payload).unwrap();
        let price = "1234.5".to_owned();
        messages::pack(&LatestResponse { symbol, price, timestamp_ms: 7 })
    };
    CapabilityResponse { response: Some(CapabilityOutcome::Payload(answer)) }
}

async fn world() -> World {
    let world = World::ready().await;
    world.relays.serve(capabilities);
    world.relays.keep("main", "API_KEY", world.committee.encrypt(SECRET.as_bytes()));
    world
}

fn map(reply: &Reply) -> Map {
    match reply.result().result {
        Some(Outcome::Value(value)) => match value.kind {
            Some(Kind::Map(map)) => map,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn error(reply: &Reply) -> String {
    match reply.result().result {
        Some(Outcome::Error(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn member(reply: &Reply, name: &str) -> Kind {
    map(reply).fields[name].kind.clone().unwrap()
}

async fn run(world: &World, id: &str) -> Option<Reply> {
    let binary = built("secret-and-capability")?;
    let execution = world.publish(&binary, r#"{"url":"http://echo.test/v1"}"#, id);
    Some(world.execute(&execution).await)
}

#[tokio::test]
async fn a_secret_an_http_action_and_a_capability_in_one_run() {
    let world = world().await;
    let Some(reply) = run(&world, "e1").await else { return };
    assert_eq!(member(&reply, "secret_arrived"), Kind::Bool(true), "{}", reply.text());
    assert_eq!(member(&reply, "price"), Kind::String("1234.5".to_owned()));
    let secrets = reply.event("get_secrets");
    assert_eq!((&secrets["success"], &secrets["num_requests"]), (&true.into(), &1.into()));
    let action = reply.event("http_action");
    assert_eq!((&action["host"], &action["status"]), (&"echo.test".into(), &200.into()));
    let value = reply.value();
    let calls: Vec<_> = value["metricEvents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["event"] == "relay_call")
        .map(|event| event["details"].clone())
        .collect();
    assert_eq!(calls.len(), 2);
    for call in &calls {
        assert_eq!(call["required"], 2);
        assert!(call["signers"].as_u64() >= Some(2), "{call}");
    }
    let methods: Vec<_> = calls.iter().map(|call| call["method"].as_str().unwrap()).collect();
    assert!(methods.contains(&"confidential.secrets.get"));
    assert!(methods.contains(&"confidential.capability.execute"));
}

#[tokio::test]
async fn f_faulty_relay_nodes_of_any_kind_change_nothing() {
    for fault in [Fault::Lie, Fault::Garbage, Fault::Down, Fault::Duplicate] {
        let world = world().await;
        world.relays.fault(1, fault);
        let Some(reply) = run(&world, "e1").await else { return };
        assert_eq!(member(&reply, "secret_arrived"), Kind::Bool(true), "{fault:?}");
    }
}

#[tokio::test]
async fn without_a_quorum_of_relay_nodes_there_is_no_result() {
    for fault in [Fault::Garbage, Fault::Down] {
        let world = world().await;
        (0..3).for_each(|node| world.relays.fault(node, fault));
        let Some(reply) = run(&world, "e1").await else { return };
        let text = error(&reply);
        assert!(text.contains("no relay-DON result reached quorum"), "{text}");
        assert!(text.contains("max 1 for any single result"), "{text}");
    }
}

#[tokio::test]
async fn one_relay_node_that_repeats_itself_is_one_voice() {
    let world = world().await;
    world.relays.fault(0, Fault::Duplicate);
    (1..4).for_each(|node| world.relays.fault(node, Fault::Down));
    let Some(reply) = run(&world, "e1").await else { return };
    let text = error(&reply);
    assert!(text.contains("raw bundle 4"), "{text}");
    assert!(text.contains("max 1 for any single result"), "{text}");
}

#[tokio::test]
async fn w28_a_share_that_does_not_open_is_passed_over() {
    let world = world().await;
    world.relays.spoil_shares();
    let Some(reply) = run(&world, "e1").await else { return };
    assert_eq!(member(&reply, "secret_arrived"), Kind::Bool(true), "{}", reply.text());
}

#[tokio::test]
async fn w25_shares_are_asked_for_to_the_requests_own_key() {
    let world = world().await;
    let Some(binary) = built("secret-and-capability") else { return };
    let execution = world.publish(&binary, r#"{"url":"http://echo.test/"}"#, "e1");
    let request = ComputeRequest::for_execution(&execution, &world.key().await);
    // The pin of this request is another key: the newest one, after a rotation.
    world.clock.advance(protocol::limits::KEY_ROTATION);
    let reply = world.send(&world.committee.sign(&request, &[0, 1])).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let calls = world.relays.calls();
    let asked: Vec<SecretsRequestParams> =
        calls.iter().filter_map(|call| json::from_slice(call.as_str().as_bytes()).ok()).collect();
    let asked = asked.iter().find(|params| !params.enclave_public_key.is_empty()).unwrap();
    let named = hex::encode(request.enclave_ephemeral_public_key.as_slice());
    assert_eq!(asked.enclave_public_key, named);
    assert_eq!(asked.signed_compute_requests.as_ref().unwrap().len(), 2);
}

#[tokio::test]
async fn a_secret_that_nobody_keeps_is_an_error_of_the_workflow() {
    let world = world().await;
    let Some(binary) = built("misbehave") else { return };
    let execution = world.publish(&binary, r#"{"mode":"unknown-secret"}"#, "e1");
    let reply = world.execute(&execution).await;
    let text = error(&reply);
    assert!(text.contains("secret missing from relay response"), "{text}");
}

#[tokio::test]
async fn w05_what_gateways_say_reaches_the_guest_without_urls() {
    let world = world().await;
    world.relays.break_gateway(503, "Request timed out");
    let Some(binary) = built("parallel") else { return };
    let reply = world.execute(&world.publish(&binary, "", "e1")).await;
    let text = error(&reply);
    assert!(
        text.contains(
            "sending capability request: all 1 gateways failed: \
             gateway http://gateway.test: gateway returned HTTP 503: Request timed out"
        ),
        "{text}"
    );
    let finished = reply.event("capability_finished");
    assert_eq!(finished["error_type"], "dispatch");
    assert_eq!(finished["error"], "no answer", "events hold words, not texts");
}

#[tokio::test]
async fn calls_run_side_by_side() {
    let world = world().await;
    let Some(binary) = built("parallel") else { return };
    let reply = world.execute(&world.publish(&binary, "", "e1")).await;
    match reply.result().result {
        Some(Outcome::Value(value)) => {
            assert_eq!(value.kind, Some(Kind::String("first second".to_owned())));
        }
        other => panic!("{other:?}"),
    }
    let events = reply.events();
    assert_eq!(events.iter().filter(|name| *name == "capability_finished").count(), 2);
}

#[tokio::test]
async fn w07_a_run_that_failed_after_an_effect_is_final() {
    let world = world().await;
    let Some(binary) = built("misbehave") else { return };
    // The call leaves for a gateway that never answers, until the time of the run is over.
    let silent = world::settings(r#","executionTimeout":"300ms""#);
    let silent = silent.replace("gateway.test", world::bridge::SILENT);
    assert_eq!(world.ask(Method::POST, "/settings", silent).await.status, 204);
    let execution = world.publish(&binary, r#"{"mode":"unknown-capability"}"#, "e1");
    let request = ComputeRequest::for_execution(&execution, &world.key().await);
    let batch = world.committee.sign(&request, &[0, 1]);
    let reply = world.send(&batch).await;
    assert_eq!(reply.status, 504, "{}", reply.text());
    let again = world.send(&batch).await;
    assert_eq!(again.status, 409, "{}", again.text());
    let stored = world.ask(Method::GET, &format!("/results/{}", request.hash()), "").await;
    assert_eq!((stored.status, stored.body), (reply.status, reply.body));
}

#[tokio::test]
async fn w15_w16_a_talkative_workflow_gets_an_answer_that_nodes_accept() {
    let world = world().await;
    let Some(binary) = built("misbehave") else { return };
    for (id, config) in [
        ("e1", r#"{"mode":"many-logs","amount":20000}"#),
        ("e2", r#"{"mode":"huge-log","amount":2000000}"#),
    ] {
        let reply = world.execute(&world.publish(&binary, config, id)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(reply.body.len() < 5 * 1024 * 1024, "{} bytes", reply.body.len());
    }
}

#[tokio::test]
async fn misbehaving_runs_end_as_errors_and_leave_the_enclave_serving() {
    let world = world().await;
    world.settings(r#","executionTimeout":"700ms""#).await;
    let Some(binary) = built("misbehave") else { return };
    for (mode, status) in [
        ("loop", 504),
        ("recurse", 500),
        ("hog", 500),
        ("panic", 500),
        ("exit", 500),
        ("silent", 500),
        ("huge-result", 500),
    ] {
        let config = format!(r#"{{"mode":"{mode}"}}"#);
        let reply = world.execute(&world.publish(&binary, &config, mode)).await;
        assert_eq!(reply.status, status, "{mode}: {}", reply.text());
        assert_eq!(reply.event("request_completed")["outcome"], "error");
    }
    let config = r#"{"mode":"none"}"#;
    assert_eq!(world.execute(&world.publish(&binary, config, "ok")).await.status, 200);
}

#[tokio::test]
async fn w_18_what_a_don_would_not_grant_is_refused_where_its_limits_are_chosen() {
    for (limits, status) in [(LimitSet::Reference, 200), (LimitSet::Don, 500)] {
        let config = Config::default().with_limits(limits);
        let world = World::special(Special { config, ..Special::default() }).await;
        world.configure().await;
        world.settings("").await;
        let small = world.publish(&guest::answering(90_000), "", "small");
        assert_eq!(world.execute(&small).await.status, 200, "{limits:?}");
        let large = world.publish(&guest::answering(110_000), "", "large");
        let reply = world.execute(&large).await;
        assert_eq!(reply.status, status, "{limits:?}: {}", reply.text());
        let says = reply.text().contains("exceeds the limit of 100000 bytes");
        assert_eq!(says, limits == LimitSet::Don);
    }
}

#[tokio::test]
async fn a_run_is_metered_however_it_ends() {
    let world = world().await;
    for (id, body, status) in [("good", guest::SAY_HI, 200), ("trap", "unreachable", 500)] {
        let reply = world.execute(&world.publish(&guest::wat(body), "", id)).await;
        assert_eq!(reply.status, status);
        let used = reply.event("workflow_metering");
        assert_eq!(
            (&used["peak_memory_bytes"], &used["dropped_events"]),
            (&65_536.into(), &0.into())
        );
        assert!(used["cpu_ms"].as_f64() <= used["wall_ms"].as_f64(), "{used}");
        let events = reply.events();
        let at = |name| events.iter().position(|event| event == name);
        assert!(at("workflow_metering") < at("app_execution_completed"));
    }
}

// What a guest asks for, with guests that answer what they hear.

async fn call(world: &World, id: &str, method: &str, payload: Option<Any>) -> CapabilityResponse {
    let guest = guest::calling(id, method, payload);
    let reply = world.execute(&world.publish(&guest, "", id)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    messages::decode(&guest::heard(&reply)).unwrap()
}

fn refusal(response: CapabilityResponse) -> String {
    match response.response {
        Some(CapabilityOutcome::Error(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn recursion_is_refused() {
    let world = world().await;
    let response = call(&world, "confidential-workflows@1.0.0-alpha", "Execute", None).await;
    let text = "confidential-workflows cannot be called from within a workflow";
    assert_eq!(refusal(response), text);
    assert!(world.relays.calls().is_empty());
}

#[tokio::test]
async fn other_methods_of_local_capabilities_go_to_the_relay_nodes() {
    let world = world().await;
    world.relays.serve(|request| {
        let error = format!("asked for {} {}", request.id, request.method);
        CapabilityResponse { response: Some(CapabilityOutcome::Error(error)) }
    });
    for (id, method) in [("consensus@1.0.0-alpha", "Report"), ("http-actions@1.0.0-alpha", "Other")]
    {
        let response = call(&world, id, method, None).await;
        assert_eq!(refusal(response), format!("asked for {id} {method}"));
    }
}

#[tokio::test]
async fn the_consensus_of_one_is_its_own_observation() {
    use messages::consensus::{Observation, SimpleConsensusInputs};
    let world = world().await;
    let observation = Some(Observation::Error("a failed observation".to_owned()));
    let inputs = SimpleConsensusInputs { observation, ..SimpleConsensusInputs::default() };
    let payload = Some(messages::pack(&inputs));
    let response = call(&world, "consensus@1.0.0-alpha", "Simple", payload).await;
    assert_eq!(refusal(response), "consensus.Simple: observation error: a failed observation");
    assert!(world.relays.calls().is_empty());
}

#[tokio::test]
async fn restrictions_hold_before_anything_is_asked() {
    use messages::sdk::{CapabilityRestrictions, Restrictions};
    let world = world().await;
    let guest = guest::calling("price-feed@1.0.0", "Latest", None);
    let mut execution = world.publish(&guest, "", "e1");
    let capabilities = Some(CapabilityRestrictions::default());
    execution.restrictions = Some(Restrictions { capabilities, secrets: None });
    let reply = world.execute(&execution).await;
    let response: CapabilityResponse = messages::decode(&guest::heard(&reply)).unwrap();
    let text = refusal(response);
    assert!(
        text.ends_with("call denied by user pre-hook restrictions: price-feed@1.0.0 Latest"),
        "{text}"
    );
    assert!(world.relays.calls().is_empty());
}

#[tokio::test]
async fn w21_every_secret_asked_for_is_answered_in_its_place() {
    let world = world().await;
    let ask = |id: &str, namespace: &str| SecretRequest {
        id: id.to_owned(),
        namespace: namespace.to_owned(),
    };
    let requests =
        vec![ask("API_KEY", ""), ask("OTHER", "main"), ask("API_KEY", "main"), ask("API_KEY", "")];
    let guest = guest::asking(&GetSecretsRequest { requests, callback_id: 0 });
    let reply = world.execute(&world.publish(&guest, "", "e1")).await;
    let secrets = guest::secrets(&reply);
    assert_eq!(secrets.len(), 4);
    for (index, response) in secrets.iter().enumerate() {
        match response.response.as_ref().unwrap() {
            SecretOutcome::Secret(secret) => {
                assert_ne!(index, 1);
                assert_eq!((secret.id.as_str(), secret.value.as_str()), ("API_KEY", SECRET));
            }
            SecretOutcome::Error(error) => {
                assert_eq!(
                    (index, error.error.as_str()),
                    (1, "secret missing from relay response")
                );
            }
        }
    }
    assert_eq!(world.relays.calls().len(), 1);
}
