//! The program inside the enclave.
//!
//! ```text
//! bridge ══vsock══> serve ── quorum ── admit ── load ── open ── run ── answer ══> bridge
//!                   bytes    F + 1     once     hash    shares   │     document
//!                                                           dispatch
//!                                                     ┌──────────┼─────────────┐
//!                                                http-actions consensus   relay nodes
//!                                                     └── egress: SOCKS5, TLS ──┘══> bridge
//! ```
//!
//! Each room takes the previous one's type by value, and only a room makes its own type: a request
//! that skipped one does not compile. Everything the host says is hostile; what it can do is keep the
//! enclave from working. The host sees who asks, when, and which binary; it sees no secret, no share,
//! no key, and nothing a workflow sends over TLS.
//!
//! A request is executed at most once. It may be sent again as long as nothing outside was touched;
//! afterwards its outcome is kept, and given out again under its hash.
//!
//! [`run`] serves until it is told to stop:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use enclave_server::{Config, EgressPolicy, Setup, nsm::Nsm, run};
//! use protocol::{clock::SystemClock, limits};
//! use rand_core::OsRng;
//! use tokio_util::sync::CancellationToken;
//! use transport::Vsock;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let (host, port) = limits::PARENT;
//! let setup = Setup {
//!     config: Config::default(),
//!     listener: Vsock::Device.listen(5000).await?,
//!     bridge: Vsock::Device.dialer(host, port, limits::EGRESS_TIMEOUT)?,
//!     attestor: Arc::new(Nsm::open()?),
//!     clock: Arc::new(SystemClock),
//!     randomness: Box::new(OsRng),
//!     egress: EgressPolicy::production(),
//! };
//! run(setup, CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What it refuses: to sign anything without the device, to take a configuration that cannot work,
//! to reach a private address for a workflow, to follow a redirection, to print a secret.

mod admit;
mod answer;
pub mod app;
mod binary;
mod boot;
mod budget;
mod callers;
pub mod capabilities;
mod config;
mod consensus;
mod dispatch;
mod egress;
mod events;
mod execution;
pub mod flags;
mod gateway;
mod http_action;
pub mod keychain;
mod keys;
mod ledger;
mod machine;
mod notary;
pub mod nsm;
mod open;
mod received;
mod reject;
mod remote;
mod rooms;
mod serve;
mod settings;
mod turn;
mod workflow;

pub use boot::{Config, ConfigError, LimitSet, RunError, Setup, run, run_app};
pub use budget::Claim;
pub use egress::{Destination, EgressPolicy, UrlError};
pub use events::{Event, Events, NoRoom, With};
pub use ledger::Effects;
pub use workflow::run_limits;

#[cfg(test)]
#[path = "../tests/world/bridge.rs"]
mod bridge;
