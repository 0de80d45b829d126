//! Every route that is not `/requests`: statuses, texts and headers, exactly as peers know them.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

#[expect(dead_code, reason = "every test file uses a part of it")]
mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use attestation::{AttestError, AttestationRequest, Attestor, Nonce};
use http::Method;
use protocol::{
    answer::{PublicKeyResponse, SetConfigResponse, UpdateConfigResponse},
    config::set_config_user_data,
    json,
};
use world::{Reply, Special, World, set_config, settings, vote};

fn plain(reply: &Reply) -> (u16, String) {
    assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    (reply.status.as_u16(), reply.text())
}

fn parsed<T: json::Wire>(reply: &Reply) -> T {
    assert_eq!(reply.headers["content-type"], "application/json");
    assert!(reply.body.ends_with(b"\n"));
    json::from_slice(reply.body.trim_ascii_end()).unwrap()
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_as_peers_expect() {
    let world = World::new().await;
    for path in ["/", "/nothing", "/config/", "/publicKeys/x", "/Requests", "/results", "/memory?x"]
    {
        let reply = world.ask(Method::GET, path, "").await;
        match path {
            "/memory?x" => assert_eq!(reply.status, 200),
            _ => assert_eq!(plain(&reply), (404, "404 page not found\n".to_owned()), "{path}"),
        }
    }
    for (method, path, allow) in [
        (Method::GET, "/config", "PATCH, POST"),
        (Method::DELETE, "/config", "PATCH, POST"),
        (Method::GET, "/settings", "POST"),
        (Method::POST, "/memory", "GET, HEAD"),
    ] {
        let reply = world.ask(method, path, "").await;
        assert_eq!(reply.headers["allow"], allow);
        assert_eq!(plain(&reply), (405, "Method Not Allowed\n".to_owned()), "{path}");
    }
    let reply = world.ask(Method::PUT, "/publicKeys", "").await;
    assert_eq!(plain(&reply), (405, "method not allowed: PUT\n".to_owned()));
    let reply = world.ask(Method::HEAD, "/memory", "").await;
    assert_eq!(reply.status, 405);
    let reply = world.ask(Method::GET, "/requests", "").await;
    assert_eq!((reply.status.as_u16(), reply.error().as_str()), (405, "method not allowed"));
}

#[tokio::test]
async fn keys_are_shown_with_a_document_over_them() {
    let world = World::new().await;
    let reply = world.ask(Method::GET, "/publicKeys", "").await;
    assert_eq!(plain(&reply), (503, "enclave config not set\n".to_owned()));
    world.configure().await;
    let shown: PublicKeyResponse = parsed(&world.ask(Method::GET, "/publicKeys", "").await);
    assert_eq!(shown.public_keys.as_ref().unwrap().len(), 1);
    assert_eq!(shown.ttls.as_deref(), Some(&[86_400_000_000_000][..]));
    assert_eq!(shown.config, world.committee.config());
    world.verify(shown.attestation.as_slice(), shown.user_data(), Nonce::NotUsed);
    let nonce: PublicKeyResponse =
        parsed(&world.ask(Method::GET, "/publicKeys?nonce=c0ffee", "").await);
    let expected = Nonce::Expected([0xc0, 0xff, 0xee].as_slice().try_into().unwrap());
    world.verify(nonce.attestation.as_slice(), nonce.user_data(), expected);
}

#[tokio::test]
async fn a_request_keeps_its_key_over_a_rotation() {
    let hour = Duration::from_secs(3600);
    let config = enclave_server::Config::new(hour / 2, hour * 24, false, hour).unwrap();
    let world = World::special(Special { config, ..Special::default() }).await;
    world.configure().await;
    let path = format!("/publicKeys?requestID={}", "ab".repeat(32));
    let key = |reply: &Reply| parsed::<PublicKeyResponse>(reply).public_keys;
    let first = key(&world.ask(Method::GET, &path, "").await);
    tokio::time::pause();
    tokio::time::advance(hour / 2).await;
    world.clock.advance(hour / 2);
    tokio::task::yield_now().await;
    tokio::time::resume();
    assert_eq!(key(&world.ask(Method::GET, &path, "").await), first);
    let all = key(&world.ask(Method::GET, "/publicKeys", "").await).unwrap();
    assert_eq!(all.len(), 2, "there is a newer key");
    for id in ["00", "zz", &"ab".repeat(33)] {
        let reply = world.ask(Method::GET, &format!("/publicKeys?requestID={id}"), "").await;
        let text = "invalid requestID: must be 32 bytes hex-encoded or base64-encoded\n";
        assert_eq!(plain(&reply), (400, text.to_owned()));
    }
}

/// Counts what it is asked for.
#[derive(Default)]
struct Counting(AtomicU32);

impl Attestor for Counting {
    fn attest(&self, _request: &AttestationRequest) -> Result<Vec<u8>, AttestError> {
        self.0.fetch_add(1, Ordering::AcqRel);
        Ok(b"document".to_vec())
    }
}

#[tokio::test]
async fn callers_who_ask_for_keys_share_a_document() {
    let attestor = Arc::new(Counting::default());
    let special = Special { attestor: Some(Arc::clone(&attestor) as _), ..Special::default() };
    let world = World::special(special).await;
    world.configure().await;
    let before = attestor.0.load(Ordering::Acquire);
    for _caller in 0..5 {
        assert_eq!(world.ask(Method::GET, "/publicKeys", "").await.status, 200);
    }
    assert_eq!(attestor.0.load(Ordering::Acquire), before + 1);
}

#[tokio::test]
async fn a_configuration_is_set_once_and_then_voted_on() {
    let world = World::new().await;
    let first = world.committee.config();
    let reply = world.ask(Method::PATCH, "/config", vote(&first, &world.committee.keys[0])).await;
    let text = "config has not been initialized, cannot update\n";
    assert_eq!(plain(&reply), (409, text.to_owned()));
    let set: SetConfigResponse =
        parsed(&world.ask(Method::POST, "/config", set_config(&first)).await);
    assert_eq!(set.config, first);
    let user_data = set_config_user_data(first.hash());
    world.verify(set.attestation.as_slice(), user_data, Nonce::NotUsed);

    let mut second = first.clone();
    second.signers.as_mut().unwrap().pop();
    let reply = world.ask(Method::POST, "/config", set_config(&second)).await;
    let text = "config has already been set and cannot be changed\n";
    assert_eq!(plain(&reply), (409, text.to_owned()));
    assert_eq!(world.ask(Method::POST, "/config", set_config(&first)).await.status, 200);

    let reply = world.ask(Method::PATCH, "/config", vote(&second, &world.committee.keys[0])).await;
    assert_eq!(reply.status, 202);
    let pending: UpdateConfigResponse = parsed(&reply);
    assert_eq!(
        (pending.applied, pending.signers_collected, pending.signers_required),
        (false, 1, 2)
    );
    let reply = world.ask(Method::PATCH, "/config", vote(&second, &world.committee.keys[1])).await;
    assert_eq!(reply.status, 200);
    let applied: UpdateConfigResponse = parsed(&reply);
    assert!(applied.applied);
    let user_data = set_config_user_data(second.hash());
    world.verify(applied.attestation.as_slice(), user_data, Nonce::NotUsed);
    let shown: PublicKeyResponse = parsed(&world.ask(Method::GET, "/publicKeys", "").await);
    assert_eq!(shown.config, second);
    let rotated_out = vote(&first, &world.committee.keys[3]);
    assert_eq!(world.ask(Method::PATCH, "/config", rotated_out).await.status, 400);
}

#[tokio::test]
async fn settings_are_taken_or_refused_as_a_whole() {
    let world = World::new().await;
    let reply = world.ask(Method::POST, "/settings", "").await;
    assert_eq!(plain(&reply), (400, "settings request is empty\n".to_owned()));
    let reply = world.ask(Method::POST, "/settings", "{}").await;
    let text = "injecting settings: missing required settings: storageKey, storageServiceUrl, gatewayUrl\n";
    assert_eq!(plain(&reply), (500, text.to_owned()));
    let reply = world.ask(Method::POST, "/settings", settings("")).await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0));
    assert!(!reply.headers.contains_key("content-type"));
}

#[tokio::test]
async fn an_application_without_settings_says_so() {
    let special = Special { app: Some(Arc::new(world::echo::Echo)), ..Special::default() };
    let world = World::special(special).await;
    let reply = world.ask(Method::POST, "/settings", settings("")).await;
    assert_eq!(plain(&reply), (501, "app does not accept settings\n".to_owned()));
}

#[tokio::test]
async fn memory_is_told_in_mebibytes() {
    let world = World::new().await;
    let reply = world.ask(Method::GET, "/memory", "").await;
    let value = reply.value();
    assert!(value["usedMB"].as_u64() > Some(0) && value["rssMB"].as_u64() > Some(0));
    assert_eq!(value.as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn w20_control_bodies_are_bounded() {
    let world = World::new().await;
    let body = vec![b' '; 1024 * 1024 + 1];
    for (method, path) in
        [(Method::POST, "/config"), (Method::PATCH, "/config"), (Method::POST, "/settings")]
    {
        let reply = world.ask(method, path, body.clone()).await;
        assert_eq!(plain(&reply), (413, "failed to read request body\n".to_owned()));
    }
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_stops() {
    let world = World::ready().await;
    world.shutdown.cancel();
    tokio::task::yield_now().await;
    use transport::Dial as _;
    let gone = async {
        while world.server.dial().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}
