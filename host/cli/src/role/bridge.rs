//! `enclavectl bridge`.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use host_bridge::{Bridge as Role, Config, Listeners, egress::EgressPolicy};
use protocol::clock::SystemClock;

use super::{RoleArgs, dangerous_root};
use crate::{
    environment::Environment,
    exit::{Exit, Failure, OrFail as _},
    output, process,
};

/// Run a bridge: the host of one enclave.
///
/// Nodes of the workflow DON send it signed requests; once enough of them ask for the same, it hands
/// the batch to the enclave and answers all of them. It configures the enclave, verifies its
/// attestation, and opens the enclave's tunnels to allowed destinations.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Bridge {
    #[command(flatten)]
    role: RoleArgs,
    /// Believe attestation documents under this root (DER) instead of AWS's. Whoever holds its key
    /// can claim to be any enclave: for emulators only.
    #[arg(long, value_name = "FILE")]
    dangerous_trust_root: Option<PathBuf>,
    /// Let the enclave's tunnels reach this address although it is local. Repeatable; for test
    /// networks on one machine only.
    #[arg(long, value_name = "ADDRESS")]
    dangerous_allow: Vec<SocketAddr>,
}

impl Bridge {
    pub(crate) async fn run(self, environment: &Environment) -> Result<Exit, Failure> {
        let config = self.role.config(Config::parse)?;
        let root = dangerous_root(self.dangerous_trust_root.as_deref())?;
        let vsock = environment.vsock().or_fail(Exit::Usage, || "the environment")?;
        let shutdown = self.role.process.start()?;
        let (cid, port) = (config.enclave.cid, config.enclave.port);
        let enclave = vsock
            .dialer(cid, port, DIAL_TIMEOUT)
            .or_fail(Exit::Input, || "the enclave's port cannot be emulated")?;
        let egress = vsock.listen(config.enclave.egress_port).await.or_fail(Exit::Input, || {
            format!("cannot listen at vsock port {} for tunnels", config.enclave.egress_port)
        })?;
        process::announce("egress", egress.endpoint())?;
        let listeners = Listeners {
            nodes: Box::new(process::listen("nodes", config.nodes.listen).await?),
            operator: Box::new(process::listen("operator", config.operator_listen).await?),
            egress,
        };
        let mut role = Role::new(config, listeners, enclave, Arc::new(SystemClock));
        if let Some(root) = root {
            role = role.dangerous_trust(root);
        }
        if !self.dangerous_allow.is_empty() {
            role = role.dangerous_egress(allowances(&self.dangerous_allow));
        }
        let role = async {
            role.run(shutdown.clone()).await.or_fail(Exit::Internal, || "the bridge stopped")
        };
        process::until_stopped(role, &shutdown).await
    }
}

fn allowances(addresses: &[SocketAddr]) -> EgressPolicy {
    for address in addresses {
        output::note(format_args!("warning: the enclave's tunnels may reach {address}"));
    }
    EgressPolicy::default().dangerous_allow(addresses.iter().copied())
}

/// The enclave is on this machine.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

const EXAMPLE: &str = "\
Example of a configuration (what is left out has defaults):
  [nodes]
  listen = \"0.0.0.0:8080\"

  [enclave]
  cid = 16
  measurements = [{ pcr0 = \"<96 hex digits>\", pcr1 = \"<96 hex digits>\", pcr2 = \"<96 hex digits>\" }]

  [enclave.config]                # posted to an enclave that has none
  signers = [\"<64 hex digits>\", \"<64 hex digits>\", \"<64 hex digits>\", \"<64 hex digits>\"]
  master_public_key = '{\"Group\":\"P256\", ...}'
  t = 2
  f = 1

  [enclave.settings]              # posted after each start of the enclave
  gatewayUrl = \"https://gateway.example.com/\"
  storageServiceUrl = \"storage.example.com:443\"
  storageKey = \"<64 hex digits>\"

Environment:
  VSOCK_BACKEND=tcp   emulate vsock over loopback TCP
  ENCLAVE_CID=N       the enclave's context id in that emulation

Example:
  enclavectl bridge --config bridge.toml";
