//! An embedder that answers as recorded and remembers what it was asked.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use protocol::messages::{
    self,
    sdk::{
        CapabilityOutcome, CapabilityRequest, CapabilityResponse, GetSecretsRequest, SecretResponse,
    },
    telemetry::WorkflowUserMetric,
    well_known::Any,
};
use tokio::{sync::watch, time::Instant};

use super::schema::{Answer, Call, CallKind, NodeClock, Scenario, Step};
use crate::{GuestText, NoDonTime, NodeTime, NotEmitted, ServiceFuture, Services};

/// The recorded embedder of one step.
#[derive(Debug)]
pub(super) struct Recorded {
    execution_id: String,
    clock: NodeClock,
    start: Instant,
    don_times: Vec<Option<u64>>,
    don_reads: AtomicUsize,
    calls: Vec<Call>,
    in_flight: AtomicUsize,
    seen: Mutex<Seen>,
    /// Callback ids seen so far, for answers that wait for one.
    ids: watch::Sender<Vec<i32>>,
}

/// What a step was seen to do.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) calls: Vec<SeenCall>,
    pub(super) most_in_flight: usize,
    pub(super) logs: Vec<Vec<u8>>,
    pub(super) metrics: Vec<WorkflowUserMetric>,
    pub(super) don_reads: usize,
}

/// One call that came.
#[derive(Clone, Debug)]
pub(super) struct SeenCall {
    pub(super) request: SeenRequest,
    /// Index of the recorded call that answered it.
    pub(super) recorded: Option<usize>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SeenRequest {
    Capability(CapabilityRequest),
    Secrets(GetSecretsRequest),
}

impl Recorded {
    pub(super) fn new(scenario: &Scenario, step: &Step) -> Self {
        Self {
            execution_id: scenario.execution_id.clone(),
            clock: scenario.node_time,
            start: Instant::now(),
            don_times: scenario.don_times.iter().map(|time| time.parse().ok()).collect(),
            don_reads: AtomicUsize::new(0),
            calls: step.calls.clone(),
            in_flight: AtomicUsize::new(0),
            seen: Mutex::default(),
            ids: watch::Sender::new(Vec::new()),
        }
    }

    /// What was seen so far.
    pub(super) fn take_seen(&self) -> Seen {
        let mut seen = std::mem::take(&mut *self.seen());
        seen.don_reads = self.don_reads.load(Ordering::Relaxed);
        seen
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call and finds its recorded answer: the first of its kind with its callback id (or,
    /// where ids are lost, with an equal request) that no earlier call has taken.
    fn note(&self, request: SeenRequest) -> Option<&Answer> {
        let in_flight = self.in_flight.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let id = request.callback_id();
        let mut seen = self.seen();
        let taken: Vec<_> = seen.calls.iter().filter_map(|call| call.recorded).collect();
        let candidates = || {
            let calls = self.calls.iter().enumerate();
            calls.filter(|(index, call)| {
                call.kind == request.kind() && call.callback_id == id && !taken.contains(index)
            })
        };
        let recorded = candidates()
            .find(|(_, call)| request.is(&call.request).unwrap_or(false))
            .or_else(|| candidates().next());
        seen.calls.push(SeenCall { request, recorded: recorded.map(|(index, _)| index) });
        seen.most_in_flight = seen.most_in_flight.max(in_flight);
        drop(seen);
        self.ids.send_modify(|ids| ids.push(id));
        recorded.map(|(_, call)| &call.answer)
    }

    /// Waits as long as the recorded answer waited.
    async fn wait(&self, answer: &Answer) {
        if answer.hang {
            std::future::pending::<()>().await;
        }
        if let Some(id) = answer.after_callback {
            // The sender lives in `self`, so waiting cannot fail.
            let _seen = self.ids.subscribe().wait_for(|ids| ids.contains(&id)).await.is_ok();
        }
        if let Some(delay_ms) = answer.delay_ms {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
    }
}

impl Services for Recorded {
    fn call_capability(
        &self,
        request: CapabilityRequest,
    ) -> ServiceFuture<'_, Result<CapabilityResponse, GuestText>> {
        Box::pin(async move {
            let answer = self.note(SeenRequest::Capability(request));
            let _flight = Flight(&self.in_flight);
            let answer = answer.ok_or_else(|| GuestText::new("no such call was recorded"))?;
            self.wait(answer).await;
            response(answer)
        })
    }

    fn secrets(
        &self,
        request: GetSecretsRequest,
    ) -> ServiceFuture<'_, Result<Vec<SecretResponse>, GuestText>> {
        Box::pin(async move {
            let answer = self.note(SeenRequest::Secrets(request));
            let _flight = Flight(&self.in_flight);
            let answer = answer.ok_or_else(|| GuestText::new("no such call was recorded"))?;
            self.wait(answer).await;
            secrets(answer)
        })
    }

    fn execution_id(&self) -> String {
        self.execution_id.clone()
    }

    fn node_time(&self) -> NodeTime {
        let (nanos, monotonic) = match self.clock {
            NodeClock::Fixed(nanos) => (nanos, Duration::ZERO),
            NodeClock::Real => (REAL_START_NANOS, self.start.elapsed()),
        };
        let wall = UNIX_EPOCH.checked_add(Duration::from_nanos(nanos)).unwrap_or(UNIX_EPOCH);
        NodeTime { wall: wall.checked_add(monotonic).unwrap_or(wall), monotonic }
    }

    fn don_time(&self) -> ServiceFuture<'_, Result<SystemTime, NoDonTime>> {
        let read = self.don_reads.fetch_add(1, Ordering::Relaxed);
        let time = self.don_times.get(read).or(self.don_times.last()).copied().flatten();
        let time = time.and_then(|nanos| UNIX_EPOCH.checked_add(Duration::from_nanos(nanos)));
        Box::pin(std::future::ready(time.ok_or(NoDonTime)))
    }

    fn emit_log(&self, line: &[u8]) -> Result<(), NotEmitted> {
        self.seen().logs.push(line.to_vec());
        Ok(())
    }

    fn emit_metric(&self, metric: WorkflowUserMetric) -> Result<(), NotEmitted> {
        self.seen().metrics.push(metric);
        Ok(())
    }
}

impl SeenRequest {
    fn kind(&self) -> CallKind {
        match self {
            Self::Capability(_) => CallKind::Capability,
            Self::Secrets(_) => CallKind::Secrets,
        }
    }

    fn callback_id(&self) -> i32 {
        match self {
            Self::Capability(request) => request.callback_id,
            Self::Secrets(request) => request.callback_id,
        }
    }

    /// Whether this is the recorded request, field by field; `None` if only part was recorded and
    /// the encodings differ.
    pub(super) fn is(&self, recorded: &super::schema::Bytes) -> Option<bool> {
        let encoded = match self {
            Self::Capability(request) => messages::encode(request),
            Self::Secrets(request) => messages::encode(request),
        };
        if recorded.are(&encoded) {
            return Some(true);
        }
        let recorded = hex::decode(recorded.hex.as_ref()?).ok()?;
        Some(match self {
            Self::Capability(request) => messages::decode(&recorded).as_ref() == Ok(request),
            Self::Secrets(request) => messages::decode(&recorded).as_ref() == Ok(request),
        })
    }
}

/// Counts a call as in flight until it is dropped, finished or not.
struct Flight<'c>(&'c AtomicUsize);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn response(answer: &Answer) -> Result<CapabilityResponse, GuestText> {
    if let Some(text) = answer.error.as_ref().or(answer.typed_error.as_ref()) {
        return Err(GuestText::new(text));
    }
    if let Some(size) = answer.fill_bytes {
        let payload = Any { type_url: "fake".to_owned(), value: vec![0; size] };
        return Ok(CapabilityResponse { response: Some(CapabilityOutcome::Payload(payload)) });
    }
    let encoded = answer.response_hex.as_deref().unwrap_or_default();
    messages::decode(encoded).map_err(|_error| GuestText::new("recorded response is malformed"))
}

fn secrets(answer: &Answer) -> Result<Vec<SecretResponse>, GuestText> {
    if let Some(text) = answer.error.as_ref().or(answer.typed_error.as_ref()) {
        return Err(GuestText::new(text));
    }
    let malformed = || GuestText::new("recorded secret is malformed");
    let decode = |text| {
        let encoded = hex::decode(text).map_err(|_error| malformed())?;
        messages::decode(&encoded).map_err(|_error| malformed())
    };
    answer.secrets_hex.iter().map(decode).collect()
}

/// Where a moving clock starts: early 2026.
const REAL_START_NANOS: u64 = 1_767_323_045_000_000_000;
