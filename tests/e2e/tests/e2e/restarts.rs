//! Processes that die and come back.

use e2e::{
    committee::client,
    devnet::{Devnet, eventually, kill},
};

#[tokio::test]
async fn a_bridge_killed_in_the_middle_of_a_run_loses_nothing() {
    let mut devnet = Devnet::start(&["--respawn", "--log", "debug"]).await;
    let running = |log: String| log.matches("request running").count();
    let (log, bridge) = (devnet.path("logs/enclave.log"), devnet.pid("bridge"));
    let run = async { devnet.run("misbehave", r#"{"mode": "sleep", "amount": 2500}"#).await };
    let interrupt = async {
        eventually(|| async {
            (running(std::fs::read_to_string(&log).unwrap()) == 1).then_some(())
        })
        .await;
        kill(bridge);
    };
    let (ended, ()) = tokio::join!(run, interrupt);
    assert_eq!(ended.result(), "survived");
    while !devnet.line().await.expect("it goes on").contains("bridge") {}
    assert_ne!(devnet.pid("bridge"), bridge);
}

#[tokio::test]
async fn an_enclave_started_again_gets_its_configuration_and_has_new_keys() {
    let devnet = Devnet::start(&["--respawn"]).await;
    devnet.put_secret().await;
    let config = devnet.alerts();
    devnet.run("secret-and-capability", &config).await.result();
    let before = public_keys(&devnet).await.expect("keys");
    kill(devnet.pid("enclave"));
    let after =
        eventually(|| async { public_keys(&devnet).await.filter(|keys| *keys != before) }).await;
    assert_ne!(before, after);
    let result = eventually(|| async {
        let ended = devnet.run("secret-and-capability", &config).await;
        (ended.code == 0).then(|| ended.result())
    })
    .await;
    assert_eq!(result["price"], "3456.78");
}

/// The enclave's keys, as the bridge relays them.
async fn public_keys(devnet: &Devnet) -> Option<serde_json::Value> {
    let url = format!("http://{}/publicKeys", devnet.address("bridge"));
    let answer = client().get(url).send().await.ok()?;
    if answer.status() != 200 {
        return None;
    }
    let body: serde_json::Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
    Some(body["publicKey"].clone())
}
