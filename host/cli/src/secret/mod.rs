//! `enclavectl secret`: secrets in the development vault.

mod list;
mod put;

use protocol::ids::Owner;

use self::{list::List, put::Put};
use crate::{
    exit::{Exit, Failure},
    http::Peer,
    network::Network,
};

/// Put secrets into the vault of a devnet, or list their names.
///
/// A secret is encrypted here, for the vault's key and under its owner's name: the vault keeps what
/// it cannot read. Only an enclave that runs a workflow of the same owner can open it.
#[derive(Debug, clap::Args)]
pub(crate) struct Secret {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
    Put(Put),
}

impl Secret {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self.command {
            Command::List(list) => list.run().await,
            Command::Put(put) => put.run().await,
        }
    }
}

/// The vault of a devnet.
fn vault(network: &Network) -> Peer {
    Peer { name: "the vault", address: network.addresses.vault }
}

/// The owner of workflows and secrets when none is named: an address that is nobody's.
pub(crate) const DEFAULT_OWNER: &str = "0x1111111111111111111111111111111111111111";

/// Reads an owner of the command line.
///
/// # Errors
///
/// A sentence that says what an owner is.
pub(crate) fn parse_owner(text: &str) -> Result<Owner, String> {
    match Owner::parse(text) {
        Ok(owner) if owner.as_bytes() == &[0; 20] => {
            Err("the zero address owns nothing; name another owner".to_owned())
        }
        Ok(owner) => Ok(owner),
        Err(_) => Err("an owner is an address: 0x and 40 hexadecimal digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_owner_is_one() {
        assert_eq!(parse_owner(DEFAULT_OWNER).unwrap().to_string(), DEFAULT_OWNER);
    }

    #[test]
    fn what_is_no_address_or_nobodys_is_refused() {
        for text in ["", "0x", "alice", &format!("{DEFAULT_OWNER}0"), "0x0x11"] {
            let refused = parse_owner(text).unwrap_err();
            assert_eq!(refused, "an owner is an address: 0x and 40 hexadecimal digits", "{text}");
        }
        assert!(parse_owner(&"0".repeat(40)).unwrap_err().contains("zero address"));
    }
}
