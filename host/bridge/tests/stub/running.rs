//! A bridge between memory listeners and the stub.

use std::{sync::Arc, time::Duration};

use attestation::TrustRoot;
use bytes::Bytes;
use host_bridge::{Bridge, Config, Listeners, RunError};
use http::{Method, StatusCode};
use protocol::{compute::SignedComputeRequest, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transport::{
    Dial as _, Listen,
    http::{ClientLimits, Connection, ExchangeError},
    memory::{self, MemoryDialer},
};

use super::{Stub, TestClock, measurements_toml};

/// A running bridge.
pub struct Running {
    pub stub: Stub,
    pub nodes: MemoryDialer,
    pub operator: MemoryDialer,
    pub stop: CancellationToken,
    pub task: JoinHandle<Result<(), RunError>>,
    pub clock: TestClock,
    _egress: MemoryDialer,
}

impl Running {
    /// Starts a bridge with this configuration, whose text may hold `MEASUREMENTS`.
    pub fn start(config: &str) -> Self {
        Self::trusting(config, Stub::root)
    }

    pub fn trusting(config: &str, root: impl FnOnce(&Stub) -> TrustRoot) -> Self {
        let (nodes, listener) = memory::pair();
        Self::listening(config, root, nodes, Box::new(listener))
    }

    /// The same with another port for nodes than the one `nodes` dials.
    pub fn listening(
        config: &str,
        root: impl FnOnce(&Stub) -> TrustRoot,
        nodes: MemoryDialer,
        nodes_listener: Box<dyn Listen>,
    ) -> Self {
        let clock = TestClock::start();
        let stub = Stub::start(clock);
        let (operator, operator_listener) = memory::pair();
        let (egress, egress_listener) = memory::pair();
        let listeners = Listeners {
            nodes: nodes_listener,
            operator: Box::new(operator_listener),
            egress: Box::new(egress_listener),
        };
        let config = Config::parse(&config.replace("MEASUREMENTS", &measurements_toml())).unwrap();
        let bridge = Bridge::new(config, listeners, Arc::new(stub.clone()), Arc::new(clock));
        let bridge = bridge.dangerous_trust(root(&stub));
        let stop = CancellationToken::new();
        let task = tokio::spawn(bridge.run(stop.clone()));
        Self { stub, nodes, operator, stop, task, clock, _egress: egress }
    }

    /// Waits until `/readyz` says so.
    pub async fn ready(&self) {
        for _ in 0..1000 {
            if send(&self.nodes, Method::GET, "/readyz", "").await.status() == StatusCode::OK {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the bridge does not become ready");
    }

    /// Sends one signed request to the port for nodes.
    pub async fn submit(&self, signed: &SignedComputeRequest) -> http::Response<Bytes> {
        send(&self.nodes, Method::POST, "/requests", json::to_vec(signed)).await
    }

    /// The same with a challenge, in hexadecimal digits.
    pub async fn challenge(
        &self,
        signed: &SignedComputeRequest,
        nonce: &str,
    ) -> http::Response<Bytes> {
        let request = http::Request::builder().method(Method::POST).uri("/requests");
        let request = request.header("host", "bridge").header("x-attestation-nonce", nonce);
        let request = request.body(json::to_vec(signed).into()).unwrap();
        let stream = self.nodes.dial().await.unwrap();
        let mut connection = Connection::open(stream, &CLIENT).await.unwrap();
        connection.send(request, &CLIENT).await.unwrap()
    }
}

/// Sends a request and reads the response, if there is one.
pub async fn try_send(
    dialer: &MemoryDialer,
    method: Method,
    path: &str,
    body: impl Into<Bytes>,
) -> Result<http::Response<Bytes>, ExchangeError> {
    let request = http::Request::builder().method(method).uri(path).header("host", "bridge");
    let request = request.header("content-type", "application/json").body(body.into()).unwrap();
    let mut connection = Connection::open(dialer.dial().await.unwrap(), &CLIENT).await.unwrap();
    connection.send(request, &CLIENT).await
}

/// Sends a request and reads the response.
pub async fn send(
    dialer: &MemoryDialer,
    method: Method,
    path: &str,
    body: impl Into<Bytes>,
) -> http::Response<Bytes> {
    try_send(dialer, method, path, body).await.unwrap()
}

pub fn text(response: &http::Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

/// A bridge with everything to give.
pub const CONFIG: &str = "[nodes]\nlisten = \"127.0.0.1:0\"\n[enclave]\nMEASUREMENTS\n";

pub const CLIENT: ClientLimits = ClientLimits {
    head_bytes: 16 * 1024,
    body_bytes: 64 << 20,
    timeout: Duration::from_secs(3600),
};
