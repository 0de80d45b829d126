//! The composition of a relay node.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use attestation::TrustRoot;
use crypto::{
    sign::SigningKey,
    tdh2::{MasterPublicKey, ParseError, PrivateShare},
};
use futures_util::future::BoxFuture;
use protocol::{clock::SystemClock, messages::vault::GetSecretsResponse};
use rand_core::OsRng;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transport::TcpDialer;

use crate::{
    Config, Executions,
    capabilities::{Devnet, PricesError},
    config,
    connector::{Connector, Road},
    fault::Fault,
    handler::{Handler, Setup},
    registry::Registry,
    secret_file::{self, SecretFileError},
    vault::{ForeignShareError, Member, Request, Vault, VaultError},
};

/// What weakens a node, and therefore comes from its command line only. The default weakens nothing.
#[derive(Clone, Debug, Default)]
pub struct Dangerous {
    /// Believe documents under this root instead of AWS's: **its holder can claim to be any enclave.**
    pub root: Option<TrustRoot>,
    /// Misbehave.
    pub fault: Option<Fault>,
}

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file with the node's key is of no use.
    #[error("node.key_file")]
    Key(#[source] SecretFileError),
    /// The file with the node's share is of no use.
    #[error("vault.share_file")]
    ShareFile(#[source] SecretFileError),
    /// The file with the node's share holds none.
    #[error("vault.share_file holds no private TDH2 share")]
    Share(#[source] ParseError),
    /// The file with the vault's key cannot be read.
    #[error("vault.master_public_key_file {} cannot be read", path.display())]
    ReadMasterPublicKey {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file with the vault's key holds none.
    #[error("vault.master_public_key_file holds no TDH2 key")]
    MasterPublicKey(#[source] ParseError),
    /// The share is one of another key.
    #[error("vault.share_file")]
    ForeignShare(#[from] ForeignShareError),
    /// There are no prices.
    #[error("capabilities.price_feed_file")]
    Prices(#[from] PricesError),
}

/// Runs a relay node until `shutdown` is cancelled. It serves every request that is authorized.
///
/// `linked` is true while the node has a link to its gateway, so that whoever starts nodes can wait
/// for them.
///
/// # Errors
///
/// [`RunError`], before anything is served.
pub async fn run(
    config: Config,
    dangerous: Dangerous,
    linked: watch::Sender<bool>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    warn_of(&dangerous);
    let (gateway, max_in_flight) = (config.gateway.clone(), config.node.max_in_flight);
    let key_file = config.node.key_file.clone();
    let key = || secret_file::read_signing_key(&key_file).map_err(RunError::Key);
    let connector = Connector {
        road: Road::Url(gateway.url.clone()),
        gateway,
        key: key()?,
        handler: Arc::new(handler(config, &dangerous, key()?, key()?)?),
        fault: dangerous.fault,
        max_in_flight,
        clock: Arc::new(SystemClock),
        linked,
    };
    if dangerous.fault == Some(Fault::Down) {
        shutdown.cancelled().await;
    }
    connector.run(&mut OsRng, shutdown).await;
    Ok(())
}

fn warn_of(dangerous: &Dangerous) {
    if let Some(root) = &dangerous.root {
        tracing::warn!(
            root = hex::encode(root.sha256()),
            "DANGEROUS: documents are believed under another root than AWS's; whoever holds its key can claim to be any enclave"
        );
    }
    if let Some(fault) = dangerous.fault {
        tracing::warn!(%fault, "DANGEROUS: this node misbehaves as it was told to");
    }
}

/// The handler of a node that runs alone. The vault's member signs with the same key as the node.
fn handler(
    config: Config,
    dangerous: &Dangerous,
    key: SigningKey,
    member_key: SigningKey,
) -> Result<Handler, RunError> {
    let Config { node, registry_file, vault, capabilities, gateway: _ } = config;
    let passes_org_on = vault.as_ref().is_some_and(|vault| vault.passes_org_on);
    let conduct = dangerous.fault.map(Fault::conduct).unwrap_or_default();
    let mut registry = Registry::file(registry_file);
    let vault: Arc<dyn Vault> = match vault {
        Some(vault) => {
            let vault_key = master_public_key(&vault.master_public_key_file)?;
            registry = registry.with_vault_key(vault_key.clone());
            let member = member(&vault, vault_key, member_key, node.deadline)?;
            Arc::new(member.dangerous_with_conduct(conduct))
        }
        None => Arc::new(NoVault),
    };
    let mut devnet =
        if capabilities.has_echo { Devnet::none().with_echo() } else { Devnet::none() };
    if let Some(path) = capabilities.price_feed_file {
        devnet = devnet.with_prices(&path)?;
    }
    Ok(Handler::new(Setup {
        registry,
        root: dangerous.root.clone().unwrap_or_else(TrustRoot::aws),
        executions: Executions::standalone(vault, Arc::new(devnet)),
        key,
        quorum: node.quorum,
        passes_org_on,
        deadline: node.deadline,
        clock: Arc::new(SystemClock),
    }))
}

fn member(
    vault: &config::Vault,
    vault_key: MasterPublicKey,
    key: SigningKey,
    timeout: Duration,
) -> Result<Member, RunError> {
    let share = secret_file::read(&vault.share_file).map_err(RunError::ShareFile)?;
    let share = PrivateShare::parse(share.expose()).map_err(RunError::Share)?;
    let dialer = Box::new(TcpDialer::new(vault.address, timeout));
    Ok(Member::new(dialer, key, share, vault_key, timeout)?)
}

fn master_public_key(path: &Path) -> Result<MasterPublicKey, RunError> {
    let text = std::fs::read(path)
        .map_err(|source| RunError::ReadMasterPublicKey { path: path.to_owned(), source })?;
    MasterPublicKey::parse(&text).map_err(RunError::MasterPublicKey)
}

/// A node without a share.
#[derive(Debug)]
struct NoVault;

impl Vault for NoVault {
    fn secrets(&self, _request: Request) -> BoxFuture<'_, Result<GetSecretsResponse, VaultError>> {
        Box::pin(std::future::ready(Err(VaultError::NoCapability)))
    }
}
