//! Who is let in when there is no room, and what becomes of requests whose callers leave or whose
//! application panics.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "a test that stops has failed")]

#[expect(dead_code, reason = "every test file uses a part of it")]
mod world;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use enclave_server::{
    Claim, Events,
    app::{App, AppError, Program, RunContext},
};
use http::Method;
use protocol::{compute::ComputeRequest, ids::Owner, json};
use tokio::sync::Semaphore;
use transport::{
    BoxFuture, Dial as _,
    http::{ClientLimits, Connection},
};
use world::{Special, World};

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
}

impl App for Gated {
    fn claim(&self, request: &ComputeRequest) -> Claim {
        let owner = String::from_utf8_lossy(request.public_data.as_slice()).into_owned();
        Claim { owner: Owner::normalised(&owner), bytes: self.claim }
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
        };
        Box::pin(async move { Ok(Box::new(run) as Box<dyn Program>) })
    }
}

impl Program for Run {
    fn run(self: Box<Self>, context: RunContext) -> BoxFuture<'static, Result<Vec<u8>, AppError>> {
        Box::pin(async move {
            self.runs.fetch_add(1, Ordering::AcqRel);
            let _passed = self.gate.acquire().await.unwrap();
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
    assert_eq!(
        (refused.status.as_u16(), refused.headers["retry-after"].to_str().unwrap()),
        (429, "1")
    );
    let text = "error executing enclave app request: \
                &{enclave at capacity: too many concurrent executions 429}";
    assert_eq!(refused.error(), text);
    let value = refused.value();
    assert_eq!((&value["code"], &value["retryable"]), (&"capacity".into(), &true.into()));
    assert_eq!(refused.event("execution_rejected_at_capacity")["max_concurrent"], 1);
    assert_eq!(scene.send(&two).await.status, 200, "nothing was used up");
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

/// Polls all of them until each is done.
async fn join_all<T, F: Future<Output = T>>(futures: impl IntoIterator<Item = F>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in &mut running {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if running.iter().all(|(_future, done)| done.is_some()) {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
    running.into_iter().filter_map(|(_future, done)| done).collect()
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_end_its_request() {
    let scene = scene(1, 0).await;
    let request = scene.request(1, "done").await;
    let batch = scene.world.committee.sign(&request, &[0, 1]);
    let limits = ClientLimits {
        head_bytes: 8192,
        body_bytes: 1024 * 1024,
        timeout: std::time::Duration::from_secs(60),
    };
    let stream = scene.world.server.dial().await.unwrap();
    let mut connection = Connection::open(stream, &limits).await.unwrap();
    let sent = http::Request::builder()
        .method(Method::POST)
        .uri("/requests")
        .header("host", "enclave")
        .body(json::to_vec(&batch).into())
        .unwrap();
    tokio::select! {
        _reply = connection.send(sent, &limits) => panic!("the gate is closed"),
        () = scene.until_running(1) => {}
    }
    drop(connection);
    scene.gate.add_permits(1);
    let path = format!("/results/{}", request.hash());
    let stored = loop {
        let reply = scene.world.ask(Method::GET, &path, "").await;
        if reply.status == 200 {
            break reply;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(stored.answer().output.as_slice(), b"done");
    let again = scene.send(&request).await;
    assert_eq!(again.status, 409);
    assert_eq!(scene.runs.load(Ordering::Acquire), 1);
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
