//! The way of a request through the rooms, and what each room turns away.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

#[expect(dead_code, reason = "every test file uses a part of it")]
mod world;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use attestation::{AttestError, AttestationRequest, Attestor, Nonce};
use http::Method;
use protocol::{
    compute::ComputeRequest,
    json,
    messages::{sdk::Outcome, values::Kind},
};
use world::{
    Reply, Special, World,
    guest::{SAY_HI, wat},
};

/// The answer's string.
fn said(reply: &Reply) -> String {
    match reply.result().result {
        Some(Outcome::Value(value)) => match value.kind {
            Some(Kind::String(text)) => text,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

async fn request(world: &World, id: &str) -> ComputeRequest {
    running(world, id, SAY_HI).await
}

async fn running(world: &World, id: &str, body: &str) -> ComputeRequest {
    let execution = world.publish(&wat(body), "", id);
    ComputeRequest::for_execution(&execution, &world.key().await)
}

async fn refusal(world: &World, request: &ComputeRequest) -> (u16, String) {
    let reply = world.send(&world.committee.sign(request, &[0, 1])).await;
    (reply.status.as_u16(), reply.error())
}

/// Refuses the first so many documents over anything but keys and configuration.
struct Failing {
    left: AtomicU32,
}

impl Attestor for Failing {
    fn attest(&self, _request: &AttestationRequest) -> Result<Vec<u8>, AttestError> {
        let failing = |left: u32| left.checked_sub(1);
        match self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, failing) {
            Ok(_left) => Err(AttestError::UnexpectedAnswer),
            Err(_none_left) => Ok(b"document".to_vec()),
        }
    }
}

#[tokio::test]
async fn a_workflow_runs_and_its_answer_is_attested() {
    let world = World::ready().await;
    let request = request(&world, "e1").await;
    let reply = world.send(&world.committee.sign(&request, &[0, 1])).await;
    assert_eq!(said(&reply), "hi");
    let answer = reply.answer();
    assert_eq!(answer.request_hash, request.hash());
    world.verify(answer.attestation.as_slice(), answer.user_data(&request.version), Nonce::NotUsed);
    let known = |name: &String| name != "room_completed";
    let events: Vec<_> = reply.events().into_iter().filter(known).collect();
    assert_eq!(
        events,
        [
            "request_started",
            "signature_verification_completed",
            "request_id",
            "shares_combining_completed",
            "workflow_execute_started",
            "workflow_metering",
            "app_execution_completed",
            "request_completed",
        ]
    );
}

#[tokio::test]
async fn every_room_reports_how_long_it_took() {
    let world = World::ready().await;
    let request = request(&world, "e1").await;
    let reply = world.send(&world.committee.sign(&request, &[0, 1])).await;
    let value = reply.value();
    let events = value["metricEvents"].as_array().unwrap();
    let rooms = events.iter().filter(|event| event["event"] == "room_completed");
    let rooms: Vec<_> = rooms.map(|event| event["details"]["room"].as_str().unwrap()).collect();
    assert_eq!(rooms, ["admit", "fetch", "compile", "run", "attest"]);
}

#[tokio::test]
async fn a_challenge_is_in_the_answers_document() {
    let world = World::ready().await;
    let request = request(&world, "e1").await;
    let body = json::to_vec(&world.committee.sign(&request, &[0, 1]));
    let headers = [("x-attestation-nonce", "00ff")];
    let reply = world.ask_with(Method::POST, "/requests", &headers, body).await;
    let answer = reply.answer();
    let nonce = Nonce::Expected([0, 0xff].as_slice().try_into().unwrap());
    world.verify(answer.attestation.as_slice(), answer.user_data(&request.version), nonce);
    for nonce in ["xyz", &"00".repeat(513)] {
        let headers = [("x-attestation-nonce", nonce)];
        let another = self::request(&world, nonce).await;
        let body = json::to_vec(&world.committee.sign(&another, &[0, 1]));
        let reply = world.ask_with(Method::POST, "/requests", &headers, body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.value()["code"].as_str()),
            (400, Some("invalid_nonce"))
        );
    }
}

// Room 4: bytes become a batch.

#[tokio::test]
async fn a_body_that_is_no_batch_is_turned_away() {
    let world = World::ready().await;
    for body in ["", "{", "{}", "[1]", "[{\"requestID\":[1]}]", "\"x\"", "[]x", "\u{feff}[]"] {
        let reply = world.ask(Method::POST, "/requests", body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.error().as_str()),
            (400, "invalid json"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn w20_a_body_over_the_limit_is_not_read() {
    let world = World::ready().await;
    let length = (protocol::limits::INBOUND_BODY_BYTES + 1).to_string();
    let headers = [("content-length", length.as_str())];
    let reply = world.ask_with(Method::POST, "/requests", &headers, "").await;
    assert_eq!(
        (reply.status.as_u16(), reply.error().as_str()),
        (413, "failed to read request body")
    );
}

#[tokio::test]
async fn w33_lenient_spellings_are_turned_away() {
    let world = World::ready().await;
    let request = request(&world, "e1").await;
    let text = String::from_utf8(json::to_vec(&world.committee.sign(&request, &[0, 1]))).unwrap();
    for (from, to) in [
        ("\"requestID\":[", "\"requestID\":[1,"),
        ("\"appID\"", "\"appid\""),
        ("\"version\":", "\"version\":\"0.0.6\",\"version\":"),
    ] {
        let reply = world.ask(Method::POST, "/requests", text.replacen(from, to, 1)).await;
        assert_eq!((reply.status.as_u16(), reply.error().as_str()), (400, "invalid json"), "{to}");
    }
}

// Room 5: F + 1 signers of one request.

#[tokio::test]
async fn a_batch_without_requests_is_turned_away() {
    let world = World::ready().await;
    for body in ["[]", "null", " [ ] "] {
        let reply = world.ask(Method::POST, "/requests", body).await;
        assert_eq!((reply.status.as_u16(), reply.error().as_str()), (400, "empty request batch"));
    }
}

#[tokio::test]
async fn a_mixed_batch_is_turned_away() {
    let world = World::ready().await;
    let (one, two) = (request(&world, "e1").await, request(&world, "e2").await);
    let mut batch = world.committee.sign(&one, &[0]);
    batch.extend(world.committee.sign(&two, &[1]));
    let reply = world.send(&batch).await;
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.error(),
        format!("request hash mismatch for request 1: have {}, want {}", two.hash(), one.hash())
    );
}

#[tokio::test]
async fn a_strangers_signature_is_turned_away() {
    let world = World::ready().await;
    let request = request(&world, "e1").await;
    let mut batch = world.committee.sign(&request, &[0]);
    batch.push(request.sign(&crypto::sign::SigningKey::from_seed(&[99; 32])));
    let reply = world.send(&batch).await;
    let text = "signature verification failed for request 1: signature not from any allowed signer";
    assert_eq!((reply.status.as_u16(), reply.error().as_str()), (400, text));
}

#[tokio::test]
async fn too_few_signers_are_turned_away_and_one_signer_twice_is_one_voice() {
    let world = World::ready().await;
    let request = request(&world, "e1").await;
    for by in [&[0][..], &[0, 0], &[2, 2, 2]] {
        let reply = world.send(&world.committee.sign(&request, by)).await;
        let text = "not enough requests by unique signers to reach quorum, got 1, need 2";
        assert_eq!((reply.status.as_u16(), reply.error().as_str()), (400, text));
    }
    assert_eq!(refusal(&world, &request).await.0, 200, "nothing was executed before");
}

#[tokio::test]
async fn without_a_configuration_nobody_is_a_member() {
    let world = World::new().await;
    let key = crypto::seal::EphemeralKey::from_bytes(&[7; 32]).public();
    let execution = world.publish(&wat(SAY_HI), "", "e1");
    let request = ComputeRequest::for_execution(&execution, &key);
    let (status, text) = refusal(&world, &request).await;
    assert_eq!(status, 400);
    assert_eq!(
        text,
        "signature verification failed for request 0: signature not from any allowed signer"
    );
}

// Room 6: at most once, with a key that lives, if there is room.

#[tokio::test]
async fn a_replay_is_turned_away_and_its_outcome_given_out() {
    let world = World::ready().await;
    let request = request(&world, "e1").await;
    let first = world.send(&world.committee.sign(&request, &[0, 1])).await;
    assert_eq!(first.status, 200);
    for by in [[0, 1], [2, 3]] {
        let reply = world.send(&world.committee.sign(&request, &by)).await;
        assert_eq!(reply.status, 409);
        assert_eq!(reply.error(), "replay detected: request hash has already been executed");
        assert_eq!(reply.value()["retryable"], false);
    }
    let stored = world.ask(Method::GET, &format!("/results/{}", request.hash()), "").await;
    assert_eq!((stored.status, stored.body), (first.status, first.body));
}

#[tokio::test]
async fn there_is_no_result_of_what_was_not_executed() {
    let world = World::ready().await;
    for hash in ["", "00", &"00".repeat(32), &"zz".repeat(32)] {
        let reply = world.ask(Method::GET, &format!("/results/{hash}"), "").await;
        assert_eq!(reply.status, 404);
    }
    assert_eq!(world.ask(Method::POST, "/results/00", "").await.status, 405);
}

#[tokio::test]
async fn w06_of_two_equal_requests_one_is_executed() {
    let world = World::ready().await;
    let request = request(&world, "e1").await;
    let batch = world.committee.sign(&request, &[0, 1]);
    let (one, two, three) =
        tokio::join!(world.send(&batch), world.send(&batch), world.send(&batch));
    let mut statuses = [one.status.as_u16(), two.status.as_u16(), three.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409]);
    for reply in [one, two, three].iter().filter(|reply| reply.status == 409) {
        let known = [
            "request is already being processed",
            "replay detected: request hash has already been executed",
        ];
        assert!(known.contains(&reply.error().as_str()), "{}", reply.error());
    }
}

#[tokio::test]
async fn a_key_that_never_lived_here_is_turned_away() {
    let world = World::ready().await;
    let mut request = request(&world, "e1").await;
    request.enclave_ephemeral_public_key = world::wire(&[9; 32]);
    let (status, text) = refusal(&world, &request).await;
    assert_eq!(
        (status, text.as_str()),
        (400, "failed to retrieve keypair for request: keypair not found")
    );
    request.enclave_ephemeral_public_key = world::wire(&[9; 31]);
    let (_status, text) = refusal(&world, &request).await;
    assert_eq!(
        text,
        "failed to retrieve keypair for request: invalid public key length: expected 32 bytes, got 31 bytes"
    );
}

#[tokio::test]
async fn w58_a_request_dies_with_its_key() {
    let world = World::ready().await;
    let request = request(&world, "e1").await;
    assert_eq!(refusal(&world, &request).await.0, 200);
    world.clock.advance(protocol::limits::KEY_EXPIRY + std::time::Duration::from_secs(1));
    assert_eq!(refusal(&world, &request).await.0, 409, "the ledger outlives the key");
    world.clock.advance(std::time::Duration::from_secs(600));
    let (status, text) = refusal(&world, &request).await;
    assert_eq!(
        (status, text.as_str()),
        (400, "failed to retrieve keypair for request: keypair not found")
    );
}

#[tokio::test]
async fn requests_that_lack_their_parts_are_turned_away() {
    let world = World::ready().await;
    let with = |request: &ComputeRequest, change: fn(&mut ComputeRequest)| {
        let mut request = request.clone();
        change(&mut request);
        request
    };
    let request = request(&world, "e1").await;
    for (bad, text) in [
        (with(&request, |r| r.app_id.clear()), "missing AppID in request"),
        (with(&request, |r| r.version.clear()), "missing Version in request"),
        (
            with(&request, |r| r.ciphertext_names = Some(vec!["a".to_owned()])),
            "number of ciphertexts (0) does not match number of ciphertext names (1)",
        ),
    ] {
        assert_eq!(refusal(&world, &bad).await, (400, text.to_owned()));
    }
}

// Room 7: the binary.

#[tokio::test]
async fn a_binary_that_was_tampered_with_is_turned_away() {
    let world = World::ready().await;
    let mut execution = world.publish(&wat(SAY_HI), "", "e1");
    execution.binary_hash[0] ^= 1;
    let reply = world.execute(&execution).await;
    assert_eq!(reply.status, 502);
    assert!(reply.error().contains("binary hash mismatch: expected "), "{}", reply.error());
    assert_eq!(reply.value()["code"], "binary_unavailable");
}

#[tokio::test]
async fn a_binary_that_is_too_large_is_turned_away() {
    let world = World::ready().await;
    world.settings(r#","maxBinarySize":10"#).await;
    let execution = world.publish(&wat(SAY_HI), "", "e1");
    let reply = world.execute(&execution).await;
    assert_eq!(reply.status, 502);
    assert!(reply.error().contains("binary exceeds max size of 10 bytes"), "{}", reply.error());
}

#[tokio::test]
async fn another_application_is_turned_away() {
    let world = World::ready().await;
    let mut request = request(&world, "e1").await;
    request.app_id = "confidential-http@1.0.0-alpha".to_owned();
    let text = "error executing enclave app request: &{invalid app ID: expected \
                confidential-workflows@1.0.0-alpha, got confidential-http@1.0.0-alpha 400}";
    assert_eq!(refusal(&world, &request).await, (400, text.to_owned()));
}

#[tokio::test]
async fn w17_requirements_are_judged_before_anything_is_fetched() {
    use protocol::messages::sdk::{
        Requirements, Tee, TeeItem, TeeTypeAndRegions, TeeTypesAndRegions,
    };
    let world = World::ready().await;
    let mut execution = world.publish(&wat(SAY_HI), "", "e1");
    let other = TeeTypeAndRegions { r#type: 7, regions: Vec::new() };
    let types = TeeTypesAndRegions { tee_type_and_regions: vec![other] };
    let tee = Tee { item: Some(TeeItem::TypesAndRegions(types)) };
    execution.requirements = Some(Requirements { tee: Some(tee) });
    let reply = world.execute(&execution).await;
    assert_eq!(reply.status, 400);
    assert!(reply.error().contains("this TEE doesn't meet the requirements"), "{}", reply.error());
    assert!(world.bridge.asked().is_empty());
}

// Room 8: the shares.

#[tokio::test]
async fn too_few_shares_are_turned_away_and_more_may_follow() {
    let world = World::ready().await;
    let ciphertext = world.committee.encrypt(b"hunter2");
    let key = world.key().await;
    let mut request = request(&world, "e1").await;
    request.ciphertexts = Some(vec![world::wire(ciphertext.as_bytes())]);
    request.ciphertext_names = Some(vec!["A".to_owned()]);
    let share = |party| world::wire(&world.committee.share(party, &ciphertext, &key));
    let with = |parties: &[usize]| {
        let mut request = request.clone();
        let shares = parties.iter().map(|party| share(*party)).collect();
        request.encrypted_decryption_key_shares = Some(vec![Some(shares)]);
        request
    };
    let mut batch = world.committee.sign(&with(&[0]), &[0]);
    batch.extend(world.committee.sign(&with(&[0]), &[1]));
    let reply = world.send(&batch).await;
    assert_eq!(reply.status, 500);
    assert_eq!(
        reply.error(),
        "no node's shares produced valid decryption: failed to aggregate decryption shares: \
         not enough valid shares to decrypt (1/2). invalid shares: none"
    );
    // Two nodes with one share each are enough together.
    let mut batch = world.committee.sign(&with(&[0]), &[0]);
    batch.extend(world.committee.sign(&with(&[3]), &[1]));
    let reply = world.send(&batch).await;
    assert_eq!(reply.status, 200, "w28: shares of different nodes are pooled: {}", reply.text());
}

#[tokio::test]
async fn w29_two_secrets_of_one_name_are_two_secrets() {
    let special = Special { app: Some(Arc::new(world::echo::Echo)), ..Special::default() };
    let world = World::special(special).await;
    world.configure().await;
    let key = world.key().await;
    let secrets = [world.committee.encrypt(b"one"), world.committee.encrypt(b"two")];
    let share =
        |of| (0..2).map(|party| world::wire(&world.committee.share(party, of, &key))).collect();
    let request = ComputeRequest {
        app_id: "echo".to_owned(),
        version: "0.0.6".to_owned(),
        ciphertexts: Some(secrets.iter().map(|secret| world::wire(secret.as_bytes())).collect()),
        ciphertext_names: Some(vec!["A".to_owned(), "A".to_owned()]),
        encrypted_decryption_key_shares: Some(secrets.iter().map(|of| Some(share(of))).collect()),
        enclave_ephemeral_public_key: world::wire(key.as_bytes()),
        ..ComputeRequest::default()
    };
    let reply = world.send(&world.committee.sign(&request, &[0, 1])).await;
    assert_eq!(reply.answer().output.as_slice(), b"echo||A=one,A=two|2");
}

// Room 9: the run.

#[tokio::test]
async fn runs_that_end_badly_are_told_apart() {
    let world = World::ready().await;
    world.settings(r#","executionTimeout":"300ms""#).await;
    for (id, body, status, text) in [
        ("trap", "unreachable", 500, "executing wasm: executing wasm: "),
        (
            "silent",
            "nop",
            500,
            "executing wasm: executing wasm: could not find response for execution",
        ),
        (
            "loop",
            "(loop $l (br $l))",
            504,
            "executing wasm: executing wasm: context deadline exceeded",
        ),
    ] {
        let request = running(&world, id, body).await;
        let (got, error) = refusal(&world, &request).await;
        assert_eq!(got, status, "{error}");
        assert!(
            error.starts_with(&format!("error executing enclave app request: &{{{text}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn w07_a_run_that_failed_without_an_effect_may_be_repeated() {
    let world = World::ready().await;
    let request = running(&world, "e1", "unreachable").await;
    assert_eq!(refusal(&world, &request).await.0, 500);
    assert_eq!(refusal(&world, &request).await.0, 500, "not 409");
}

// Room 10: the answer.

#[tokio::test]
async fn w31_without_a_document_there_is_no_answer_and_one_error() {
    let attestor = Arc::new(Failing { left: AtomicU32::new(0) });
    let special = Special {
        attestor: Some(Arc::clone(&attestor) as Arc<dyn Attestor>),
        ..Special::default()
    };
    let world = World::special(special).await;
    world.configure().await;
    world.settings("").await;
    let request = request(&world, "e1").await;
    attestor.left.store(1, Ordering::Release);
    let reply = world.send(&world.committee.sign(&request, &[0, 1])).await;
    assert_eq!(reply.status, 500);
    assert!(reply.error().starts_with("error creating attestation: "), "{}", reply.error());
    let completed = reply.events().iter().filter(|name| *name == "request_completed").count();
    assert_eq!(completed, 1);
    assert_eq!(reply.event("request_completed")["outcome"], "error");
    let again = world.send(&world.committee.sign(&request, &[0, 1])).await;
    assert_eq!(said(&again), "hi", "nothing outside was touched, so it may run again");
}
