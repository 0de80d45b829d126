//! `enclavectl gateway`.

use host_gateway::{Config, Listeners};

use super::RoleArgs;
use crate::{
    exit::{Exit, Failure, OrFail as _},
    process,
};

/// Run a gateway: enclaves ask it, it asks every relay node, and answers with what they signed.
///
/// Enclaves ask by JSON-RPC over HTTP. Relay nodes dial in by WebSocket and prove the keys that the
/// configuration lists. The gateway checks no signature of an answer; the enclave does.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Gateway {
    #[command(flatten)]
    role: RoleArgs,
}

impl Gateway {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let config = self.role.config(Config::parse)?;
        let shutdown = self.role.process.start()?;
        let users = Box::new(process::listen("users", config.users.listen).await?);
        let nodes = Box::new(process::listen("nodes", config.nodes.listen).await?);
        let role = async {
            host_gateway::run(config, Listeners { users, nodes }, shutdown.clone())
                .await
                .or_fail(Exit::Internal, || "the gateway stopped")
        };
        process::until_stopped(role, &shutdown).await
    }
}

const EXAMPLE: &str = "\
Example of a configuration (what is left out has defaults):
  [users]
  listen = \"127.0.0.1:5002\"

  [nodes]
  listen = \"127.0.0.1:5003\"
  gateway_id = \"gateway-1\"
  faults = 1
  members = [\"<64 hex digits>\", \"<64 hex digits>\", \"<64 hex digits>\", \"<64 hex digits>\"]

Example:
  enclavectl gateway --config gateway.toml";
