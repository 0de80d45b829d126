//! Relay nodes that misbehave: F of them change nothing, F + 1 stop everything.

use serde_json::{Value, json};

use e2e::{
    devnet::{Devnet, SECRET},
    proxy::Proxy,
};

async fn one_faulty(kind: &str) {
    let fault = format!("relay-2={kind}");
    let devnet = Devnet::start(&["--fault", &fault]).await;
    devnet.put_secret().await;
    let result = devnet.run("secret-and-capability", &devnet.alerts()).await.result();
    assert_eq!(result["price"], "3456.78", "{kind}: {result}");
    assert_eq!(result["secret_arrived"], true, "{kind}: {result}");
}

#[tokio::test]
async fn one_relay_node_that_lies_changes_nothing() {
    one_faulty("lie").await;
}

#[tokio::test]
async fn one_relay_node_that_sends_garbage_changes_nothing() {
    one_faulty("garbage").await;
}

#[tokio::test]
async fn one_relay_node_that_stalls_changes_nothing() {
    one_faulty("stall").await;
}

#[tokio::test]
async fn one_relay_node_that_is_down_changes_nothing() {
    one_faulty("down").await;
}

#[tokio::test]
async fn one_relay_node_that_answers_twice_changes_nothing() {
    one_faulty("duplicate").await;
}

async fn two_faulty(kind: &str) {
    let faults = [format!("relay-2={kind}"), format!("relay-3={kind}")];
    let devnet = Devnet::start(&["--fault", &faults[0], "--fault", &faults[1]]).await;
    devnet.put_secret().await;
    let ended = devnet.run("secret-and-capability", &devnet.alerts()).await;
    assert_eq!(ended.code, 5, "{kind}: {ended:?}");
    let said = format!("{}{}", ended.out, ended.err);
    assert!(said.contains("quorum") || said.contains("relay"), "{kind}: {said}");
    assert!(!said.contains("3456.78") || !said.contains("secret_arrived"), "{kind}: {said}");
    assert!(!said.contains(SECRET));
    assert_eq!(devnet.run("hello", "").await.code, 0, "the system goes on serving");
}

#[tokio::test]
async fn two_relay_nodes_that_stall_give_a_clear_error_and_no_result() {
    two_faulty("stall").await;
}

#[tokio::test]
async fn two_relay_nodes_that_are_down_give_a_clear_error_and_no_result() {
    two_faulty("down").await;
}

#[tokio::test]
async fn two_relay_nodes_that_send_garbage_give_a_clear_error_and_no_result() {
    two_faulty("garbage").await;
}

#[tokio::test]
async fn two_relay_nodes_that_lie_each_for_itself_convince_nobody() {
    let devnet = Devnet::start(&["--fault", "relay-2=lie", "--fault", "relay-3=lie"]).await;
    devnet.put_secret().await;
    let ended = devnet.run("secret-and-capability", &devnet.alerts()).await;
    // The bundle goes out with three answers: it depends on who was quick whether two are honest.
    if ended.code == 0 {
        assert_eq!(ended.result()["price"], "3456.78");
    } else {
        assert_eq!(ended.code, 5, "{ended:?}");
        let said = format!("{}{}", ended.out, ended.err);
        assert!(said.contains("no relay-DON result reached quorum"), "{said}");
    }
}

async fn behind(change: e2e::proxy::Change) -> e2e::devnet::Ended {
    let proxy = Proxy::listen().await;
    let devnet = Devnet::start(&["--gateway-through", &proxy.address.to_string()]).await;
    proxy.forward_to(&devnet.address("gateway"));
    devnet.put_secret().await;
    let unchanged = devnet.run("secret-and-capability", &devnet.alerts()).await;
    assert_eq!(unchanged.result()["price"], "3456.78");
    proxy.change(change);
    devnet.run("secret-and-capability", &devnet.alerts()).await
}

fn responses(answer: &mut Value) -> &mut Vec<Value> {
    answer["result"]["responses"].as_array_mut().expect("a bundle")
}

#[tokio::test]
async fn one_signer_twice_in_a_bundle_is_one_voice() {
    let ended = behind(|answer| {
        let responses = responses(answer);
        let first = responses[0].clone();
        *responses = vec![first.clone(), first.clone(), first];
    })
    .await;
    assert_eq!(ended.code, 5, "{ended:?}");
    let said = format!("{}{}", ended.out, ended.err);
    assert!(said.contains("need 2 valid distinct signers"), "{said}");
}

#[tokio::test]
async fn a_gateway_that_changes_a_result_convinces_nobody() {
    let ended = behind(|answer| {
        for response in responses(answer) {
            response["result"] = match response["result"].get("secrets") {
                Some(_) => json!({ "secrets": [] }),
                None => json!({ "payload": "EgNhYmM=" }),
            };
        }
    })
    .await;
    assert_eq!(ended.code, 5, "{ended:?}");
    let said = format!("{}{}", ended.out, ended.err);
    assert!(said.contains("no relay-DON result reached quorum"), "{said}");
}

#[tokio::test]
async fn a_gateway_that_keeps_answers_back_stops_the_call_and_nothing_else() {
    let ended = behind(|answer| responses(answer).truncate(1)).await;
    assert_eq!(ended.code, 5, "{ended:?}");
}
