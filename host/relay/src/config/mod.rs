//! The configuration of a relay node: a TOML text in which every key is known.
//!
//! ```toml
//! [gateway]
//! url = "ws://127.0.0.1:5003/"    # the gateway's port for nodes
//! id = "gateway-1"                # the gateway's name; this node signs its challenge only
//! max_frame_bytes = 100000        # a longer frame ends the connection
//! silence_ms = 50000              # a gateway that says nothing for so long is dialled anew
//!
//! [node]
//! key_file = "relay-1.key"        # the ed25519 seed, 64 hex digits; nobody else may read the file
//! deadline_ms = 25000             # for one request; less than the enclave's 30 s
//! max_in_flight = 256             # requests at a time; more are refused as overloaded
//! require_bft_quorum = false      # 2F + 1 signed compute requests instead of F + 1
//!
//! [registry]
//! file = "registry.json"          # read for every request; see `registry`
//!
//! [vault]                         # without it there are no secrets
//! address = "127.0.0.1:5010"      # of the development vault
//! share_file = "relay-1.share"    # this node's TDH2 share, JSON; nobody else may read the file
//! master_public_key_file = "master-public-key.json"
//! pass_org_id = false             # tell the vault the owner's organization
//!
//! [capabilities]                  # stand-ins for development; without it there are none
//! price_feed_file = "prices.json" # serves price-feed@1.0.0
//! echo = true                     # serves echo@1.0.0
//! ```
//!
//! What has no default is `gateway.url`, `gateway.id`, the files of a table that is there, and
//! `vault.address`; the other values above are the defaults, except that without
//! `price_feed_file` there is no price feed. Paths are relative to the working directory.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use host_config::Keys;
use protocol::{
    limits::{NODE_FRAME_BYTES, RELAY_CALL_TIMEOUT},
    link::GATEWAY_ID_BYTES,
};

use crate::authorize::Quorum;

mod url;

pub use host_config::{ConfigError, ConfigErrors};
pub use url::GatewayUrl;

/// A configuration that can work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The gateway that is dialled.
    pub gateway: Gateway,
    /// This node.
    pub node: Node,
    /// The registry file.
    pub registry_file: PathBuf,
    /// The vault, if this node has a share.
    pub vault: Option<Vault>,
    /// Capabilities for development.
    pub capabilities: Capabilities,
}

/// The gateway that is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its port for nodes.
    pub url: GatewayUrl,
    /// Its name, of at most [`GATEWAY_ID_BYTES`].
    pub id: String,
    /// The longest frame that is read, in bytes.
    pub max_frame_bytes: usize,
    /// How long it may say nothing.
    pub silence: Duration,
}

/// This node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The file with the seed of its key.
    pub key_file: PathBuf,
    /// How long one request may take.
    pub deadline: Duration,
    /// Requests at a time.
    pub max_in_flight: usize,
    /// How many members have to have signed a compute request.
    pub quorum: Quorum,
}

/// This node's part in the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vault {
    /// Where the development vault listens.
    pub address: SocketAddr,
    /// The file with this node's private share.
    pub share_file: PathBuf,
    /// The file with the vault's public key.
    pub master_public_key_file: PathBuf,
    /// Whether the owner's organization is passed on.
    pub passes_org_on: bool,
}

/// Capabilities for development.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The file with the prices.
    pub price_feed_file: Option<PathBuf>,
    /// Whether the echo is there.
    pub has_echo: bool,
}

impl Config {
    /// Parses and checks the text of a configuration file.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] with everything that is unknown, missing or impossible.
    pub fn parse(text: &str) -> Result<Self, ConfigErrors> {
        let mut keys = Keys::new(text)?;
        let gateway = gateway(&mut keys);
        let node = node(&mut keys);
        let registry_file = keys.path("registry.file", "the path of the registry file");
        let has_vault = keys.has("vault");
        let vault = if has_vault { vault(&mut keys) } else { None };
        let capabilities = capabilities(&mut keys);
        let whole = (|| {
            let (gateway, node, registry_file) = (gateway?, node?, registry_file?);
            let vault = if has_vault { Some(vault?) } else { None };
            Some(Self { gateway, node, registry_file, vault, capabilities })
        })();
        keys.finish(whole)
    }
}

fn gateway(keys: &mut Keys) -> Option<Gateway> {
    let url = keys.text("gateway.url", "ws://HOST:PORT/PATH", |text| text.parse().ok());
    let id = keys.text("gateway.id", "the gateway's id, 1 to 128 bytes", |text| {
        Some(text.to_owned()).filter(|id| (1..=GATEWAY_ID_BYTES).contains(&id.len()))
    });
    let max_frame_bytes =
        keys.number_or("gateway.max_frame_bytes", (4_096, 64 << 20), NODE_FRAME_BYTES);
    let silence = Duration::from_secs(50);
    let silence = keys.millis_or("gateway.silence_ms", (1_000, 3_600_000), silence);
    Some(Gateway { url: url?, id: id?, max_frame_bytes, silence })
}

fn node(keys: &mut Keys) -> Option<Node> {
    let key_file = keys.path("node.key_file", "the path of the file with the node's seed");
    let deadline = keys.millis_or("node.deadline_ms", (100, 600_000), RELAY_CALL_TIMEOUT);
    let max_in_flight = keys.number_or("node.max_in_flight", (1, 65_536), 256);
    let needs_bft = keys.flag_or("node.require_bft_quorum", false);
    Some(Node {
        key_file: key_file?,
        deadline,
        max_in_flight,
        quorum: if needs_bft { Quorum::Bft } else { Quorum::Honest },
    })
}

fn vault(keys: &mut Keys) -> Option<Vault> {
    let address =
        keys.text("vault.address", "an address and port, such as 127.0.0.1:5010", |text| {
            text.parse().ok()
        });
    let share_file = keys.path("vault.share_file", "the path of the file with the node's share");
    let master_public_key_file =
        keys.path("vault.master_public_key_file", "the path of the file with the vault's key");
    let passes_org_on = keys.flag_or("vault.pass_org_id", false);
    Some(Vault {
        address: address?,
        share_file: share_file?,
        master_public_key_file: master_public_key_file?,
        passes_org_on,
    })
}

fn capabilities(keys: &mut Keys) -> Capabilities {
    if !keys.has("capabilities") {
        return Capabilities::default();
    }
    Capabilities {
        price_feed_file: keys.optional_path("capabilities.price_feed_file"),
        has_echo: keys.flag_or("capabilities.echo", true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"
        [gateway]
        url = "ws://localhost:5003"
        id = "gateway-1"
        [node]
        key_file = "relay.key"
        [registry]
        file = "registry.json"
    "#;

    fn errors(text: &str) -> Vec<String> {
        let errors = Config::parse(text).unwrap_err();
        errors.errors().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults_fill_what_is_left_out() {
        let config = Config::parse(LEAST).unwrap();
        assert_eq!(config.node.deadline, Duration::from_secs(25));
        assert_eq!(config.node.quorum, Quorum::Honest);
        assert_eq!((config.gateway.max_frame_bytes, config.node.max_in_flight), (100_000, 256));
        assert_eq!((config.vault, config.capabilities), (None, Capabilities::default()));
    }

    #[test]
    fn the_example_of_the_documentation_is_a_configuration() {
        let example = include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("//!"));
        let toml = example.skip_while(|line| *line != " ```toml").skip(1);
        let toml: Vec<_> = toml.take_while(|line| *line != " ```").collect();
        let config = Config::parse(&toml.join("\n")).unwrap();
        assert_eq!(config.vault.unwrap().address, "127.0.0.1:5010".parse().unwrap());
        assert!(config.capabilities.has_echo);
        let defaults = Config::parse(LEAST).unwrap();
        assert_eq!(
            (config.node.deadline, config.node.quorum),
            (defaults.node.deadline, defaults.node.quorum)
        );
        assert_eq!(config.gateway.silence, defaults.gateway.silence);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let text = r#"
            extra = 1
            [gateway]
            url = "http://localhost"
            silence_ms = 5
            [node]
            key_file = 7
            retries = 1
            [vault]
            address = "vault"
        "#;
        assert_eq!(
            errors(text),
            [
                "gateway.url is not ws://HOST:PORT/PATH",
                "gateway.id is missing: the gateway's id, 1 to 128 bytes",
                "gateway.silence_ms is 5, it must be from 1000 to 3600000",
                "node.key_file is not the path of the file with the node's seed",
                "registry.file is missing: the path of the registry file",
                "vault.address is not an address and port, such as 127.0.0.1:5010",
                "vault.share_file is missing: the path of the file with the node's share",
                "vault.master_public_key_file is missing: the path of the file with the vault's key",
                "extra is not a key of this configuration",
                "node.retries is not a key of this configuration",
            ]
        );
    }

    #[test]
    fn a_text_that_is_no_toml_is_named_by_its_line() {
        assert_eq!(errors("[gateway]\nurl = \n"), ["line 2 is not TOML, or repeats a key"]);
        let twice = format!("{LEAST}\n[registry]\nfile = \"b\"");
        assert!(matches!(
            Config::parse(&twice).unwrap_err().errors(),
            [ConfigError::Syntax { .. }]
        ));
    }
}
