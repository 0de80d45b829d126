//! What the processes of a devnet are told: configurations, arguments, addresses.

mod roles;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use attestation::Measurements;
use host_relay::registry::{Snapshot, WorkflowDon};
use protocol::ids::FaultBound;

use super::{
    fault::{Faults, RELAYS},
    keys::{FAULTS, Keys, THRESHOLD},
    layout::Layout,
    ports::Vsock,
};
use crate::files::{self, Readers};

/// One process of a devnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// The host of the enclave.
    Bridge,
    /// The HTTPS echo service.
    Echo,
    /// The emulated enclave.
    Enclave,
    /// In front of the relay nodes.
    Gateway,
    /// Relay node N, from 1.
    Relay(usize),
    /// The development vault.
    Vault,
    /// The server of workflow binaries.
    Workflows,
}

/// How a process is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// What it is.
    pub(crate) role: Role,
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Its environment beside that of its parent.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Where its standard error goes, and what it prints beside addresses.
    pub(crate) log: PathBuf,
    /// The names of the addresses it prints when it serves.
    pub(crate) listens: &'static [&'static str],
    /// Whether it also prints that it has a link to the gateway.
    pub(crate) links: bool,
}

/// The two programs of a devnet.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// This program.
    pub(crate) enclavectl: PathBuf,
    /// The emulated enclave.
    pub(crate) emulator: PathBuf,
}

/// Everything a devnet's processes are told.
pub(crate) struct Plan {
    /// Where the files are.
    pub(crate) layout: Layout,
    /// The keys.
    pub(crate) keys: Keys,
    /// Who misbehaves.
    pub(crate) faults: Faults,
    /// What is started.
    pub(crate) programs: Programs,
    /// What is logged.
    pub(crate) log: String,
    /// How far the enclave's clock is off, in seconds.
    pub(crate) clock_offset_s: i64,
    /// The enclave's gateway, if it is not the gateway itself.
    pub(crate) gateway_through: Option<SocketAddr>,
    /// The emulated vsock addresses.
    pub(crate) vsock: Vsock,
    /// The image of the enclave, once it is known.
    pub(crate) measurements: Option<Measurements>,
    /// The addresses that processes printed.
    pub(crate) bound: BTreeMap<(Role, String), SocketAddr>,
}

impl Role {
    /// The relay nodes.
    pub(crate) fn relays() -> impl Iterator<Item = Self> {
        (1..=RELAYS).map(Self::Relay)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => f.pad("bridge"),
            Self::Echo => f.pad("echo"),
            Self::Enclave => f.pad("enclave"),
            Self::Gateway => f.pad("gateway"),
            Self::Relay(number) => f.pad(&format!("relay-{number}")),
            Self::Vault => f.pad("vault"),
            Self::Workflows => f.pad("workflows"),
        }
    }
}

impl Plan {
    /// Writes the files that a process reads and says how to start it.
    ///
    /// A process that was started before is told the addresses that it had.
    ///
    /// # Errors
    ///
    /// What the system reports for a file.
    pub(crate) fn spec(&self, role: Role) -> io::Result<Spec> {
        let mut spec = Spec {
            role,
            program: self.programs.enclavectl.clone(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log: self.layout.log(&role.to_string()),
            listens: &[],
            links: false,
        };
        match role {
            Role::Bridge => self.bridge(&mut spec)?,
            Role::Echo => self.echo(&mut spec),
            Role::Enclave => self.enclave(&mut spec),
            Role::Gateway => self.gateway(&mut spec)?,
            Role::Relay(number) => self.relay(&mut spec, number)?,
            Role::Vault => self.vault(&mut spec)?,
            Role::Workflows => self.workflows(&mut spec),
        }
        spec.argue(["--exit-with-stdin", "--log", &self.log]);
        Ok(spec)
    }

    /// The address that a process printed under this name; before that, any port of loopback.
    pub(crate) fn address(&self, role: Role, name: &str) -> SocketAddr {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        self.bound.get(&(role, name.to_owned())).copied().unwrap_or(any)
    }

    /// Writes the registry that relay nodes read.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub(crate) fn store_registry(&self) -> io::Result<()> {
        let snapshot = Snapshot {
            don: WorkflowDon::new(self.keys.signers(), FaultBound::new(FAULTS)),
            measurements: self.measurements.iter().cloned().map(Ok).collect(),
            master_public_key: Some(self.keys.vault.public_key.clone()),
            threshold: crypto::tdh2::Threshold::new(THRESHOLD).ok(),
        };
        let text = host_relay::registry::to_json(&snapshot)?;
        files::write(&self.layout.registry(), &text, Readers::Owner)
    }

    /// Writes the prices that relay nodes serve.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub(crate) fn store_prices(&self) -> io::Result<()> {
        files::write(&self.layout.state(PRICES_FILE), PRICES.as_bytes(), Readers::Owner)
    }

    /// The file in which the emulator leaves its root.
    pub(crate) fn root_file(&self) -> PathBuf {
        self.layout.state("enclave").join("root.der")
    }

    /// The file in which the emulator leaves its measurements.
    pub(crate) fn measurements_file(&self) -> PathBuf {
        self.layout.state("enclave").join("measurements.json")
    }
}

impl Spec {
    fn argue<A: Into<OsString>>(&mut self, arguments: impl IntoIterator<Item = A>) {
        self.arguments.extend(arguments.into_iter().map(Into::into));
    }
}

/// The prices' file among the devnet's state.
const PRICES_FILE: &str = "prices.json";

/// What the price feed answers; the same on every machine and every day.
pub(crate) const PRICES: &str = r#"{
  "BTC-USD": { "price": "97123.45", "timestamp_ms": 1767225600000 },
  "ETH-USD": { "price": "3456.78", "timestamp_ms": 1767225600000 },
  "LINK-USD": { "price": "21.09", "timestamp_ms": 1767225600000 }
}
"#;

#[cfg(test)]
mod tests;
