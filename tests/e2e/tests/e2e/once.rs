//! At most once, whatever is sent how often.

use e2e::{
    committee::{self, request, sign, to_bridge, to_enclave},
    devnet::Devnet,
    proxy::Proxy,
};

/// A devnet whose relay calls are counted.
async fn counted() -> (Devnet, Proxy) {
    let proxy = Proxy::listen().await;
    let devnet = Devnet::start(&["--gateway-through", &proxy.address.to_string()]).await;
    proxy.forward_to(&devnet.address("gateway"));
    (devnet, proxy)
}

#[tokio::test]
async fn a_replayed_request_is_not_run_again() {
    let (devnet, proxy) = counted().await;
    let batch = sign(&devnet, &request(&devnet, "parallel", "").await, 2);
    let first = to_enclave(&devnet, &batch).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let calls = proxy.asked().len();
    assert!(calls > 0);
    let again = to_enclave(&devnet, &batch).await;
    assert_eq!(again.status, 409, "{}", again.text());
    assert!(again.text().contains("replay detected: request hash has already been executed"));
    assert_eq!(proxy.asked().len(), calls, "no call was made twice");
}

#[tokio::test]
async fn two_identical_requests_at_the_same_time_are_one_execution() {
    let (devnet, proxy) = counted().await;
    let batch = sign(&devnet, &request(&devnet, "parallel", "").await, 2);
    let (one, two) = tokio::join!(to_enclave(&devnet, &batch), to_enclave(&devnet, &batch));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", one.text(), two.text());
    let once = proxy.asked().len();
    let more = sign(&devnet, &request(&devnet, "parallel", "").await, 2);
    assert_eq!(to_enclave(&devnet, &more).await.status, 200);
    assert_eq!(proxy.asked().len(), 2 * once, "one execution made as many calls as one");
}

#[tokio::test]
async fn every_caller_of_one_batch_gets_the_same_bytes() {
    let devnet = Devnet::start(&[]).await;
    let signed = sign(&devnet, &request(&devnet, "hello", "").await, 4);
    let [a, b, c, d] = signed.as_slice() else { panic!("four members") };
    let (a, b, c) =
        tokio::join!(to_bridge(&devnet, a), to_bridge(&devnet, b), to_bridge(&devnet, c));
    let late = to_bridge(&devnet, d).await;
    assert_eq!([a.status, b.status, c.status, late.status], [200; 4], "{}", a.text());
    assert!([&b.body, &c.body, &late.body].iter().all(|body| **body == a.body));
}

#[tokio::test]
async fn a_request_signed_by_too_few_is_not_run() {
    let devnet = Devnet::start(&[]).await;
    let request = request(&devnet, "hello", "").await;
    let one = sign(&devnet, &request, 1);
    let refused = to_enclave(&devnet, &one).await;
    assert_eq!(refused.status, 400);
    let text = "not enough requests by unique signers to reach quorum, got 1, need 2";
    assert!(refused.text().contains(text), "{}", refused.text());
    let twice = [one[0].clone(), one[0].clone()];
    assert!(to_enclave(&devnet, &twice).await.text().contains(text), "one signer is one voice");
    let waited = to_bridge(&devnet, &one[0]).await;
    assert_eq!(waited.status, 500);
    assert!(waited.text().contains("quorum_timeout: received 1 of 2"), "{}", waited.text());
}

#[tokio::test]
async fn a_stranger_or_another_request_in_the_batch_spoils_it() {
    let devnet = Devnet::start(&[]).await;
    let asked = request(&devnet, "hello", "").await;
    let mut batch = sign(&devnet, &asked, 2);
    let stranger = crypto::sign::SigningKey::generate(&mut rand_core::OsRng);
    batch[1] = asked.clone().sign(&stranger);
    let refused = to_enclave(&devnet, &batch).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("signature verification failed for request 1"));
    batch[1] = request(&devnet, "hello", "other").await.sign(&committee::keys(&devnet)[1]);
    let refused = to_enclave(&devnet, &batch).await;
    assert!(refused.text().contains("request hash mismatch for request 1"), "{}", refused.text());
}
