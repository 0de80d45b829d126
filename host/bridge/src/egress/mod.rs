//! Room 9b: tunnels out of the enclave, to allowed destinations only (section 10.7).
//!
//! A name is resolved once per tunnel, the address is judged, and that very address is dialed: a
//! second answer of the resolver changes nothing. The enclave says under which profile it asks; it has
//! judged the destination before, with rules of its own.

mod policy;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use protocol::limits;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use transport::{
    Accepted, BoxFuture, DialError, Endpoint, Listen, ListenerFailed, TcpDialer, accept_each,
    socks5::{self, Host, Reply, Request, Target},
    splice,
};

pub use policy::{Block, Denied, EgressPolicy};

/// What the enclave is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EgressLimits {
    /// Tunnels at a time; the next one waits in the listener's backlog.
    pub tunnels: usize,
    /// Time for the enclave's side of the handshake.
    pub handshake: Duration,
    /// Time to resolve a name.
    pub resolve: Duration,
    /// Time to dial. More than the enclave waits for the whole handshake, so that there a slow
    /// destination is always a timeout (W-32).
    pub connect: Duration,
    /// Time without a byte either way after which a tunnel is closed.
    pub idle: Duration,
}

impl Default for EgressLimits {
    /// Times of the reference, but for the dialing.
    fn default() -> Self {
        Self {
            tunnels: 1024,
            handshake: limits::EGRESS_TIMEOUT,
            resolve: limits::EGRESS_TIMEOUT,
            connect: limits::EGRESS_TIMEOUT.saturating_add(Duration::from_secs(2)),
            idle: Duration::from_secs(600),
        }
    }
}

/// The system lets sockets be bound to foreign addresses, so local ones cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("net.ipv4.ip_nonlocal_bind is set: local addresses cannot be told from others")]
pub struct NonlocalBind;

/// The SOCKS5 server.
#[derive(Clone)]
pub struct Egress {
    policy: Arc<EgressPolicy>,
    limits: EgressLimits,
    /// The only machine that may open tunnels, where the transport tells machines apart.
    enclave_cid: u32,
    resolve: Resolve,
}

/// Looks a name up: with the system's resolver, or with a test's.
type Resolve = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Why a request got no tunnel.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the name does not resolve")]
    Resolve(#[source] io::Error),
    #[error("the name does not resolve in time")]
    ResolveTimedOut,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Dial(#[from] DialError),
}

impl Egress {
    /// Tunnels for the enclave with this context id.
    ///
    /// # Errors
    ///
    /// [`NonlocalBind`].
    pub fn new(
        policy: EgressPolicy,
        limits: EgressLimits,
        enclave_cid: u32,
    ) -> Result<Self, NonlocalBind> {
        if !policy::can_tell_local() {
            return Err(NonlocalBind);
        }
        Ok(Self { policy: Arc::new(policy), limits, enclave_cid, resolve: system_resolver() })
    }

    /// Serves tunnels until `shutdown` is cancelled; open tunnels end with it.
    ///
    /// # Errors
    ///
    /// [`ListenerFailed`].
    pub async fn serve(
        self,
        listener: Box<dyn Listen>,
        shutdown: CancellationToken,
    ) -> Result<(), ListenerFailed> {
        accept_each(listener, self.limits.tunnels, Duration::ZERO, &shutdown, |accepted| {
            let egress = self.clone();
            async move { egress.tunnel(accepted).await }
        })
        .await
    }

    /// Serves one tunnel from its first byte to its last.
    async fn tunnel(&self, Accepted { mut stream, peer }: Accepted) {
        if matches!(peer, Endpoint::Vsock { cid, .. } if cid != self.enclave_cid) {
            tracing::warn!(%peer, "a machine that is not the enclave asked for a tunnel");
            return;
        }
        let request = match socks5::accept(&mut *stream, self.limits.handshake).await {
            Ok(request) => request,
            Err(error) => {
                tracing::info!(event = "tunnel_refused", %error);
                return;
            }
        };
        let (profile, port) = (request.profile.name(), request.target.port);
        let mut upstream = match self.open(&request).await {
            Ok(upstream) => upstream,
            Err(refusal) => {
                tracing::info!(event = "tunnel_refused", profile, port, error = %refusal);
                let answer = socks5::reply(&mut *stream, refusal.reply(), None);
                // The enclave may be gone; nobody else waits for this.
                let _answered = tokio::time::timeout(self.limits.handshake, answer).await;
                return;
            }
        };
        let bound = upstream.local_addr().ok();
        if socks5::reply(&mut *stream, Reply::Succeeded, bound).await.is_err() {
            return;
        }
        match splice(&mut *stream, &mut upstream, self.limits.idle).await {
            Ok(traffic) => {
                let (sent, received) = (traffic.forth_bytes, traffic.back_bytes);
                tracing::debug!(event = "tunnel_closed", profile, port, sent, received);
            }
            Err(error) => tracing::debug!(event = "tunnel_broken", profile, port, %error),
        }
    }

    /// Resolves, judges, dials.
    async fn open(&self, request: &Request) -> Result<TcpStream, Refusal> {
        let address = self.resolve(&request.target).await?;
        let address = self.policy.check(request.profile, address)?;
        Ok(TcpDialer::new(address.into(), self.limits.connect).connect().await?)
    }

    async fn resolve(&self, target: &Target) -> Result<SocketAddr, Refusal> {
        let ip = match &target.host {
            Host::Ip(ip) => *ip,
            Host::Name(name) => {
                let looked_up = (self.resolve)(name.as_str().to_owned());
                let found = match tokio::time::timeout(self.limits.resolve, looked_up).await {
                    Ok(found) => found.map_err(Refusal::Resolve)?,
                    Err(_) => return Err(Refusal::ResolveTimedOut),
                };
                let none = || Refusal::Resolve(io::ErrorKind::NotFound.into());
                policy::preferred(&found).ok_or_else(none)?
            }
        };
        Ok((ip, target.port).into())
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("policy", &self.policy)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Refusal {
    /// What the enclave hears (section 10.7, step 4).
    fn reply(&self) -> Reply {
        match self {
            Self::Denied(_) => Reply::NotAllowed,
            Self::Dial(DialError::Refused { .. }) => Reply::ConnectionRefused,
            Self::Dial(DialError::NetworkUnreachable { .. }) => Reply::NetworkUnreachable,
            Self::Dial(
                DialError::HostUnreachable { .. }
                | DialError::Io { .. }
                | DialError::TimedOut { .. },
            )
            | Self::Resolve(_)
            | Self::ResolveTimedOut => Reply::HostUnreachable,
        }
    }
}

/// The system's resolver. It has no answers of its own to forget: each tunnel asks again.
fn system_resolver() -> Resolve {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}
