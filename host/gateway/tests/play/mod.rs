//! Plays a recorded sequence on a gateway whose sockets are functions, and compares what it did.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::{Body, to_bytes};
use host_gateway::{
    config::{Relay, Users},
    front::Front,
    handler::{FrameError, Handler, NodeId, Rate, SendError, Settings},
};
use http::{Request, Response, header};
use protocol::ids::FaultBound;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use vectors::{Answer, Case, Deviations};

mod compare;
mod concerned;
mod strict;

use concerned::Concerned;

/// What a case gives.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    config: String,
    f: u32,
    members: Vec<String>,
    services: Vec<String>,
    request_timeout_ms: u64,
    max_request_bytes: usize,
    #[serde(default)]
    settings: Option<SettingsInput>,
    #[serde(default)]
    send: BTreeMap<String, SendInput>,
    steps: Vec<Step>,
    until_ms: u64,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsInput {
    global: GlobalInput,
}

/// The settings of the platform that concern a gateway.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct GlobalInput {
    gateway_confidential_relay_per_node_rate: Option<String>,
    gateway_confidential_relay_global_rate: Option<String>,
    gateway_incoming_payload_size_limit: Option<String>,
}

/// How a connection to a node behaves.
#[derive(Clone, Copy, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SendInput {
    fails: bool,
    hangs: bool,
    after_ms: u64,
}

#[derive(serde::Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Step {
    Node {
        at_ms: u64,
        node: String,
        frame: String,
    },
    User {
        at_ms: u64,
        body: String,
        http_method: Option<String>,
        authorization: Option<String>,
        client_leaves_after_ms: Option<u64>,
    },
}

/// What the gateway did.
#[derive(Debug, Default)]
struct Played {
    /// When, what and to whom.
    sent: BTreeSet<(u64, String, String)>,
    answers: Vec<Answered>,
    active_after_step: Vec<Vec<String>>,
    active_at_end: Vec<String>,
    /// The step at which a frame changed nothing, and why.
    node_errors: Vec<(usize, FrameError)>,
}

#[derive(Debug)]
struct Answered {
    at_ms: u64,
    request: usize,
    status: u16,
    content_type: String,
    body: String,
}

/// Plays a case and holds it against what the reference did.
pub(super) fn play(case: &Case) -> Answer {
    let input: Input = serde_json::from_value(case.input.clone())
        .unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let theirs = case.output.as_ref().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let played = runtime.block_on(run(&input));
    let compare = |concerned: &Concerned| compare::compare(&input, &played, theirs, concerned);
    if compare(&Concerned::default()).is_ok() {
        return Answer::Value(theirs.clone());
    }
    // A case that differs may differ only in requests of which something is read more strictly here.
    let deviations = Deviations::read();
    let mut strict = strict::refusals(&input);
    strict.retain(|(_step, refusal)| deviations.may_refuse(super::FILE, &refusal.variant));
    let concerned = Concerned::by(&input, strict.iter().map(|(step, _refusal)| *step));
    let compared = compare(&concerned);
    let held = compared.and_then(|()| strict::hold_to_refusals(&input, &played, &strict));
    match (held, strict.into_iter().next()) {
        (Ok(()), Some((_step, refusal))) => Answer::Refused(refusal),
        (Ok(()), None) => unreachable!("without a concern all is compared"),
        (Err(difference), _) => Answer::Value(Value::String(difference)),
    }
}

async fn run(input: &Input) -> Played {
    let start = Instant::now();
    let played = Arc::new(Mutex::new(Played::default()));
    let handler = Handler::new(settings(input), sender(input, start, Arc::clone(&played)));
    let front = Front::new(handler.clone(), &users(input));
    let sweeper = handler.clone();
    tokio::spawn(async move { sweeper.sweep().await });
    let mut requests = 0;
    for (index, step) in input.steps.iter().enumerate() {
        sleep_until(start + Duration::from_millis(step.at_ms())).await;
        match step {
            Step::Node { node, frame, .. } => {
                let frame = handler.frame(&NodeId::from(node.as_str()), frame.as_bytes());
                if let Err(error) = frame {
                    played.lock().unwrap().node_errors.push((index, error));
                }
            }
            Step::User { .. } => {
                tokio::spawn(ask(front.clone(), step.request(), requests, start, played.clone()));
                requests += 1;
            }
        }
        settle().await;
        played.lock().unwrap().active_after_step.push(handler.active_ids());
    }
    sleep_until(start + Duration::from_millis(input.until_ms)).await;
    settle().await;
    let mut played = std::mem::take(&mut *played.lock().unwrap());
    played.active_at_end = handler.active_ids();
    played
}

/// Sends one user's request, and leaves when the user does.
async fn ask(
    front: Front,
    (request, leaves): (Request<Body>, Option<Duration>),
    index: usize,
    start: Instant,
    played: Arc<Mutex<Played>>,
) {
    let stays = leaves.unwrap_or(FOREVER);
    let Ok(response) = timeout(stays, front.serve(request)).await else { return };
    let (head, body) = Response::into_parts(response);
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let content_type = head.headers.get(header::CONTENT_TYPE);
    played.lock().unwrap().answers.push(Answered {
        at_ms: super::ms(start.elapsed()),
        request: index,
        status: head.status.as_u16(),
        content_type: content_type.map_or("", |value| value.to_str().unwrap()).to_owned(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
}

/// Lets every task run that has something to do at this instant.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn sender(
    input: &Input,
    start: Instant,
    played: Arc<Mutex<Played>>,
) -> host_gateway::handler::SendTo {
    let behaviour = input.send.clone();
    Arc::new(move |node, text| {
        let SendInput { fails, hangs, after_ms } =
            behaviour.get(node.as_str()).copied().unwrap_or_default();
        let (node, played) = (node.to_string(), Arc::clone(&played));
        Box::pin(async move {
            if fails {
                return Err(SendError::NotConnected);
            }
            if hangs {
                std::future::pending::<()>().await;
            }
            if after_ms > 0 {
                sleep(Duration::from_millis(after_ms)).await;
            }
            let text = String::from_utf8(text.to_vec()).unwrap();
            played.lock().unwrap().sent.insert((super::ms(start.elapsed()), text, node));
            Ok(())
        })
    })
}

fn settings(input: &Input) -> Settings {
    let config: Value = serde_json::from_str(&input.config).unwrap();
    let rate = |text: &Option<String>, otherwise| {
        text.as_ref().map_or(otherwise, |text| text.parse().unwrap())
    };
    let global = input.global();
    Settings {
        members: input.members.iter().map(|member| NodeId::from(member.as_str())).collect(),
        faults: FaultBound::new(input.f),
        relay: Relay::from_value(config).unwrap(),
        node_rate: rate(&global.gateway_confidential_relay_per_node_rate, Rate::PER_NODE),
        total_rate: rate(&global.gateway_confidential_relay_global_rate, Rate::TOTAL),
        max_frame_bytes: 1_000_000,
        max_active: 1000,
        shared_nodes: input.services != ["confidential"],
    }
}

fn users(input: &Input) -> Users {
    let limit = input.global().gateway_incoming_payload_size_limit;
    let timeout = Duration::from_millis(input.request_timeout_ms);
    Users {
        listen: ([127, 0, 0, 1], 0).into(),
        max_request_bytes: limit.map_or(input.max_request_bytes, |text| size(&text)),
        max_connections: 1,
        max_waiting: 1,
        request_timeout: if timeout.is_zero() { FOREVER } else { timeout },
    }
}

/// A size as the settings write it.
fn size(text: &str) -> usize {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap();
    let unit = match &text[digits..] {
        "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        unit => panic!("unknown unit {unit}"),
    };
    text[..digits].parse::<usize>().unwrap() * unit
}

impl Input {
    fn global(&self) -> GlobalInput {
        let global = self.settings.as_ref().map(|settings| &settings.global);
        GlobalInput {
            gateway_confidential_relay_per_node_rate: global
                .and_then(|global| global.gateway_confidential_relay_per_node_rate.clone()),
            gateway_confidential_relay_global_rate: global
                .and_then(|global| global.gateway_confidential_relay_global_rate.clone()),
            gateway_incoming_payload_size_limit: global
                .and_then(|global| global.gateway_incoming_payload_size_limit.clone()),
        }
    }
}

impl Step {
    fn at_ms(&self) -> u64 {
        match self {
            Self::Node { at_ms, .. } | Self::User { at_ms, .. } => *at_ms,
        }
    }

    /// What is read: a user's body or a node's frame.
    fn text(&self) -> &str {
        match self {
            Self::Node { frame, .. } => frame,
            Self::User { body, .. } => body,
        }
    }

    /// A user's request, and how long the user waits.
    fn request(&self) -> (Request<Body>, Option<Duration>) {
        let Self::User { body, http_method, authorization, client_leaves_after_ms, .. } = self
        else {
            panic!("not a user's step");
        };
        let mut request =
            Request::builder().method(http_method.as_deref().unwrap_or("POST")).uri("/");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let leaves = client_leaves_after_ms.map(Duration::from_millis);
        (request.body(Body::from(body.clone())).unwrap(), leaves)
    }
}

/// Longer than any case.
const FOREVER: Duration = Duration::from_secs(1_000_000);
