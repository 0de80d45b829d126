//! `enclavectl relay`.

use std::path::PathBuf;

use host_relay::{Config, Dangerous, Fault};
use tokio::sync::watch;

use super::{RoleArgs, dangerous_root};
use crate::{
    exit::{Exit, Failure, OrFail as _},
    output, process,
};

/// Run a relay node: it serves secrets and capabilities to enclaves it has checked.
///
/// The node dials its gateway and proves its key. Every request is held to the measurements of the
/// registry file as it is at that moment, and to the signed requests of the workflow DON.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Relay {
    #[command(flatten)]
    role: RoleArgs,
    /// Believe attestation documents under this root (DER) instead of AWS's. Whoever holds its key
    /// can claim to be any enclave: for emulators only.
    #[arg(long, value_name = "FILE")]
    dangerous_trust_root: Option<PathBuf>,
    /// Misbehave: lie, garbage, stall, down or duplicate. For tests of the others.
    #[arg(long, value_name = "KIND")]
    fault: Option<Fault>,
}

impl Relay {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let config = self.role.config(Config::parse)?;
        let root = dangerous_root(self.dangerous_trust_root.as_deref())?;
        let shutdown = self.role.process.start()?;
        let (linked, link) = watch::channel(false);
        tokio::spawn(say_when_linked(link));
        let dangerous = Dangerous { root, fault: self.fault };
        let role = async {
            host_relay::run(config, dangerous, linked, shutdown.clone())
                .await
                .or_fail(Exit::Input, || "the relay node cannot run")
        };
        process::until_stopped(role, &shutdown).await
    }
}

/// Prints [`LINKED`] once the gateway knows this node.
async fn say_when_linked(mut link: watch::Receiver<bool>) {
    if link.wait_for(|is_linked| *is_linked).await.is_ok() {
        output::line(format_args!("{LINKED}")).ok();
    }
}

/// What a relay node prints when it has a link to its gateway.
pub(crate) const LINKED: &str = "linked";

const EXAMPLE: &str = "\
Example of a configuration (what is left out has defaults):
  [gateway]
  url = \"ws://127.0.0.1:5003/\"
  id = \"gateway-1\"

  [node]
  key_file = \"relay-1.key\"        # 64 hex digits; mode 0600

  [registry]
  file = \"registry.json\"          # members, measurements; read for every request

  [vault]                         # without it the node serves no secrets
  address = \"127.0.0.1:5010\"
  share_file = \"relay-1.share\"    # mode 0600
  master_public_key_file = \"master-public-key.json\"

Example:
  enclavectl relay --config relay-1.toml";
