//! `enclavectl secret list`.

use std::path::PathBuf;

use bytes::Bytes;
use http::{Method, StatusCode};
use protocol::ids::Owner;
use serde::Deserialize;

use super::{parse_owner, vault};
use crate::{
    exit::{Exit, Failure, OrFail as _},
    network::Network,
    output,
};

/// List the names of the secrets in the vault. Values are not shown; the vault cannot read them.
///
/// One line for each secret: owner, namespace, name, separated by tabs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct List {
    /// The devnet.json of a running devnet.
    #[arg(long, value_name = "FILE")]
    network: PathBuf,
    /// Only this owner's: an address of 40 hexadecimal digits.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_owner)]
    owner: Option<Owner>,
}

#[derive(Deserialize)]
struct Names {
    secrets: Vec<Name>,
}

#[derive(Deserialize)]
struct Name {
    owner: String,
    namespace: String,
    name: String,
}

impl List {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let network = Network::load(&self.network)?;
        let vault = vault(&network);
        let token = network.vault_token.expose();
        let answer = vault.ask(Method::GET, "/secrets", Some(token), Bytes::new()).await?;
        if answer.status() != StatusCode::OK {
            return Err(vault.refused(&answer));
        }
        let names: Names = serde_json::from_slice(answer.body())
            .or_fail(Exit::Peer, || "the vault's answer is not a list of names")?;
        for Name { owner, namespace, name } in names.secrets {
            let is_asked_for = self.owner.is_none_or(|asked| Owner::parse(&owner) == Ok(asked));
            if is_asked_for {
                output::line(format_args!("{owner}\t{namespace}\t{name}"))?;
            }
        }
        Ok(Exit::Success)
    }
}

const EXAMPLE: &str = "\
Example:
  enclavectl secret list --network devnet.json";
