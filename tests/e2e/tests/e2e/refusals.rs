//! What is turned away, and that the system goes on serving.

use e2e::{
    committee::{client, post, reply},
    devnet::Devnet,
};

#[tokio::test]
async fn measurements_are_read_from_the_registry_for_every_request() {
    let devnet = Devnet::start(&[]).await;
    devnet.put_secret().await;
    let file = devnet.path("registry.json");
    let right = std::fs::read_to_string(&file).unwrap();
    let pcr0 = devnet.json()["measurements"]["pcr0"].as_str().unwrap().to_owned();
    assert!(right.contains(&pcr0), "{right}");
    std::fs::write(&file, right.replace(&pcr0, &"ab".repeat(48))).unwrap();
    let refused = devnet.run("secret-and-capability", &devnet.alerts()).await;
    assert_eq!(refused.code, 5, "{refused:?}");
    let said = format!("{}{}", refused.out, refused.err);
    assert!(said.contains("relay quorum unreachable"), "{said}");
    assert!(!said.contains(&"ab".repeat(48)), "the registry's words stay with the relay node");

    std::fs::write(&file, right).unwrap();
    devnet.run("secret-and-capability", &devnet.alerts()).await.result();
}

#[tokio::test]
async fn another_committee_in_the_registry_is_refused() {
    let devnet = Devnet::start(&[]).await;
    devnet.put_secret().await;
    let file = devnet.path("registry.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let member = devnet.json()["committee"]["signers"][0].as_str().unwrap().to_owned();
    let stranger = crypto::sign::SigningKey::generate(&mut rand_core::OsRng).public().to_string();
    assert!(text.contains(&member), "{text}");
    std::fs::write(&file, text.replace(&member, &stranger)).unwrap();
    let refused = devnet.run("secret-and-capability", &devnet.alerts()).await;
    assert_eq!(refused.code, 5, "{refused:?}");
}

#[tokio::test]
async fn an_enclave_that_shows_expired_documents_is_not_served() {
    let ended = Devnet::fail(&["--clock-offset=-900"]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("refuses the attestation"), "{}", ended.err);
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_the_next_request_is_served() {
    let devnet = Devnet::start(&[]).await;
    let bodies: [&[u8]; 6] = [b"", b"[", b"[{}]", b"\xff\xfe", b"null", &[b'['; 200_000]];
    for body in bodies {
        let answer = post(&devnet, "enclave", body.to_vec()).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        let answer = post(&devnet, "bridge", body.to_vec()).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    let client = client();
    for path in ["config", "settings"] {
        let url = format!("http://{}/{path}", devnet.address("operator"));
        let answer = reply(client.post(url).body("{")).await;
        assert!((400..600).contains(&answer.status), "{path}: {}", answer.status);
    }
    let gateway = format!("http://{}/", devnet.address("gateway"));
    assert_eq!(reply(client.post(gateway).body("nonsense")).await.status, 400);
    devnet.run("hello", "").await.result();
}

#[tokio::test]
async fn a_local_address_that_is_not_allowed_is_denied() {
    let devnet = Devnet::start(&[]).await;
    devnet.put_secret().await;
    // The bridge's own port: local, listening, and no business of a workflow.
    let config = format!(r#"{{"url": "https://{}/", "method": "GET"}}"#, devnet.address("bridge"));
    let ended = devnet.run("secret-and-capability", &config).await;
    let result = ended.result();
    assert_eq!(result["status"], 400, "{result}");
    assert_eq!(result["secret_arrived"], false);
}

#[tokio::test]
async fn a_devnet_json_of_another_version_says_what_to_do() {
    let devnet = Devnet::start(&[]).await;
    let file = devnet.path("devnet.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let other = devnet.path("other.json");
    std::fs::write(&other, text.replacen("\"version\": 1", "\"version\": 2", 1)).unwrap();
    let words = ["secret", "list", "--network", other.to_str().unwrap()];
    let refused = devnet.ctl(&words).await;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("version"), "{}", refused.err);
}
