use std::sync::atomic::{AtomicU32, Ordering};

use crypto::{
    sign::SigningKey,
    tdh2::{Threshold, deal},
};
use protocol::{
    config::{Config, EnclaveConfig},
    ids::Owner,
    json,
};
use rand_core::OsRng;
use transport::BoxFuture;

use super::*;
use crate::{
    app::{App, AppError, Program, RunContext},
    budget::Claim,
    ledger::LedgerLimits,
    received::Received,
    rooms::Loaded,
};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const HOUR: Duration = Duration::from_secs(3600);

/// Claims everything, after some grace, and counts how often it is loaded.
#[derive(Default)]
struct Waiting {
    grace: Option<Duration>,
    loaded: AtomicU32,
}

struct Idle;

impl App for Waiting {
    fn owner(&self, _request: &ComputeRequest) -> Owner {
        Owner::normalised("")
    }

    fn grace(&self) -> Option<Duration> {
        self.grace
    }

    fn load<'a>(
        &'a self,
        _request: &'a ComputeRequest,
        _events: &'a Events,
    ) -> BoxFuture<'a, Result<Box<dyn Program>, AppError>> {
        self.loaded.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(Box::new(Idle) as Box<dyn Program>) })
    }
}

impl Program for Idle {
    fn claim(&self) -> Claim {
        Claim { owner: Owner::normalised(""), bytes: 100 }
    }

    fn run(self: Box<Self>, _context: RunContext) -> BoxFuture<'static, Result<Vec<u8>, AppError>> {
        unreachable!("nothing runs here")
    }
}

fn patient(grace: Duration) -> Waiting {
    Waiting { grace: Some(grace), ..Waiting::default() }
}

async fn enter(gate: &Gate, id: u8, app: &Waiting) -> Result<Loaded, AdmitError> {
    gate.admit(quorate(gate, id), &Callers::new(), NOW)?.load(app, gate).await
}

fn gate() -> Gate {
    let limits = LedgerLimits { life: HOUR, entries: 10, outcome_bytes: 1_000 };
    Gate {
        ledger: Ledger::new(limits),
        budget: Budget::new(100),
        waiting: Budget::new(4),
        keychain: Arc::new(Keychain::new(HOUR, &mut OsRng, NOW)),
        shutdown: CancellationToken::new(),
    }
}

fn quorate(gate: &Gate, id: u8) -> Quorate {
    let key = SigningKey::from_seed(&[1; 32]);
    let dealt = deal(Threshold::new(1).unwrap(), 1, &mut OsRng).unwrap();
    let config = EnclaveConfig {
        signers: Some(vec![key.public().as_bytes().as_slice().into()]),
        master_public_key: dealt.public_key.as_bytes().into(),
        t: 1,
        f: 0,
    };
    let request = ComputeRequest {
        request_id: [id; 32].into(),
        app_id: "app".to_owned(),
        version: "0.0.6".to_owned(),
        enclave_ephemeral_public_key: gate.keychain.live(NOW)[0].public().as_bytes()[..].into(),
        ..ComputeRequest::default()
    };
    let body = json::to_vec(&vec![request.sign(&key)]);
    let received = Received::decode(&body, Events::default()).unwrap();
    received.agree(Some(Arc::new(Config::check(config).unwrap()))).unwrap()
}

fn refusal(entered: Result<Loaded, AdmitError>) -> AdmitError {
    entered.err().unwrap()
}

fn full() -> AdmitError {
    AdmitError::Busy(BudgetError::Full { retry_after: Duration::from_secs(1) })
}

#[tokio::test(start_paused = true)]
async fn w45_a_grace_period_holds_no_room() {
    let gate = gate();
    let start = tokio::time::Instant::now();
    let waiting = patient(Duration::from_secs(7));
    let late = enter(&gate, 1, &waiting);
    let others = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(waiting.loaded.load(Ordering::Relaxed), 1, "the grace is used");
        enter(&gate, 2, &Waiting::default()).await.ok().unwrap()
    };
    let (late, other) = tokio::join!(late, others);
    assert_eq!(refusal(late), full(), "the other one has the room");
    assert_eq!(start.elapsed().as_secs(), 7);
    drop(other);
    assert!(enter(&gate, 1, &Waiting::default()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_in_its_grace_period_is_in_flight() {
    let gate = gate();
    let waiting = patient(HOUR);
    let first = enter(&gate, 1, &waiting);
    let twin = async {
        tokio::task::yield_now().await;
        let twin = enter(&gate, 1, &waiting).await;
        gate.shutdown.cancel();
        refusal(twin)
    };
    let (first, twin) = tokio::join!(first, twin);
    assert_eq!(twin, AdmitError::Ledger(ReserveError::InFlight));
    assert_eq!(refusal(first), AdmitError::ShuttingDown);
}

#[tokio::test]
async fn who_is_sent_away_for_want_of_room_has_been_loaded() {
    let gate = gate();
    let running = enter(&gate, 1, &Waiting::default()).await.ok().unwrap();
    let app = Waiting::default();
    assert_eq!(refusal(enter(&gate, 2, &app).await), full());
    assert_eq!(app.loaded.load(Ordering::Relaxed), 1);
    drop(running);
    assert!(enter(&gate, 2, &app).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_owner_whose_requests_wait_leaves_room_for_others_to_wait() {
    let gate = Gate { waiting: Budget::new(4 * 1024), ..gate() };
    let owner = |byte| crypto::address::Address::from([byte; 20]).into();
    let many: Vec<_> = (0..1024).map_while(|_| gate.waiting_room(owner(1), 0).ok()).collect();
    assert_eq!(many.len(), 768, "three quarters of the connections");
    assert!(gate.waiting_room(owner(2), 1024).is_ok());
    assert!(gate.waiting_room(owner(2), 0).is_ok());
    drop(many);
    assert!(gate.waiting_room(owner(1), 3 * 1024).is_ok(), "large ones take what they are");
}
