//! JSON-RPC front of the relay nodes: fan-out and one bundle back.
//!
//! ```text
//!  enclave ── HTTP ──► front ──► handler ──► nodes ◄── WebSocket ── relay node
//!             POST     decode    fan out,    links,    (dials in,
//!             bundle   answer    collect     queues     proves its key)
//! ```
//!
//! An enclave posts one request; every member of the relay DON gets it; the enclave gets what they
//! answered, in one bundle, once enough of them have, or an error that says how many have not. The
//! gateway holds no key of the committee and checks no signature: it can delay and drop, like the
//! machine it runs on, and nothing worse. What it owes everybody is to stay bounded and fair, and to
//! answer each request exactly once (relay-protocol 10).
//!
//! [`Config`] is what an operator writes, [`run`] serves it until it is told to stop.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use transport::{
    Listen, ListenerFailed,
    http::{self, ServerLimits},
};

pub mod config;
pub mod front;
pub mod handler;
pub mod nodes;

pub use config::{Config, ConfigErrors};

use self::{front::Front, handler::Handler, nodes::Links};

/// Where a gateway is reached.
#[derive(Debug)]
pub struct Listeners {
    /// By enclaves: HTTP.
    pub users: Box<dyn Listen>,
    /// By relay nodes: WebSocket.
    pub nodes: Box<dyn Listen>,
}

/// Why a gateway stopped before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The users' listener failed.
    #[error("no request can be taken any more")]
    Users(#[source] ListenerFailed),
    /// The nodes' listener failed.
    #[error("no relay node can connect any more")]
    Nodes(#[source] ListenerFailed),
}

/// Serves a gateway until `shutdown` is cancelled.
///
/// Then no connection is accepted any more, requests under way get [`DRAIN`] to finish, and the links
/// to the nodes are closed last.
///
/// # Errors
///
/// [`RunError`] if a listener is of no more use.
pub async fn run(
    config: Config,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let links = Links::default();
    let handler = Handler::new(config.handler(), links.sender());
    let front = Front::new(handler.clone(), &config.users);
    let limits = ServerLimits { connections: config.users.max_connections, ..LIMITS };
    let links_end = CancellationToken::new();
    let users = async {
        let served = http::serve(listeners.users, front.router(), limits, shutdown.clone()).await;
        links_end.cancel();
        served.map_err(RunError::Users)
    };
    let nodes = async {
        let Config { nodes, .. } = config;
        let served =
            nodes::serve(listeners.nodes, nodes, handler.clone(), links, links_end.clone()).await;
        served.map_err(RunError::Nodes)
    };
    tokio::select! {
        served = async { tokio::try_join!(users, nodes) } => served.map(|((), ())| ()),
        never = handler.sweep() => match never {},
    }
}

/// What requests under way get once the gateway is told to stop.
pub const DRAIN: Duration = Duration::from_secs(1);

/// What a user's connection gets, besides its number.
const LIMITS: ServerLimits = ServerLimits {
    connections: 0,
    head_bytes: 16 * 1024,
    head_timeout: Duration::from_secs(30),
    write_stall: Duration::from_secs(30),
    drain: DRAIN,
};
