use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::Extension, routing::post};
use hyper::{Request, Response, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    BoxStream, Dial as _, DialError, ListenerFailed,
    memory::{self, MemoryDialer},
};

const SECOND: Duration = Duration::from_secs(1);
const HALF: Duration = Duration::from_millis(500);

const SERVER: ServerLimits = ServerLimits {
    connections: 4,
    head_bytes: 8192,
    head_timeout: SECOND,
    write_stall: SECOND,
    drain: SECOND,
};

const CLIENT: ClientLimits =
    ClientLimits { head_bytes: 8192, body_bytes: 1 << 20, timeout: Duration::from_secs(10) };

const POOL: PoolLimits = PoolLimits { per_key: 2, total: 2, idle: SECOND };

struct Running {
    dialer: MemoryDialer,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ListenerFailed>>,
}

fn serve_with(limits: ServerLimits, router: Router) -> Running {
    let (dialer, listener) = memory::pair();
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(Box::new(listener), router, limits, stop.clone()));
    Running { dialer, stop, task }
}

fn echo() -> Router {
    Router::new()
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/slow", post(async || tokio::time::sleep(HALF).await))
        .route("/peer", post(async |Extension(Peer(peer)): Extension<Peer>| peer.to_string()))
        .route(
            "/panic",
            post(async || {
                if true {
                    panic!("as told")
                }
            }),
        )
}

fn request(path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post(path).header("host", "localhost").body(body.into()).unwrap()
}

async fn send(
    pool: &Pool<()>,
    dialer: &MemoryDialer,
    request: Request<Bytes>,
    limits: &ClientLimits,
) -> Result<Response<Bytes>, SendError<DialError>> {
    pool.send((), request, limits, None, dialer.dial()).await
}

/// A server that says `bytes` to whoever sends a request, and then hangs up.
async fn answer(bytes: &'static [u8]) -> Result<Response<Bytes>, ExchangeError> {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let server = async {
        let mut heard = [0; 16];
        far.read_exact(&mut heard).await.unwrap();
        far.write_all(bytes).await.unwrap();
        far.shutdown().await.unwrap();
    };
    let mut client = Connection::open(Box::new(near) as BoxStream, &CLIENT).await.unwrap();
    tokio::join!(client.send(request("/", ""), &CLIENT), server).0
}

#[tokio::test(start_paused = true)]
async fn requests_share_a_connection_and_large_bodies_arrive_whole() {
    let server = serve_with(ServerLimits { connections: 1, ..SERVER }, echo());
    let pool = Pool::new(POOL);
    for body in [Bytes::from_static(b"hello"), Bytes::from(vec![7; 1 << 20])] {
        let sent = send(&pool, &server.dialer, request("/echo", body.clone()), &CLIENT).await;
        assert_eq!(sent.unwrap().body(), &body);
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_learn_who_asks() {
    let server = serve_with(SERVER, echo());
    let sent = send(&Pool::new(POOL), &server.dialer, request("/peer", ""), &CLIENT).await;
    assert_eq!(sent.unwrap().body(), "memory");
}

#[tokio::test(start_paused = true)]
async fn w_20_a_connection_above_the_cap_waits() {
    let server = serve_with(ServerLimits { connections: 1, ..SERVER }, echo());
    let _held = server.dialer.dial().await.unwrap();
    let started = tokio::time::Instant::now();
    let sent = send(&Pool::new(POOL), &server.dialer, request("/echo", "x"), &CLIENT).await;
    assert_eq!(sent.unwrap().status(), StatusCode::OK);
    assert_eq!(started.elapsed(), SECOND, "until the silent connection is closed");
}

#[tokio::test(start_paused = true)]
async fn w_20_a_head_that_does_not_arrive_closes_the_connection() {
    let server = serve_with(SERVER, echo());
    let mut stream = server.dialer.dial().await.unwrap();
    stream.write_all(b"POST /echo HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"));
}

#[tokio::test(start_paused = true)]
async fn w_20_a_head_over_its_limit_is_431() {
    let server = serve_with(SERVER, echo());
    let mut stream = server.dialer.dial().await.unwrap();
    let head = format!("POST /echo HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(9000));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_costs_its_connection_only() {
    let server = serve_with(SERVER, echo());
    let pool = Pool::new(POOL);
    let panicked = send(&pool, &server.dialer, request("/panic", ""), &CLIENT).await;
    assert!(matches!(panicked, Err(SendError::Exchange(ExchangeError::Closed))), "{panicked:?}");
    let sent = send(&pool, &server.dialer, request("/echo", "still here"), &CLIENT).await;
    assert_eq!(sent.unwrap().body(), "still here");
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_are_drained() {
    let server = serve_with(SERVER, echo());
    let pool = Pool::new(POOL);
    let slow = send(&pool, &server.dialer, request("/slow", ""), &CLIENT);
    let stop = async {
        tokio::time::sleep(SECOND / 4).await;
        server.stop.cancel();
    };
    let (sent, ()) = tokio::join!(slow, stop);
    assert_eq!(sent.unwrap().status(), StatusCode::OK);
    server.task.await.unwrap().unwrap();
    let refused = server.dialer.dial().await;
    assert!(matches!(refused, Err(DialError::Refused { .. })));
}

#[tokio::test(start_paused = true)]
async fn draining_ends_at_its_deadline() {
    let server = serve_with(ServerLimits { drain: SECOND / 4, ..SERVER }, echo());
    let pool = Pool::new(POOL);
    let slow = send(&pool, &server.dialer, request("/slow", ""), &CLIENT);
    let stop = async {
        tokio::time::sleep(SECOND / 8).await;
        server.stop.cancel();
        let started = tokio::time::Instant::now();
        server.task.await.unwrap().unwrap();
        assert_eq!(started.elapsed(), SECOND / 4);
    };
    let (sent, ()) = tokio::join!(slow, stop);
    assert!(matches!(sent, Err(SendError::Exchange(ExchangeError::Closed))));
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_only_fails_ends_the_server() {
    let server = serve_with(SERVER, echo());
    drop(server.dialer);
    assert!(matches!(server.task.await.unwrap(), Err(ListenerFailed(_))));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_the_server_closed_is_replaced() {
    let server = serve_with(ServerLimits { head_timeout: SECOND / 2, ..SERVER }, echo());
    let pool = Pool::new(PoolLimits { idle: Duration::from_secs(60), ..POOL });
    for _ in 0..3 {
        let sent = send(&pool, &server.dialer, request("/echo", "x"), &CLIENT).await;
        assert_eq!(sent.unwrap().body(), "x");
        tokio::time::sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn keys_do_not_share_connections() {
    let server = serve_with(ServerLimits { connections: 2, ..SERVER }, echo());
    let pool = Pool::new(POOL);
    let dials = Arc::new(std::sync::atomic::AtomicU32::new(0));
    for key in ["a", "b", "a", "b"] {
        let dial = async {
            dials.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            server.dialer.dial().await
        };
        pool.send(key, request("/echo", key), &CLIENT, None, dial).await.unwrap();
    }
    assert_eq!(dials.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn large_bodies_are_in_memory_one_after_the_other_and_small_ones_at_any_time() {
    let server = serve_with(SERVER, echo());
    let (pool, turns) = (Pool::new(POOL), LargeBodies::one_at_a_time());
    let large = vec![7; LargeBodies::FREE_BYTES + 1];
    let send = |body: &[u8], turns| {
        let request = request("/echo", body.to_vec());
        let (pool, dialer, limits) = (&pool, &server.dialer, &CLIENT);
        async move { pool.send((), request, limits, turns, dialer.dial()).await }
    };
    let first = send(&large, Some(&turns)).await.unwrap();
    assert_eq!(first.body(), &large);
    send(&large[1..], Some(&turns)).await.unwrap();
    send(&large, None).await.unwrap();
    let waiting = send(&large, Some(&turns)).await;
    assert!(matches!(waiting, Err(SendError::Exchange(ExchangeError::TimedOut))), "held");
    let (head, body) = first.into_parts();
    let (next, ()) = tokio::join!(send(&large, Some(&turns)), async { drop((head, body)) });
    assert_eq!(next.unwrap().body(), &large);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_times_out() {
    let (dialer, _listener) = memory::pair();
    let sent = send(&Pool::new(POOL), &dialer, request("/", ""), &CLIENT).await;
    assert!(matches!(sent, Err(SendError::Exchange(ExchangeError::TimedOut))));
}

#[tokio::test(start_paused = true)]
async fn nobody_listening_is_a_dial_error() {
    let (dialer, _) = memory::pair();
    let sent = send(&Pool::new(POOL), &dialer, request("/", ""), &CLIENT).await;
    assert!(matches!(sent, Err(SendError::Dial(DialError::Refused { .. }))));
}

#[tokio::test(start_paused = true)]
async fn a_response_over_the_limit_is_refused() {
    let server = serve_with(SERVER, echo());
    let limits = ClientLimits { body_bytes: 4, ..CLIENT };
    let sent = send(&Pool::new(POOL), &server.dialer, request("/echo", "12345"), &limits).await;
    let refused = ExchangeError::BodyTooLong { limit_bytes: 4 }.to_string();
    assert_eq!(sent.unwrap_err().to_string(), refused);
}

#[tokio::test(start_paused = true)]
async fn responses_that_are_no_http_are_refused() {
    assert!(matches!(answer(b"SSH-2.0-x\r\n\r\n").await, Err(ExchangeError::Malformed)));
    assert!(matches!(answer(b"").await, Err(ExchangeError::Closed)));
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc";
    assert!(matches!(answer(short).await, Err(ExchangeError::Closed)));
    let chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    assert!(matches!(answer(chunk).await, Err(ExchangeError::Closed)));
    let long =
        Box::leak(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(20_000)).into_boxed_str());
    assert!(matches!(answer(long.as_bytes()).await, Err(ExchangeError::HeadTooLong)));
}

#[tokio::test(start_paused = true)]
async fn every_status_is_an_answer() {
    let response = answer(b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    assert_eq!((response.status().as_u16(), &**response.body()), (500, &b"no"[..]));
}
