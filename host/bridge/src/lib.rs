//! The enclave's host: batches signed requests, forwards over vsock, egress by policy.
//!
//! ```text
//!  nodes ── inbound ── batch ───┐                      ┌── egress ── gateway, web
//!  operator ── inbound ─────────┤── vsock ── enclave ──┘
//!              enclave::Watch ──┘
//! ```
//!
//! The host is trusted with nothing but to be there: nodes verify what the enclave proves, and
//! [`client`] is how they do that. The bridge verifies it too, because an operator wants to know, and
//! because it hands settings to nobody else.
//!
//! ```no_run
//! # use std::{sync::Arc, time::Duration};
//! # use host_bridge::{Bridge, Config, Listeners};
//! # use protocol::clock::SystemClock;
//! # use transport::{TcpListen, Vsock};
//! # async fn run(text: &str, vsock: Vsock) -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::parse(text)?;
//! let enclave = vsock.dialer(config.enclave.cid, config.enclave.port, Duration::from_secs(5))?;
//! let listeners = Listeners {
//!     nodes: Box::new(TcpListen::bind(config.nodes.listen).await?),
//!     operator: Box::new(TcpListen::bind(config.operator_listen).await?),
//!     egress: vsock.listen(config.enclave.egress_port).await?,
//! };
//! let bridge = Bridge::new(config, listeners, enclave, Arc::new(SystemClock));
//! bridge.run(tokio_util::sync::CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! It holds no key, keeps nothing on disk and believes no configuration but the one the enclave proves
//! to have. It does not serve TLS: an ingress does that.

pub mod batch;
pub mod client;
pub mod config;
pub mod egress;
pub mod enclave;
mod inbound;
mod reply;
mod run;

pub use config::Config;
pub use reply::CODE_HEADER;
pub use run::{Bridge, Listeners, RunError};
