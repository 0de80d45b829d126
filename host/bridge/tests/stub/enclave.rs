//! The API of section 2, with answers that can be planned.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{
    AttestationRequest, Attestor as _, TrustRoot, UserData,
    statement::{AnswerStatement, Statement, TelemetryHash},
};
use axum::{Router, body::to_bytes, extract::Request, response::Response};
use bytes::Bytes;
use crypto::seal::EphemeralKey;
use http::{HeaderMap, Method, StatusCode};
use protocol::{
    answer::{ConfigRequest, ExecuteResponse, MetricEvent, PublicKeyResponse, SetConfigResponse},
    clock::Clock,
    compute::{Batch, ComputeRequest},
    config::{EnclaveConfig, set_config_user_data},
    ids::UserDataHash,
    json,
    time::Rfc3339,
};
use testkit::{chain::TestRoot, nsm::MockNsm};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transport::{
    BoxFuture, BoxStream, Dial, DialError, Endpoint,
    http::{ServerLimits, serve},
    memory::{self, MemoryDialer},
};

use super::{answer, image, plain};

/// The wall clock of these tests: it goes with tokio's.
#[derive(Clone, Copy)]
pub struct TestClock(Instant);

impl TestClock {
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.0.elapsed()
    }
}

/// An enclave that can be stopped, restarted and told what to answer.
#[derive(Clone)]
pub struct Stub(Arc<Inner>);

struct Inner {
    clock: TestClock,
    nsm: MockNsm,
    state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    pub config: Option<EnclaveConfig>,
    pub settings: Option<Bytes>,
    pub batches: Vec<Batch>,
    /// Calls but the watch's, as `METHOD path`.
    pub calls: Vec<String>,
    /// Challenges of batches, in hexadecimal digits.
    pub nonces: Vec<Option<String>>,
    /// Whether documents state which start of the enclave they are of.
    pub states: bool,
    /// Which start that is.
    pub boot: u8,
    /// Answers to the next calls but the watch's, instead of the usual ones.
    pub next: VecDeque<(StatusCode, HeaderMap, Bytes)>,
    /// How long an execution takes, and handing over settings.
    pub delay: Duration,
    key: u8,
    dialer: Option<MemoryDialer>,
    server: Option<CancellationToken>,
}

impl Stub {
    pub fn start(clock: TestClock) -> Self {
        let root = TestRoot::generate(clock.now()).unwrap();
        let now = Arc::new(move || clock.now());
        let nsm = MockNsm::new(root, &image(), now);
        let stub = Self(Arc::new(Inner { clock, nsm, state: Mutex::default() }));
        stub.restart();
        stub
    }

    pub fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    pub fn root(&self) -> TrustRoot {
        self.0.nsm.root().trust().unwrap()
    }

    /// Nobody listens any more, and connections end.
    pub fn stop(&self) {
        let mut state = self.state();
        state.dialer = None;
        if let Some(server) = state.server.take() {
            server.cancel();
        }
    }

    /// A new enclave: no configuration, no settings, another key.
    pub fn restart(&self) {
        self.stop();
        let mut state = self.state();
        state.config = None;
        state.settings = None;
        state.key += 1;
        state.boot += 1;
        let (dialer, listener) = memory::pair();
        let stop = CancellationToken::new();
        state.dialer = Some(dialer);
        state.server = Some(stop.clone());
        let stub = self.clone();
        let router = Router::new().fallback(move |request| {
            let stub = stub.clone();
            async move { stub.answer(request).await }
        });
        tokio::spawn(serve(Box::new(listener), router, SERVER, stop));
    }

    /// Another key, and nothing else.
    pub fn rotate(&self) {
        self.state().key += 100;
    }

    pub fn document(&self, user_data: UserDataHash) -> Vec<u8> {
        self.document_with(user_data, None, None)
    }

    /// A document with a statement, if the enclave makes them, and for a challenge.
    pub fn document_with(
        &self,
        user_data: UserDataHash,
        answer: Option<AnswerStatement>,
        nonce: Option<&str>,
    ) -> Vec<u8> {
        let mut said = AttestationRequest::from(UserData::from(*user_data.as_bytes()));
        if self.state().states {
            let statement = self.statement(answer).encode();
            said = said.with_public_key(&statement).unwrap();
        }
        if let Some(nonce) = nonce {
            said = said.with_nonce(&vectors::model::hex(nonce)).unwrap();
        }
        self.0.nsm.attest(&said).unwrap()
    }

    /// A document with this public key.
    pub fn document_of(&self, user_data: UserDataHash, public_key: &[u8]) -> Vec<u8> {
        let said = AttestationRequest::from(UserData::from(*user_data.as_bytes()));
        self.0.nsm.attest(&said.with_public_key(public_key).unwrap()).unwrap()
    }

    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// What the enclave states about itself: the start it is of, and its configuration.
    pub fn statement(&self, answer: Option<AnswerStatement>) -> Statement {
        let state = self.state();
        Statement {
            boot_id: [state.boot; 16],
            config_hash: *state.config.clone().unwrap_or_default().hash().as_bytes(),
            config_epoch: 0,
            settings_hash: None,
            hpke_public_key: None,
            answer,
        }
    }

    pub fn key(&self) -> EphemeralKey {
        EphemeralKey::from_bytes(&[self.state().key; 32])
    }

    /// The answer to `/publicKeys`.
    pub fn public_keys(&self) -> PublicKeyResponse {
        self.public_keys_for(None)
    }

    fn public_keys_for(&self, nonce: Option<&str>) -> PublicKeyResponse {
        let config = self.state().config.clone().unwrap_or_default();
        let created: Rfc3339 = "2027-01-15T08:00:00Z".parse().unwrap();
        let mut response = PublicKeyResponse {
            public_keys: Some(vec![self.key().public().as_bytes().as_slice().into()]),
            creation_times: Some(vec![created]),
            ttls: Some(vec![86_400_000_000_000]),
            config: config.with_empty_for_nil(),
            attestation: json::Bytes::nil(),
        };
        response.attestation = self.document_with(response.user_data(), None, nonce).into();
        response
    }

    /// The answer to a batch.
    pub fn executed(&self, request: &ComputeRequest) -> ExecuteResponse {
        self.executed_for(request, None)
    }

    pub fn executed_for(&self, request: &ComputeRequest, nonce: Option<&str>) -> ExecuteResponse {
        let config = self.state().config.clone().unwrap_or_default();
        let mut response = ExecuteResponse {
            request_id: request.request_id,
            application_request_id: request.application_request_id.clone(),
            request_hash: request.hash(),
            output: b"output".as_slice().into(),
            config: config.with_empty_for_nil(),
            ..ExecuteResponse::default()
        };
        let event = |name: &str| MetricEvent { event: name.to_owned(), details: None };
        let mut telemetry = TelemetryHash::new();
        telemetry.add(&json::to_vec(&event("covered")));
        response.metric_events = Some(vec![event("covered"), event("later")]);
        let answer = AnswerStatement {
            shares_hash: None,
            telemetry_hash: telemetry.value(),
            application_request_id: request.application_request_id.as_str().into(),
            request_version: request.version.as_str().into(),
        };
        let user_data = response.user_data(&request.version);
        response.attestation = self.document_with(user_data, Some(answer), nonce).into();
        response
    }

    async fn answer(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let (method, path) = (head.method, head.uri.to_string());
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let is_watch = path == "/publicKeys";
        let planned = if is_watch {
            None
        } else {
            let mut state = self.state();
            state.calls.push(format!("{method} {path}"));
            state.next.pop_front()
        };
        let nonce = head.headers.get("x-attestation-nonce");
        let nonce = nonce.map(|nonce| nonce.to_str().unwrap());
        let usual = self.usual(&method, &path, nonce, &body).await;
        let (status, headers, body) = planned.unwrap_or(usual);
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    async fn usual(
        &self,
        method: &Method,
        path: &str,
        nonce: Option<&str>,
        body: &[u8],
    ) -> (StatusCode, HeaderMap, Bytes) {
        match (method, path) {
            (&Method::GET, path) if path.starts_with("/publicKeys") => {
                if self.state().config.is_none() {
                    return plain(503, "enclave config not set\n");
                }
                let nonce = path.split_once("nonce=").map(|(_before, nonce)| nonce);
                answer(&self.public_keys_for(nonce))
            }
            (&Method::POST, "/config") => self.set_config(body),
            (&Method::POST, "/settings") => {
                self.state().settings = Some(Bytes::copy_from_slice(body));
                let delay = self.state().delay;
                tokio::time::sleep(delay).await;
                (StatusCode::NO_CONTENT, HeaderMap::new(), Bytes::new())
            }
            (&Method::POST, "/requests") => {
                let batch: Batch = json::from_slice(body).unwrap();
                let request = batch[0].request.clone();
                self.state().batches.push(batch);
                self.state().nonces.push(nonce.map(str::to_owned));
                let delay = self.state().delay;
                tokio::time::sleep(delay).await;
                answer(&self.executed_for(&request, nonce))
            }
            _ => plain(404, "404 page not found\n"),
        }
    }

    fn set_config(&self, body: &[u8]) -> (StatusCode, HeaderMap, Bytes) {
        let Ok(request) = json::from_slice::<ConfigRequest>(body) else {
            return plain(400, "failed to parse config request: no\n");
        };
        let Ok(config) = json::from_slice::<EnclaveConfig>(request.config.as_slice()) else {
            return plain(400, "failed to parse new config: no\n");
        };
        if self.state().config.is_some() {
            return plain(409, "config has already been set and cannot be changed\n");
        }
        self.state().config = Some(config.clone());
        let attestation = self.document(set_config_user_data(config.hash())).into();
        answer(&SetConfigResponse { config, attestation })
    }
}

impl std::fmt::Debug for Stub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stub")
    }
}

impl Dial for Stub {
    fn endpoint(&self) -> Endpoint {
        Endpoint::Memory
    }

    fn dial(&self) -> BoxFuture<'_, Result<BoxStream, DialError>> {
        Box::pin(async {
            let dialer = self.state().dialer.clone();
            match dialer {
                Some(dialer) => dialer.dial().await,
                None => Err(DialError::Refused { endpoint: Endpoint::Memory }),
            }
        })
    }
}

const SERVER: ServerLimits = ServerLimits {
    connections: 64,
    head_bytes: 16 * 1024,
    head_timeout: Duration::from_secs(30),
    write_stall: Duration::from_secs(30),
    drain: Duration::ZERO,
};
