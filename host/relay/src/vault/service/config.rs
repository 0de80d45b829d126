//! The configuration of the development vault: a TOML text in which every key is known.
//!
//! ```toml
//! listen = "127.0.0.1:5010"           # loopback only
//! secrets_file = "secrets.json"       # ciphertexts; made when the first secret is put
//! token_file = "vault.token"          # who puts secrets in; nobody else may read the file
//! master_public_key_file = "master-public-key.json"
//! members = ["<64 hex digits>", ".."] # the relay nodes' ed25519 keys
//! faults = 1                          # F
//! threshold = 2                       # T: shares that open a secret
//! round_deadline_ms = 20000           # for 2F + 1 members; less than a relay node's own
//! grace_ms = 300                      # for the others
//! ```
//!
//! Only the last two have defaults: those above. Paths are relative to the working directory.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crypto::sign::SignerKey;
use host_config::{ConfigErrors, Keys};
use protocol::ids::FaultBound;

/// A configuration that can work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address to listen at: loopback.
    pub listen: SocketAddr,
    /// The file with the ciphertexts.
    pub secrets_file: PathBuf,
    /// The file with the token of whoever puts secrets in.
    pub token_file: PathBuf,
    /// The file with the vault's public key.
    pub master_public_key_file: PathBuf,
    /// The relay nodes' keys: 2F + 1 or more, all different, sorted.
    pub members: Vec<SignerKey>,
    /// How many members may be faulty.
    pub faults: FaultBound,
    /// How many shares open a secret.
    pub threshold: usize,
    /// How long a round waits for 2F + 1 members.
    pub round_deadline: Duration,
    /// How long it then waits for the others.
    pub grace: Duration,
}

impl Config {
    /// Parses and checks the text of a configuration file.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] with everything that is unknown, missing or impossible.
    pub fn parse(text: &str) -> Result<Self, ConfigErrors> {
        let mut keys = Keys::new(text)?;
        let listen = keys.text("listen", "a loopback address and port", |text| {
            text.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback())
        });
        let secrets_file = keys.path("secrets_file", "the path of the file with the secrets");
        let token_file = keys.path("token_file", "the path of the file with the token");
        let master_public_key_file =
            keys.path("master_public_key_file", "the path of the file with the vault's key");
        let faults = keys.number("faults", (0, 1_000), "F").map(FaultBound::new);
        let threshold = keys.number("threshold", (1, 1_000), "T");
        let least = faults.map_or(1, FaultBound::bft).max(threshold.unwrap_or(1));
        let key = "a public key of 64 hexadecimal digits";
        let members = keys.members("members", key, least, |text| text.parse().ok());
        let deadline = Duration::from_secs(20);
        let round_deadline = keys.millis_or("round_deadline_ms", (100, 600_000), deadline);
        let grace = keys.millis_or("grace_ms", (0, 60_000), Duration::from_millis(300));
        let whole = (|| {
            let mut members: Vec<SignerKey> = members?;
            members.sort_unstable();
            Some(Self {
                listen: listen?,
                secrets_file: secrets_file?,
                token_file: token_file?,
                master_public_key_file: master_public_key_file?,
                members,
                faults: faults?,
                threshold: threshold?,
                round_deadline,
                grace,
            })
        })();
        keys.finish(whole)
    }
}

#[cfg(test)]
mod tests {
    use crypto::sign::SigningKey;

    use super::*;

    fn text(members: u8, replace: (&str, &str)) -> String {
        let keys = (0..members).map(|seed| SigningKey::from_seed(&[seed; 32]).public());
        let keys: Vec<_> = keys.map(|key| format!("\"{key}\"")).collect();
        let text = format!(
            "listen = \"127.0.0.1:0\"\nsecrets_file = \"s\"\ntoken_file = \"t\"\n\
             master_public_key_file = \"m\"\nmembers = [{}]\nfaults = 1\nthreshold = 2\n",
            keys.join(",")
        );
        text.replace(replace.0, replace.1)
    }

    fn error(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn defaults_fill_what_is_left_out() {
        let config = Config::parse(&text(4, ("", ""))).unwrap();
        assert_eq!((config.members.len(), config.threshold), (4, 2));
        assert_eq!(config.round_deadline, Duration::from_secs(20));
        assert_eq!(config.grace, Duration::from_millis(300));
    }

    #[test]
    fn an_address_that_others_reach_is_refused() {
        for address in ["0.0.0.0:1", "10.0.0.1:1", "[::]:1"] {
            let text = text(4, ("127.0.0.1:0", address));
            assert_eq!(error(&text), "listen is not a loopback address and port", "{address}");
        }
    }

    #[test]
    fn too_few_members_are_refused() {
        assert_eq!(error(&text(2, ("", ""))), "members: 2 members, at least 3 are needed");
        let high = text(4, ("threshold = 2", "threshold = 5"));
        assert_eq!(error(&high), "members: 4 members, at least 5 are needed");
        let none = text(4, ("threshold = 2", "threshold = 0"));
        assert_eq!(error(&none), "threshold is 0, it must be from 1 to 1000");
    }

    #[test]
    fn a_member_named_twice_is_refused() {
        let key = SigningKey::from_seed(&[0; 32]).public().to_string();
        let other = SigningKey::from_seed(&[1; 32]).public().to_string();
        assert_eq!(
            error(&text(3, (&other, &key))),
            "members: number 2 is the same as one before it"
        );
        assert_eq!(
            error(&text(3, (&other, "zz"))),
            "members: number 2 is not a public key of 64 hexadecimal digits"
        );
    }
}
