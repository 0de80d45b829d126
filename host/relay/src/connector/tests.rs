use std::time::SystemTime;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{json, link::Challenge, rpc};
use rand_core::OsRng;
use tokio::{task::JoinHandle, time::Instant};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use transport::{Listen as _, memory};

use super::*;
use crate::{
    Executions,
    world::{Canned, CannedVault, World, request},
};

/// A gateway that does what a test says.
struct Gate {
    listener: memory::MemoryListen,
    world: World,
}

/// A link at the gateway's end.
type End = WebSocketStream<BoxStream>;

/// A node that is dialling, its gateway, and what says whether it is linked.
struct Play {
    gate: Gate,
    linked: watch::Receiver<bool>,
    shutdown: CancellationToken,
    node: JoinHandle<()>,
}

impl Play {
    fn new(max_in_flight: usize, canned: Canned) -> Self {
        let world = World::new();
        let executions = Executions::standalone(Arc::new(CannedVault::default()), Arc::new(canned));
        let handler = Arc::new(Handler::new(world.setup(executions)));
        let (dialer, listener) = memory::pair();
        let (sender, linked) = watch::channel(false);
        let connector = Connector {
            road: Road::Dialer(Box::new(dialer)),
            gateway: Gateway {
                url: "ws://gateway/".parse().unwrap(),
                id: "gateway-1".to_owned(),
                max_frame_bytes: 100_000,
                silence: Duration::from_secs(50),
            },
            key: world.node(0),
            handler,
            fault: None,
            max_in_flight,
            clock: Arc::new(crate::world::Stopped(world.now)),
            linked: sender,
        };
        let shutdown = CancellationToken::new();
        let node = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { connector.run(&mut OsRng, shutdown).await }
        });
        Self { gate: Gate { listener, world }, linked, shutdown, node }
    }
}

impl Gate {
    async fn accept(&mut self) -> End {
        accept_async(self.listener.accept().await.unwrap().stream).await.unwrap()
    }

    /// Takes the node as a gateway does.
    async fn link(&mut self) -> End {
        let mut end = self.accept().await;
        let challenge = Challenge::new("gateway-1", [7; 32], SystemTime::UNIX_EPOCH);
        end.send(Message::text(challenge.frame())).await.unwrap();
        let answer = end.next().await.unwrap().unwrap();
        let members: Vec<_> = self.world.nodes.iter().map(SigningKey::public).collect();
        let node = challenge.check(answer.into_text().unwrap().as_bytes(), &members).unwrap();
        assert_eq!(node, self.world.nodes[0].public());
        end.send(Message::Ping(Vec::new().into())).await.unwrap();
        end
    }

    fn call(&self) -> rpc::Request {
        request(&self.world.attest(self.world.bare_capability()))
    }
}

async fn ask(end: &mut End, request: &rpc::Request) {
    end.send(Message::Binary(json::to_vec(request).into())).await.unwrap();
}

/// The next frame that is no pong.
async fn next(end: &mut End) -> Message {
    loop {
        let message = end.next().await.unwrap().unwrap();
        if !message.is_pong() {
            return message;
        }
    }
}

async fn answer(end: &mut End) -> rpc::Response {
    json::from_slice(next(end).await.to_text().unwrap().as_bytes()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_node_proves_its_key_and_answers() {
    let mut play = Play::new(8, Canned::Answers);
    let mut end = play.gate.link().await;
    let call = play.gate.call();
    ask(&mut end, &call).await;
    let response = answer(&mut end).await;
    assert_eq!((response.id, response.method), (call.id, call.method));
    assert!(response.result.is_some());
    assert!(*play.linked.borrow());
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_no_request_get_no_answer_and_end_nothing() {
    let mut play = Play::new(8, Canned::Answers);
    let mut end = play.gate.link().await;
    for frame in ["", "{", "[]", r#"{"id":"1","method":"confidential.other","params":{}}"#] {
        end.send(Message::text(frame)).await.unwrap();
    }
    let bare = r#"{"id":"last","method":"confidential.secrets.get"}"#;
    end.send(Message::text(bare)).await.unwrap();
    let response = answer(&mut end).await;
    assert_eq!(response.id, "last");
    assert_eq!(response.error.unwrap().message, "missing params");
}

#[tokio::test(start_paused = true)]
async fn a_challenge_of_another_gateway_is_not_answered() {
    let mut play = Play::new(8, Canned::Answers);
    let mut end = play.gate.accept().await;
    let challenge = Challenge::new("gateway-2", [7; 32], SystemTime::UNIX_EPOCH);
    end.send(Message::text(challenge.frame())).await.unwrap();
    assert!(!matches!(end.next().await, Some(Ok(Message::Text(_)))));
    play.gate.link().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_refused_or_kept_waiting_comes_back() {
    let mut play = Play::new(8, Canned::Answers);
    let mut end = play.gate.accept().await;
    let challenge = Challenge::new("gateway-1", [7; 32], SystemTime::UNIX_EPOCH);
    end.send(Message::text(challenge.frame())).await.unwrap();
    end.next().await.unwrap().unwrap();
    let close = CloseFrame { code: CloseCode::Policy, reason: "unknown node".into() };
    end.close(Some(close)).await.unwrap();

    let (began, waiting) = (Instant::now(), play.gate.accept().await);
    let mut end = play.gate.link().await;
    assert!(began.elapsed() >= Duration::from_secs(5), "the first step had five seconds");
    ask(&mut end, &play.gate.call()).await;
    assert!(answer(&mut end).await.result.is_some());
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_is_made_again() {
    let mut play = Play::new(8, Canned::Answers);
    let end = play.gate.link().await;
    play.linked.wait_for(|linked| *linked).await.unwrap();
    drop(end);
    play.linked.wait_for(|linked| !*linked).await.unwrap();
    let mut end = play.gate.link().await;
    ask(&mut end, &play.gate.call()).await;
    assert!(answer(&mut end).await.result.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_says_nothing_is_dialled_anew() {
    let mut play = Play::new(8, Canned::Answers);
    let silent = play.gate.link().await;
    let began = Instant::now();
    play.gate.link().await;
    assert!(began.elapsed() >= Duration::from_secs(50));
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn a_frame_over_the_limit_ends_the_link() {
    let mut play = Play::new(8, Canned::Answers);
    let mut end = play.gate.link().await;
    play.linked.wait_for(|linked| *linked).await.unwrap();
    // The node reads its head only, so the rest of the frame may find nobody.
    let _sent = end.send(Message::text(" ".repeat(100_001))).await;
    play.linked.wait_for(|linked| !*linked).await.unwrap();
    play.gate.link().await;
}

#[tokio::test(start_paused = true)]
async fn more_requests_than_there_is_room_for_are_told_so() {
    let mut play = Play::new(1, Canned::Hangs);
    let mut end = play.gate.link().await;
    let (mut first, mut second) = (play.gate.call(), play.gate.call());
    "first".clone_into(&mut first.id);
    "second".clone_into(&mut second.id);
    ask(&mut end, &first).await;
    ask(&mut end, &second).await;
    let response = answer(&mut end).await;
    assert_eq!((response.id.as_str(), response.error.unwrap().code), ("second", -32000));
    let response = answer(&mut end).await;
    assert_eq!(response.id, "first");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_answered_and_ends_nothing() {
    let mut play = Play::new(8, Canned::Panics);
    let mut end = play.gate.link().await;
    for _ in 0..2 {
        ask(&mut end, &play.gate.call()).await;
        let error = answer(&mut end).await.error.unwrap();
        assert_eq!((error.code, error.message.as_str()), (-32603, "internal error"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_told_to_stop_finishes_what_it_can_and_closes() {
    let mut play = Play::new(8, Canned::Answers);
    let mut end = play.gate.link().await;
    play.linked.wait_for(|linked| *linked).await.unwrap();
    play.shutdown.cancel();
    let closed = next(&mut end).await;
    assert!(matches!(closed, Message::Close(_)), "{closed:?}");
    play.node.await.unwrap();

    let hung = Play::new(8, Canned::Answers);
    hung.shutdown.cancel();
    hung.node.await.unwrap();
}
