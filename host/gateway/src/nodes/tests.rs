//! Nodes that dial in over memory: those that are let in, and all that are not.

use bytes::Bytes;
use crypto::sign::SigningKey;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    ids::FaultBound,
    json::{self, RawJson},
    link::{AnswerError, ChallengeFrame, FRAME_BYTES, answer},
    rpc::Request,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};
use transport::{BoxStream, Dial as _, memory::MemoryDialer};

use super::*;
use crate::{
    config::Relay,
    handler::{AskError, Rate, Settings},
};

const SECOND: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(20);
const MAX_FRAME_BYTES: usize = 200_000;

/// A gateway with three members, F = 1.
struct Gateway {
    dialer: MemoryDialer,
    handler: Handler,
    links: Links,
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), ListenerFailed>>,
}

type NodeSocket = WebSocketStream<BoxStream>;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn start() -> Gateway {
    let config = Nodes {
        listen: ([127, 0, 0, 1], 0).into(),
        gateway_id: "gateway-1".into(),
        faults: FaultBound::new(1),
        members: (1..=3).map(|seed| key(seed).public()).collect(),
        max_frame_bytes: MAX_FRAME_BYTES,
        heartbeat: HEARTBEAT,
        shared: false,
        node_rate: Rate::PER_NODE,
        total_rate: Rate::TOTAL,
    };
    let links = Links::default();
    let settings = Settings {
        members: config.members.iter().map(Into::into).collect(),
        faults: config.faults,
        relay: Relay::from_value(serde_json::Value::Null).unwrap(),
        node_rate: config.node_rate,
        total_rate: config.total_rate,
        max_frame_bytes: MAX_FRAME_BYTES,
        max_active: 1000,
        shared_nodes: false,
    };
    let handler = Handler::new(settings, links.sender());
    let (dialer, listener) = transport::memory::pair();
    let shutdown = CancellationToken::new();
    let listener = Box::new(listener);
    let served =
        tokio::spawn(serve(listener, config, handler.clone(), links.clone(), shutdown.clone()));
    Gateway { dialer, handler, links, shutdown, served }
}

impl Gateway {
    /// Opens a WebSocket and reads the challenge.
    async fn dial(&self) -> (NodeSocket, String) {
        let stream = self.dialer.dial().await.unwrap();
        let (mut socket, _) = client_async("ws://gateway/", stream).await.unwrap();
        let challenge = next(&mut socket).await.into_text().unwrap();
        (socket, challenge.as_str().to_owned())
    }

    /// Connects a node and waits until it is taken.
    async fn connect(&self, seed: u8) -> NodeSocket {
        let (mut socket, challenge) = self.dial().await;
        let proof = answer(challenge.as_bytes(), "gateway-1", &key(seed)).unwrap();
        socket.send(Message::text(proof.frame)).await.unwrap();
        assert!(next(&mut socket).await.is_ping());
        socket
    }

    /// Answers a challenge with this text and expects to be turned away.
    async fn refused(&self, frame: impl FnOnce(&str) -> Message) -> String {
        let (mut socket, challenge) = self.dial().await;
        socket.send(frame(&challenge)).await.unwrap();
        let word = closed(&mut socket, CloseCode::Policy).await;
        assert_eq!(self.links.connected(), 0);
        word
    }

    /// Waits until so many nodes have a link.
    async fn connected(&self, want: usize) {
        while self.links.connected() != want {
            tokio::task::yield_now().await;
        }
    }

    fn ask(&self, id: &str, padding_bytes: usize) -> JoinHandle<Result<RawJson, AskError>> {
        let (handler, id) = (self.handler.clone(), id.to_owned());
        let params = RawJson::parse(format!("{:?}", "x".repeat(padding_bytes))).unwrap();
        let method = "confidential.capability.execute".to_owned();
        let request = Request { id, method, params: Some(params), ..Request::default() };
        tokio::spawn(async move { handler.ask(&request).await })
    }
}

async fn next(socket: &mut NodeSocket) -> Message {
    socket.next().await.unwrap().unwrap()
}

/// The next request, past pings.
async fn request(socket: &mut NodeSocket) -> String {
    loop {
        if let Message::Text(text) = next(socket).await {
            return text.as_str().to_owned();
        }
    }
}

/// Answers a request with a signed result of the right form.
async fn reply(socket: &mut NodeSocket, id: &str) {
    let frame = format!(r#"{{"id":"{id}","result":{{"result":{{"payload":"AQI="}}}}}}"#);
    socket.send(Message::text(frame)).await.unwrap();
}

/// Reads until the gateway closes the link, and returns the reason.
async fn closed(socket: &mut NodeSocket, code: CloseCode) -> String {
    loop {
        if let Message::Close(close) = next(socket).await {
            let close = close.unwrap();
            assert_eq!(close.code, code);
            return close.reason.as_str().to_owned();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn members_get_requests_and_their_answers_become_a_bundle() {
    let gateway = start();
    let mut nodes = [gateway.connect(1).await, gateway.connect(2).await, gateway.connect(3).await];
    let asked = gateway.ask("q", 0);
    for node in &mut nodes {
        assert!(request(node).await.contains(r#""id":"q""#));
    }
    reply(&mut nodes[0], "q").await;
    // A binary frame holds an answer as well.
    let frame = Bytes::from_static(br#"{"id":"q","result":{}}"#);
    nodes[1].send(Message::Binary(frame)).await.unwrap();
    reply(&mut nodes[2], "q").await;
    let bundle = asked.await.unwrap().unwrap();
    assert_eq!(bundle.as_str().matches("signature").count(), 3 * 2);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_turned_away() {
    let gateway = start();
    let word = gateway.refused(|challenge| {
        let proof = answer(challenge.as_bytes(), "gateway-1", &key(9)).unwrap();
        Message::text(proof.frame)
    });
    assert_eq!(word.await, "unknown node");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_challenge_is_turned_away() {
    let gateway = start();
    let (_other, other) = gateway.dial().await;
    let word = gateway.refused(|challenge| {
        assert_ne!(challenge, other);
        let proof = answer(other.as_bytes(), "gateway-1", &key(1)).unwrap();
        Message::text(proof.frame)
    });
    assert_eq!(word.await, "wrong signature");
}

#[tokio::test(start_paused = true)]
async fn a_replayed_answer_is_turned_away_while_its_node_stays() {
    let gateway = start();
    let (mut socket, challenge) = gateway.dial().await;
    let proof = answer(challenge.as_bytes(), "gateway-1", &key(1)).unwrap();
    socket.send(Message::text(proof.frame.clone())).await.unwrap();
    assert!(next(&mut socket).await.is_ping());

    let (mut thief, _) = gateway.dial().await;
    thief.send(Message::text(proof.frame)).await.unwrap();
    assert_eq!(closed(&mut thief, CloseCode::Policy).await, "wrong signature");
    assert_eq!(gateway.links.connected(), 1);
}

/// The same text with one bit of a character flipped, not the one that is the case of a letter.
fn flipped(text: &str, place: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[place] ^= 1 << (place % 5);
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_a_flipped_bit_anywhere_is_turned_away() {
    let gateway = start();
    let proof = |challenge: &str| answer(challenge.as_bytes(), "gateway-1", &key(1)).unwrap().frame;
    let (_socket, challenge) = gateway.dial().await;
    for place in 0..proof(&challenge).len() {
        gateway.refused(|challenge| Message::text(flipped(&proof(challenge), place))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_a_flipped_gateway_or_challenge_is_turned_away() {
    let gateway = start();
    let word = async |change: &dyn Fn(&mut ChallengeFrame)| {
        let forge = |challenge: &str| {
            let mut asked: ChallengeFrame = json::from_slice(challenge.as_bytes()).unwrap();
            change(&mut asked);
            let proof = answer(&json::to_vec(&asked), &asked.gateway, &key(1));
            Message::text(proof.unwrap().frame)
        };
        gateway.refused(forge).await
    };
    for place in 0.."gateway-1".len() {
        let word = word(&|asked| asked.gateway = flipped(&asked.gateway, place)).await;
        assert_eq!(word, "wrong signature");
    }
    for place in 0..64 {
        let bit = 1 << (place % 4);
        let change = |(at, digit): (usize, char)| match digit.to_digit(16).unwrap() {
            digit if at == place => char::from_digit(digit ^ bit, 16).unwrap(),
            _ => digit,
        };
        let digits =
            |asked: &ChallengeFrame| asked.challenge.chars().enumerate().map(change).collect();
        let word = word(&|asked| asked.challenge = digits(asked)).await;
        assert_eq!(word, "wrong signature");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_of_no_form_are_turned_away() {
    let gateway = start();
    for text in ["", "{}", "null", r#"{"node":"00","signature":"00"}"#] {
        assert_eq!(gateway.refused(|_| Message::text(text)).await, "not an answer");
    }
    let binary = gateway.refused(|_| Message::Binary(Bytes::from_static(b"{}")));
    assert_eq!(binary.await, "not an answer");
}

#[tokio::test(start_paused = true)]
async fn an_oversized_answer_is_turned_away_before_it_is_read() {
    let gateway = start();
    let long = gateway.refused(|_| Message::text(" ".repeat(FRAME_BYTES + 1)));
    assert_eq!(long.await, "not an answer");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_turned_away() {
    let gateway = start();
    let started = Instant::now();
    let (mut socket, challenge) = gateway.dial().await;
    let ended = socket.next().await.unwrap();
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(started.elapsed(), NODE_LINK_TIMEOUT);
    let proof = answer(challenge.as_bytes(), "gateway-1", &key(1)).unwrap();
    assert!(socket.send(Message::text(proof.frame)).await.is_err());
    assert_eq!(gateway.links.connected(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_websocket_is_turned_away() {
    let gateway = start();
    for bytes in [b"GET / HTTP/1.1\r\nHost: g\r\n\r\n".as_slice(), b"\0\0\0\0\r\n\r\n"] {
        let mut stream = gateway.dialer.dial().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 101"), "{answer:?}");
    }
    assert_eq!(gateway.links.connected(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_not_the_configured_one_learns_no_signature() {
    let gateway = start();
    let (_socket, challenge) = gateway.dial().await;
    let refused = answer(challenge.as_bytes(), "gateway-2", &key(1));
    assert_eq!(refused, Err(AnswerError::OtherGateway));
}

#[tokio::test(start_paused = true)]
async fn strangers_that_hold_every_handshake_keep_nobody_out_for_long() {
    let gateway = start();
    let mut strangers = Vec::new();
    for _ in 0..(HANDSHAKES + 6) {
        strangers.push(gateway.dialer.dial().await.unwrap());
    }
    let started = Instant::now();
    gateway.connect(1).await;
    assert_eq!(started.elapsed(), NODE_LINK_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn the_newest_link_of_a_node_replaces_the_others() {
    let gateway = start();
    let mut first = gateway.connect(1).await;
    let mut second = gateway.connect(1).await;
    assert_eq!(closed(&mut first, CloseCode::Policy).await, "replaced");
    drop(first);
    assert_eq!(gateway.links.connected(), 1);
    let _third = gateway.connect(2).await;
    let _asked = gateway.ask("q", 0);
    assert!(request(&mut second).await.contains(r#""id":"q""#));
}

#[tokio::test(start_paused = true)]
async fn a_frame_over_the_limit_ends_the_link() {
    let gateway = start();
    let mut node = gateway.connect(1).await;
    let longest = Message::text(" ".repeat(MAX_FRAME_BYTES));
    node.send(longest).await.unwrap();
    assert!(next(&mut node).await.is_ping());
    let long = Message::text(" ".repeat(MAX_FRAME_BYTES + 1));
    // The gateway stops reading inside the frame, so sending may fail.
    let (sent, word) = {
        let (mut sink, mut stream) = node.split();
        let word = async {
            loop {
                if let Message::Close(close) = stream.next().await.unwrap().unwrap() {
                    return close.unwrap();
                }
            }
        };
        tokio::join!(timeout(HEARTBEAT, sink.send(long)), word)
    };
    drop(sent);
    assert_eq!((word.code, word.reason.as_str()), (CloseCode::Size, "frame too long"));
    gateway.connected(0).await;
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_no_answer_leave_the_link_open() {
    let gateway = start();
    let mut nodes = [gateway.connect(1).await, gateway.connect(2).await, gateway.connect(3).await];
    let asked = gateway.ask("q", 0);
    for node in &mut nodes {
        request(node).await;
        for garbage in ["", "{", "[]", r#"{"id":"q","error":5}"#, r#"{"id":"other","result":{}}"#] {
            node.send(Message::text(garbage)).await.unwrap();
        }
        reply(node, "q").await;
    }
    assert!(asked.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_cut_off_after_two_heartbeats() {
    let gateway = start();
    // It does not read, so it answers no ping.
    let _node = gateway.connect(1).await;
    tokio::time::sleep(HEARTBEAT.saturating_mul(2).saturating_sub(SECOND)).await;
    assert_eq!(gateway.links.connected(), 1);
    tokio::time::sleep(SECOND.saturating_mul(2)).await;
    assert_eq!(gateway.links.connected(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_answers_pings_stays() {
    let gateway = start();
    let mut node = gateway.connect(1).await;
    let reading = tokio::spawn(async move { while node.next().await.is_some() {} });
    tokio::time::sleep(HEARTBEAT.saturating_mul(100)).await;
    assert_eq!(gateway.links.connected(), 1);
    reading.abort();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_read_delays_nobody() {
    let gateway = start();
    let _slow = gateway.connect(1).await;
    let mut nodes = [gateway.connect(2).await, gateway.connect(3).await];
    let started = Instant::now();
    for round in 0..(QUEUE_FRAMES + 20) {
        let id = format!("q{round}");
        // Large enough that a few fill every buffer on the way.
        let asked = gateway.ask(&id, 50_000);
        for node in &mut nodes {
            assert!(request(node).await.contains(&format!(r#""id":"{id}""#)));
        }
        for node in &mut nodes {
            let failed = format!(r#"{{"id":"{id}","error":{{"code":-32603,"message":"x"}}}}"#);
            node.send(Message::text(failed)).await.unwrap();
        }
        let error = asked.await.unwrap().unwrap_err();
        assert!(error.to_string().starts_with("relay quorum unreachable"), "{error}");
        // Keeps the rate of answers within its limit.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(started.elapsed() < Duration::from_secs(18));
    assert_eq!(gateway.links.connected(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_takes_nothing_is_cut_off() {
    let gateway = start();
    let (mut sink, stream) = gateway.connect(1).await.split();
    let _asked = gateway.ask("q", 150_000);
    // It says that it is alive, but does not read.
    let started = Instant::now();
    while gateway.links.connected() == 1 {
        assert!(started.elapsed() < HEARTBEAT.saturating_mul(4), "still connected");
        timeout(HEARTBEAT, sink.send(Message::Pong(Bytes::new()))).await.ok();
        tokio::time::sleep(HEARTBEAT / 2).await;
    }
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_is_no_member_that_can_be_reached() {
    let gateway = start();
    let mut nodes = [gateway.connect(1).await, gateway.connect(2).await, gateway.connect(3).await];
    nodes[0].close(None).await.unwrap();
    drop(nodes);
    gateway.connected(0).await;
    let error = gateway.ask("q", 0).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "failed to forward user request to nodes");
}

#[tokio::test(start_paused = true)]
async fn stopping_says_goodbye_to_every_node() {
    let gateway = start();
    let mut nodes = [gateway.connect(1).await, gateway.connect(2).await];
    let (_unproven, _challenge) = gateway.dial().await;
    gateway.shutdown.cancel();
    for node in &mut nodes {
        assert_eq!(closed(node, CloseCode::Away).await, "gateway stops");
    }
    gateway.served.await.unwrap().unwrap();
    assert!(gateway.dialer.dial().await.is_err());
    assert_eq!(gateway.links.connected(), 0);
}
