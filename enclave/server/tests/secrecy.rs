//! Nothing secret leaves: every answer and every log line of the server is searched for the bytes of
//! secrets, shares and keys.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

#[expect(dead_code, reason = "every test file uses a part of it")]
mod world;

use std::{
    io::Write,
    sync::{Arc, Mutex, OnceLock},
};

use crypto::tdh2::DecryptionShare;
use http::Method;
use protocol::{
    base64,
    compute::ComputeRequest,
    messages::sdk::{GetSecretsRequest, SecretRequest},
};
use rand_core::OsRng;
use world::{World, guest, wire};

const SECRET: &[u8] = b"correct horse battery staple";

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Listens to everything that this program logs, on whatever thread.
fn listen() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log
    })
}

/// The forms in which bytes could leave: as they are, in hexadecimal digits, in base64 at each of
/// three alignments.
fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![
        bytes.to_vec(),
        hex::encode(bytes).into_bytes(),
        hex::encode_upper(bytes).into_bytes(),
    ];
    for skip in 0..3 {
        let aligned = &bytes[skip..skip + (bytes.len() - skip) / 3 * 3];
        forms.push(base64::encode(aligned).into_bytes());
    }
    forms
}

fn assert_absent(text: &[u8], secrets: &[Vec<u8>], of: &str) {
    for secret in secrets {
        for form in forms(secret) {
            let found = text.windows(form.len()).any(|window| window == form);
            assert!(!found, "{of} holds {}", String::from_utf8_lossy(&form));
        }
    }
}

/// One world, all of its answers, everything in it that must stay inside.
struct Search {
    world: World,
    answers: Vec<(String, Vec<u8>)>,
    secrets: Vec<Vec<u8>>,
}

impl Search {
    async fn send(&mut self, what: &str, request: &ComputeRequest) -> u16 {
        let reply = self.world.send(&self.world.committee.sign(request, &[0, 1])).await;
        self.answers.push((what.to_owned(), reply.body.to_vec()));
        reply.status.as_u16()
    }

    /// A request that brings a secret with these shares.
    async fn bringing(&mut self, id: &str, shares: Vec<Vec<u8>>, of: &[u8]) -> ComputeRequest {
        let execution = self.world.publish(&guest::wat(guest::SAY_HI), "", id);
        let mut request = ComputeRequest::for_execution(&execution, &self.world.key().await);
        request.ciphertexts = Some(vec![wire(of)]);
        request.ciphertext_names = Some(vec!["A".to_owned()]);
        let shares = shares.iter().map(|share| wire(share)).collect();
        request.encrypted_decryption_key_shares = Some(vec![Some(shares)]);
        request
    }
}

#[tokio::test]
async fn w01_no_answer_and_no_log_line_holds_a_secret_a_share_or_a_key() {
    let log = listen();
    let world = World::ready().await;
    let (mine, other) =
        (world.committee.encrypt(SECRET), world.committee.encrypt(b"something else"));
    let plain = |party: usize, of| {
        DecryptionShare::create(&world.committee.parties()[party], of, &mut OsRng).to_json()
    };
    // Shares of one secret, handed in for another: what the reference prints when it refuses them.
    let stolen: Vec<Vec<u8>> = (0..3).map(|party| plain(party, &mine).expose().to_vec()).collect();
    let key = world.key().await;
    let seal = |share: &Vec<u8>| key.seal(share, &mut OsRng).unwrap();
    let sealed: Vec<Vec<u8>> = stolen.iter().map(seal).collect();
    let master: Vec<Vec<u8>> =
        world.committee.parties().iter().map(|party| party.to_json().expose().to_vec()).collect();
    let mut secrets = vec![SECRET.to_vec()];
    // The parts of a share that identify it: point and proof, not the JSON around them.
    secrets.extend(stolen.iter().map(|share| share[30..200].to_vec()));
    secrets.extend(master.iter().map(|share| share[share.len() - 45..share.len() - 3].to_vec()));
    world.relays.keep("main", "A", mine.clone());
    let mut search = Search { world, answers: Vec::new(), secrets };

    let request = search.bringing("e1", sealed.clone(), other.as_bytes()).await;
    assert_eq!(search.send("shares of another secret", &request).await, 500);
    let request = search.bringing("e2", sealed, mine.as_bytes()).await;
    assert_eq!(search.send("good shares", &request).await, 200);
    let request = search.bringing("e3", vec![vec![7; 300]; 3], mine.as_bytes()).await;
    assert_eq!(search.send("rubbish", &request).await, 500);
    let asked = SecretRequest { id: "A".to_owned(), namespace: String::new() };
    let missing = SecretRequest { id: "B".to_owned(), namespace: String::new() };
    let requests = vec![asked, missing];
    let guest = guest::asking(&GetSecretsRequest { requests, callback_id: 0 });
    let execution = search.world.publish(&guest, "", "e4");
    let reply = search.world.execute(&execution).await;
    // The workflow answers what it heard, so the secret is in its output, and nowhere else.
    let mut answer = reply.value();
    assert!(base64_holds(answer["output"].as_str().unwrap(), SECRET));
    answer["output"] = "".into();
    search.answers.push(("secrets".to_owned(), answer.to_string().into_bytes()));
    for path in ["/publicKeys", "/memory", "/results/00"] {
        let reply = search.world.ask(Method::GET, path, "").await;
        search.answers.push((path.to_owned(), reply.body.to_vec()));
    }
    for (what, body) in &search.answers {
        assert_absent(body, &search.secrets, what);
    }
    let log = log.0.lock().unwrap().clone();
    assert!(!log.is_empty(), "the log was listened to");
    assert_absent(&log, &search.secrets, "the log");
}

fn base64_holds(text: &str, bytes: &[u8]) -> bool {
    let decoded = base64::decode(text).unwrap();
    decoded.windows(bytes.len()).any(|window| window == bytes)
}

#[tokio::test]
async fn w05_no_answer_no_event_and_no_log_line_holds_the_query_of_a_url() {
    let log = listen();
    let world = World::ready().await;
    let mut execution = world.publish(&guest::wat(guest::SAY_HI), "", "e1");
    execution.binary_url = "https://10.0.0.1/artifacts?signature=abcdef123456".to_owned();
    let reply = world.execute(&execution).await;
    assert_eq!(reply.status, 502);
    assert!(reply.error().contains("https://10.0.0.1 is not allowed"), "{}", reply.error());
    assert!(!reply.text().contains("abcdef123456"));
    let log = log.0.lock().unwrap().clone();
    assert_absent(&log, &[b"abcdef123456".to_vec()], "the log");
}
