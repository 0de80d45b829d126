//! Who is let in when there is no room, and what becomes of requests whose callers leave or whose
//! application panics.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

#[expect(dead_code, reason = "every test file uses a part of it")]
mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use enclave_server::{
    Claim, Config, Events,
    app::{App, AppError, Program, RunContext},
};
use http::Method;
use protocol::{
    compute::ComputeRequest, ids::Owner, json, limits::ABANDONED_RUN_GRACE,
    messages::confidential_workflow::WorkflowExecution,
};
use tokio::sync::Semaphore;
use transport::{
    BoxFuture, Dial as _,
    http::{ClientLimits, Connection},
};
use world::{Special, World, join_all, pass};

/// Runs wait at a gate; the public data says what happens behind it.
struct Gated {
    gate: Arc<Semaphore>,
    runs: Arc<AtomicU32>,
    claim: u64,
}

struct Run {
    gate: Arc<Semaphore>,
    runs: Arc<AtomicU32>,
    data: Vec<u8>,
    claim: u64,
}

impl App for Gated {
    fn owner(&self, request: &ComputeRequest) -> Owner {
        Owner::normalised(&String::from_utf8_lossy(request.public_data.as_slice()))
    }

    fn load<'a>(
        &'a self,
        request: &'a ComputeRequest,
        _events: &'a Events,
    ) -> BoxFuture<'a, Result<Box<dyn Program>, AppError>> {
        let run = Run {
            gate: Arc::clone(&self.gate),
            runs: Arc::clone(&self.runs),
            data: request.public_data.as_slice().to_vec(),
            claim: self.claim,
        };
        Box::pin(async move { Ok(Box::new(run) as Box<dyn Program>) })
    }
}

impl Program for Run {
    fn claim(&self) -> Claim {
        let owner = String::from_utf8_lossy(&self.data);
        Claim { owner: Owner::normalised(&owner), bytes: self.claim }
    }

    fn run(self: Box<Self>, context: RunContext) -> BoxFuture<'static, Result<Vec<u8>, AppError>> {
        Box::pin(async move {
            self.runs.fetch_add(1, Ordering::AcqRel);
            tokio::select! {
                passed = self.gate.acquire() => drop(passed.unwrap()),
                () = context.abandoned.cancelled() => {
                    return Err(AppError::new(&Abandoned, 504, "abandoned"));
                }
            }
            match self.data.as_slice() {
                b"panic" => panic!("told to"),
                b"panic after an effect" => {
                    context.effects.mark();
                    panic!("told to");
                }
                other => Ok(other.to_vec()),
            }
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("nobody waits")]
struct Abandoned;

struct Scene {
    world: World,
    gate: Arc<Semaphore>,
    runs: Arc<AtomicU32>,
}

async fn scene(claim: u64, open: usize) -> Scene {
    let (gate, runs) = (Arc::new(Semaphore::new(open)), Arc::new(AtomicU32::new(0)));
    let app = Gated { gate: Arc::clone(&gate), runs: Arc::clone(&runs), claim };
    let world = World::special(Special { app: Some(Arc::new(app)), ..Special::default() }).await;
    world.configure().await;
    Scene { world, gate, runs }
}

impl Scene {
    async fn request(&self, id: u8, data: &str) -> ComputeRequest {
        let key = self.world.key().await;
        ComputeRequest {
            request_id: [id; 32].into(),
            public_data: data.as_bytes().into(),
            app_id: "gated@1".to_owned(),
            version: "0.0.6".to_owned(),
            enclave_ephemeral_public_key: world::wire(key.as_bytes()),
            ..ComputeRequest::default()
        }
    }

    async fn send(&self, request: &ComputeRequest) -> world::Reply {
        self.world.send(&self.world.committee.sign(request, &[0, 1])).await
    }

    /// Waits until so many runs have begun.
    async fn until_running(&self, runs: u32) {
        while self.runs.load(Ordering::Acquire) < runs {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn w15_without_room_a_request_is_sent_away_and_may_come_back() {
    let scene = scene(u64::MAX / 4, 0).await;
    let (one, two) = (scene.request(1, "one").await, scene.request(2, "two").await);
    let first = async { scene.send(&one).await };
    let rest = async {
        scene.until_running(1).await;
        let refused = scene.send(&two).await;
        scene.gate.add_permits(10);
        refused
    };
    let (first, refused) = tokio::join!(first, rest);
    assert_eq!(first.status, 200);
    assert_eq!((refused.status.as_u16(), retry_after(&refused)), (429, 1));
    let text = "error executing enclave app request: \
                &{enclave at capacity: too many concurrent executions 429}";
    assert_eq!(refused.error(), text);
    let value = refused.value();
    assert_eq!((&value["code"], &value["retryable"]), (&"capacity".into(), &true.into()));
    assert_eq!(refused.event("execution_rejected_at_capacity")["max_concurrent"], 1);
    assert_eq!(scene.send(&two).await.status, 200, "nothing was used up");
}

/// Seconds.
fn retry_after(reply: &world::Reply) -> u64 {
    reply.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

/// A claim of which about ten fit together.
fn tenth() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap();
    let kib: u64 = line.trim().strip_suffix("kB").unwrap().trim().parse().unwrap();
    kib * 1024 / 2 / 10
}

#[tokio::test]
async fn w15_of_a_burst_some_are_served_and_the_rest_are_told_when_to_come_back() {
    let scene = scene(tenth(), 0).await;
    // Each for another owner.
    let owners: Vec<_> = (1..=40).map(|id| (id, format!("{id:02x}"))).collect();
    let requests = join_all(owners.iter().map(|(id, owner)| scene.request(*id, owner))).await;
    let refused = AtomicU32::new(0);
    let sending = join_all(requests.iter().map(|request| async {
        let reply = scene.send(request).await;
        if reply.status == 429 {
            assert!((1..=60).contains(&retry_after(&reply)));
            refused.fetch_add(1, Ordering::AcqRel);
        }
        reply.status.as_u16()
    }));
    let opening = async {
        while scene.runs.load(Ordering::Acquire) + refused.load(Ordering::Acquire) < 40 {
            tokio::task::yield_now().await;
        }
        scene.gate.add_permits(1_000);
    };
    let (statuses, ()) = tokio::join!(sending, opening);
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!((5..=15).contains(&served), "{served}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    let again = requests.iter().zip(&statuses).filter(|(_request, status)| **status == 429);
    let again = again.take(5).map(|(request, _status)| scene.send(request));
    let again = tokio::time::timeout(Duration::from_secs(5), join_all(again)).await.unwrap();
    assert!(again.iter().all(|reply| reply.status == 200), "there is room again at once");
}

#[tokio::test]
async fn w15_a_burst_of_workflows_is_served_or_sent_away_and_the_enclave_is_ready_again() {
    let config = Config::default().with_memory(3_750_000_000);
    let world = World::special(Special { config, ..Special::default() }).await;
    world.configure().await;
    let silent = world::settings(r#","executionTimeout":"1h","gatewayRequestTimeout":"10m""#);
    let silent = silent.replace("gateway.test", world::bridge::SILENT);
    assert_eq!(world.ask(Method::POST, "/settings", silent).await.status, 204);
    let guest = world::guest::calling("price-feed@1.0.0", "Latest", None);
    let executions = of_many_owners(&world, &guest, "burst", BURST);
    let refused = AtomicU32::new(0);
    let sending = join_all(executions.iter().map(|execution| async {
        let reply = world.execute(execution).await;
        if reply.status == 429 {
            assert!((1..=60).contains(&retry_after(&reply)));
            refused.fetch_add(1, Ordering::AcqRel);
        }
        reply
    }));
    let waiting = || {
        let asked = world.bridge.asked().into_iter();
        asked.filter(|(_, target)| target.starts_with(world::bridge::SILENT)).count()
    };
    let ending = async {
        while waiting() + refused.load(Ordering::Acquire) as usize != BURST {
            tokio::task::yield_now().await;
        }
        // What all of them wait for never comes.
        pass(Duration::from_secs(10 * 60)).await;
    };
    let (replies, ()) = tokio::join!(sending, ending);
    let (served, sent_away): (Vec<_>, Vec<_>) =
        replies.iter().partition(|reply| reply.status == 200);
    assert!(sent_away.iter().all(|reply| reply.status == 429));
    let fits = &sent_away[0].event("execution_rejected_at_capacity")["max_concurrent"];
    assert_eq!(fits.as_u64(), u64::try_from(served.len()).ok());
    assert_eq!(served.len() * 4, BURST);
    let guest = world::guest::wat(world::guest::SAY_HI);
    let again = of_many_owners(&world, &guest, "again", served.len());
    let again = join_all(again.iter().map(|execution| world.execute(execution)));
    let again = tokio::time::timeout(Duration::from_secs(5), again).await.unwrap();
    assert!(again.iter().all(|reply| reply.status == 200), "ready again");
}

/// Each is another workflow of another owner.
fn of_many_owners(world: &World, guest: &[u8], id: &str, count: usize) -> Vec<WorkflowExecution> {
    let each = |number| WorkflowExecution {
        owner: format!("{number:040x}"),
        workflow_id: format!("{number:064x}"),
        ..world.publish(guest, "", &format!("{id} {number}"))
    };
    (0..count).map(each).collect()
}

/// Four times what fits into the memory of the enclave above.
const BURST: usize = 32;

#[tokio::test]
async fn a_module_is_fetched_while_its_request_waits_out_the_grace() {
    let world = World::ready().await;
    world.settings(r#","workflowGracePeriod":"1h""#).await;
    let guest = world::guest::wat(world::guest::SAY_HI);
    let execution = world.publish(&guest, "", "e1");
    let request = ComputeRequest::for_execution(&execution, &world.key().await);
    let batch = world.committee.sign(&request, &[0, 1]);
    let fetches = || world.bridge.asked().len();
    let others = async {
        while fetches() == 0 {
            tokio::task::yield_now().await;
        }
        world.settings("").await;
        let other = world.execute(&world.publish(&guest, "", "e2")).await;
        assert_eq!(other.status, 200, "{}", other.text());
    };
    tokio::select! {
        _reply = world.send(&batch) => panic!("an hour has passed"),
        () = others => {}
    }
    assert_eq!(fetches(), 1);
}

#[tokio::test]
async fn requests_that_fit_run_side_by_side() {
    let scene = scene(1, 0).await;
    let requests: Vec<_> = futures(20, |id| scene.request(id, "x")).await;
    let sending = async {
        let mut statuses = Vec::new();
        let sent = requests.iter().map(|request| scene.send(request));
        for reply in join_all(sent).await {
            statuses.push(reply.status.as_u16());
        }
        statuses
    };
    let opening = async {
        scene.until_running(20).await;
        scene.gate.add_permits(20);
    };
    let (statuses, ()) = tokio::join!(sending, opening);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

async fn futures<T, F: Future<Output = T>>(count: u8, make: impl Fn(u8) -> F) -> Vec<T> {
    join_all((0..count).map(make)).await
}

/// Sends a request and leaves once it runs.
async fn send_and_leave(world: &World, request: &ComputeRequest, runs: impl Future<Output = ()>) {
    let batch = world.committee.sign(request, &[0, 1]);
    let limits = ClientLimits {
        head_bytes: 8192,
        body_bytes: 1024 * 1024,
        timeout: Duration::from_secs(60),
    };
    let stream = world.server.dial().await.unwrap();
    let mut connection = Connection::open(stream, &limits).await.unwrap();
    let sent = http::Request::builder()
        .method(Method::POST)
        .uri("/requests")
        .header("host", "enclave")
        .body(json::to_vec(&batch).into())
        .unwrap();
    tokio::select! {
        _reply = connection.send(sent, &limits) => panic!("it was answered"),
        () = runs => {}
    }
}

/// Asks for an outcome until it is there.
async fn stored(world: &World, request: &ComputeRequest) -> world::Reply {
    loop {
        let reply = ask(world, request).await;
        if reply.status != 404 {
            return reply;
        }
        tokio::task::yield_now().await;
    }
}

async fn ask(world: &World, request: &ComputeRequest) -> world::Reply {
    world.ask(Method::GET, &format!("/results/{}", request.hash()), "").await
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn w45_who_comes_back_in_time_gets_the_outcome_of_the_same_run() {
    let scene = scene(1, 0).await;
    let request = scene.request(1, "done").await;
    send_and_leave(&scene.world, &request, scene.until_running(1)).await;
    for _time in 0..3 {
        pass(ABANDONED_RUN_GRACE - SECOND).await;
        let again = scene.send(&request).await;
        assert_eq!(again.error(), "request is already being processed");
        pass(ABANDONED_RUN_GRACE - SECOND).await;
        assert_eq!(ask(&scene.world, &request).await.status, 404);
    }
    scene.gate.add_permits(1);
    let first = stored(&scene.world, &request).await;
    assert_eq!(first.answer().output.as_slice(), b"done");
    assert_eq!(stored(&scene.world, &request).await.body, first.body);
    assert_eq!(scene.send(&request).await.status, 409);
    assert_eq!(scene.runs.load(Ordering::Acquire), 1);
}

#[tokio::test]
async fn w45_a_run_that_nobody_waits_for_ends_and_may_be_repeated() {
    let scene = scene(u64::MAX / 4, 0).await;
    let request = scene.request(1, "done").await;
    send_and_leave(&scene.world, &request, scene.until_running(1)).await;
    pass(ABANDONED_RUN_GRACE + SECOND).await;
    assert_eq!(ask(&scene.world, &request).await.status, 404, "it had no effect");
    scene.gate.add_permits(1);
    assert_eq!(scene.send(&request).await.status, 200, "it took its room with it");
    assert_eq!(scene.runs.load(Ordering::Acquire), 2);
}

#[tokio::test]
async fn w45_one_caller_of_two_who_leaves_changes_nothing() {
    let scene = scene(1, 0).await;
    let request = scene.request(1, "done").await;
    let staying = scene.send(&request);
    let leaving = async {
        scene.until_running(1).await;
        assert_eq!(scene.send(&request).await.status, 409, "the second caller");
        pass(ABANDONED_RUN_GRACE * 3).await;
        scene.gate.add_permits(1);
    };
    let (reply, ()) = tokio::join!(staying, leaving);
    assert_eq!(reply.answer().output.as_slice(), b"done");
}

#[tokio::test]
async fn w45_a_call_that_nobody_waits_for_is_given_up_and_never_made_again() {
    let world = World::ready().await;
    let silent = world::settings(r#","executionTimeout":"1h","gatewayRequestTimeout":"1h""#);
    let silent = silent.replace("gateway.test", world::bridge::SILENT);
    assert_eq!(world.ask(Method::POST, "/settings", silent).await.status, 204);
    let guest = world::guest::calling("price-feed@1.0.0", "Latest", None);
    let execution = world.publish(&guest, "", "e1");
    let request = ComputeRequest::for_execution(&execution, &world.key().await);
    let calls = || {
        let asked = world.bridge.asked();
        asked.iter().filter(|(_, target)| target.starts_with(world::bridge::SILENT)).count()
    };
    let calling = async {
        while calls() == 0 {
            tokio::task::yield_now().await;
        }
    };
    send_and_leave(&world, &request, calling).await;
    pass(ABANDONED_RUN_GRACE + SECOND).await;
    let outcome = stored(&world, &request).await;
    assert_eq!(outcome.status, 504);
    let text = "executing wasm: executing wasm: context deadline exceeded";
    assert!(outcome.error().contains(text), "{}", outcome.error());
    let again = world.send(&world.committee.sign(&request, &[2, 3])).await;
    assert_eq!(again.status, 409, "the call may have had its effect");
    assert_eq!(calls(), 1);
}

#[tokio::test]
async fn w45_a_request_in_its_grace_period_that_nobody_waits_for_is_forgotten() {
    let world = World::ready().await;
    world.settings(r#","workflowGracePeriod":"1h""#).await;
    let execution = world.publish(&world::guest::wat(world::guest::SAY_HI), "", "e1");
    let request = ComputeRequest::for_execution(&execution, &world.key().await);
    let admitted = async {
        for _turn in 0..1000 {
            tokio::task::yield_now().await;
        }
    };
    send_and_leave(&world, &request, admitted).await;
    pass(ABANDONED_RUN_GRACE + SECOND).await;
    world.settings("").await;
    let again = world.send(&world.committee.sign(&request, &[0, 1])).await;
    assert_eq!(again.status, 200, "{}", again.text());
}

#[tokio::test]
async fn a_panic_ends_one_request_and_nothing_else() {
    let scene = scene(1, 100).await;
    let request = scene.request(1, "panic").await;
    for _attempt in 0..2 {
        let reply = scene.send(&request).await;
        assert_eq!((reply.status.as_u16(), reply.error().as_str()), (500, "internal error"));
        assert_eq!(reply.value()["code"], "internal");
    }
    let request = scene.request(2, "panic after an effect").await;
    assert_eq!(scene.send(&request).await.status, 500);
    assert_eq!(scene.send(&request).await.status, 409, "w07: the effect may have happened");
    assert_eq!(scene.send(&scene.request(3, "fine").await).await.status, 200);
}

#[tokio::test]
async fn w45_a_grace_period_ends_with_the_server() {
    let world = World::ready().await;
    world.settings(r#","workflowGracePeriod":"1h""#).await;
    let execution = world.publish(&world::guest::wat(world::guest::SAY_HI), "", "e1");
    let request = ComputeRequest::for_execution(&execution, &world.key().await);
    let batch = world.committee.sign(&request, &[0, 1]);
    let stop = async {
        for _turn in 0..1000 {
            tokio::task::yield_now().await;
        }
        world.shutdown.cancel();
    };
    let (reply, ()) = tokio::join!(world.send(&batch), stop);
    assert_eq!(
        (reply.status.as_u16(), reply.value()["code"].as_str()),
        (503, Some("shutting_down"))
    );
}
