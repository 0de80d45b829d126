//! Which addresses a tunnel may lead to (sections 8.8 and 10.7).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
};

use transport::socks5::Profile;

/// The rules of the host's side. The enclave has its own; both have to agree for a byte to leave.
#[derive(Clone, Debug)]
pub struct EgressPolicy {
    allowed: Vec<SocketAddr>,
    is_local: fn(Ipv4Addr) -> bool,
}

/// Why an address is not dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Only IPv4 leaves.
    #[error("not an IPv4 address")]
    NotIpv4,
    /// The address is of a block that no profile may reach.
    #[error("{0} may not be reached")]
    Forbidden(Block),
    /// The address is of a block that workflows may not reach.
    #[error("{0} may not be reached by workflows")]
    NotPublic(Block),
    /// The address is one of this machine.
    #[error("the address is one of this machine")]
    Local,
    /// Workflows reach the web's two ports.
    #[error("port {0} may not be reached by workflows")]
    Port(u16),
}

/// A block of IPv4 addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Block {
    network: [u8; 4],
    prefix: u32,
}

impl EgressPolicy {
    /// Also allows these addresses, under every profile.
    ///
    /// For a test network on one machine, whose services are local. Without it, every local address is
    /// denied.
    #[must_use]
    pub fn dangerous_allow(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.allowed.extend(addresses);
        self
    }

    /// The address to dial, if the profile may.
    ///
    /// Asks the system whether the address is its own, so an interface that came up a moment ago
    /// counts (W-57).
    ///
    /// # Errors
    ///
    /// The first [`Denied`] met, in the order of its variants.
    pub fn check(&self, profile: Profile, address: SocketAddr) -> Result<SocketAddrV4, Denied> {
        let SocketAddr::V4(v4) = address else { return Err(Denied::NotIpv4) };
        if self.allowed.contains(&address) {
            return Ok(v4);
        }
        let block = DENIED.iter().find(|(_, block)| block.contains(*v4.ip()));
        match (block, profile) {
            (Some((Reach::Nobody, block)), _) => return Err(Denied::Forbidden(*block)),
            (Some((Reach::Operator, block)), Profile::Public) => {
                return Err(Denied::NotPublic(*block));
            }
            (Some((Reach::Operator, _)), Profile::Configured | Profile::Test) | (None, _) => {}
        }
        if (self.is_local)(*v4.ip()) {
            return Err(Denied::Local);
        }
        if profile == Profile::Public && !PUBLIC_PORTS.contains(&v4.port()) {
            return Err(Denied::Port(v4.port()));
        }
        Ok(v4)
    }
}

impl Default for EgressPolicy {
    /// The production policy: no local address, and no exception.
    fn default() -> Self {
        Self { allowed: Vec::new(), is_local }
    }
}

impl Block {
    const fn new(network: [u8; 4], prefix: u32) -> Self {
        Self { network, prefix }
    }

    fn contains(self, address: Ipv4Addr) -> bool {
        let host_bits = u32::BITS.saturating_sub(self.prefix);
        let differing = u32::from_be_bytes(self.network) ^ u32::from(address);
        differing.checked_shr(host_bits).unwrap_or(0) == 0
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.network), self.prefix)
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({self})")
    }
}

/// The first address to try of those a name resolves to: IPv4 before anything else.
pub(super) fn preferred(addresses: &[IpAddr]) -> Option<IpAddr> {
    addresses.iter().find(|address| address.is_ipv4()).or_else(|| addresses.first()).copied()
}

/// Whether the system would accept connections to the address itself.
///
/// A socket can be bound to exactly the addresses that the kernel delivers locally: those of every
/// interface in any state, and those of local routes, which no list of interfaces shows. No packet is
/// sent. A system error other than "not mine" counts as local.
pub(super) fn is_local(address: Ipv4Addr) -> bool {
    match UdpSocket::bind((address, 0)) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::AddrNotAvailable,
    }
}

/// Whether [`is_local`] can tell: with `net.ipv4.ip_nonlocal_bind` set, every address seems local.
pub(super) fn can_tell_local() -> bool {
    // Reserved for documentation (RFC 5737), so it is no machine's address.
    !is_local(Ipv4Addr::new(192, 0, 2, 1))
}

/// Who may reach a block.
#[derive(Clone, Copy)]
enum Reach {
    /// Nobody at all.
    Nobody,
    /// Destinations the operator configured.
    Operator,
}

/// Every block of section 8.8. Those that no profile reaches come first.
const DENIED: &[(Reach, Block)] = &[
    (Reach::Nobody, Block::new([0, 0, 0, 0], 8)), // "this" network, RFC 791
    (Reach::Nobody, Block::new([127, 0, 0, 0], 8)), // loopback, RFC 1122
    (Reach::Nobody, Block::new([169, 254, 0, 0], 16)), // link-local and instance metadata, RFC 3927
    (Reach::Nobody, Block::new([224, 0, 0, 0], 4)), // multicast, RFC 5771
    (Reach::Nobody, Block::new([240, 0, 0, 0], 4)), // reserved and broadcast, RFC 1112, RFC 919
    (Reach::Operator, Block::new([10, 0, 0, 0], 8)), // private, RFC 1918
    (Reach::Operator, Block::new([100, 64, 0, 0], 10)), // shared by carriers, RFC 6598
    (Reach::Operator, Block::new([172, 16, 0, 0], 12)), // private, RFC 1918
    (Reach::Operator, Block::new([192, 0, 0, 0], 24)), // protocol assignments, RFC 6890
    (Reach::Operator, Block::new([192, 0, 2, 0], 24)), // documentation, RFC 5737
    (Reach::Operator, Block::new([192, 88, 99, 0], 24)), // 6to4 relays, RFC 7526
    (Reach::Operator, Block::new([192, 168, 0, 0], 16)), // private, RFC 1918
    (Reach::Operator, Block::new([198, 18, 0, 0], 15)), // benchmarks, RFC 2544
    (Reach::Operator, Block::new([198, 51, 100, 0], 24)), // documentation, RFC 5737
    (Reach::Operator, Block::new([203, 0, 113, 0], 24)), // documentation, RFC 5737
];

/// Ports that workflows reach; the enclave's own policy has the same.
const PUBLIC_PORTS: [u16; 2] = [80, 443];

#[cfg(test)]
mod tests;
