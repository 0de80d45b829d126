//! The configuration of a bridge: a TOML text in which every key is known.
//!
//! ```toml
//! shutdown_ms = 25000                  # how long requests under way may take when told to stop
//!
//! [nodes]                              # where nodes of the workflow DON ask
//! listen = "0.0.0.0:8080"
//! max_connections = 512                # more wait until one closes
//! max_body_bytes = 67108864            # a longer request is refused
//! body_budget_bytes = 268435456        # all requests that are being read, together
//!
//! [operator]                           # where configuration and settings are posted
//! listen = "127.0.0.1:8081"            # loopback only
//!
//! [enclave]
//! cid = 16                             # of the enclave, as given to nitro-cli
//! port = 5000
//! egress_port = 5001                   # of this host, where the enclave opens tunnels
//! poll_ms = 10000                      # how often its attestation is verified
//! request_timeout_ms = 720000          # the longest execution with all that belongs to it
//! measurements = [                     # the images that are believed, at least one
//!   { pcr0 = "<96 hex digits>", pcr1 = "<96 hex digits>", pcr2 = "<96 hex digits>" },
//! ]
//!
//! [enclave.config]                     # posted to an enclave that has none; may be left out
//! signers = ["<64 hex digits>", "<64 hex digits>", "<64 hex digits>", "<64 hex digits>"]
//! master_public_key = '{"Group":"P256", ...}'
//! t = 2
//! f = 1
//!
//! [enclave.settings]                   # posted as JSON after each start; may be left out
//! gatewayUrl = "https://gateway.example.com/"
//! storageServiceUrl = "storage.example.com:443"
//! storageKey = "<64 hex digits>"
//!
//! [batch]
//! quorum_timeout_ms = 20000            # how long a request waits for its quorum
//! require_bft_quorum = false           # 2F + 1 signatures instead of F + 1
//! result_age_ms = 240000               # how long a result waits for nodes that come late
//! results_bytes = 268435456            # all results that wait, together
//! pending_per_signer = 256             # requests of one node that wait for their quorum
//! pending_bytes_per_signer = 134217728
//! pending_bytes = 536870912            # all requests that wait or run, together
//!
//! [egress]
//! max_tunnels = 1024                   # more wait until one closes
//! idle_ms = 600000                     # a tunnel in which nothing is said for so long is closed
//! ```
//!
//! What has no default is `nodes.listen`, `enclave.measurements` and the keys of `[enclave.config]` if
//! it is there; the other values above are the defaults, except that nothing is posted without its
//! table.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use attestation::Measurements;
use crypto::{secret::Secret, sign::SignerKey};
use host_config::ConfigError::Rule;
use protocol::{
    config::{Config as CheckedConfig, EnclaveConfig},
    limits,
};

mod rule;
#[cfg(test)]
mod tests;

pub use rule::RuleError;

use crate::{batch::BatchLimits, egress::EgressLimits, enclave::Images};

/// Everything that is wrong with a configuration.
pub type ConfigErrors = host_config::ConfigErrors<RuleError>;

/// One thing that is wrong with a configuration.
pub type ConfigError = host_config::ConfigError<RuleError>;

type Keys = host_config::Keys<RuleError>;

/// A configuration that can work.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where nodes ask.
    pub nodes: Nodes,
    /// Where the operator posts configuration and settings.
    pub operator_listen: SocketAddr,
    /// The enclave, and what it is to be given.
    pub enclave: Enclave,
    /// How requests wait for each other.
    pub batch: BatchLimits,
    /// What tunnels may cost.
    pub egress: EgressLimits,
    /// How long requests under way may take once the bridge is told to stop.
    pub shutdown: Duration,
}

/// The port for nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// The address to listen at.
    pub listen: SocketAddr,
    /// Connections at a time.
    pub max_connections: usize,
    /// The longest body.
    pub max_body_bytes: usize,
    /// All bodies that are being read.
    pub body_budget_bytes: usize,
}

/// The enclave.
#[derive(Clone, Debug)]
pub struct Enclave {
    /// Its context id.
    pub cid: u32,
    /// Its port.
    pub port: u32,
    /// This host's port for its tunnels.
    pub egress_port: u32,
    /// How often its attestation is verified.
    pub poll: Duration,
    /// The longest execution.
    pub request_timeout: Duration,
    /// The images that are believed.
    pub images: Images,
    /// What is posted to an enclave without configuration.
    pub config: Option<EnclaveConfig>,
    /// What is posted after each start: the text of a JSON object, which may hold keys.
    pub settings: Option<Arc<Secret>>,
}

impl Config {
    /// Parses and checks the text of a configuration file.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] with everything that is wrong, each naming its key.
    pub fn parse(text: &str) -> Result<Self, ConfigErrors> {
        let mut keys = Keys::new(text)?;
        let config = read(&mut keys);
        keys.finish(config)
    }
}

/// Reads every key; `None` after something was refused.
fn read(keys: &mut Keys) -> Option<Config> {
    let (nodes, operator_listen) = listeners(keys);
    let enclave = enclave(keys);
    let batch = batch(keys);
    let egress = egress(keys);
    let shutdown = keys.millis_or("shutdown_ms", (1, 600_000), limits::HOST_SHUTDOWN);
    Some(Config {
        nodes: nodes?,
        operator_listen: operator_listen?,
        enclave: enclave?,
        batch,
        egress,
        shutdown,
    })
}

fn listeners(keys: &mut Keys) -> (Option<Nodes>, Option<SocketAddr>) {
    let address = |text: &str| text.parse::<SocketAddr>().ok();
    let listen = keys.text("nodes.listen", "an address such as \"0.0.0.0:8080\"", address);
    let max_connections = keys.number_or("nodes.max_connections", (1, 65_536), 512);
    let max_body_bytes = keys.number_or("nodes.max_body_bytes", (1024, MIB * 64), MIB * 64);
    let body_budget_bytes =
        keys.number_or("nodes.body_budget_bytes", (MIB, MIB * 65_536), MIB * 256);
    let nodes =
        listen.map(|listen| Nodes { listen, max_connections, max_body_bytes, body_budget_bytes });

    let default = SocketAddr::from(([127, 0, 0, 1], 8081));
    let want = "an address such as \"127.0.0.1:8081\"";
    let mut operator = keys.text_or("operator.listen", want, default, address);
    if operator.is_some_and(|address| !address.ip().is_loopback()) {
        operator = keys.refuse(Rule(RuleError::OperatorExposed));
    }
    // Port 0 is a different one each time.
    if listen
        .is_some_and(|nodes| nodes.port() != 0 && operator.map(|o| o.port()) == Some(nodes.port()))
    {
        operator = keys.refuse(Rule(RuleError::SamePort));
    }
    (nodes, operator)
}

fn enclave(keys: &mut Keys) -> Option<Enclave> {
    let cid = keys.number_or("enclave.cid", (4, LAST_VSOCK), 16);
    let port = keys.number_or("enclave.port", (1, LAST_VSOCK), 5000);
    let egress_port = keys.number_or("enclave.egress_port", (1, LAST_VSOCK), 5001);
    let poll = keys.millis_or("enclave.poll_ms", (100, 60_000), Duration::from_secs(10));
    let longest = Duration::from_secs(12 * 60);
    let request_timeout = keys.millis_or("enclave.request_timeout_ms", (1000, 3_600_000), longest);
    let want = "PCR0, PCR1 and PCR2 of an image, each 96 hexadecimal digits and not zero";
    let images = keys.list("enclave.measurements", want, |image| {
        Measurements::parse(image.to_string().as_bytes()).ok()
    });
    let images = images.and_then(|mut images| {
        let first = (!images.is_empty()).then(|| images.remove(0))?;
        Some(Images { first, others: images })
    });
    let config = if keys.has("enclave.config") { enclave_config(keys) } else { None };
    let settings = keys.object("enclave.settings");
    let settings = settings.map(|object| Arc::new(Secret::new(object.to_string().into_bytes())));
    let images = images?;
    Some(Enclave { cid, port, egress_port, poll, request_timeout, images, config, settings })
}

fn enclave_config(keys: &mut Keys) -> Option<EnclaveConfig> {
    let want = "the public key of a node, 64 hexadecimal digits";
    let signers = keys.list("enclave.config.signers", want, |value| {
        value.as_str().and_then(|text| text.parse::<SignerKey>().ok())
    });
    let want = "the vault's TDH2 key, a JSON text";
    let key = "enclave.config.master_public_key";
    let master_public_key = keys.text(key, want, |text| Some(text.as_bytes().to_vec()));
    let want = "how many shares open a secret";
    let t = keys.number("enclave.config.t", (1, u16::MAX.into()), want);
    let want = "how many nodes may be faulty";
    let f = keys.number("enclave.config.f", (0, u16::MAX.into()), want);
    let signers = signers?.iter().map(|key| key.as_bytes().as_slice().into()).collect();
    let config = EnclaveConfig {
        signers: Some(signers),
        master_public_key: master_public_key?.into(),
        t: t?,
        f: f?,
    };
    match CheckedConfig::check(config) {
        Ok(checked) => Some(checked.wire().clone()),
        Err(error) => keys.refuse(Rule(error.into())),
    }
}

fn batch(keys: &mut Keys) -> BatchLimits {
    let oldest_ms = u64::try_from(limits::BATCH_AGE.as_millis()).unwrap_or(u64::MAX);
    let (small, large) = (MIB, MIB * 65_536);
    BatchLimits {
        quorum_timeout: keys.millis_or(
            "batch.quorum_timeout_ms",
            (1, 299_999),
            limits::BATCH_WINDOW,
        ),
        require_bft_quorum: keys.flag_or("batch.require_bft_quorum", false),
        result_age: keys.millis_or("batch.result_age_ms", (0, oldest_ms), limits::BATCH_AGE),
        results_bytes: keys.number_or("batch.results_bytes", (0, large), MIB * 256),
        pending_per_signer: keys.number_or("batch.pending_per_signer", (1, 1_000_000), 256),
        pending_bytes_per_signer: keys.number_or(
            "batch.pending_bytes_per_signer",
            (small, large),
            MIB * 128,
        ),
        pending_bytes: keys.number_or("batch.pending_bytes", (small, large), MIB * 512),
    }
}

fn egress(keys: &mut Keys) -> EgressLimits {
    let tunnels = keys.number_or("egress.max_tunnels", (1, 65_536), 1024);
    let idle = keys.millis_or("egress.idle_ms", (1000, 3_600_000), Duration::from_secs(600));
    EgressLimits { tunnels, idle, ..EgressLimits::default() }
}

const MIB: usize = 1024 * 1024;

/// The last context id and port of vsock; the number after it means any.
const LAST_VSOCK: u32 = 0xffff_fffe;
