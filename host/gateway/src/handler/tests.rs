//! What the recorded sequences do not show: races, leaving, limits, and what errors may say.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use protocol::{
    relay::{CapabilityRequestParams, Params as _},
    rpc::RequestError,
};
use tokio::time::{sleep, timeout};

use super::*;

const METHOD: &str = CapabilityRequestParams::METHOD;

/// Where time is real, what is late is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a test's nodes do with a request.
#[derive(Clone, Copy, PartialEq)]
enum Node {
    Takes,
    Fails,
    Hangs,
}

fn ids(count: usize) -> Vec<NodeId> {
    (0..count).map(|index| NodeId::from(format!("node-{index}").as_str())).collect()
}

fn settings(nodes: usize) -> Settings {
    let no_limit = "1000000rps:1000000".parse().unwrap();
    Settings {
        members: ids(nodes).into_iter().collect(),
        faults: FaultBound::new(1),
        relay: Relay::from_value(serde_json::Value::Null).unwrap(),
        node_rate: no_limit,
        total_rate: no_limit,
        max_frame_bytes: 1000,
        max_active: 100,
        shared_nodes: false,
    }
}

/// A handler whose nodes behave so, in the order of their ids.
fn handler(nodes: &[Node]) -> Handler {
    with_settings(nodes, settings(nodes.len()))
}

fn with_settings(nodes: &[Node], settings: Settings) -> Handler {
    let behaviour: BTreeMap<_, _> = ids(nodes.len()).into_iter().zip(nodes.to_vec()).collect();
    let send: SendTo = Arc::new(move |node, _text| match behaviour[node] {
        Node::Takes => Box::pin(std::future::ready(Ok(()))),
        Node::Fails => Box::pin(std::future::ready(Err(SendError::NotConnected))),
        Node::Hangs => Box::pin(std::future::pending()),
    });
    Handler::new(settings, send)
}

fn request(id: &str) -> Request {
    Request {
        jsonrpc: "2.0".into(),
        id: id.into(),
        method: METHOD.into(),
        params: Some(RawJson::parse("{}".into()).unwrap()),
        auth: String::new(),
    }
}

/// A frame that answers a request; `rest` is its result or error member.
fn frame(id: &str, rest: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{METHOD}",{rest}}}"#).into_bytes()
}

const SIGNED: &str =
    r#""result":{"result":{"payload":"AQI="},"signature":{"signer":"AQ==","signature":"Ag=="}}"#;
const FAILED: &str = r#""error":{"code":-32603,"message":"internal error"}"#;

/// Asks in a task of its own and waits until the request is active.
async fn asked(handler: &Handler, id: &str) -> tokio::task::JoinHandle<Result<RawJson, AskError>> {
    let (asking, request) = (handler.clone(), request(id));
    let task = tokio::spawn(async move { asking.ask(&request).await });
    while !handler.active_ids().contains(&id.to_owned()) {
        tokio::task::yield_now().await;
    }
    task
}

fn answer(handler: &Handler, node: usize, id: &str, rest: &str) -> Result<(), FrameError> {
    handler.frame(&ids(9)[node], &frame(id, rest))
}

#[tokio::test(start_paused = true)]
async fn a_bundle_holds_what_the_nodes_signed_and_nothing_else() {
    let handler = handler(&[Node::Takes; 4]);
    let asked = asked(&handler, "q").await;
    answer(&handler, 0, "q", SIGNED).unwrap();
    answer(&handler, 1, "q", FAILED).unwrap();
    answer(&handler, 2, "q", r#""result":{"result":{"payload":"AQI=","x":1},"y":2}"#).unwrap();
    answer(&handler, 3, "q", SIGNED).unwrap();
    let signed = SIGNED.strip_prefix("\"result\":").unwrap();
    let stripped = r#"{"result":{"payload":"AQI="},"signature":{"signer":null,"signature":null}}"#;
    let bundle = asked.await.unwrap().unwrap();
    assert_eq!(bundle.as_str(), format!(r#"{{"responses":[{signed},{stripped},{signed}]}}"#));
    assert_eq!(handler.active_ids(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_that_race_end_each_request_once() {
    let handler = handler(&[Node::Takes; 4]);
    for round in 0..200 {
        let id = format!("q{round}");
        let asked = asked(&handler, &id).await;
        let counted = Arc::new(AtomicUsize::new(0));
        let tasks = ids(4).into_iter().map(|node| {
            let (handler, counted) = (handler.clone(), Arc::clone(&counted));
            let frame = frame(&id, SIGNED);
            tokio::spawn(async move {
                // Each node says it twice.
                for _ in 0..2 {
                    if handler.frame(&node, &frame).is_ok() {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let bundle = timeout(PATIENCE, asked).await.unwrap().unwrap().unwrap();
        assert_eq!(bundle.as_str().matches("AQI=").count(), 3);
        assert_eq!(counted.load(Ordering::Relaxed), 3);
        assert_eq!(handler.active_ids(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_requests_with_one_id_exactly_one_is_taken() {
    let handler = handler(&[Node::Takes; 4]);
    for _ in 0..200 {
        let ask = || {
            let handler = handler.clone();
            tokio::spawn(async move { handler.ask(&request("same")).await })
        };
        let (first, second) = (ask(), ask());
        let answer_all = async {
            while !(first.is_finished() || second.is_finished()) {
                tokio::task::yield_now().await;
            }
            for node in 0..3 {
                answer(&handler, node, "same", SIGNED).unwrap();
            }
        };
        timeout(PATIENCE, answer_all).await.unwrap();
        let outcomes = [first.await.unwrap(), second.await.unwrap()];
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let exists = AskError::Admit(AdmitError::Exists { id: "same".into() });
        assert!(outcomes.contains(&Err(exists)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_leaves_ends_nothing_but_the_waiting() {
    let handler = handler(&[Node::Takes; 4]);
    let sweeper = handler.clone();
    tokio::spawn(async move { sweeper.sweep().await });
    let left = timeout(Duration::from_secs(1), handler.ask(&request("q"))).await;
    assert!(left.is_err());
    let again = handler.ask(&request("q")).await.unwrap_err();
    assert_eq!(again.to_string(), "request ID already exists: q");
    for node in 0..3 {
        answer(&handler, node, "q", SIGNED).unwrap();
    }
    assert_eq!(handler.active_ids(), [""; 0]);
    let left = timeout(Duration::from_secs(1), handler.ask(&request("q"))).await;
    assert!(left.is_err());
    sleep(Duration::from_secs(32)).await;
    assert_eq!(handler.active_ids(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_user_who_leaves_before_a_quorum_got_the_request_frees_its_id() {
    let nodes = [Node::Takes, Node::Hangs, Node::Hangs, Node::Hangs];
    let handler = handler(&nodes);
    let left = timeout(Duration::from_secs(1), handler.ask(&request("q"))).await;
    assert!(left.is_err());
    assert_eq!(handler.active_ids(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn every_way_to_end_frees_the_id() {
    let ends = |handler: &Handler, outcome: Result<RawJson, AskError>, want: &str| {
        let said = outcome.map_or_else(|error| error.to_string(), |_| "bundle".into());
        assert!(said.starts_with(want), "{said}");
        assert_eq!(handler.active_ids(), [""; 0], "{said}");
    };

    let handler = handler(&[Node::Takes; 4]);
    let sweeper = handler.clone();
    tokio::spawn(async move { sweeper.sweep().await });
    let task = asked(&handler, "q").await;
    (0..3).for_each(|node| answer(&handler, node, "q", SIGNED).unwrap());
    ends(&handler, task.await.unwrap(), "bundle");

    let task = asked(&handler, "q").await;
    (0..2).for_each(|node| answer(&handler, node, "q", SIGNED).unwrap());
    ends(&handler, task.await.unwrap(), "bundle");

    let task = asked(&handler, "q").await;
    (0..3).for_each(|node| answer(&handler, node, "q", FAILED).unwrap());
    ends(&handler, task.await.unwrap(), "relay quorum unreachable: 0 signed");

    let task = asked(&handler, "q").await;
    ends(&handler, task.await.unwrap(), "request expired: 0 signed");

    let unknown = Request { method: "confidential.\n\"".into(), ..request("q") };
    let asking = handler.clone();
    let task = tokio::spawn(async move { asking.ask(&unknown).await });
    ends(&handler, task.await.unwrap(), r#"unknown relay method: "confidential.\n\"""#);

    let handler = with_settings(&[Node::Fails; 4], settings(4));
    ends(&handler, handler.ask(&request("q")).await, "failed to forward user request to nodes");
}

#[tokio::test(start_paused = true)]
async fn ids_that_name_nothing_are_refused() {
    let handler = handler(&[Node::Takes; 4]);
    let refused = |id: &str| {
        let (handler, request) = (handler.clone(), request(id));
        async move { handler.ask(&request).await.unwrap_err() }
    };
    let empty = AdmitError::Id(RequestError::IdEmpty);
    assert_eq!(refused("").await, AskError::Admit(empty));
    let long = AdmitError::Id(RequestError::IdTooLong { got: 201 });
    assert_eq!(refused(&"i".repeat(201)).await, AskError::Admit(long));
    assert_eq!(handler.active_ids(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn more_requests_than_may_wait_are_refused_until_one_ends() {
    let handler = with_settings(&[Node::Takes; 4], Settings { max_active: 2, ..settings(4) });
    let (_first, second) = (asked(&handler, "a").await, asked(&handler, "b").await);
    let full = handler.ask(&request("c")).await.unwrap_err();
    assert_eq!(full, AskError::Admit(AdmitError::Full { limit: 2 }));
    for node in 0..3 {
        answer(&handler, node, "b", SIGNED).unwrap();
    }
    second.await.unwrap().unwrap();
    asked(&handler, "c").await;
}

#[tokio::test(start_paused = true)]
async fn frames_that_change_nothing_are_refused_by_name() {
    let mut settings = settings(4);
    settings.shared_nodes = true;
    let handler = with_settings(&[Node::Takes; 4], settings);
    let _asked = asked(&handler, "q").await;
    let node = &ids(1)[0];
    let refused = |frame: &[u8]| handler.frame(node, frame).unwrap_err();
    assert!(matches!(refused(b"{"), FrameError::Decode(_)));
    assert!(matches!(refused(br#"{"id":5}"#), FrameError::Decode(_)));
    assert!(matches!(refused(br#"{"id":"q","id":"q"}"#), FrameError::Decode(_)));
    assert_eq!(refused(br#"{"id":"q","method":"workflows.x"}"#), FrameError::OtherService);
    assert_eq!(refused(br#"{"id":"q","method":"confidential"}"#), FrameError::OtherService);
    assert_eq!(refused(br#"{"id":"q"}"#), FrameError::OtherService);
    assert_eq!(refused(&frame("other", SIGNED)), FrameError::NoRequest);
    assert_eq!(refused(&frame("", SIGNED)), FrameError::NoRequest);
    handler.frame(node, &frame("q", FAILED)).unwrap();
    assert_eq!(refused(&frame("q", SIGNED)), FrameError::Repeated { node: node.clone() });
    let stranger = NodeId::from("NODE-0");
    let error = handler.frame(&stranger, &frame("q", SIGNED)).unwrap_err();
    assert_eq!(error.to_string(), "received message from unexpected node NODE-0");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_floods_costs_the_others_nothing() {
    let mut settings = settings(4);
    (settings.node_rate, settings.total_rate) = (Rate::PER_NODE, Rate::TOTAL);
    let handler = with_settings(&[Node::Takes; 4], settings);
    let asked = asked(&handler, "q").await;
    let nodes = ids(4);
    for _ in 0..10 {
        let late = handler.frame(&nodes[0], &frame("late", SIGNED)).unwrap_err();
        assert_eq!(late, FrameError::NoRequest);
    }
    let limited = handler.frame(&nodes[0], &frame("q", SIGNED)).unwrap_err();
    assert_eq!(limited, FrameError::NodeRate { node: nodes[0].clone() });
    let limited = handler.frame(&nodes[1], &frame("q", SIGNED)).unwrap_err();
    assert_eq!(limited, FrameError::TotalRate);
    sleep(Duration::from_millis(60)).await;
    for node in 1..4 {
        let limited = handler.frame(&nodes[0], &frame("q", SIGNED)).unwrap_err();
        assert_eq!(limited, FrameError::NodeRate { node: nodes[0].clone() });
        handler.frame(&nodes[node], &frame("q", SIGNED)).unwrap();
    }
    asked.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn results_in_forms_that_no_encoder_writes_are_undecodable() {
    let handler = handler(&[Node::Takes; 4]);
    let asked = asked(&handler, "q").await;
    for (node, result) in [
        r#""result":{"signature":{"signer":[1,2]}}"#,
        r#""result":{"RESULT":{}}"#,
        r#""result":{"result":{"payload":"","payload":""}}"#,
    ]
    .into_iter()
    .enumerate()
    {
        answer(&handler, node, "q", result).unwrap();
    }
    let counts = Counts { signed: 0, errors: 0, undecodable: 3, nodes: 4, quorum: 2 };
    assert_eq!(asked.await.unwrap(), Err(AskError::End(EndError::Unreachable(counts))));
}

#[tokio::test(start_paused = true)]
async fn errors_hold_counts_and_never_what_a_node_wrote() {
    let handler = handler(&[Node::Takes; 4]);
    let asked = asked(&handler, "q").await;
    let secret = r#""error":{"code":-32602,"message":"c2VjcmV0","data":"c2VjcmV0"}"#;
    let payload = r#""result":{"result":{"payload":"c2VjcmV0"},"signature":5}"#;
    answer(&handler, 0, "q", secret).unwrap();
    answer(&handler, 1, "q", payload).unwrap();
    answer(&handler, 2, "q", secret).unwrap();
    let error = asked.await.unwrap().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("c2VjcmV0"));
    assert_eq!(
        error.to_string(),
        "relay quorum unreachable: 0 signed responses, at most 1 possible, need 2 \
         (collected=3 nodes=4 remaining=1 errors=2 undecodable=1)"
    );
}
