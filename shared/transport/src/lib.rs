//! Bounded bytes between two processes: vsock, its emulation, SOCKS5, HTTP/1.1.
//!
//! ```text
//!  http::serve ── http::Pool      one server loop, one client          socks5: tunnels, both sides
//!          \        /                                                  splice: both ways, bounded
//!         Listen  Dial            the seam; streams of any kind
//!        /   |       |   \
//!   vsock  emulated  TCP  memory
//! ```
//!
//! ```
//! use std::time::Duration;
//!
//! use transport::{Dial as _, Vsock, VsockConfigError, vsock};
//!
//! // A program's main reads the two variables; a test gives them.
//! let vsock = Vsock::parse(Some("tcp"), Some("16"))?;
//! let enclave = vsock.dialer(16, 5000, Duration::from_secs(5)).unwrap();
//! assert_eq!(enclave.endpoint().to_string(), "127.0.0.1:31000");
//! # Ok::<(), VsockConfigError>(())
//! ```
//!
//! The crate knows no keys, no attestation and no message of the protocol. It reads no environment.
//! Everything it takes from a peer has a limit in bytes and in time; it does no TLS, follows no
//! redirect and resolves no name.

mod accept;
mod emulation;
mod endpoint;
pub mod http;
pub mod memory;
mod seam;
pub mod socks5;
mod splice;
mod tcp;
pub mod vsock;

pub use accept::{ListenerFailed, accept_each};
pub use emulation::{Emulation, PortError, tcp_port};
pub use endpoint::Endpoint;
pub use seam::{Accepted, BoxFuture, BoxStream, Dial, DialError, Listen, Stream};
pub use splice::{SpliceError, Traffic, splice};
pub use tcp::{TcpDialer, TcpListen};
pub use vsock::{Vsock, VsockConfigError, VsockListenError};

/// Bytes buffered per direction: a vsock credit window's worth, so that larger buffers gain nothing.
const BUFFER_BYTES: usize = 64 * 1024;
