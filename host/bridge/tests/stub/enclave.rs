//! The API of section 2, with answers that can be planned.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{AttestationRequest, Attestor as _, TrustRoot, UserData};
use axum::{Router, body::to_bytes, extract::Request, response::Response};
use bytes::Bytes;
use crypto::seal::EphemeralKey;
use http::{HeaderMap, Method, StatusCode};
use protocol::{
    answer::{ConfigRequest, ExecuteResponse, PublicKeyResponse, SetConfigResponse},
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

    pub fn document(&self, user_data: UserDataHash) -> Vec<u8> {
        let said = AttestationRequest::from(UserData::from(*user_data.as_bytes()));
        self.0.nsm.attest(&said).unwrap()
    }

    pub fn key(&self) -> EphemeralKey {
        EphemeralKey::from_bytes(&[self.state().key; 32])
    }

    /// The answer to `/publicKeys`.
    pub fn public_keys(&self) -> PublicKeyResponse {
        let config = self.state().config.clone().unwrap_or_default();
        let created: Rfc3339 = "2027-01-15T08:00:00Z".parse().unwrap();
        let mut response = PublicKeyResponse {
            public_keys: Some(vec![self.key().public().as_bytes().as_slice().into()]),
            creation_times: Some(vec![created]),
            ttls: Some(vec![86_400_000_000_000]),
            config: config.with_empty_for_nil(),
            attestation: json::Bytes::nil(),
        };
        response.attestation = self.document(response.user_data()).into();
        response
    }

    /// The answer to a batch.
    pub fn executed(&self, request: &ComputeRequest) -> ExecuteResponse {
        let config = self.state().config.clone().unwrap_or_default();
        let mut response = ExecuteResponse {
            request_id: request.request_id,
            application_request_id: request.application_request_id.clone(),
            request_hash: request.hash(),
            output: b"output".as_slice().into(),
            config: config.with_empty_for_nil(),
            ..ExecuteResponse::default()
        };
        response.attestation = self.document(response.user_data(&request.version)).into();
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
        let usual = self.usual(&method, &path, &body).await;
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
        body: &[u8],
    ) -> (StatusCode, HeaderMap, Bytes) {
        match (method, path) {
            (&Method::GET, path) if path.starts_with("/publicKeys") => {
                if self.state().config.is_none() {
                    return plain(503, "enclave config not set\n");
                }
                answer(&self.public_keys())
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
                let delay = self.state().delay;
                tokio::time::sleep(delay).await;
                answer(&self.executed(&request))
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
