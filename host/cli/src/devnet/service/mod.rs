//! The two services of a devnet that no role provides: where binaries come from, and where
//! http-actions go.

pub(crate) mod echo;
pub(crate) mod tls;
pub(crate) mod workflows;

use std::time::Duration;

use transport::http::ServerLimits;

/// What both give their clients.
pub(crate) const LIMITS: ServerLimits = ServerLimits {
    connections: 256,
    head_bytes: 32 * 1024,
    head_timeout: Duration::from_secs(30),
    write_stall: Duration::from_secs(10),
    drain: Duration::from_secs(1),
};
