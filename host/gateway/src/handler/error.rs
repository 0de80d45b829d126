//! Why a request gets no bundle, and why a node's frame counts for nothing.

use protocol::{json::DecodeError, quote::quote, rpc::RequestError};

use super::{Counts, NodeId};

/// Why a request ends without a bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It was not taken; no node saw it.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// It was taken and failed.
    #[error(transparent)]
    End(#[from] EndError),
}

/// Why a request is not taken (relay-protocol 10.3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// A request with this id is active, of whatever method.
    #[error("request ID already exists: {id}")]
    Exists {
        /// The id.
        id: String,
    },
    /// So many requests are active that no other is taken.
    #[error("{limit} requests are waiting for answers, try again later")]
    Full {
        /// How many may be active.
        limit: usize,
    },
    /// It fits into no frame. A node would close its link over it.
    #[error("the request takes {got} bytes on its way to the nodes, which take {limit}")]
    Long {
        /// Its length in bytes, as it would be forwarded.
        got: usize,
        /// The longest frame, in bytes.
        limit: usize,
    },
    /// Its id cannot name an active request.
    #[error(transparent)]
    Id(#[from] RequestError),
}

/// Why a request that was taken failed (relay-protocol 10.3 step 6, 10.5, 10.6).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// Its time is up.
    #[error(
        "request expired: {} signed relay responses, need at least {} to reach quorum \
         (collected={} nodes={} unanswered={} errors={} undecodable={})",
        .0.signed, .0.quorum, .0.collected(), .0.nodes, .0.unanswered(), .0.errors, .0.undecodable
    )]
    Expired(Counts),
    /// It reached fewer nodes than a quorum needs.
    #[error("failed to forward user request to nodes")]
    Forward,
    /// Relay nodes have no such method.
    #[error("unknown relay method: {}", quote(method.as_bytes()))]
    UnknownMethod {
        /// The method.
        method: String,
    },
    /// The answers that may still come are too few.
    #[error(
        "relay quorum unreachable: {} signed responses, at most {} possible, need {} \
         (collected={} nodes={} remaining={} errors={} undecodable={})",
        .0.signed, .0.possible(), .0.quorum, .0.collected(), .0.nodes, .0.unanswered(),
        .0.errors, .0.undecodable
    )]
    Unreachable(Counts),
}

/// Why a node's frame changes nothing (relay-protocol 10.4). Only the log hears it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is no JSON-RPC response.
    #[error("parse error when reading from node")]
    Decode(#[from] DecodeError),
    /// The node has sent more than its share.
    #[error("{node} sends more than its rate allows")]
    NodeRate {
        /// The node.
        node: NodeId,
    },
    /// No request with its id is active: it is late, or answers nothing.
    #[error("no request is waiting for this answer")]
    NoRequest,
    /// It is for another service of the same nodes.
    #[error("the frame is for another service")]
    OtherService,
    /// This node has answered already; its first answer stands.
    #[error("{node} has answered already")]
    Repeated {
        /// The node.
        node: NodeId,
    },
    /// The node is not a member.
    #[error("received message from unexpected node {node}")]
    Stranger {
        /// The node.
        node: NodeId,
    },
    /// All nodes together have sent more than their share.
    #[error("the nodes together send more than their rate allows")]
    TotalRate,
}

/// Why a request does not reach a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The node has no open link.
    #[error("the node is not connected")]
    NotConnected,
    /// Too much waits to be sent to it.
    #[error("the node is too slow")]
    QueueFull,
}

impl EndError {
    /// The reason in a word, for the log.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Expired(_) => "expired",
            Self::Forward => "not forwarded",
            Self::UnknownMethod { .. } => "unknown method",
            Self::Unreachable(_) => "unreachable",
        }
    }
}
