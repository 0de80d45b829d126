//! Where a connection leads.

use std::{fmt, net::SocketAddr};

/// One end of a connection, for dialers, listeners and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// Two tasks of one process.
    Memory,
    /// TCP, emulated vsock included.
    Tcp(SocketAddr),
    /// The hypervisor's socket.
    Vsock {
        /// The machine: 3 is the host, [`crate::vsock::ANY_CID`] every one.
        cid: u32,
        /// The port; vsock has 32-bit ports.
        port: u32,
    },
}

impl Endpoint {
    /// The TCP address, if it is one.
    #[must_use]
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Memory | Self::Vsock { .. } => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Tcp(address) => address.fmt(f),
            Self::Vsock { cid: crate::vsock::ANY_CID, port } => write!(f, "vsock:*:{port}"),
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_print_as_an_operator_writes_them() {
        assert_eq!(Endpoint::Vsock { cid: 16, port: 5000 }.to_string(), "vsock:16:5000");
        assert_eq!(Endpoint::Vsock { cid: u32::MAX, port: 5001 }.to_string(), "vsock:*:5001");
        assert_eq!(Endpoint::Tcp(([127, 0, 0, 1], 80).into()).to_string(), "127.0.0.1:80");
        assert_eq!(Endpoint::Memory.to_string(), "memory");
    }
}
