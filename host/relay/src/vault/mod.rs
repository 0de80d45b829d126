//! Secrets: what a relay node asks the vault, and what it makes of the answer.
//!
//! ```text
//! params ── Request ──> Vault ── one canonical answer ──> answer::translate ──> signed result
//!                         │
//!                         └ member: this node's half of the development vault (`serve`)
//! ```

use futures_util::future::BoxFuture;
use protocol::{
    hash::domain_hash, json, messages::vault::GetSecretsResponse, relay::SecretsRequestParams,
};

pub mod answer;
mod member;
mod request;
mod service;
mod wire;

pub use member::{Conduct, ForeignShareError, Member};
pub(crate) use request::payload;
pub use request::{Metadata, OwnerError, Request};
pub use service::{Config, RunError, StoreError, run};

/// Fetches secrets, each encrypted, with decryption shares that are sealed to the enclave's key.
///
/// Every honest node gets the same answer to the same request, byte for byte: relay nodes sign what
/// they make of it, and only equal results reach a quorum.
pub trait Vault: Send + Sync {
    /// Answers one request. The caller holds the deadline and drops the future when it passes.
    fn secrets(&self, request: Request) -> BoxFuture<'_, Result<GetSecretsResponse, VaultError>>;
}

/// Why the vault gives no answer. Relay nodes tell their peers `internal error`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// This node has no vault.
    #[error("failed to get vault capability: no compatible capability found for id vault@1.0.0")]
    NoCapability,
    /// The vault did not answer in time.
    #[error("failed to execute vault.GetSecrets: context deadline exceeded")]
    Deadline,
    /// The vault failed or refused; the log of whoever implements it says why.
    #[error("failed to execute vault.GetSecrets")]
    Failed,
    /// The answer is no answer to a request for secrets.
    #[error("failed to unmarshal vault payload to GetSecretsResponse")]
    Malformed,
}

/// Names one request among all: nodes that got the same params build the same round of it.
///
/// The params' attestation is part of it, so asking again is another round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round([u8; 32]);

impl Round {
    /// The round of a request for secrets.
    #[must_use]
    pub fn of(params: &SecretsRequestParams) -> Self {
        Self(domain_hash("VaultRound", &json::to_vec(params)))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Round {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests;
