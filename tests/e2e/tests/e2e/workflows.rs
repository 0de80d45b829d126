//! What an author sees: results, receipts, refusals that say why.

use serde_json::json;

use e2e::devnet::{Devnet, SECRET, built};

#[tokio::test]
async fn a_workflow_uses_a_secret_and_a_capability_and_its_answer_is_verified() {
    let devnet = Devnet::start(&[]).await;
    devnet.put_secret().await;
    let first = devnet.run("secret-and-capability", &devnet.alerts()).await;
    let result = first.result();
    assert_eq!(result["price"], "3456.78", "{result}");
    assert_eq!(result["secret_arrived"], true, "{result}");
    assert!(!first.out.contains(SECRET) && !first.err.contains(SECRET));

    let report = first.json();
    assert_eq!(report["signers"], json!({ "signed": 3, "members": 4, "required": 2 }));
    let calls = report["relay_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls.iter().all(|call| call["signers"].as_u64() >= call["required"].as_u64()));
    assert_eq!(report["request_hash"].as_str().unwrap().len(), 64);
    assert_eq!(report["enclave"]["pcr0"], devnet.json()["measurements"]["pcr0"]);

    let warm = devnet.run("secret-and-capability", &devnet.alerts()).await;
    assert_eq!(warm.result(), result);
    assert_eq!(warm.json()["timings_ms"]["compile"], 0.0, "nothing is compiled twice");
    assert_ne!(warm.json()["execution_id"], report["execution_id"]);
}

#[tokio::test]
async fn a_receipt_is_checked_offline_and_every_byte_of_it_counts() {
    let devnet = Devnet::start(&[]).await;
    let file = devnet.path("receipt.json");
    let receipt = file.to_str().unwrap();
    devnet.run_with("hello", "", &["--receipt", receipt]).await.result();
    let check = ["verify", receipt, "--network", "{network}"];
    let good = devnet.ctl(&check).await;
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.out.contains("attestation: document signature        passed"), "{}", good.out);

    let (root, measurements) = (devnet.path("root.der"), devnet.path("measurements.json"));
    std::fs::copy(devnet.path("state/enclave/root.der"), &root).unwrap();
    std::fs::copy(devnet.path("state/enclave/measurements.json"), &measurements).unwrap();
    let (root, measurements) = (root.to_str().unwrap(), measurements.to_str().unwrap());
    let alone = ["verify", receipt, "--root", root, "--measurements", measurements];
    assert_eq!(devnet.ctl(&alone).await.code, 0);
    let late = ["verify", receipt, "--network", "{network}", "--at", "2036-01-01T00:00:00Z"];
    let late = devnet.ctl(&late).await;
    assert_eq!(late.code, 1, "{late:?}");
    assert!(late.err.contains("timestamp"), "an expired document: {}", late.err);

    // One bit in each of sixty places spread over the file.
    let bytes = std::fs::read(&file).unwrap();
    for place in (0..60).map(|n| n * (bytes.len() - 1) / 59) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        std::fs::write(&file, &changed).unwrap();
        let refused = devnet.ctl(&check).await;
        assert!(refused.code == 1 || refused.code == 3, "byte {place}: {refused:?}");
        assert!(!refused.err.is_empty(), "byte {place}");
    }
}

#[tokio::test]
async fn a_changed_output_fails_with_the_name_of_the_check() {
    let devnet = Devnet::start(&[]).await;
    let file = devnet.path("receipt.json");
    let receipt = file.to_str().unwrap();
    devnet.run_with("hello", "", &["--receipt", receipt]).await.result();
    let mut receipt_json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let output = receipt_json["response"]["output"].as_str().unwrap();
    let other = if output.starts_with('A') { "B" } else { "A" };
    receipt_json["response"]["output"] = format!("{other}{}", &output[1..]).into();
    std::fs::write(&file, receipt_json.to_string()).unwrap();
    let refused = devnet.ctl(&["verify", receipt, "--network", "{network}"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.out.contains("attestation: user data                 FAILED"),
        "{}",
        refused.out
    );
    assert!(refused.out.contains("document signature        not reached"), "{}", refused.out);
}

#[tokio::test]
async fn subscriptions_are_shown() {
    let devnet = Devnet::start(&[]).await;
    let shown = devnet.run_with("hello", "", &["--subscribe"]).await;
    let result = shown.result();
    let text = result.to_string();
    assert!(text.contains("cron-trigger@1.0.0") && text.contains("0 */5 * * * *"), "{text}");
}

#[tokio::test]
async fn calls_awaited_in_reverse_order_are_answered() {
    let devnet = Devnet::start(&[]).await;
    let result = devnet.run("parallel", "").await.result();
    assert!(!result.is_null());
}

#[tokio::test]
async fn a_workflow_that_misbehaves_ends_with_a_reason_and_the_enclave_goes_on() {
    let devnet = Devnet::start(&[]).await;
    for mode in ["panic", "hog", "recurse", "exit", "huge-log", "huge-result", "many-logs", "files"]
    {
        let ended = devnet.run("misbehave", &format!(r#"{{"mode": "{mode}"}}"#)).await;
        let good = ["huge-log", "many-logs", "files"].contains(&mode);
        assert_eq!(ended.code, if good { 0 } else { 5 }, "{mode}: {ended:?}");
        assert!(good || !ended.err.is_empty(), "{mode}: {ended:?}");
        assert_eq!(devnet.run("hello", "").await.code, 0, "after {mode}");
    }
}

#[tokio::test]
async fn an_error_of_the_workflow_is_a_verified_answer_with_its_own_exit_code() {
    let devnet = Devnet::start(&[]).await;
    let ended = devnet.run("misbehave", r#"{"mode": "no such mode"}"#).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    assert_eq!(ended.json()["verified"], true);
    assert!(format!("{}{}", ended.out, ended.err).contains("no such mode"), "{ended:?}");
}

#[tokio::test]
async fn what_is_no_workflow_is_refused_before_anything_is_sent() {
    let devnet = Devnet::start(&[]).await;
    let file = devnet.path("nothing.wasm");
    std::fs::write(&file, b"MZ this is no workflow").unwrap();
    let words = ["run", "--network", "{network}", file.to_str().unwrap()];
    let refused = devnet.ctl(&words).await;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("not a WebAssembly module"), "{}", refused.err);
    let words = ["run", "--network", "{network}", "/nonexistent/workflow.wasm"];
    assert_eq!(devnet.ctl(&words).await.code, 3);
}

#[tokio::test]
async fn secrets_are_listed_by_name_only() {
    let devnet = Devnet::start(&[]).await;
    devnet.put_secret().await;
    let listed = devnet.ctl(&["secret", "list", "--network", "{network}"]).await;
    assert_eq!(listed.code, 0, "{listed:?}");
    assert!(listed.out.contains("API_KEY") && !listed.out.contains(SECRET));
    let stored = std::fs::read_to_string(devnet.path("state/secrets.json")).unwrap();
    assert!(!stored.contains(SECRET));
}

#[tokio::test]
async fn many_runs_at_once_are_all_verified() {
    let devnet = Devnet::start(&[]).await;
    devnet.put_secret().await;
    let config = devnet.alerts();
    let runs = (0..8).map(|_| devnet.run("secret-and-capability", &config));
    for ended in futures_all(runs).await {
        assert_eq!(ended.result()["secret_arrived"], true);
    }
}

#[tokio::test]
async fn a_typescript_workflow_runs() {
    #[expect(clippy::disallowed_methods, reason = "names a folder outside the checkout")]
    let Some(folder) = std::env::var_os("TS_WORKFLOWS_DIR") else {
        vectors::skip("a_typescript_workflow_runs", "TS_WORKFLOWS_DIR names no folder");
        return;
    };
    let devnet = Devnet::start(&[]).await;
    let file = std::path::Path::new(&folder).join("ts-hello.wasm.br");
    let config = devnet.path("ts.config");
    std::fs::write(&config, r#"{"schedule":"*/30 * * * * *","name":"Ada"}"#).unwrap();
    let (file, config) = (file.to_str().unwrap(), config.to_str().unwrap());
    let words = ["run", "--network", "{network}", "--json", "--config", config, file];
    let ended = devnet.ctl(&words).await;
    assert_eq!(ended.json()["verified"], true, "{ended:?}");
}

#[tokio::test]
async fn a_tampered_binary_is_not_run() {
    let devnet = Devnet::start(&[]).await;
    // What the server will hand out under the name of another binary's hash.
    let honest = devnet.run("hello", "").await;
    honest.result();
    let folder = devnet.path("state/artifacts");
    let stored: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    let [file] = stored.as_slice() else { panic!("{stored:?}") };
    let tampered = devnet.path("state/tampered");
    std::fs::copy(file, &tampered).unwrap();
    let name = publishable("parallel");
    let target =
        folder.join(file.file_name().unwrap().to_str().unwrap().replace(
            file.file_stem().unwrap().to_str().unwrap().split('.').next().unwrap(),
            &name,
        ));
    std::fs::rename(tampered, target).unwrap();
    let refused = devnet.run("parallel", "").await;
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.err.contains("binary hash mismatch"), "{}", refused.err);
    assert_eq!(refused.json()["verified"], false);
    assert_eq!(refused.json().get("result"), None);
}

/// The name under which `run` publishes a workflow: the hash of its compressed bytes.
fn publishable(workflow: &str) -> String {
    use sha2::Digest as _;
    let wasm = std::fs::read(built(workflow)).unwrap();
    hex::encode(sha2::Sha256::digest(e2e::committee::compress(&wasm)))
}

async fn futures_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut done = Vec::new();
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        pending.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => {
                done.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}
