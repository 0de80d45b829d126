//! What the capabilities registry says about this node's DON and the enclaves it trusts.
//!
//! It is read anew for every request, so that a withdrawn image is refused with the next request.
//! No root certificate ever comes from here.
//!
//! As a file ([`parse`]) it is
//!
//! ```json
//! {
//!   "version": 1,
//!   "workflow_don": { "f": 1, "members": ["<64 hex digits: ed25519 key>", ".."] },
//!   "enclaves": [{ "trustedValues": [{ "pcr0": "..", "pcr1": "..", "pcr2": ".." }] }],
//!   "master_public_key": "<hex of the TDH2 key's bytes>",
//!   "threshold": 2
//! }
//! ```
//!
//! of which the last two may be left out; then an enclave's own are not compared with them.

use std::{fmt, io, path::PathBuf, sync::Arc};

use attestation::{Measurements, MeasurementsError};
use crypto::{
    sign::{SignerKey, SignerKeyError},
    tdh2::{MasterPublicKey, ParseError, Threshold, ThresholdError},
};
use protocol::ids::FaultBound;

mod file;
mod onchain;

pub use file::{parse, to_json};
pub use onchain::{OnChainError, trusted_values};

/// Where snapshots come from.
///
/// A program names a file; a node that mirrors the on-chain registry hands in a function.
#[derive(Clone)]
pub struct Registry {
    source: Source,
    vault_key: Option<MasterPublicKey>,
}

#[derive(Clone)]
enum Source {
    File(PathBuf),
    Mirror(Arc<dyn Fn() -> Result<Snapshot, RegistryError> + Send + Sync>),
}

/// The registry as one request sees it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The workflow DON that this node is a member of.
    pub don: WorkflowDon,
    /// Measurements of the enclaves that are trusted; those that do not parse trust nothing.
    pub measurements: Vec<Result<Measurements, MeasurementsError>>,
    /// The vault's key, where the registry holds it.
    pub master_public_key: Option<MasterPublicKey>,
    /// The vault's threshold, where the registry holds it.
    pub threshold: Option<Threshold>,
}

/// The committee that signs compute requests. Relay nodes are its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowDon {
    members: Vec<SignerKey>,
    faults: FaultBound,
}

/// Why the registry says nothing.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file cannot be read.
    #[error("the registry cannot be read")]
    Read(#[source] io::Error),
    /// The file is longer than it may be.
    #[error("the registry is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// The file is not JSON of its form.
    #[error("the registry is not in its form: {0}")]
    Form(#[from] serde_json::Error),
    /// The file is of another version.
    #[error("the registry has version {got}, this program reads version {want}")]
    Version {
        /// The version of the file.
        got: u32,
        /// The version that is read.
        want: u32,
    },
    /// A member's key is none.
    #[error("member {index} of the workflow DON: {source}")]
    Member {
        /// Its position, from 0.
        index: usize,
        /// What is wrong with it.
        source: SignerKeyError,
    },
    /// A set of measurements of the file does not parse.
    #[error("measurements {index} of enclave {enclave}: {source}")]
    Measurements {
        /// The enclave's position, from 0.
        enclave: usize,
        /// The position of the set, from 0.
        index: usize,
        /// What is wrong with it.
        source: MeasurementsError,
    },
    /// The vault's key is none.
    #[error("master_public_key is not the hexadecimal form of a TDH2 key: {0}")]
    MasterPublicKey(ParseError),
    /// The vault's threshold is none.
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
    /// The default configuration of the pool is not readable.
    #[error("failed to get enclave attestation config: {0}")]
    OnChain(#[from] OnChainError),
    /// A look-up in a mirror of the on-chain registry failed.
    #[error("{0}")]
    Lookup(#[from] LookupError),
}

/// Which look-up in a mirror of the on-chain registry failed; its own log says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The DONs that host the capability.
    #[error(
        "failed to get enclave attestation config: failed to find DON for confidential-workflows@1.0.0-alpha"
    )]
    Dons,
    /// No DON hosts the capability.
    #[error(
        "failed to get enclave attestation config: no DON found hosting confidential-workflows@1.0.0-alpha"
    )]
    NoDon,
    /// The capability's configuration.
    #[error(
        "failed to get enclave attestation config: failed to get config for confidential-workflows@1.0.0-alpha"
    )]
    Config,
    /// The capability has no default configuration.
    #[error(
        "failed to get enclave attestation config: no default config for confidential-workflows@1.0.0-alpha"
    )]
    NoDefaultConfig,
    /// This node's own record.
    #[error("failed to get local node")]
    LocalNode,
}

impl Registry {
    /// Reads a file in the form of [`parse`], for every request.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self { source: Source::File(path), vault_key: None }
    }

    /// Asks a mirror of the registry in this process. It is called for every request and must not wait.
    #[must_use]
    pub fn mirror(
        read: impl Fn() -> Result<Snapshot, RegistryError> + Send + Sync + 'static,
    ) -> Self {
        Self { source: Source::Mirror(Arc::new(read)), vault_key: None }
    }

    /// Names the key of the vault whose shares this node makes, for registries that hold none: no
    /// share is ever made for an enclave that believes in another (W-02).
    #[must_use]
    pub fn with_vault_key(mut self, key: MasterPublicKey) -> Self {
        self.vault_key = Some(key);
        self
    }

    /// Reads the registry as it is now.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], and nothing is trusted.
    pub async fn read(&self) -> Result<Snapshot, RegistryError> {
        let mut snapshot = match &self.source {
            Source::File(path) => file::read(path).await?,
            Source::Mirror(read) => read()?,
        };
        snapshot.master_public_key = snapshot.master_public_key.or_else(|| self.vault_key.clone());
        Ok(snapshot)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File(path) => f.debug_tuple("Registry").field(path).finish(),
            Source::Mirror(_) => f.write_str("Registry(mirror)"),
        }
    }
}

impl Default for WorkflowDon {
    /// No members: nobody authorizes anything.
    fn default() -> Self {
        Self { members: Vec::new(), faults: FaultBound::new(0) }
    }
}

impl WorkflowDon {
    /// A committee; equal keys are one member.
    #[must_use]
    pub fn new(mut members: Vec<SignerKey>, faults: FaultBound) -> Self {
        members.sort_unstable();
        members.dedup();
        Self { members, faults }
    }

    /// The members' keys, sorted and all different.
    #[must_use]
    pub fn members(&self) -> &[SignerKey] {
        &self.members
    }

    /// How many members may be faulty.
    #[must_use]
    pub fn faults(&self) -> FaultBound {
        self.faults
    }
}
