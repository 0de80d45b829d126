//! vsock over loopback TCP, with the ports that peers of section 11 expect.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use crate::vsock::{ANY_CID, HOST_CID};

/// Maps vsock addresses to loopback TCP ports; clones share what is mapped.
///
/// The formula gives several vsock addresses one TCP port. The map remembers which address it gave a
/// port to and refuses the second, so that a connection never reaches another service than the one
/// it was meant for.
#[derive(Clone, Debug)]
pub struct Emulation {
    enclave_cid: u32,
    taken: Arc<Mutex<BTreeMap<u16, (u32, u32)>>>,
}

impl Emulation {
    /// The emulation around the enclave with this context id.
    #[must_use]
    pub fn new(enclave_cid: u32) -> Self {
        Self { enclave_cid, taken: Arc::default() }
    }

    /// The address to dial for a port of a machine.
    ///
    /// # Errors
    ///
    /// As [`PortError`].
    pub fn dialed(&self, cid: u32, port: u32) -> Result<SocketAddr, PortError> {
        // A dialer may also name its own machine, which is the enclave's rendezvous, too.
        self.address(if cid == LOCAL_CID { self.enclave_cid } else { cid }, port)
    }

    /// The address to listen at for a port of a machine.
    ///
    /// # Errors
    ///
    /// As [`PortError`].
    pub fn listened(&self, cid: u32, port: u32) -> Result<SocketAddr, PortError> {
        self.address(cid, port)
    }

    fn address(&self, cid: u32, port: u32) -> Result<SocketAddr, PortError> {
        let cid = if cid == HOST_CID || cid == ANY_CID { self.enclave_cid } else { cid };
        let tcp = tcp_port(cid, port)?;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let &mut (other_cid, other_port) = taken.entry(tcp).or_insert((cid, port));
        if (other_cid, other_port) != (cid, port) {
            return Err(PortError::Collision { cid, port, other_cid, other_port, tcp });
        }
        Ok((Ipv4Addr::LOCALHOST, tcp).into())
    }
}

/// Why a vsock address has no TCP port (W-36).
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PortError {
    /// The formula leaves the range of TCP ports.
    #[error("vsock {cid}:{port} has no TCP port: the formula gives one above 65535")]
    Overflow {
        /// The machine.
        cid: u32,
        /// Its port.
        port: u32,
    },
    /// Another vsock address in use has the same TCP port.
    #[error("vsock {cid}:{port} and {other_cid}:{other_port} share TCP port {tcp}")]
    Collision {
        /// The machine.
        cid: u32,
        /// Its port.
        port: u32,
        /// The machine that has the TCP port.
        other_cid: u32,
        /// That machine's port.
        other_port: u32,
        /// The TCP port.
        tcp: u16,
    },
}

/// `cid * 1000 + port mod 10000 + 10000` (section 11), for a context id already substituted.
///
/// # Errors
///
/// [`PortError::Overflow`] if there is no such TCP port.
pub fn tcp_port(cid: u32, port: u32) -> Result<u16, PortError> {
    let overflow = PortError::Overflow { cid, port };
    let folded = port.checked_rem(10_000).ok_or(overflow)?;
    let sum = cid.checked_mul(1000).and_then(|base| base.checked_add(folded)?.checked_add(10_000));
    u16::try_from(sum.ok_or(overflow)?).map_err(|_range| overflow)
}

/// The dialer's own machine.
const LOCAL_CID: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_of_section_11() {
        assert_eq!(tcp_port(16, 5000), Ok(31_000));
        assert_eq!(tcp_port(16, 5001), Ok(31_001));
        assert_eq!(tcp_port(16, 15_000), Ok(31_000));
    }

    #[test]
    fn host_and_wildcard_meet_at_the_enclave() {
        let tcp = Emulation::new(20);
        let expected: SocketAddr = ([127, 0, 0, 1], 35_001).into();
        assert_eq!(tcp.listened(ANY_CID, 5001), Ok(expected));
        assert_eq!(tcp.dialed(HOST_CID, 5001), Ok(expected));
        assert_eq!(tcp.dialed(LOCAL_CID, 5001), Ok(expected));
        assert_eq!(tcp.dialed(20, 5001), Ok(expected));
    }

    #[test]
    fn w_36_a_port_above_65535_is_an_error() {
        assert_eq!(tcp_port(50, 5000), Ok(65_000));
        assert_eq!(tcp_port(51, 5000), Err(PortError::Overflow { cid: 51, port: 5000 }));
        assert_eq!(tcp_port(u32::MAX, 1), Err(PortError::Overflow { cid: u32::MAX, port: 1 }));
    }

    #[test]
    fn w_36_two_addresses_of_one_port_are_an_error() {
        let tcp = Emulation::new(16);
        tcp.listened(ANY_CID, 6000).unwrap();
        let error = tcp.dialed(17, 5000).unwrap_err();
        let expected = PortError::Collision {
            cid: 17,
            port: 5000,
            other_cid: 16,
            other_port: 6000,
            tcp: 32_000,
        };
        assert_eq!(error, expected);
        assert!(matches!(tcp.dialed(16, 16_000), Err(PortError::Collision { .. })));
        assert!(tcp.dialed(16, 6000).is_ok());
    }
}
