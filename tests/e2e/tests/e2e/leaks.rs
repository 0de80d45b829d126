//! No answer, log or output of a whole run holds a secret, a share or a key.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use crypto::tdh2::{Ciphertext, DecryptionShare, MasterPublicKey, PrivateShare};
use serde_json::Value;

use e2e::{
    committee::{client, reply, request, sign, to_bridge, to_enclave},
    devnet::{Devnet, SECRET},
    proxy::Proxy,
};

/// Bytes that nobody outside the enclave or its owner may see, and what they are.
struct Forbidden(Vec<(String, Vec<u8>)>);

impl Forbidden {
    fn new(devnet: &Devnet) -> Self {
        let mut forbidden = Self(Vec::new());
        forbidden.add("the secret", SECRET.as_bytes());
        let key = std::fs::read(devnet.path("keys/master-public-key.json")).unwrap();
        let key = MasterPublicKey::parse(&key).unwrap();
        let stored = std::fs::read(devnet.path("state/secrets.json")).unwrap();
        let ciphertext = Ciphertext::parse(&ciphertext(&stored), &key).unwrap();
        for number in 1..=4 {
            let text = std::fs::read(devnet.path(&format!("keys/relay-{number}.share"))).unwrap();
            let share: Value = serde_json::from_slice(&text).unwrap();
            let scalar = BASE64_STANDARD.decode(share["V"].as_str().unwrap()).unwrap();
            forbidden.add("a vault member's private share", &scalar);
            // A decryption share differs each time but for its point: x times U.
            let private = PrivateShare::parse(&text).unwrap();
            let rng = &mut rand_core::OsRng;
            let opened = DecryptionShare::create(&private, &ciphertext, rng).to_json();
            let opened: Value = serde_json::from_slice(opened.expose()).unwrap();
            let point = BASE64_STANDARD.decode(opened["U_i"].as_str().unwrap()).unwrap();
            forbidden.add("an opened decryption share", &point);
            let seed = std::fs::read_to_string(devnet.path(&format!("keys/relay-{number}.key")));
            forbidden.add("a member's seed", &hex::decode(seed.unwrap().trim()).unwrap());
        }
        forbidden
    }

    fn add(&mut self, what: &str, bytes: &[u8]) {
        let hexadecimal = hex::encode(bytes);
        let mut forms = vec![bytes.to_vec(), hexadecimal.to_uppercase().into(), hexadecimal.into()];
        // Base64 has three phases; the digits that do not depend on what stands before or after.
        for phase in 0..3 {
            let mut padded = vec![0; phase];
            padded.extend(bytes);
            let text = BASE64_STANDARD.encode(&padded);
            let start = [0, 2, 3][phase];
            let end = text.len() - [0, 4, 4][padded.len() % 3];
            forms.push(text.as_bytes()[start..end].to_vec());
        }
        self.0.extend(forms.into_iter().map(|form| (what.to_owned(), form)));
    }

    fn scan(&self, place: &str, bytes: &[u8]) {
        for (what, form) in &self.0 {
            let found = bytes.windows(form.len()).any(|window| window == form);
            assert!(!found, "{what} stands in {place}");
        }
    }
}

fn ciphertext(store: &[u8]) -> Vec<u8> {
    // The one secret of the store, wherever it stands in the file.
    fn find(value: &Value) -> Option<Vec<u8>> {
        match value {
            Value::Array(all) => all.iter().find_map(find),
            Value::Object(all) => all.values().find_map(find),
            Value::String(text) => {
                let bytes = hex::decode(text).ok().or_else(|| BASE64_STANDARD.decode(text).ok())?;
                bytes.starts_with(b"{\"TDH2Ctxt\"").then_some(bytes)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        }
    }
    find(&serde_json::from_slice(store).unwrap()).expect("a ciphertext")
}

#[tokio::test]
async fn nothing_that_leaves_a_process_holds_a_secret_or_a_share() {
    let proxy = Proxy::listen().await;
    let arguments = [
        "--gateway-through",
        &proxy.address.to_string(),
        "--log",
        "trace",
        "--fault",
        "relay-2=lie",
    ];
    let devnet = Devnet::start(&arguments).await;
    proxy.forward_to(&devnet.address("gateway"));
    devnet.put_secret().await;
    let forbidden = Forbidden::new(&devnet);

    // A good run, a run that fails, and what the tools print.
    let config = devnet.alerts();
    let good = devnet.run("secret-and-capability", &config).await;
    assert_eq!(good.result()["secret_arrived"], true);
    let bad = devnet.run("misbehave", r#"{"mode": "unknown-secret"}"#).await;
    assert_ne!(bad.code, 0);
    let listed = devnet.ctl(&["secret", "list", "--network", "{network}"]).await;
    for ended in [good, bad, listed] {
        forbidden.scan("standard output", ended.out.as_bytes());
        forbidden.scan("standard error", ended.err.as_bytes());
    }

    // The answers of the enclave and the bridge, good ones and refusals, as they came.
    let asked = request(&devnet, "secret-and-capability", &config).await;
    let signed = sign(&devnet, &asked, 3);
    let mut answers = vec![
        ("the enclave's answer", to_enclave(&devnet, &signed).await),
        ("the enclave's refusal", to_enclave(&devnet, &signed).await),
        ("the enclave's refusal", to_enclave(&devnet, &signed[..1]).await),
        ("the bridge's answer", to_bridge(&devnet, &signed[0]).await),
    ];
    assert_eq!(answers[0].1.status, 200, "{}", answers[0].1.text());
    let client = client();
    for (role, path) in [
        ("enclave", "publicKeys"),
        ("bridge", "publicKeys"),
        ("bridge", "status"),
        ("operator", "status"),
        ("vault", "secrets"),
        ("gateway", "health"),
        ("workflows", "artifacts"),
    ] {
        let url = format!("http://{}/{path}", devnet.address(role));
        answers.push((path, reply(client.get(url)).await));
    }
    for (place, answer) in &answers {
        forbidden.scan(place, &answer.body);
    }
    let relayed = proxy.answered();
    assert!(relayed.len() >= 4, "secrets and capabilities of two runs");
    for answer in &relayed {
        forbidden.scan("a relay answer", answer);
    }

    let logs: Vec<_> = std::fs::read_dir(devnet.path("logs")).unwrap().collect();
    assert_eq!(logs.len(), 10);
    for log in logs {
        let path = log.unwrap().path();
        forbidden.scan(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
    forbidden.scan("what the devnet printed", devnet.printed.join("\n").as_bytes());
}
