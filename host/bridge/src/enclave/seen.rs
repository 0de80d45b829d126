//! What is known of the enclave, and what it is to be given.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crypto::secret::Secret;
use protocol::config::EnclaveConfig;
use tokio::{sync::watch, time::Instant};

use super::Attested;

/// What is known of the enclave.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its condition when it was last looked at.
    pub condition: Condition,
    /// What it last proved, until it restarts or is refused.
    pub attested: Option<Arc<Attested>>,
    /// Whether it has its settings.
    pub settings: Settings,
    /// When its attestation was last verified.
    pub verified: Option<Instant>,
    /// Starts of the enclave that were noticed.
    pub boots: u64,
}

/// How an enclave answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// It was not looked at yet.
    #[default]
    Unknown,
    /// It does not answer.
    Unreachable,
    /// It answers, but has no keys yet.
    Starting,
    /// It has no configuration.
    Unconfigured,
    /// Its attestation was refused.
    Refused,
    /// Its attestation was verified.
    Ready,
}

/// Whether an enclave has its settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settings {
    /// There are none to give.
    #[default]
    None,
    /// They are still to be given.
    Pending,
    /// It took them.
    Applied,
    /// It refused them; the same are not offered to it again (W-23).
    Rejected,
}

impl Seen {
    /// Whether requests can be served: verified, configured, with its settings.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let has_settings = matches!(self.settings, Settings::None | Settings::Applied);
        self.condition == Condition::Ready && self.attested.is_some() && has_settings
    }
}

impl Condition {
    /// The word in `/status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Refused => "refused",
            Self::Starting => "starting",
            Self::Unconfigured => "unconfigured",
            Self::Unknown => "unknown",
            Self::Unreachable => "unreachable",
        }
    }
}

impl Settings {
    /// The word in `/status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::None => "none",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
        }
    }
}

/// What is known and what is wanted, shared by the watch and the ports.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) seen: watch::Sender<Seen>,
    wanted: Mutex<Wanted>,
}

/// What an enclave is given after each start (W-23).
#[derive(Debug, Default)]
struct Wanted {
    config: Option<EnclaveConfig>,
    settings: Option<Arc<Secret>>,
}

impl Board {
    pub(super) fn new(config: Option<EnclaveConfig>, settings: Option<Arc<Secret>>) -> Self {
        let seen = watch::Sender::new(Seen::default());
        Self { seen, wanted: Mutex::new(Wanted { config, settings }) }
    }

    pub(super) fn config(&self) -> Option<EnclaveConfig> {
        self.wanted().config.clone()
    }

    pub(super) fn settings(&self) -> Option<Arc<Secret>> {
        self.wanted().settings.clone()
    }

    /// Keeps what the enclave proved to have: after votes it is newer than what was configured.
    pub(super) fn want_config(&self, config: EnclaveConfig) {
        self.wanted().config = Some(config);
    }

    pub(super) fn want_settings(&self, settings: Arc<Secret>) {
        self.wanted().settings = Some(settings);
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
