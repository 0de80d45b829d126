//! What the enclave states about itself in every document it makes (profile v2).
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

#[expect(dead_code, reason = "every test file uses a part of it")]
mod world;

use attestation::{
    Nonce,
    statement::{Statement, TelemetryHash, settings_hash, shares_hash},
};
use http::Method;
use protocol::{
    answer::{ExecuteResponse, PublicKeyResponse, SetConfigResponse, UpdateConfigResponse},
    base64,
    compute::ComputeRequest,
    config::set_config_user_data,
    json,
    messages::sdk::GetSecretsRequest,
    relay::{Params as _, SecretsRequestParams},
};
use world::{
    Reply, World,
    guest::{SAY_HI, asking, wat},
    set_config, settings, vote,
};

fn parsed<T: json::Wire>(reply: &Reply) -> T {
    json::from_slice(reply.body.trim_ascii_end()).unwrap()
}

async fn of_keys(world: &World) -> Statement {
    let shown: PublicKeyResponse = parsed(&world.ask(Method::GET, "/publicKeys", "").await);
    world.verify(shown.attestation.as_slice(), shown.user_data(), Nonce::NotUsed)
}

fn of_answer(world: &World, answer: &ExecuteResponse, request: &ComputeRequest) -> Statement {
    let user_data = answer.user_data(&request.version);
    world.verify(answer.attestation.as_slice(), user_data, Nonce::NotUsed)
}

async fn request(world: &World, id: &str) -> ComputeRequest {
    let execution = world.publish(&wat(SAY_HI), "", id);
    ComputeRequest::for_execution(&execution, &world.key().await)
}

/// How many of the answer's events the hash covers.
fn covered(answer: &ExecuteResponse, hash: [u8; 32]) -> Option<usize> {
    let mut telemetry = TelemetryHash::new();
    let events = answer.metric_events.as_deref().unwrap();
    let after_each = events.iter().map(|event| {
        telemetry.add(&json::to_vec(event));
        telemetry.value()
    });
    after_each.collect::<Vec<_>>().iter().position(|value| *value == hash).map(|at| at + 1)
}

#[tokio::test]
async fn documents_over_a_configuration_state_it() {
    let world = World::new().await;
    let config = world.committee.config();
    let set: SetConfigResponse =
        parsed(&world.ask(Method::POST, "/config", set_config(&config)).await);
    let user_data = set_config_user_data(config.hash());
    let first = world.verify(set.attestation.as_slice(), user_data, Nonce::NotUsed);
    assert_eq!(first.config_hash, *config.hash().as_bytes());
    assert_eq!((first.config_epoch, first.settings_hash), (0, None));
    assert_eq!((first.hpke_public_key, &first.answer), (None, &None));
    assert_eq!(of_keys(&world).await, first);

    let mut next = config.clone();
    next.signers.as_mut().unwrap().reverse();
    for key in 0..2 {
        let body = vote(&next, &world.committee.keys[key]);
        let applied: UpdateConfigResponse =
            parsed(&world.ask(Method::PATCH, "/config", body).await);
        if applied.applied {
            let user_data = set_config_user_data(next.hash());
            let second = world.verify(applied.attestation.as_slice(), user_data, Nonce::NotUsed);
            let want = Statement { config_hash: *next.hash().as_bytes(), ..first.clone() };
            assert_eq!(second, want);
        }
    }
    assert_eq!(of_keys(&world).await.config_hash, *next.hash().as_bytes());
}

#[tokio::test]
async fn settings_are_stated_by_the_hash_of_what_was_posted() {
    let world = World::new().await;
    world.configure().await;
    assert_eq!(of_keys(&world).await.settings_hash, None);
    world.settings("").await;
    let first = Some(settings_hash(settings("").as_bytes()));
    assert_eq!(of_keys(&world).await.settings_hash, first, "not the document of before");
    let refused = world.ask(Method::POST, "/settings", "{}").await;
    assert_eq!(refused.status, 500);
    assert_eq!(of_keys(&world).await.settings_hash, first, "what was refused is not in force");
    let more = r#","requestTimeout":"7s""#;
    world.settings(more).await;
    assert_eq!(of_keys(&world).await.settings_hash, Some(settings_hash(settings(more).as_bytes())));
}

#[tokio::test]
async fn every_start_has_a_boot_id_of_its_own() {
    let (one, other) = (World::ready().await, World::ready().await);
    let statement = of_keys(&one).await;
    assert_ne!(statement.boot_id, of_keys(&other).await.boot_id);
    assert_eq!(statement.boot_id, of_keys(&one).await.boot_id);
    assert_ne!(statement.boot_id, [0; 16]);
}

#[tokio::test]
async fn an_answer_states_its_request_and_its_telemetry() {
    let world = World::ready().await;
    let request = request(&world, "e1").await;
    let reply = world.send(&world.committee.sign(&request, &[0, 1])).await;
    let answer = reply.answer();
    let statement = of_answer(&world, &answer, &request);
    let keys = of_keys(&world).await;
    assert_eq!(Statement { answer: None, ..statement.clone() }, keys);
    let stated = statement.answer.unwrap();
    assert!(stated.application_request_id.is(&request.application_request_id));
    assert!(stated.request_version.is(&request.version));
    assert_eq!(stated.shares_hash, None);
    let events = answer.metric_events.as_ref().unwrap();
    let covered = covered(&answer, stated.telemetry_hash).unwrap();
    let after: Vec<_> = events[covered..].iter().map(|event| event.event.as_str()).collect();
    assert_eq!(after, ["room_completed", "request_completed"], "of the attestation itself");
}

#[tokio::test]
async fn telemetry_that_was_changed_on_the_way_is_not_what_is_stated() {
    let world = World::ready().await;
    let request = request(&world, "e1").await;
    let reply = world.send(&world.committee.sign(&request, &[0, 1])).await;
    let mut answer = reply.answer();
    let hash = of_answer(&world, &answer, &request).answer.unwrap().telemetry_hash;
    assert!(covered(&answer, hash).is_some());
    let events = answer.metric_events.as_mut().unwrap();
    events.remove(1);
    assert_eq!(covered(&answer, hash), None);
    answer.metric_events.as_mut().unwrap()[0].event = "user_log".to_owned();
    assert_eq!(covered(&answer, hash), None);
}

#[tokio::test]
async fn shares_that_came_with_the_request_are_stated() {
    let world = World::ready().await;
    let ciphertext = world.committee.encrypt(b"hunter2");
    let key = world.key().await;
    let mut request = request(&world, "e1").await;
    request.ciphertexts = Some(vec![world::wire(ciphertext.as_bytes())]);
    request.ciphertext_names = Some(vec!["A".to_owned()]);
    let shares = [0, 3].map(|party| world.committee.share(party, &ciphertext, &key));
    let with = |shares: &[&Vec<u8>]| {
        let shares = shares.iter().map(|share| world::wire(share)).collect();
        let encrypted_decryption_key_shares = Some(vec![Some(shares)]);
        ComputeRequest { encrypted_decryption_key_shares, ..request.clone() }
    };
    let [first, second] = &shares;
    let mut batch = world.committee.sign(&with(&[first, second]), &[0]);
    batch.extend(world.committee.sign(&with(&[second, first]), &[1]));
    let reply = world.send(&batch).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let stated = of_answer(&world, &reply.answer(), &request).answer.unwrap();
    assert_eq!(stated.shares_hash, Some(shares_hash(shares.iter().map(Vec::as_slice))));
}

#[tokio::test]
async fn what_relay_nodes_are_asked_with_states_the_enclave() {
    let world = World::ready().await;
    let asked = GetSecretsRequest { requests: vec![Default::default()], ..Default::default() };
    let execution = world.publish(&asking(&asked), "", "e1");
    let _answered = world.execute(&execution).await;
    let calls = world.relays.calls();
    let params: SecretsRequestParams =
        json::from_slice(calls.first().unwrap().as_str().as_bytes()).unwrap();
    let document = base64::decode(&params.attestation).unwrap();
    let statement = world.verify(&document, params.user_data(), Nonce::NotUsed);
    assert_eq!(statement, of_keys(&world).await);
}

#[tokio::test]
async fn a_long_request_id_is_stated_and_answered() {
    let world = World::ready().await;
    let mut request = request(&world, "e1").await;
    request.application_request_id = "x".repeat(5000);
    let reply = world.send(&world.committee.sign(&request, &[0, 1])).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let stated = of_answer(&world, &reply.answer(), &request).answer.unwrap();
    assert!(stated.application_request_id.is(&request.application_request_id));
}
