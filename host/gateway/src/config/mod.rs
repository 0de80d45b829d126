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

use std::{net::SocketAddr, time::Duration};

use crypto::sign::SignerKey;
use host_config::Keys;
use protocol::{
    ids::FaultBound,
    limits::{
        GATEWAY_ANSWER_BYTES, GATEWAY_HANDLER_MARGIN, GATEWAY_REQUEST_BYTES, GATEWAY_SWEEP,
        NODE_FRAME_BYTES, NODE_LINK_HEARTBEAT,
    },
    link::GATEWAY_ID_BYTES,
};

mod relay;
#[cfg(test)]
mod tests;

pub use host_config::{ConfigError, ConfigErrors};
pub use relay::Relay;

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
        let mut keys = Keys::new(text)?;
        let relay = Relay::read(&mut keys);
        let (users, nodes) = (Users::read(&mut keys, &relay), Nodes::read(&mut keys));
        keys.finish(users.zip(nodes).map(|(users, nodes)| Self { users, nodes, relay }))
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
    fn read(keys: &mut Keys, relay: &Relay) -> Option<Self> {
        let listen = keys.text("users.listen", ADDRESS, |text| text.parse().ok());
        let max_request_bytes =
            keys.number_or("users.max_request_bytes", BYTES, GATEWAY_REQUEST_BYTES);
        let max_connections = keys.number_or("users.max_connections", COUNT, 256);
        let max_waiting = keys.number_or("users.max_waiting", COUNT, 1024);
        // The handler ends a request up to one sweep after its timeout, and must come first.
        let margin = GATEWAY_SWEEP.saturating_add(GATEWAY_HANDLER_MARGIN);
        let least = relay.request_timeout.saturating_add(margin);
        let least_ms = u64::try_from(least.as_millis()).unwrap_or(u64::MAX);
        let request_timeout = keys.millis_or("users.request_timeout_ms", (least_ms, DAY_MS), least);
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
    fn read(keys: &mut Keys) -> Option<Self> {
        let listen = keys.text("nodes.listen", ADDRESS, |text| text.parse().ok());
        let gateway_id = keys.text("nodes.gateway_id", GATEWAY_ID, |text| {
            let fits = (1..=GATEWAY_ID_BYTES).contains(&text.len());
            fits.then(|| text.to_owned())
        });
        let faults = FaultBound::new(keys.number_or("nodes.faults", (0, MAX_FAULTS), 1));
        let members = keys.members("nodes.members", MEMBER, faults.bft(), |text| text.parse().ok());
        let max_frame_bytes = keys.number_or("nodes.max_frame_bytes", BYTES, NODE_FRAME_BYTES);
        let heartbeat = keys.millis_or("nodes.heartbeat_ms", (10, DAY_MS), NODE_LINK_HEARTBEAT);
        let parse = |text: &str| text.parse().ok();
        let node_rate = keys.text_or("nodes.node_rate", RATE, Rate::PER_NODE, parse);
        let total_rate = keys.text_or("nodes.total_rate", RATE, Rate::TOTAL, parse);
        let shared = keys.flag_or("nodes.shared", false);
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

const ADDRESS: &str = "an address with a port, like 127.0.0.1:5002";
const GATEWAY_ID: &str = "a name of 1 to 128 bytes";
const MEMBER: &str = "the public key of a node, 64 hexadecimal digits";
const RATE: &str = "a rate like 10rps:10";

/// From what no request fits in, to what the enclave reads of an answer.
const BYTES: (usize, usize) = (1000, GATEWAY_ANSWER_BYTES);

/// From one, to what a machine's file descriptors allow.
const COUNT: (usize, usize) = (1, 65_536);

/// A DON has at most a few dozen members.
const MAX_FAULTS: u32 = 1000;

/// Nobody waits longer; a larger number is a mistake.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
