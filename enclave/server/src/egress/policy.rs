//! Who may reach what (enclave-and-host 8.8, 10.7). The bridge enforces the same rules on resolved
//! addresses; here nothing that breaks them is even asked for.

use std::net::Ipv4Addr;

use rustls_pki_types::CertificateDer;
use transport::socks5::Profile;

use super::url::{Destination, Scheme, Url};

/// What the enclave lets out.
#[derive(Clone, Debug)]
pub struct EgressPolicy {
    allowances: Vec<Destination>,
    extra_roots: Vec<CertificateDer<'static>>,
}

/// A destination that the policy lets through, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Route {
    /// The policy that the bridge is asked for.
    pub profile: Profile,
    /// Host and port, sent unresolved.
    pub destination: Destination,
    /// Whether TLS runs inside.
    pub tls: bool,
}

/// Why a destination is not reached. The peer hears one constant text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyError {
    /// It is an address, or a name for one, that is not public.
    #[error("the address is not public")]
    Address,
    /// The port is not one of those allowed.
    #[error("port {got} is not allowed")]
    Port {
        /// The port.
        got: u16,
    },
    /// It is not https.
    #[error("the scheme is not https")]
    Scheme,
}

impl EgressPolicy {
    /// The only policy of a release: no allowances, the roots of the web.
    #[must_use]
    pub fn production() -> Self {
        Self { allowances: Vec::new(), extra_roots: Vec::new() }
    }

    /// A policy that lets workflows reach these destinations too, with or without TLS, and trusts
    /// these roots beside those of the web. For emulators: it opens local addresses to workflows.
    #[must_use]
    pub fn dangerous_with_test_allowances(
        allowances: Vec<Destination>,
        extra_roots: Vec<CertificateDer<'static>>,
    ) -> Self {
        Self { allowances, extra_roots }
    }

    /// Roots that are trusted beside those of the web.
    pub(crate) fn extra_roots(&self) -> &[CertificateDer<'static>] {
        &self.extra_roots
    }

    /// The route of a workflow's own request (8.8).
    pub(crate) fn of_workflow(&self, url: &Url) -> Result<Route, PolicyError> {
        self.test(url).map_or_else(|| public(url, &[80, 443]), Ok)
    }

    /// The route to a workflow binary: the configured storage service, else public https on 443.
    pub(crate) fn of_binary(&self, url: &Url, storage: &Destination) -> Result<Route, PolicyError> {
        if url.destination() == storage {
            return Ok(configured(url));
        }
        self.test(url).map_or_else(|| public(url, &[443]), Ok)
    }

    fn test(&self, url: &Url) -> Option<Route> {
        let destination = url.destination();
        let route = route(url, Profile::Test);
        self.allowances.contains(destination).then_some(route)
    }
}

/// The route to an endpoint that the settings name.
pub(crate) fn configured(url: &Url) -> Route {
    route(url, Profile::Configured)
}

fn public(url: &Url, ports: &[u16]) -> Result<Route, PolicyError> {
    let Destination { host, port } = url.destination();
    if url.scheme() != Scheme::Https {
        return Err(PolicyError::Scheme);
    }
    if !ports.contains(port) {
        return Err(PolicyError::Port { got: *port });
    }
    let is_local_name = host == "localhost" || host.ends_with(".localhost");
    if is_local_name || url.destination().address().is_some_and(is_not_public) {
        return Err(PolicyError::Address);
    }
    Ok(route(url, Profile::Public))
}

fn route(url: &Url, profile: Profile) -> Route {
    let tls = url.scheme() == Scheme::Https;
    Route { profile, destination: url.destination().clone(), tls }
}

/// Whether an address lies in one of the blocks of section 8.8.
fn is_not_public(address: Ipv4Addr) -> bool {
    let address = u32::from(address);
    BLOCKED.iter().any(|(block, bits)| {
        let mask = u32::MAX.checked_shl(32_u32.saturating_sub(*bits)).unwrap_or(0);
        address & mask == u32::from(Ipv4Addr::from(*block))
    })
}

/// The blocks of section 8.8, in its order.
const BLOCKED: [([u8; 4], u32); 16] = [
    ([10, 0, 0, 0], 8),
    ([172, 16, 0, 0], 12),
    ([192, 168, 0, 0], 16),
    ([127, 0, 0, 0], 8),
    ([0, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([192, 88, 99, 0], 24),
    ([198, 18, 0, 0], 15),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([255, 255, 255, 255], 32),
    ([100, 64, 0, 0], 10),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Url {
        Url::parse(url).unwrap()
    }

    fn of_workflow(url: &str) -> Result<Route, PolicyError> {
        EgressPolicy::production().of_workflow(&parse(url))
    }

    fn storage() -> Destination {
        Destination { host: "storage.internal".to_owned(), port: 9000 }
    }

    #[test]
    fn a_workflow_reaches_public_https_on_two_ports() {
        for port in [80, 443] {
            let route = of_workflow(&format!("https://example.com:{port}/")).unwrap();
            assert_eq!((route.profile, route.tls), (Profile::Public, true));
        }
        of_workflow("https://8.8.8.8/").unwrap();
    }

    #[test]
    fn other_schemes_and_ports_are_refused() {
        assert_eq!(of_workflow("http://example.com/"), Err(PolicyError::Scheme));
        assert_eq!(of_workflow("https://example.com:8443/"), Err(PolicyError::Port { got: 8443 }));
    }

    #[test]
    fn every_block_is_refused_up_to_its_last_address() {
        let edges = [
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "127.0.0.1",
            "0.0.0.0",
            "169.254.169.254",
            "192.0.0.8",
            "192.0.2.1",
            "198.51.100.255",
            "203.0.113.0",
            "192.88.99.1",
            "198.18.0.0",
            "198.19.255.255",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "localhost",
            "a.localhost",
        ];
        for host in edges {
            assert_eq!(
                of_workflow(&format!("https://{host}/")),
                Err(PolicyError::Address),
                "{host}"
            );
        }
        for host in ["11.0.0.0", "172.32.0.0", "198.20.0.0", "100.128.0.0", "223.255.255.255"] {
            of_workflow(&format!("https://{host}/")).unwrap();
        }
    }

    #[test]
    fn a_binary_comes_from_the_configured_storage_or_from_public_https() {
        let policy = EgressPolicy::production();
        let of_binary = |url: &str| policy.of_binary(&parse(url), &storage());
        let route = of_binary("http://storage.internal:9000/a").unwrap();
        assert_eq!((route.profile, route.tls), (Profile::Configured, false));
        assert_eq!(of_binary("https://cdn.example/a").unwrap().profile, Profile::Public);
        assert_eq!(of_binary("https://cdn.example:80/a"), Err(PolicyError::Port { got: 80 }));
        assert_eq!(of_binary("http://storage.internal:9001/a"), Err(PolicyError::Scheme));
        assert_eq!(of_binary("http://storage.internal/a"), Err(PolicyError::Scheme));
    }

    #[test]
    fn a_test_allowance_opens_one_port_of_one_host() {
        let allowed = Destination { host: "127.0.0.1".to_owned(), port: 8443 };
        let policy = EgressPolicy::dangerous_with_test_allowances(vec![allowed], Vec::new());
        let of_workflow = |url: &str| policy.of_workflow(&parse(url));
        assert_eq!(of_workflow("https://127.0.0.1:8443/").unwrap().profile, Profile::Test);
        assert_eq!(of_workflow("https://127.0.0.1:443/"), Err(PolicyError::Address));
        assert_eq!(of_workflow("https://127.0.0.2:8443/"), Err(PolicyError::Port { got: 8443 }));
    }
}
