//! The configuration of a gateway: a TOML text in which every key is known.
//!
//! ```toml
//! [users]                        # where enclaves ask
//! listen = "127.0.0.1:5002"
//! max_request_bytes = 100000     # a longer body is refused
//! max_connections = 256          # more wait until one closes
//! max_waiting = 1024             # requests that wait for nodes; more are refused
//! request_timeout_ms = 32000     # after the handler's own; default: that and two seconds
//!
//! [nodes]                        # where relay nodes dial in
//! listen = "127.0.0.1:5003"
//! gateway_id = "gateway-1"       # what nodes sign for; the same in their configuration
//! faults = 1                     # F
//! members = ["<64 hex digits>", "<64 hex digits>", "<64 hex digits>", "<64 hex digits>"]
//! max_frame_bytes = 100000       # longest frame, either way; a node that sends more is cut off
//! heartbeat_ms = 20000           # a node that is silent for two heartbeats is cut off
//! node_rate = "10rps:10"         # frames of one node
//! total_rate = "50rps:10"        # frames of all nodes
//! shared = false                 # whether the nodes have other services; their frames are dropped
//!
//! [relay]                        # as in a gateway job (relay-protocol 10.2)
//! requestTimeoutSec = 30
//! nodeSendTimeoutSec = 10
//! quorumGraceMillis = 10000
//! ```
//!
//! Only `listen`, `gateway_id` and `members` have no default; those above are the others'.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use crypto::sign::SignerKey;
use protocol::{
    ids::FaultBound,
    limits::{
        GATEWAY_ANSWER_BYTES, GATEWAY_HANDLER_MARGIN, GATEWAY_REQUEST_BYTES, GATEWAY_SWEEP,
        NODE_FRAME_BYTES, NODE_LINK_HEARTBEAT,
    },
    link::GATEWAY_ID_BYTES,
};
use serde_json::Value;

mod error;
mod keys;
mod relay;
#[cfg(test)]
mod tests;

pub use error::{ConfigError, ConfigErrors};
pub use relay::Relay;

use self::keys::Keys;
use crate::handler::{self, NodeId, Rate};

/// A configuration that can work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where enclaves ask.
    pub users: Users,
    /// Where relay nodes dial in.
    pub nodes: Nodes,
    /// How long is waited for what.
    pub relay: Relay,
}

/// The front (relay-protocol 10.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// The address to listen at.
    pub listen: SocketAddr,
    /// The longest body that is read, in bytes.
    pub max_request_bytes: usize,
    /// How many connections are open at the same time.
    pub max_connections: usize,
    /// How many requests may wait for nodes at the same time.
    pub max_waiting: usize,
    /// A request that has no answer by then gets a 503. Longer than the handler's own limit.
    pub request_timeout: Duration,
}

/// The links to relay nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// The address to listen at.
    pub listen: SocketAddr,
    /// The name for which nodes sign their answer to the challenge.
    pub gateway_id: String,
    /// F.
    pub faults: FaultBound,
    /// The keys of the nodes that may connect: 2F + 1 or more, all different.
    pub members: Vec<SignerKey>,
    /// The longest frame in bytes, either way.
    pub max_frame_bytes: usize,
    /// How often a node is asked for a sign of life.
    pub heartbeat: Duration,
    /// How many frames of one node count.
    pub node_rate: Rate,
    /// How many frames of all nodes together count.
    pub total_rate: Rate,
    /// Whether the nodes have other services. Then only what names ours is read as an answer.
    pub shared: bool,
}

impl Config {
    /// Parses and checks the text of a configuration file.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] with everything that is unknown, missing or impossible; only a text that is
    /// no TOML is not read further.
    pub fn parse(text: &str) -> Result<Self, ConfigErrors> {
        let table: Value = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.as_bytes().iter().take(start);
            let line = before.filter(|byte| **byte == b'\n').count().saturating_add(1);
            ConfigErrors::new(vec![ConfigError::Syntax { line }])
        })?;
        let mut errors = Vec::new();
        let mut keys = Keys::new(Some(table), "", &mut errors);
        let (users, nodes, relay) = (keys.take("users"), keys.take("nodes"), keys.take("relay"));
        keys.end();
        let relay = Relay::read(relay, &mut errors);
        let users = Users::read(users, &relay, &mut errors);
        let nodes = Nodes::read(nodes, &mut errors);
        match (users, nodes) {
            (Some(users), Some(nodes)) if errors.is_empty() => Ok(Self { users, nodes, relay }),
            _ => Err(ConfigErrors::new(errors)),
        }
    }

    /// What the handler is told.
    #[must_use]
    pub fn handler(&self) -> handler::Settings {
        handler::Settings {
            members: self.nodes.members.iter().map(NodeId::from).collect(),
            faults: self.nodes.faults,
            relay: self.relay,
            node_rate: self.nodes.node_rate,
            total_rate: self.nodes.total_rate,
            max_frame_bytes: self.nodes.max_frame_bytes,
            max_active: self.users.max_waiting,
            shared_nodes: self.nodes.shared,
        }
    }
}

impl Users {
    fn read(value: Option<Value>, relay: &Relay, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let mut keys = Keys::new(value, "users", errors);
        let listen = keys.text("users.listen", ADDRESS, None, |text| text.parse().ok());
        let max_request_bytes = keys.size("users.max_request_bytes", BYTES, GATEWAY_REQUEST_BYTES);
        let max_connections = keys.size("users.max_connections", COUNT, 256);
        let max_waiting = keys.size("users.max_waiting", COUNT, 1024);
        // The handler ends a request up to one sweep after its timeout, and must come first.
        let margin = GATEWAY_SWEEP.saturating_add(GATEWAY_HANDLER_MARGIN);
        let least = relay.request_timeout.saturating_add(margin);
        let request_timeout = keys.duration_ms("users.request_timeout_ms", (least, DAY), least);
        keys.end();
        Some(Self {
            listen: listen?,
            max_request_bytes,
            max_connections,
            max_waiting,
            request_timeout,
        })
    }
}

impl Nodes {
    fn read(value: Option<Value>, errors: &mut Vec<ConfigError>) -> Option<Self> {
        let mut keys = Keys::new(value, "nodes", errors);
        let listen = keys.text("nodes.listen", ADDRESS, None, |text| text.parse().ok());
        let gateway_id = keys.text("nodes.gateway_id", GATEWAY_ID, None, |text| {
            let fits = (1..=GATEWAY_ID_BYTES).contains(&text.len());
            fits.then(|| text.to_owned())
        });
        let faults = keys.integer("nodes.faults", (0, MAX_FAULTS), 1);
        let faults = FaultBound::new(u32::try_from(faults).unwrap_or(u32::MAX));
        let members = members(&mut keys, faults);
        let max_frame_bytes = keys.size("nodes.max_frame_bytes", BYTES, NODE_FRAME_BYTES);
        let range = (Duration::from_millis(10), DAY);
        let heartbeat = keys.duration_ms("nodes.heartbeat_ms", range, NODE_LINK_HEARTBEAT);
        let parse = |text: &str| text.parse().ok();
        let node_rate = keys.text("nodes.node_rate", RATE, Some(Rate::PER_NODE), parse);
        let total_rate = keys.text("nodes.total_rate", RATE, Some(Rate::TOTAL), parse);
        let shared = keys.boolean("nodes.shared", false);
        keys.end();
        Some(Self {
            listen: listen?,
            gateway_id: gateway_id?,
            faults,
            members: members?,
            max_frame_bytes,
            heartbeat,
            node_rate: node_rate?,
            total_rate: total_rate?,
            shared,
        })
    }
}

/// The members' keys: all different, and enough to outvote the faulty ones.
fn members(keys: &mut Keys<'_>, faults: FaultBound) -> Option<Vec<SignerKey>> {
    let texts = keys.texts("nodes.members", "a list of the public keys of nodes")?;
    let (got, want) = (texts.len(), faults.bft());
    if got < want {
        let faults = faults.get();
        keys.refuse(ConfigError::TooFewMembers { got, faults, want }, ());
    }
    let mut seen = BTreeSet::new();
    let mut members = Vec::new();
    for (index, text) in (1_usize..).zip(texts) {
        match text.parse::<SignerKey>() {
            Ok(key) if seen.insert(key) => members.push(key),
            Ok(_) => keys.refuse(ConfigError::Repeated { index }, ()),
            Err(_) => keys.refuse(ConfigError::Member { index }, ()),
        }
    }
    Some(members)
}

const ADDRESS: &str = "an address with a port, like 127.0.0.1:5002";
const GATEWAY_ID: &str = "a name of 1 to 128 bytes";
const RATE: &str = "a rate like 10rps:10";

/// From what no request fits in, to what the enclave reads of an answer.
const BYTES: (usize, usize) = (1000, GATEWAY_ANSWER_BYTES);

/// From one, to what a machine's file descriptors allow.
const COUNT: (usize, usize) = (1, 65_536);

/// A DON has at most a few dozen members.
const MAX_FAULTS: i64 = 1000;

/// Nobody waits longer; a larger number is a mistake.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
