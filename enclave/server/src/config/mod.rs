//! The enclave's configuration: who signs, which vault key, how many faults (enclave-and-host 6).
//!
//! Set once by the host, changed by votes of the committee in force. Only a configuration that can
//! work is taken (W-11, W-12, W-54), and only after its document is made, so that what is in force
//! is always attested. Requests take one snapshot each.

mod votes;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use crypto::sign::SignatureError;
use protocol::{
    answer::{ConfigRequest, SetConfigResponse, UpdateConfigRequest, UpdateConfigResponse},
    config::{Config, ConfigError, EnclaveConfig, set_config_user_data},
    ids::ConfigHash,
    json::{self, DecodeError},
};
use tokio::sync::Mutex;

use crate::notary::{Notary, NotaryError, Wanted};

pub(crate) use votes::{Decision, Tally, Votes};

/// The configuration in force.
#[derive(Debug)]
pub(crate) struct ConfigStore {
    current: RwLock<Option<Arc<Config>>>,
    /// Held for the whole of a change, so that changes come one after the other.
    votes: Mutex<Votes>,
    allow_reconfig: bool,
}

/// Why a configuration is not set. The texts up to the colon are those peers match on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SetConfigError {
    /// Another one is set.
    #[error("config has already been set and cannot be changed")]
    AlreadySet,
    /// There is no document, so nothing was set.
    #[error("error creating attestation: {0}")]
    Attest(#[from] NotaryError),
    /// The configuration cannot work.
    #[error("invalid config: {0}")]
    Invalid(ConfigError),
    /// The body is not the JSON of a request.
    #[error("failed to parse config request: {0}")]
    Outer(DecodeError),
    /// What the body holds is not the JSON of a configuration.
    #[error("failed to parse new config: {0}")]
    Parse(DecodeError),
}

/// Why a vote does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VoteError {
    /// There is no document, so nothing was applied.
    #[error("error creating attestation: {0}")]
    Attest(#[from] NotaryError),
    /// The proposed configuration cannot work.
    #[error("invalid config: {0}")]
    Invalid(ConfigError),
    /// There is no configuration to be changed.
    #[error("config has not been initialized, cannot update")]
    NotSet,
    /// The body is not the JSON of a vote.
    #[error("failed to parse config update request: {0}")]
    Outer(DecodeError),
    /// What the body holds is not the JSON of a configuration.
    #[error("failed to parse proposed config: {0}")]
    Parse(DecodeError),
    /// No member of the committee in force signed it.
    #[error("config update signature verification failed: {0}")]
    Signature(#[from] SignatureError),
}

impl ConfigStore {
    pub(crate) fn new(allow_reconfig: bool) -> Self {
        Self { current: RwLock::default(), votes: Mutex::default(), allow_reconfig }
    }

    /// The configuration in force, if there is one.
    pub(crate) fn snapshot(&self) -> Option<Arc<Config>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the first configuration. The one in force may be set again, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`SetConfigError`]; nothing is changed.
    pub(crate) async fn set(
        &self,
        body: &[u8],
        notary: &Notary,
    ) -> Result<SetConfigResponse, SetConfigError> {
        let mut votes = self.votes.lock().await;
        let current = self.snapshot();
        let request: Result<ConfigRequest, _> = json::from_slice(body);
        let is_final = current.is_some() && !self.allow_reconfig;
        let request = match request {
            Err(_error) if is_final => return Err(SetConfigError::AlreadySet),
            request => request.map_err(SetConfigError::Outer)?,
        };
        let wire: Result<EnclaveConfig, _> = json::from_slice(request.config.as_slice());
        let wire = match wire {
            Err(_error) if is_final => return Err(SetConfigError::AlreadySet),
            wire => wire.map_err(SetConfigError::Parse)?,
        };
        if is_final && current.is_none_or(|current| current.hash() != wire.hash()) {
            return Err(SetConfigError::AlreadySet);
        }
        let config = Config::check(wire).map_err(SetConfigError::Invalid)?;
        let attestation = notary.document(of_config(config.hash())).await?.into();
        let response = SetConfigResponse { config: config.wire().clone(), attestation };
        if !is_final {
            votes.clear();
            self.apply(config);
        }
        Ok(response)
    }

    /// Counts a vote for a new configuration, and applies it once F + 1 members voted for it.
    ///
    /// # Errors
    ///
    /// [`VoteError`]; nothing is changed.
    pub(crate) async fn vote(
        &self,
        body: &[u8],
        notary: &Notary,
        now: SystemTime,
    ) -> Result<UpdateConfigResponse, VoteError> {
        let mut votes = self.votes.lock().await;
        let current = self.snapshot().ok_or(VoteError::NotSet)?;
        let request: UpdateConfigRequest = json::from_slice(body).map_err(VoteError::Outer)?;
        let wire: EnclaveConfig =
            json::from_slice(request.config.as_slice()).map_err(VoteError::Parse)?;
        let proposal = wire.hash();
        // The signature is judged first, as in the reference. Votes for a configuration that cannot
        // work lead to nothing, however many they are.
        let checked = Config::check(wire);
        let signature = request.signature.as_slice();
        let (committee, in_force) = (current.committee(), current.hash());
        let decision = votes.vote(committee, in_force, proposal, signature, now)?;
        let proposed = checked.map_err(VoteError::Invalid)?;
        let attestation = match decision {
            Decision::Pending(_) => Vec::new(),
            Decision::InForce(_) | Decision::Carried(_) => {
                notary.document(of_config(proposal)).await?
            }
        };
        let shown = match decision {
            Decision::InForce(_) => current.wire().with_empty_for_nil(),
            Decision::Carried(_) | Decision::Pending(_) => proposed.wire().clone(),
        };
        if let Decision::Carried(_) = decision {
            votes.clear();
            self.apply(proposed);
        }
        let Tally { collected, required } = decision.tally();
        Ok(UpdateConfigResponse {
            applied: !attestation.is_empty(),
            config: shown,
            signers_collected: i64::try_from(collected).unwrap_or(i64::MAX),
            signers_required: i64::try_from(required).unwrap_or(i64::MAX),
            attestation: attestation.into(),
        })
    }

    fn apply(&self, config: Config) {
        tracing::info!(config = %config.hash(), "configuration in force");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(config));
    }
}

/// A document over a configuration, which it states to be in force.
fn of_config(hash: ConfigHash) -> Wanted<'static> {
    Wanted::new(set_config_user_data(hash), hash)
}

#[cfg(test)]
mod tests;
