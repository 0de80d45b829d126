//! `enclavectl vault`.

mod keygen;

use host_relay::vault::{self, Config};

use self::keygen::Keygen;
use super::RoleArgs;
use crate::{
    exit::{Exit, Failure, OrFail as _},
    process,
};

/// Run the development vault: it keeps encrypted secrets and collects the relay nodes' shares.
///
/// It stands in for a Vault DON on one machine and does not belong into production. It never sees a
/// secret in the clear. The devnet starts one by itself. `keygen` makes the keys of any vault.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Vault {
    #[command(flatten)]
    role: Option<RoleArgs>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Keygen(Keygen),
}

impl Vault {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match (self.command, self.role) {
            (Some(Command::Keygen(keygen)), _) => keygen.run(),
            (None, Some(role)) => serve(role).await,
            // The parser asks for --config where there is no command.
            (None, None) => Err(Failure::new(Exit::Usage, "--config or keygen is missing")),
        }
    }
}

async fn serve(role: RoleArgs) -> Result<Exit, Failure> {
    let config = role.config(Config::parse)?;
    let shutdown = role.process.start()?;
    let listener = process::listen("vault", config.listen).await?;
    let role = async {
        vault::run(config, Box::new(listener), shutdown.clone())
            .await
            .or_fail(Exit::Input, || "the vault cannot run")
    };
    process::until_stopped(role, &shutdown).await
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

Examples:
  enclavectl vault --config vault.toml
  enclavectl vault keygen --threshold 3 --members 5 --out vault";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        vault: Vault,
    }

    fn parse(arguments: &[&str]) -> Result<Vault, clap::Error> {
        Line::try_parse_from([&["vault"], arguments].concat()).map(|line| line.vault)
    }

    #[test]
    fn the_role_and_the_tool_are_told_apart() {
        let role = parse(&["--config", "vault.toml", "--log", "debug"]).unwrap();
        assert!(role.role.is_some() && role.command.is_none());
        let tool = parse(&["keygen", "--threshold", "2", "--members", "3", "--out", "x"]).unwrap();
        assert!(tool.role.is_none() && tool.command.is_some());
    }

    #[test]
    fn neither_of_them_and_both_of_them_are_refused() {
        for arguments in [
            &[][..],
            &["--log", "debug"],
            &["--config", "x", "keygen", "--threshold", "2", "--members", "3", "--out", "x"],
        ] {
            assert_eq!(parse(arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }
}
