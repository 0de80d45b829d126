//! Bounded HTTP/1.1: one server loop and one client, over anything that dials and listens.
//!
//! Bodies travel as they are: nothing is decoded, compressed, followed or retried after a byte of it
//! was sent. There is no TLS here; who wants it dials a TLS stream.

mod body;
mod client;
mod pool;
mod server;
mod stall;
#[cfg(test)]
mod tests;

pub use body::{BodyError, LargeBodies, read_body};
pub use client::{ClientLimits, Connection, ExchangeError};
pub use pool::{Pool, PoolLimits, SendError};
pub use server::{Peer, ServerLimits, serve};
