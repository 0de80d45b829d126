//! The composition: everything a bridge is, started in order and stopped in order.

use std::{sync::Arc, time::Duration};

use attestation::TrustRoot;
use protocol::{clock::Clock, limits};
use tokio_util::sync::CancellationToken;
use transport::{
    Dial, Listen, ListenerFailed,
    http::{ClientLimits, ServerLimits, serve},
};

use crate::{
    batch::Collector,
    config::Config,
    egress::{Egress, EgressPolicy, NonlocalBind},
    enclave::{CALL, Checker, Link, Watcher},
    inbound::Ports,
};

/// Where a bridge listens. The caller binds, so that it can say where.
#[derive(Debug)]
pub struct Listeners {
    /// For nodes.
    pub nodes: Box<dyn Listen>,
    /// For the operator: loopback.
    pub operator: Box<dyn Listen>,
    /// For the enclave's tunnels: vsock.
    pub egress: Box<dyn Listen>,
}

/// A bridge that is not running yet.
pub struct Bridge {
    config: Config,
    listeners: Listeners,
    enclave: Arc<dyn Dial>,
    clock: Arc<dyn Clock>,
    root: TrustRoot,
    policy: EgressPolicy,
}

/// Why a bridge stopped by itself, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Tunnels could not be judged.
    #[error(transparent)]
    Egress(#[from] NonlocalBind),
    /// One of its ports is of no more use.
    #[error("the port for {port} failed")]
    Port {
        /// Whom the port is for.
        port: &'static str,
        /// Why.
        source: ListenerFailed,
    },
}

impl Bridge {
    /// A bridge to the enclave behind `enclave`, which has to prove itself under the root of AWS.
    #[must_use]
    pub fn new(
        config: Config,
        listeners: Listeners,
        enclave: Arc<dyn Dial>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (root, policy) = (TrustRoot::aws(), EgressPolicy::default());
        Self { config, listeners, enclave, clock, root, policy }
    }

    /// Trusts another root instead. **Whoever holds its key can claim to be the enclave.**
    ///
    /// For emulators. No configuration file reaches this.
    #[must_use]
    pub fn dangerous_trust(mut self, root: TrustRoot) -> Self {
        self.root = root;
        self
    }

    /// Uses another egress policy, which may allow local addresses.
    ///
    /// For test networks on one machine. No configuration file reaches this.
    #[must_use]
    pub fn dangerous_egress(mut self, policy: EgressPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Serves until `shutdown` is cancelled, then finishes what it began.
    ///
    /// The egress stands before the first request can reach the enclave, and outlives the last
    /// (sections 10.10, 10.11). Batches below their quorum fail at once; both ports share one deadline
    /// for the rest (W-23).
    ///
    /// # Errors
    ///
    /// [`RunError`].
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let Self { config, listeners, enclave, clock, root, policy } = self;
        let egress = Egress::new(policy, config.egress, config.enclave.cid)?;
        let link = Link::new(enclave);
        let checker = Arc::new(Checker::new(root, config.enclave.images));
        let (watch, watcher) = Watcher::new(
            link.clone(),
            Arc::clone(&checker),
            Arc::clone(&clock),
            config.enclave.poll,
            config.enclave.config,
            config.enclave.settings,
        );
        let exchange = ClientLimits {
            body_bytes: limits::INBOUND_BODY_BYTES,
            timeout: config.enclave.request_timeout,
            ..CALL
        };
        let collector = Collector::new(config.batch, link.clone(), exchange, shutdown.clone());
        let ports = Ports::new(&config.nodes, link, watch, checker, clock, collector);

        let server = |connections| ServerLimits { connections, drain: config.shutdown, ..SERVER };
        let nodes = server(config.nodes.max_connections);
        let nodes = serve(listeners.nodes, ports.nodes(), nodes, shutdown.clone());
        let operator = server(OPERATOR_CONNECTIONS);
        let operator = serve(listeners.operator, ports.operator(), operator, shutdown);
        let inbound = async {
            tokio::try_join!(
                async { nodes.await.map_err(|source| RunError::Port { port: "nodes", source }) },
                async {
                    operator.await.map_err(|source| RunError::Port { port: "the operator", source })
                },
            )
        };
        // Dropped, and with it every tunnel, once the ports are closed.
        let tunnels = egress.serve(listeners.egress, CancellationToken::new());
        tokio::select! {
            biased;
            ended = tunnels => ended.map_err(|source| RunError::Port { port: "tunnels", source }),
            () = watcher.run() => Ok(()),
            ended = inbound => ended.map(|((), ())| ()),
        }
    }
}

impl std::fmt::Debug for Bridge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bridge")
            .field("listeners", &self.listeners)
            .field("root", &self.root)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// What a client of either port is given.
const SERVER: ServerLimits = ServerLimits {
    connections: OPERATOR_CONNECTIONS,
    head_bytes: 64 * 1024,
    head_timeout: limits::HOST_HEAD_TIMEOUT,
    write_stall: Duration::from_secs(60),
    drain: limits::HOST_SHUTDOWN,
};

/// A config tracker and an operator.
const OPERATOR_CONNECTIONS: usize = 16;
