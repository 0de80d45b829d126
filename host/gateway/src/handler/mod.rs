//! The state machine of a request: fan-out, collection, bundle (relay-protocol 10.3 to 10.7).
//!
//! ```text
//! ask ── admit ── send to all ──────────────────────────────┐ waits
//!          │                                                ▼
//!       active ◄── answer of a node, one each ──┐      one outcome:
//!          │                                    ├────► bundle, or why not
//!          └─────── sweep, every second ────────┘
//! ```
//!
//! Nothing here knows a socket: a node is an id, and a function sends to it. Time is tokio's. Every
//! active request ends once, by whichever comes first: enough answers, too few that can still come,
//! the grace period, its age, or too few nodes that could be reached. All of them go through one
//! function, which removes the request before it hands over the outcome. That the one who asked has
//! left changes nothing for the request, only that nobody reads the outcome.
//!
//! The gateway checks no signature and no attestation, and holds no key of a committee. What it is
//! trusted with is to be fair; what it sends is judged by the enclave.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use crypto::sign::SignerKey;
use protocol::{
    ids::FaultBound,
    json::{self, RawJson},
    limits::GATEWAY_SWEEP,
    rpc::{Request, Response},
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

mod active;
mod collect;
mod error;
mod fan_out;
mod rate;
mod rules;
#[cfg(test)]
mod tests;

pub use error::{AdmitError, AskError, EndError, FrameError, SendError};
pub use rate::{ParseRateError, Rate};
pub use rules::Counts;

use self::{
    active::{ActiveRequest, ActiveRequests, Outcome, Progress},
    fan_out::FanOut,
    rate::Bucket,
    rules::{Decision, Until},
};
use crate::config::Relay;

/// The id of a node: what proves who it is. Here the hexadecimal digits of its public key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

/// Sends a text to a node. The future is dropped when the time for sending is over.
pub type SendTo = Arc<dyn Fn(&NodeId, Bytes) -> Sending + Send + Sync>;

/// The outcome of one sending.
pub type Sending = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

/// What a handler is told about the nodes it speaks to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The members of the DON.
    pub members: BTreeSet<NodeId>,
    /// How many of them may be faulty.
    pub faults: FaultBound,
    /// The times.
    pub relay: Relay,
    /// What one node may send.
    pub node_rate: Rate,
    /// What all nodes may send together.
    pub total_rate: Rate,
    /// The longest frame that a node takes, in bytes.
    pub max_frame_bytes: usize,
    /// How many requests may wait at the same time.
    pub max_active: usize,
    /// Whether the same nodes have other services. Then a frame is ours only if its method says so,
    /// and an answer without a method is lost.
    pub shared_nodes: bool,
}

/// The handler of the service [`SERVICE`]. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Handler(Arc<Inner>);

struct Inner {
    settings: Settings,
    send: SendTo,
    active: ActiveRequests,
    rates: Mutex<Rates>,
}

/// What may still be sent by each node, and by all of them.
struct Rates {
    nodes: BTreeMap<NodeId, Bucket>,
    total: Bucket,
}

impl Handler {
    /// A handler that speaks to the members of a DON through `send`.
    #[must_use]
    pub fn new(settings: Settings, send: SendTo) -> Self {
        let now = Instant::now();
        let bucket = |id: &NodeId| (id.clone(), Bucket::full(settings.node_rate, now));
        let rates = Mutex::new(Rates {
            nodes: settings.members.iter().map(bucket).collect(),
            total: Bucket::full(settings.total_rate, now),
        });
        let active = ActiveRequests::new(settings.max_active);
        Self(Arc::new(Inner { settings, send, active, rates }))
    }

    /// Sends a request to all members and waits for the bundle of their answers.
    ///
    /// Params and method are not looked at. The outcome is given when every send is done, so a
    /// sending that hangs delays it until the time for sending is over. Dropping the future ends the
    /// sending that is not done yet; the request stays active until it is answered or too old,
    /// unless too few nodes got it.
    ///
    /// # Errors
    ///
    /// - [`AskError::Admit`] if the request is not taken.
    /// - [`AskError::End`] if it ends without a bundle.
    pub async fn ask(&self, request: &Request) -> Result<RawJson, AskError> {
        let text = Bytes::from(json::to_vec(request));
        let (got, limit) = (text.len(), self.0.settings.max_frame_bytes);
        if got > limit {
            return Err(AdmitError::Long { got, limit }.into());
        }
        let (active, answer) = self.0.active.admit(request, Instant::now())?;
        FanOut::new(self, &active).run(text).await;
        // A request that is active holds the sender, so it cannot be dropped unused.
        let outcome = answer.await.unwrap_or(Err(EndError::Forward));
        Ok(outcome?)
    }

    /// Takes a frame from a node that has proven its id.
    ///
    /// # Errors
    ///
    /// [`FrameError`] if the frame changes nothing. It concerns the log; the link stays open.
    pub fn frame(&self, node: &NodeId, frame: &[u8]) -> Result<(), FrameError> {
        let answer: Response = json::from_slice(frame)?;
        if !self.is_ours(&answer.method) {
            return Err(FrameError::OtherService);
        }
        let now = Instant::now();
        self.charge(node, now)?;
        let request = self.0.active.find(&answer.id).ok_or(FrameError::NoRequest)?;
        let mut progress = request.progress();
        if progress.has_ended() {
            return Err(FrameError::NoRequest);
        }
        if !progress.answered.insert(node.clone()) {
            return Err(FrameError::Repeated { node: node.clone() });
        }
        progress.count(answer);
        self.decide(&request, &mut progress, Until::Answered, now);
        Ok(())
    }

    /// Ends what has waited long enough, every second, until the future is dropped.
    pub async fn sweep(&self) -> Infallible {
        let start = Instant::now();
        let first = start.checked_add(GATEWAY_SWEEP).unwrap_or(start);
        let mut ticks = interval_at(first, GATEWAY_SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sweep_once(Instant::now());
        }
    }

    /// The ids of the requests that wait, in the order of their bytes.
    #[must_use]
    pub fn active_ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.0.active.all().iter().map(|one| one.id.clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// Whether a frame with this method is an answer to one of our requests.
    fn is_ours(&self, method: &str) -> bool {
        !self.0.settings.shared_nodes
            || method.split_once('.').is_some_and(|(service, _)| service == SERVICE)
    }

    /// Takes a token from the node and then from all; a frame that its node may not send costs the
    /// others nothing.
    fn charge(&self, node: &NodeId, now: Instant) -> Result<(), FrameError> {
        let mut rates = self.0.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bucket) = rates.nodes.get_mut(node) else {
            return Err(FrameError::Stranger { node: node.clone() });
        };
        if !bucket.take(now) {
            return Err(FrameError::NodeRate { node: node.clone() });
        }
        if !rates.total.take(now) {
            return Err(FrameError::TotalRate);
        }
        Ok(())
    }

    fn sweep_once(&self, now: Instant) {
        for request in self.0.active.all() {
            let mut progress = request.progress();
            if progress.grace_ends.is_some_and(|ends| ends < now) {
                self.decide(&request, &mut progress, Until::Grace, now);
            }
            let age = now.saturating_duration_since(request.since);
            if age > self.0.settings.relay.request_timeout {
                self.decide(&request, &mut progress, Until::Expired, now);
            }
        }
    }

    /// Applies the completion rules. A request that has ended stays ended.
    fn decide(&self, request: &ActiveRequest, progress: &mut Progress, until: Until, now: Instant) {
        if progress.has_ended() {
            return;
        }
        let counts = self.counts(progress);
        let Some(collected) = &mut progress.collected else {
            let method = request.method.clone();
            return self.end(request, progress, Err(EndError::UnknownMethod { method }));
        };
        match counts.decide(self.0.settings.faults, until) {
            Decision::Forward => {
                let bundle = collected.bundle();
                self.end(request, progress, Ok(bundle));
            }
            Decision::Expire => self.end(request, progress, Err(EndError::Expired(counts))),
            Decision::GiveUp => self.end(request, progress, Err(EndError::Unreachable(counts))),
            Decision::Arm => {
                let grace = self.0.settings.relay.quorum_grace;
                let ends = grace.and_then(|grace| now.checked_add(grace));
                progress.grace_ends = progress.grace_ends.or(ends);
            }
            Decision::Wait => {}
        }
    }

    /// Ends a request, and says so in the log: counts and codes, never what a node wrote.
    fn end(&self, request: &ActiveRequest, progress: &mut Progress, outcome: Outcome) {
        let failure = outcome.as_ref().err().map(EndError::word);
        if !self.0.active.end(request, progress, outcome) {
            return;
        }
        let Counts { signed, errors, undecodable, .. } = self.counts(progress);
        let codes = &progress.error_codes;
        let ms = request.since.elapsed().as_millis();
        let id = &request.id;
        match failure {
            None => tracing::info!(?id, signed, errors, undecodable, ?codes, ms, "bundle"),
            Some(failure) => {
                tracing::warn!(?id, signed, errors, undecodable, ?codes, ms, failure, "no bundle");
            }
        }
    }

    fn counts(&self, progress: &Progress) -> Counts {
        let Settings { members, faults, .. } = &self.0.settings;
        progress.counts(members.len(), faults.quorum())
    }
}

impl NodeId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for NodeId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<&SignerKey> for NodeId {
    fn from(key: &SignerKey) -> Self {
        Self(key.to_string().into())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

/// The service of this handler: what stands before the first point of its methods.
pub const SERVICE: &str = "confidential";
