//! A whole gateway over loopback TCP: users with HTTP, relay nodes with WebSockets.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a failure of a test is a panic")]

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use crypto::sign::SigningKey;
use futures_util::{SinkExt as _, StreamExt as _};
use host_gateway::{Config, Listeners, RunError, run};
use http::{Request, Response, StatusCode, header};
use protocol::{link::answer, rpc};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;
use transport::{
    Dial as _, TcpDialer, TcpListen,
    http::{ClientLimits, Connection},
};

struct Gateway {
    users: SocketAddr,
    nodes: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

type NodeSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// Starts a gateway for so many members.
async fn start(members: u8, faults: u32) -> Gateway {
    let members: Vec<_> = (1..=members).map(|seed| key(seed).public().to_string()).collect();
    let text = format!(
        "[users]\nlisten = '127.0.0.1:0'\nmax_request_bytes = 5000\n\
         [nodes]\nlisten = '127.0.0.1:0'\ngateway_id = 'loopback'\nfaults = {faults}\n\
         members = {members:?}\n\
         [relay]\nrequestTimeoutSec = 20\n"
    );
    let config = Config::parse(&text).unwrap();
    let users = TcpListen::bind(config.users.listen).await.unwrap();
    let nodes = TcpListen::bind(config.nodes.listen).await.unwrap();
    let (users_at, nodes_at) = (users.local(), nodes.local());
    let listeners = Listeners { users: Box::new(users), nodes: Box::new(nodes) };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(run(config, listeners, shutdown.clone()));
    Gateway { users: users_at, nodes: nodes_at, shutdown, running }
}

impl Gateway {
    /// Starts a node that answers every request with `answer` of the request's params.
    async fn node(&self, seed: u8, answer: fn(&Value) -> Value) -> JoinHandle<()> {
        let mut socket = self.connect(seed).await;
        tokio::spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                let Message::Text(text) = message else { continue };
                let request: Value = serde_json::from_str(&text).unwrap();
                let mut frame = answer(&request["params"]);
                frame["jsonrpc"] = "2.0".into();
                frame["id"] = request["id"].clone();
                frame["method"] = request["method"].clone();
                socket.send(Message::text(frame.to_string())).await.unwrap();
            }
        })
    }

    /// Connects a node, until the gateway has taken it.
    async fn connect(&self, seed: u8) -> NodeSocket {
        let (mut socket, _) = connect_async(format!("ws://{}/", self.nodes)).await.unwrap();
        let challenge = socket.next().await.unwrap().unwrap().into_text().unwrap();
        let proof = answer(challenge.as_bytes(), "loopback", &key(seed)).unwrap();
        socket.send(Message::text(proof.frame)).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap().is_ping());
        socket
    }

    async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let stream = TcpDialer::new(self.users, LIMITS.timeout).dial().await.unwrap();
        Connection::open(stream, &LIMITS).await.unwrap().send(request, &LIMITS).await.unwrap()
    }

    async fn post(&self, id: &str, params: Value) -> (StatusCode, Value) {
        let method = "confidential.capability.execute";
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let request = Request::post("/")
            .header(header::HOST, "gateway")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into());
        let response = self.send(request.unwrap()).await;
        assert!(response.headers().get("server-timing").is_none());
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/jsonrpc");
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }

    async fn stop(self) {
        self.shutdown.cancel();
        let stopped = timeout(Duration::from_secs(10), self.running).await;
        stopped.unwrap().unwrap().unwrap();
    }
}

fn echo(params: &Value) -> Value {
    json!({"result": {"result": {"payload": params["payload"]}, "signature": {}}})
}

fn fail(_params: &Value) -> Value {
    json!({"error": {"code": rpc::code::INTERNAL, "message": "internal error"}})
}

const LIMITS: ClientLimits =
    ClientLimits { head_bytes: 8192, body_bytes: 1_000_000, timeout: Duration::from_secs(30) };

#[tokio::test]
async fn two_nodes_and_a_user() {
    let gateway = start(2, 0).await;
    let _first = gateway.node(1, fail).await;
    let _second = gateway.node(2, echo).await;
    let (status, answer) = gateway.post("q", json!({"payload": "AQI="})).await;
    assert_eq!(status, StatusCode::OK);
    let signature = json!({"signer": null, "signature": null});
    let response = json!({"result": {"payload": "AQI="}, "signature": signature});
    assert_eq!(answer["id"], "q");
    assert_eq!(answer["result"], json!({"responses": [response]}));
    gateway.stop().await;
}

#[tokio::test]
async fn a_quorum_that_cannot_be_reached_is_said_at_once() {
    let gateway = start(3, 1).await;
    // The third member is down; it still counts as one that may answer.
    let (_first, _second) = (gateway.node(1, fail).await, gateway.node(2, fail).await);
    let (status, answer) = gateway.post("q", json!({"payload": ""})).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let text = answer["error"]["message"].as_str().unwrap();
    let want = "relay quorum unreachable: 0 signed responses, at most 1 possible, need 2 ";
    assert!(text.starts_with(want), "{text}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_quorum_of_many_requests_at_once() {
    let gateway = start(3, 1).await;
    let mut nodes = Vec::new();
    for seed in 1..=3 {
        nodes.push(gateway.node(seed, echo).await);
    }
    // Three requests cost nine of the ten frames that pass at once.
    let ids = ["a", "b", "c"];
    let answers = ids.map(|id| gateway.post(id, json!({"payload": id})));
    for (id, (status, answer)) in ids.into_iter().zip(futures_util::future::join_all(answers).await)
    {
        assert_eq!((status, &answer["id"]), (StatusCode::OK, &json!(id)));
        let responses = answer["result"]["responses"].as_array().unwrap();
        assert_eq!(responses.len(), 3);
        assert!(responses.iter().all(|one| one["result"]["payload"] == id));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn without_nodes_a_request_fails_at_once() {
    let gateway = start(3, 1).await;
    let (status, answer) = gateway.post("q", json!({})).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer["error"]["message"], "failed to forward user request to nodes");
    gateway.stop().await;
}

#[tokio::test]
async fn health_is_ok_with_any_method_and_other_paths_take_requests() {
    let gateway = start(3, 1).await;
    for request in [Request::get("/health"), Request::post("/health"), Request::put("/health")] {
        let request = request.header(header::HOST, "gateway").body(Bytes::new()).unwrap();
        let response = gateway.send(request).await;
        assert_eq!((response.status(), response.body().as_ref()), (StatusCode::OK, &b"OK"[..]));
    }
    for request in [Request::get("/"), Request::delete("/any/path?and=query")] {
        let request = request.header(header::HOST, "gateway").body(Bytes::new()).unwrap();
        let response = gateway.send(request).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["error"]["code"], rpc::code::PARSE);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn bodies_heads_and_bytes_beyond_the_limits_leave_the_gateway_serving() {
    let gateway = start(3, 1).await;
    let long = Request::post("/").header(header::HOST, "g").body(vec![b' '; 5001].into());
    let response = gateway.send(long.unwrap()).await;
    assert_eq!((response.status(), response.body().len()), (StatusCode::BAD_REQUEST, 0));
    for garbage in [
        "\0\0\0\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: g\r\nX: {}\r\n\r\n", "x".repeat(100_000)),
        format!("POST / HTTP/1.1\r\nHost: g\r\nContent-Length: {}\r\n\r\n", u64::MAX),
    ] {
        let mut stream = TcpStream::connect(gateway.users).await.unwrap();
        // The gateway may close while these bytes are still on their way.
        stream.write_all(garbage.as_bytes()).await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        let head = String::from_utf8_lossy(&answer);
        assert!(head.is_empty() || head.starts_with("HTTP/1.1 4"), "{head}");
    }
    let health = Request::get("/health").header(header::HOST, "g").body(Bytes::new()).unwrap();
    assert_eq!(gateway.send(health).await.status(), StatusCode::OK);
    gateway.stop().await;
}

#[tokio::test]
async fn stopping_ends_the_links_and_the_ports() {
    let gateway = start(2, 0).await;
    let (users, nodes) = (gateway.users, gateway.nodes);
    let mut node = gateway.connect(1).await;
    gateway.stop().await;
    let close = loop {
        if let Message::Close(close) = node.next().await.unwrap().unwrap() {
            break close.unwrap();
        }
    };
    assert_eq!(close.reason.as_str(), "gateway stops");
    assert!(TcpStream::connect(users).await.is_err());
    assert!(TcpStream::connect(nodes).await.is_err());
}
