//! Emulated vsock addresses that are free on this machine (enclave-and-host 11).
//!
//! The formula gives a context id two loopback TCP ports: one for the enclave, one for the host's
//! tunnels. Nobody can be asked to choose them, so ids are tried until both are free.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rand_core::CryptoRngCore;
use transport::{PortError, tcp_port};

/// The emulated vsock addresses of one enclave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vsock {
    /// The enclave's context id.
    pub(crate) cid: u32,
    /// The TCP address of the enclave's port.
    pub(crate) enclave: SocketAddr,
    /// The TCP address of the host's port for tunnels.
    pub(crate) egress: SocketAddr,
}

impl Vsock {
    /// The addresses of a context id.
    ///
    /// # Errors
    ///
    /// [`PortError`] if the formula gives none.
    pub(crate) fn of(cid: u32) -> Result<Self, PortError> {
        let address = |port| Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, tcp_port(cid, port)?)));
        Ok(Self { cid, enclave: address(ENCLAVE_PORT)?, egress: address(EGRESS_PORT)? })
    }

    /// Takes both addresses, unless somebody listens at one.
    pub(crate) fn reserve(&self) -> Option<Reservation> {
        let reserve = |address: SocketAddr| TcpListener::bind(address).ok();
        Some(Reservation { enclave: reserve(self.enclave), egress: Some(reserve(self.egress)?) })
            .filter(|reservation| reservation.enclave.is_some())
    }
}

/// Holds addresses so that nobody takes them before the process that is to listen there starts.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    enclave: Option<TcpListener>,
    egress: Option<TcpListener>,
}

impl Reservation {
    /// Lets go of the enclave's address, for the enclave.
    pub(crate) fn release_enclave(&mut self) {
        self.enclave = None;
    }

    /// Lets go of the tunnels' address, for the bridge.
    pub(crate) fn release_egress(&mut self) {
        self.egress = None;
    }
}

/// All context ids that have addresses, in an order of chance, so that devnets that start at the same
/// time rarely try the same. Those whose ports the system gives to outgoing connections come last.
pub(crate) fn candidates(rng: &mut impl CryptoRngCore) -> Vec<Vsock> {
    let mut all: Vec<_> = CIDS.filter_map(|cid| Vsock::of(cid).ok()).collect();
    all.sort_by_cached_key(|vsock| (vsock.egress.port() >= EPHEMERAL_PORTS, rng.next_u32()));
    all
}

/// The enclave's port.
pub(crate) const ENCLAVE_PORT: u32 = 5000;

/// The host's port for tunnels, the one that enclaves dial.
pub(crate) const EGRESS_PORT: u32 = protocol::limits::PARENT.1;

/// From the first that is neither host nor hypervisor to the last whose ports exist (W-36).
const CIDS: std::ops::RangeInclusive<u32> = 4..=50;

/// Where Linux begins to take ports for outgoing connections, unless told otherwise.
const EPHEMERAL_PORTS: u16 = 32_768;

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;

    #[test]
    fn ports_are_those_of_section_11() {
        let vsock = Vsock::of(16).unwrap();
        assert_eq!((vsock.enclave.port(), vsock.egress.port()), (31_000, 31_001));
        assert!(Vsock::of(51).is_err());
    }

    #[test]
    fn every_id_with_ports_is_a_candidate_once() {
        let candidates = candidates(&mut OsRng);
        let mut cids: Vec<_> = candidates.iter().map(|vsock| vsock.cid).collect();
        let quiet = cids.iter().take_while(|cid| **cid <= 17).count();
        assert_eq!(quiet, 14);
        cids.sort_unstable();
        assert!(cids.into_iter().eq(CIDS));
    }

    #[test]
    fn an_address_in_use_is_not_reserved() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = listener.local_addr().unwrap();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for (enclave, egress) in [(taken, free), (free, taken)] {
            assert!(Vsock { cid: 4, enclave, egress }.reserve().is_none());
        }
        assert!(Vsock { cid: 4, enclave: free, egress: free }.reserve().is_some());
    }

    #[test]
    fn each_process_gets_its_own_address() {
        let free = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap()
        };
        let vsock = Vsock { cid: 4, enclave: free(), egress: free() };
        let mut reservation = vsock.reserve().unwrap();
        reservation.release_enclave();
        let _enclave = TcpListener::bind(vsock.enclave).unwrap();
        assert!(TcpListener::bind(vsock.egress).is_err());
        reservation.release_egress();
        let _egress = TcpListener::bind(vsock.egress).unwrap();
    }
}
