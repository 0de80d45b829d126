//! `enclavectl vault`.

use host_relay::vault::{self, Config};

use super::RoleArgs;
use crate::{
    exit::{Exit, Failure, OrFail as _},
    process,
};

/// Run the development vault: it keeps encrypted secrets and collects the relay nodes' shares.
///
/// It stands in for a Vault DON on one machine and does not belong into production. It never sees a
/// secret in the clear. The devnet starts one by itself.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Vault {
    #[command(flatten)]
    role: RoleArgs,
}

impl Vault {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let config = self.role.config(Config::parse)?;
        let shutdown = self.role.process.start()?;
        let listener = process::listen("vault", config.listen).await?;
        let role = async {
            vault::run(config, Box::new(listener), shutdown.clone())
                .await
                .or_fail(Exit::Input, || "the vault cannot run")
        };
        process::until_stopped(role, &shutdown).await
    }
}

const EXAMPLE: &str = "\
Example of a configuration:
  listen = \"127.0.0.1:5010\"
  secrets_file = \"secrets.json\"
  token_file = \"vault.token\"
  master_public_key_file = \"master-public-key.json\"
  members = [\"<64 hex digits>\", \"<64 hex digits>\", \"<64 hex digits>\", \"<64 hex digits>\"]
  faults = 1
  threshold = 2

Example:
  enclavectl vault --config vault.toml";
