//! The only way out: SOCKS5 to the host's bridge over the dialer, TLS inside, HTTP/1.1 inside that.
//!
//! Names leave unresolved; the bridge resolves and checks addresses, the [`EgressPolicy`] has checked
//! names, ports and profiles before. Connections are kept and used again, but only by the owner for
//! whom they were opened, so that no workflow sees another's connection.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use protocol::{ids::Owner, limits};
use rustls_pki_types::ServerName;
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version},
};
use transport::{
    BoxStream, Dial, DialError,
    http::{ClientLimits, LargeBodies, Pool, PoolLimits, SendError},
    socks5::{self, ConnectError},
};

mod policy;
mod url;

pub use policy::EgressPolicy;
pub(crate) use policy::{PolicyError, Route, configured};
pub use url::{Destination, UrlError};
pub(crate) use url::{URL_LIMIT_BYTES, Url};

/// Sends requests through the host. Connections are kept for their owner alone.
pub struct Egress {
    dialer: Arc<dyn Dial>,
    tls: TlsConnector,
    policy: EgressPolicy,
    pool: Pool<PoolKey>,
}

/// Whose connection it is. Requests with different keys never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// The enclave's own: gateway and storage.
    Enclave,
    /// A workflow owner's.
    Owner(Owner),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectFault {
    /// The host's bridge cannot be dialed.
    #[error("no way out")]
    Bridge(#[source] DialError),
    /// The host is named in a way TLS cannot check.
    #[error("the host's name cannot stand in a certificate")]
    Name,
    /// TLS was not established.
    #[error("TLS failed")]
    Tls(#[source] io::Error),
    /// TLS was not established in time.
    #[error("TLS was not established in time")]
    TlsTimedOut,
    /// The bridge opened no tunnel.
    #[error("no tunnel")]
    Tunnel(#[source] ConnectError),
}

/// Why a request got no response.
pub(crate) type EgressError = SendError<ConnectFault>;

impl Egress {
    /// A way out over `dialer`, at whose end a bridge speaks SOCKS5.
    ///
    /// # Errors
    ///
    /// [`TlsSetupError`] if the policy's roots are none.
    pub fn new(dialer: Arc<dyn Dial>, policy: EgressPolicy) -> Result<Self, TlsSetupError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in policy.extra_roots() {
            roots.add(root.clone())?;
        }
        let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let pool = Pool::new(PoolLimits { per_key: 8, total: 64, idle: IDLE });
        Ok(Self { dialer, tls: TlsConnector::from(Arc::new(tls)), policy, pool })
    }

    /// What may be reached.
    #[must_use]
    pub fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// Sends a request along a route, within the limits' time, connecting included. Large responses
    /// take `turns`, where there are some.
    pub(crate) async fn send(
        &self,
        holder: Holder,
        route: &Route,
        request: Request<Bytes>,
        limits: &ClientLimits,
        turns: Option<&LargeBodies>,
    ) -> Result<Response<Bytes>, EgressError> {
        let key = PoolKey { holder, route: route.clone() };
        self.pool.send(key, request, limits, turns, self.connect(route)).await
    }

    async fn connect(&self, route: &Route) -> Result<BoxStream, ConnectFault> {
        let Destination { host, port } = &route.destination;
        let target_host: socks5::Host = host.parse().map_err(|_name| ConnectFault::Name)?;
        let target = socks5::Target { host: target_host, port: *port };
        let mut stream = self.dialer.dial().await.map_err(ConnectFault::Bridge)?;
        socks5::connect(&mut stream, route.profile, &target, TUNNEL_TIME)
            .await
            .map_err(ConnectFault::Tunnel)?;
        if !route.tls {
            return Ok(stream);
        }
        let name = ServerName::try_from(host.clone()).map_err(|_name| ConnectFault::Name)?;
        match tokio::time::timeout(TLS_TIME, self.tls.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(ConnectFault::Tls(error)),
            Err(_elapsed) => Err(ConnectFault::TlsTimedOut),
        }
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("dialer", &self.dialer).finish_non_exhaustive()
    }
}

/// TLS cannot be set up with these roots.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up")]
pub struct TlsSetupError(#[from] tokio_rustls::rustls::Error);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PoolKey {
    holder: Holder,
    route: Route,
}

/// Time for the SOCKS5 exchange, the bridge's resolving and dialing included (10.7).
const TUNNEL_TIME: Duration = limits::EGRESS_TIMEOUT;

/// Time for the TLS handshake.
const TLS_TIME: Duration = Duration::from_secs(10);

/// How long an idle connection is kept: shorter than servers usually do.
const IDLE: Duration = Duration::from_secs(30);
