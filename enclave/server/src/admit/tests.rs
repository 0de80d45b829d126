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
    app::{AppError, Program},
    budget::Claim,
    events::Events,
    ledger::LedgerLimits,
    received::Received,
};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const HOUR: Duration = Duration::from_secs(3600);

/// Claims everything, after some grace.
struct Waiting(Option<Duration>);

impl App for Waiting {
    fn claim(&self, _request: &ComputeRequest) -> Claim {
        Claim { owner: Owner::normalised(""), bytes: 100 }
    }

    fn grace(&self) -> Option<Duration> {
        self.0
    }

    fn load<'a>(
        &'a self,
        _request: &'a ComputeRequest,
        _events: &'a Events,
    ) -> BoxFuture<'a, Result<Box<dyn Program>, AppError>> {
        unreachable!("nothing is loaded here")
    }
}

fn gate() -> Gate {
    let limits = LedgerLimits { life: HOUR, entries: 10, outcome_bytes: 1_000 };
    Gate {
        ledger: Ledger::new(limits),
        budget: Budget::new(100),
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

#[tokio::test(start_paused = true)]
async fn w45_a_grace_period_holds_no_room() {
    let gate = gate();
    let start = tokio::time::Instant::now();
    let patient = Waiting(Some(Duration::from_secs(7)));
    let callers = Callers::new();
    let late = gate.admit(quorate(&gate, 1), &patient, &callers, NOW);
    let others = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        gate.admit(quorate(&gate, 2), &Waiting(None), &Callers::new(), NOW).await.unwrap()
    };
    let (late, other) = tokio::join!(late, others);
    assert_eq!(
        late.unwrap_err(),
        AdmitError::Busy(BudgetError::Full),
        "the other one has the room"
    );
    assert_eq!(start.elapsed().as_secs(), 7);
    drop(other);
    gate.admit(quorate(&gate, 1), &Waiting(None), &Callers::new(), NOW).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_in_its_grace_period_is_in_flight() {
    let gate = gate();
    let patient = Waiting(Some(HOUR));
    let callers = Callers::new();
    let first = gate.admit(quorate(&gate, 1), &patient, &callers, NOW);
    let twin = async {
        tokio::task::yield_now().await;
        let twin = gate.admit(quorate(&gate, 1), &patient, &Callers::new(), NOW).await;
        gate.shutdown.cancel();
        twin.unwrap_err()
    };
    let (first, twin) = tokio::join!(first, twin);
    assert_eq!(twin, AdmitError::Ledger(ReserveError::InFlight));
    assert_eq!(first.unwrap_err(), AdmitError::ShuttingDown);
}
