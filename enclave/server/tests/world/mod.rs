//! An enclave in process, with everything around it: a host, storage, a gateway with relay nodes
//! behind it, a committee that signs. The enclave is the release's own but for the device that signs
//! its documents, and the documents are verified as a node would.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use attestation::{
    Attestor, Measurements, Nonce, Pcr, Policy, TrustRoot, UserData, statement::Statement,
};
use bytes::Bytes;
use crypto::{
    seal::EphemeralPublicKey,
    sign::{Domain, SigningKey},
    tdh2::{Ciphertext, Deal, DecryptionShare, Label, PrivateShare, Threshold, deal, encrypt},
};
use enclave_server::{Config, Destination, EgressPolicy, Setup, app::App, run, run_app};
use enclave_workflow::BinaryHash;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use protocol::{
    answer::{ConfigRequest, ExecuteResponse, PublicKeyResponse, UpdateConfigRequest},
    base64,
    clock::Clock,
    compute::{ComputeRequest, SignedComputeRequest},
    config::EnclaveConfig,
    ids::UserDataHash,
    json::{self, Bytes as WireBytes},
    messages::{
        self,
        confidential_workflow::WorkflowExecution,
        sdk::{ExecuteRequest, ExecutionResult, Phase, Trigger},
    },
};
use rand_core::{CryptoRngCore, OsRng};
use testkit::{chain::TestRoot, nsm::MockNsm};
use tokio_util::sync::CancellationToken;
use transport::{
    Dial as _,
    http::{ClientLimits, Connection},
    memory::{self, MemoryDialer},
};

pub(crate) mod bridge;
pub(crate) mod echo;
pub(crate) mod guest;
pub(crate) mod relays;

use bridge::Bridge;
use relays::Relays;

/// One enclave and its surroundings.
pub(crate) struct World {
    pub(crate) server: MemoryDialer,
    pub(crate) bridge: Bridge,
    pub(crate) committee: Committee,
    pub(crate) relays: Arc<Relays>,
    pub(crate) clock: TestClock,
    pub(crate) trust: Trust,
    pub(crate) shutdown: CancellationToken,
    pub(crate) binaries: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// What is special about a world.
pub(crate) struct Special {
    pub(crate) app: Option<Arc<dyn App>>,
    pub(crate) attestor: Option<Arc<dyn Attestor>>,
    pub(crate) config: Config,
    pub(crate) randomness: Box<dyn CryptoRngCore + Send>,
    pub(crate) start: SystemTime,
    pub(crate) committee: Option<Committee>,
}

impl Default for Special {
    fn default() -> Self {
        Self {
            app: None,
            attestor: None,
            config: Config::default(),
            randomness: Box::new(OsRng),
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            committee: None,
        }
    }
}

/// Four nodes, F = 1, and their vault: four parties, T = 2.
pub(crate) struct Committee {
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) deal: Deal,
}

/// Whom verifiers believe.
pub(crate) struct Trust {
    root: TrustRoot,
    measurements: Measurements,
}

/// A clock that a test sets; the device and the server share it.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<Mutex<SystemTime>>);

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(by).unwrap();
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

impl Committee {
    pub(crate) fn new() -> Self {
        let keys = (1..=4).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
        Self { keys, deal: deal(Threshold::new(2).unwrap(), 4, &mut OsRng).unwrap() }
    }

    pub(crate) fn config(&self) -> EnclaveConfig {
        let signers = self.keys.iter().map(|key| key.public().as_bytes().as_slice().into());
        EnclaveConfig {
            signers: Some(signers.collect()),
            master_public_key: self.deal.public_key.as_bytes().into(),
            t: 2,
            f: 1,
        }
    }

    /// What the vault's parties hold.
    pub(crate) fn parties(&self) -> Vec<PrivateShare> {
        let copy = |share: &PrivateShare| PrivateShare::parse(share.to_json().expose()).unwrap();
        self.deal.shares.iter().map(copy).collect()
    }

    /// The request, signed by the members at these positions.
    pub(crate) fn sign(&self, request: &ComputeRequest, by: &[usize]) -> Vec<SignedComputeRequest> {
        by.iter().map(|index| request.clone().sign(&self.keys[*index])).collect()
    }

    pub(crate) fn encrypt(&self, secret: &[u8]) -> Ciphertext {
        encrypt(&self.deal.public_key, Label::NONE, secret, &mut OsRng).unwrap()
    }

    /// One party's share of a ciphertext, sealed.
    pub(crate) fn share(&self, party: usize, of: &Ciphertext, to: &EphemeralPublicKey) -> Vec<u8> {
        let share = DecryptionShare::create(&self.deal.shares[party], of, &mut OsRng);
        to.seal(share.to_json().expose(), &mut OsRng).unwrap()
    }
}

impl World {
    /// An enclave as it starts: without configuration, without settings.
    pub(crate) async fn new() -> Self {
        Self::special(Special::default()).await
    }

    /// An enclave that is ready for requests.
    pub(crate) async fn ready() -> Self {
        let world = Self::new().await;
        world.configure().await;
        world.settings("").await;
        world
    }

    pub(crate) async fn special(special: Special) -> Self {
        let Special { app, attestor, config, randomness, start, committee } = special;
        let clock = TestClock(Arc::new(Mutex::new(start)));
        let root = TestRoot::generate(start).unwrap();
        let pcr = |byte| Pcr::from([byte; 48]);
        let measurements = Measurements::new(pcr(1), pcr(2), pcr(3)).unwrap();
        let trust = Trust { root: root.trust().unwrap(), measurements: measurements.clone() };
        let now = clock.clone();
        let nsm = MockNsm::new(root, &measurements, Arc::new(move || now.now()));
        let committee = committee.unwrap_or_else(Committee::new);
        let relays = Arc::new(Relays::new(&committee, &trust, clock.clone()));
        let binaries = Arc::new(Mutex::new(Vec::new()));
        let bridge = surroundings(Arc::clone(&relays), Arc::clone(&binaries));
        let (server, listener) = memory::pair();
        let allowed = Destination { host: "echo.test".to_owned(), port: 80 };
        let setup = Setup {
            config,
            listener: Box::new(listener),
            bridge: Arc::new(bridge.dialer.clone()),
            attestor: attestor.unwrap_or_else(|| Arc::new(nsm)),
            clock: Arc::new(clock.clone()),
            randomness,
            egress: EgressPolicy::dangerous_with_test_allowances(vec![allowed], Vec::new()),
        };
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        tokio::spawn(async move {
            match app {
                None => run(setup, stop).await.unwrap(),
                Some(app) => run_app(setup, app, stop).await.unwrap(),
            }
        });
        Self { server, bridge, committee, relays, clock, trust, shutdown, binaries }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Reply {
        self.ask_with(method, path, &[], body).await
    }

    pub(crate) async fn ask_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "enclave");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let limits = ClientLimits {
            head_bytes: 64 * 1024,
            body_bytes: 64 * 1024 * 1024,
            timeout: Duration::from_secs(900),
        };
        let stream = self.server.dial().await.unwrap();
        let mut connection = Connection::open(stream, &limits).await.unwrap();
        let response = connection.send(request, &limits).await.unwrap();
        let (head, body) = response.into_parts();
        Reply { status: head.status, headers: head.headers, body }
    }

    /// Sets the committee's configuration.
    pub(crate) async fn configure(&self) {
        let reply = self.ask(Method::POST, "/config", set_config(&self.committee.config())).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    /// Sets settings, with more members in JSON.
    pub(crate) async fn settings(&self, more: &str) {
        let body = settings(more);
        let reply = self.ask(Method::POST, "/settings", body).await;
        assert_eq!(reply.status, 204, "{}", reply.text());
    }

    /// The enclave's newest key.
    pub(crate) async fn key(&self) -> EphemeralPublicKey {
        let reply = self.ask(Method::GET, "/publicKeys", "").await;
        let keys: PublicKeyResponse = json::from_slice(reply.body.trim_ascii_end()).unwrap();
        let keys = keys.public_keys.unwrap();
        EphemeralPublicKey::from_slice(keys.last().unwrap().as_slice()).unwrap()
    }

    /// Publishes a binary and gives the execution that triggers its first handler.
    pub(crate) fn publish(&self, binary: &[u8], config: &str, id: &str) -> WorkflowExecution {
        let hash = BinaryHash::of(binary).0.to_vec();
        let url = format!("http://storage.test/artifacts/{}/binary.wasm", hex::encode(&hash));
        self.binaries.lock().unwrap().push(binary.to_vec());
        let trigger = Trigger { id: 0, payload: Some(cron()) };
        let request = ExecuteRequest {
            config: config.as_bytes().to_vec(),
            request: Some(Phase::Trigger(trigger)),
            ..ExecuteRequest::default()
        };
        WorkflowExecution {
            workflow_id: "77".repeat(32),
            owner: OWNER.to_owned(),
            execution_id: id.to_owned(),
            binary_url: url,
            binary_hash: hash,
            sdk_execute_request: Some(request),
            ..WorkflowExecution::default()
        }
    }

    /// Has an execution signed by three members and sends it.
    pub(crate) async fn execute(&self, execution: &WorkflowExecution) -> Reply {
        let request = ComputeRequest::for_execution(execution, &self.key().await);
        self.send(&self.committee.sign(&request, &[0, 1, 2])).await
    }

    pub(crate) async fn send(&self, batch: &[SignedComputeRequest]) -> Reply {
        self.ask(Method::POST, "/requests", json::to_vec(&batch.to_vec())).await
    }

    /// Verifies a document as a node does, and gives its statement.
    pub(crate) fn verify(
        &self,
        document: &[u8],
        user_data: UserDataHash,
        nonce: Nonce,
    ) -> Statement {
        self.trust.verify(document, user_data, nonce, self.clock.now())
    }
}

impl Trust {
    pub(crate) fn verify(
        &self,
        document: &[u8],
        user_data: UserDataHash,
        nonce: Nonce,
        now: SystemTime,
    ) -> Statement {
        let user_data = UserData::from(*user_data.as_bytes());
        let policy = Policy::new(self.root.clone(), self.measurements.clone(), user_data, nonce);
        let verified = attestation::verify(document, &policy, now).unwrap();
        verified.statement().unwrap().unwrap()
    }

    pub(crate) fn parts(&self) -> (TrustRoot, Measurements) {
        (self.root.clone(), self.measurements.clone())
    }
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn value(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The member `error`.
    pub(crate) fn error(&self) -> String {
        self.value()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// The names of the events, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        let value = self.value();
        let events = value["metricEvents"].as_array().cloned().unwrap_or_default();
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }

    /// The details of the first event of this name.
    pub(crate) fn event(&self, name: &str) -> serde_json::Value {
        let value = self.value();
        let events = value["metricEvents"].as_array().unwrap().clone();
        let found = events.into_iter().find(|event| event["event"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {:?}", self.events()))["details"].clone()
    }

    /// The answer of an execution.
    pub(crate) fn answer(&self) -> ExecuteResponse {
        assert_eq!(self.status, 200, "{}", self.text());
        json::from_slice(&self.body).unwrap()
    }

    /// What the workflow answered.
    pub(crate) fn result(&self) -> ExecutionResult {
        use messages::confidential_workflow::ConfidentialWorkflowResponse;
        let response: ConfidentialWorkflowResponse =
            messages::decode(self.answer().output.as_slice()).unwrap();
        response.sdk_execution_result.unwrap()
    }
}

pub(crate) fn set_config(config: &EnclaveConfig) -> Vec<u8> {
    json::to_vec(&ConfigRequest { config: json::to_vec(config).into() })
}

pub(crate) fn vote(config: &EnclaveConfig, key: &SigningKey) -> Vec<u8> {
    let signature = key.sign(Domain::ConfigVote, config.hash().as_bytes());
    let signature = signature.as_bytes().as_slice().into();
    json::to_vec(&UpdateConfigRequest { config: json::to_vec(config).into(), signature })
}

pub(crate) fn settings(more: &str) -> String {
    let key = "01".repeat(32);
    format!(
        r#"{{"storageKey":"{key}","storageServiceUrl":"storage.test:80","gatewayUrl":"http://gateway.test/"{more}}}"#
    )
}

/// A workflow that was built, or `None` and a word about it.
pub(crate) fn built(name: &str) -> Option<Vec<u8>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/workflows/built/");
    let binary = std::fs::read(format!("{path}{name}.wasm")).ok();
    if binary.is_none() {
        vectors::skip(name, "tests/workflows is not built");
    }
    binary
}

/// The owner of every workflow here.
pub(crate) const OWNER: &str = "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";

fn cron() -> messages::well_known::Any {
    messages::pack(&messages::cron::Payload::default())
}

/// Polls all of them until each is done.
pub(crate) async fn join_all<T, F: Future<Output = T>>(
    futures: impl IntoIterator<Item = F>,
) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in &mut running {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if running.iter().all(|(_future, done)| done.is_some()) {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
    running.into_iter().filter_map(|(_future, done)| done).collect()
}

/// Lets time pass in which nothing but timers happens.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::sleep(time).await;
    tokio::time::resume();
}

/// Storage, gateway and echo behind one bridge, told apart by the host they are asked as.
fn surroundings(relays: Arc<Relays>, binaries: Arc<Mutex<Vec<Vec<u8>>>>) -> Bridge {
    Bridge::serving(move |request: Request<Bytes>| {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        match host.as_str() {
            "gateway.test" => relays.answer(request.body()),
            "echo.test" => Response::new(echo(&request)),
            "storage.test" => {
                let path = request.uri().path().to_owned();
                let binaries = binaries.lock().unwrap();
                let of = |binary: &&Vec<u8>| path.contains(&hex::encode(BinaryHash::of(binary).0));
                match binaries.iter().find(of) {
                    Some(binary) => Response::new(base64::encode(binary).into()),
                    None => Response::builder().status(404).body(Bytes::new()).unwrap(),
                }
            }
            other => panic!("nobody is {other}"),
        }
    })
}

/// Answers the SHA-256 of every header's value, and the body.
fn echo(request: &Request<Bytes>) -> Bytes {
    let mut text = Vec::new();
    for (name, value) in request.headers() {
        // A binary's hash is a plain SHA-256.
        let digest = hex::encode(BinaryHash::of(value.as_bytes()).0);
        text.extend_from_slice(format!("{name}: {digest}\n").as_bytes());
    }
    text.extend_from_slice(request.body());
    text.into()
}

/// A byte string of the wire.
pub(crate) fn wire(bytes: &[u8]) -> WireBytes {
    bytes.into()
}
