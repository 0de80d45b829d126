//! The development vault: stands in for the Vault DON's consensus on one machine.
//!
//! A Vault DON agrees among its members on one answer to a request for secrets. Here one process on
//! loopback does, for relay nodes that each hold one TDH2 share: it keeps the ciphertexts, collects
//! the members' shares, which come already sealed to the enclave's key, and gives all members the same
//! answer. It never holds a share or a key that opens anything, but whoever controls it decides what
//! the answer is; that is why it does not belong into production.
//!
//! ```text
//! PUT  /secrets/{owner}/{namespace}/{name}   token   a ciphertext, proven valid and under its owner's label
//! GET  /secrets                              token   {"secrets": [{"owner", "namespace", "name"}]}
//! POST /ciphertexts                          member  opens a round (`vault::wire`)
//! POST /contributions                        member  sealed shares in, the round's answer out
//! ```

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use crypto::tdh2::{MasterPublicKey, ParseError};
use tokio_util::sync::CancellationToken;
use transport::{
    Listen, ListenerFailed,
    http::{ServerLimits, serve},
};

mod config;
mod rounds;
mod routes;
mod store;

pub use config::Config;
pub use store::StoreError;

use crate::secret_file::{self, SecretFileError};
use rounds::{Rounds, Rules};
use routes::State;
use store::Store;

/// Why the vault does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The token's file is of no use.
    #[error("token_file")]
    Token(#[source] SecretFileError),
    /// The file with the vault's key cannot be read.
    #[error("master_public_key_file {} cannot be read", path.display())]
    ReadKey {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file with the vault's key holds none.
    #[error("master_public_key_file holds no TDH2 key")]
    Key(#[source] ParseError),
    /// The secrets file is of no use.
    #[error("secrets_file")]
    Store(#[source] StoreError),
    /// The listener failed.
    #[error(transparent)]
    Listener(#[from] ListenerFailed),
}

/// Runs the vault at `listener` until `shutdown` is cancelled.
///
/// # Errors
///
/// [`RunError`]; all but the last before anything is served.
pub async fn run(
    config: Config,
    listener: Box<dyn Listen>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let token = secret_file::read(&config.token_file).map_err(RunError::Token)?;
    let key = master_public_key(&config.master_public_key_file)?;
    let store = Store::open(config.secrets_file).map_err(RunError::Store)?;
    let rules = Rules {
        members: config.members,
        faults: config.faults,
        threshold: config.threshold,
        deadline: config.round_deadline,
        grace: config.grace,
    };
    tracing::warn!(endpoint = %listener.endpoint(), "development vault: not for production");
    let state = State::new(&token, key, store, Rounds::new(rules.clone()), rules.members);
    serve(listener, routes::router(Arc::new(state)), LIMITS, shutdown).await?;
    Ok(())
}

fn master_public_key(path: &std::path::Path) -> Result<MasterPublicKey, RunError> {
    let text = std::fs::read(path)
        .map_err(|source| RunError::ReadKey { path: path.to_owned(), source })?;
    MasterPublicKey::parse(&text).map_err(RunError::Key)
}

const LIMITS: ServerLimits = ServerLimits {
    connections: 1_024,
    head_bytes: 16 * 1024,
    head_timeout: Duration::from_secs(30),
    write_stall: Duration::from_secs(10),
    drain: Duration::from_secs(1),
};
