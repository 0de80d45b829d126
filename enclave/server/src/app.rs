//! The seam between the server and the application it serves (enclave-and-host 7.5).
//!
//! The server brings a request that a quorum signed, opened secrets, an attested answer. The
//! application brings the work, in two steps: what can be had without secrets is loaded first, so that
//! secrets are open only while the work runs.

use std::{fmt, sync::Arc, time::Duration};

use crypto::secret::Secret;
use protocol::{
    compute::ComputeRequest,
    config::Config,
    ids::Owner,
    quorum::{Agreed, Batch},
};
use tokio_util::sync::CancellationToken;
use transport::BoxFuture;

use crate::{budget::Claim, events::Events, keychain::KeyPair, ledger::Effects};

/// What runs inside the enclave. One implementation runs workflows; tests echo.
pub trait App: Send + Sync {
    /// Whose request it is. Called before anything about it is known to be well-formed, so it never
    /// fails: requests that name nobody are the zero address's.
    fn owner(&self, request: &ComputeRequest) -> Owner;

    /// How long a request waits before it takes its room. It is loaded meanwhile.
    fn grace(&self) -> Option<Duration> {
        None
    }

    /// Gets ready to run the request, without its secrets and without an effect on the outside. No room
    /// for a run is taken yet: what this takes is the application's own to bound.
    fn load<'a>(
        &'a self,
        request: &'a ComputeRequest,
        events: &'a Events,
    ) -> BoxFuture<'a, Result<Box<dyn Program>, AppError>>;

    /// Takes settings from the host.
    ///
    /// # Errors
    ///
    /// [`SettingsRefused`], which keeps those in force.
    fn inject(&self, _body: &[u8]) -> Result<(), SettingsRefused> {
        Err(SettingsRefused::NotSupported)
    }
}

/// A request that is ready to run, once.
pub trait Program: Send {
    /// What it will take while it runs, beside the signed requests themselves.
    fn claim(&self) -> Claim;

    /// Runs it.
    fn run(self: Box<Self>, context: RunContext) -> BoxFuture<'static, Result<Vec<u8>, AppError>>;
}

/// What a request runs with.
#[derive(Debug)]
pub struct RunContext {
    /// The signed requests, as they came.
    pub batch: Arc<Agreed<Batch>>,
    /// The configuration under which they were accepted.
    pub config: Arc<Config>,
    /// The key that the request names.
    pub key: Arc<KeyPair>,
    /// The secrets that came with the request, by the names it gives them.
    pub secrets: Vec<(String, Secret)>,
    /// Where the run reports.
    pub events: Events,
    /// Where the run marks that it is about to change something outside.
    pub effects: Effects,
    /// Cancelled once nobody waits for the outcome; the run then ends with an error, as at its deadline.
    pub abandoned: CancellationToken,
}

/// Why an application did not answer.
#[derive(Clone, PartialEq, Eq)]
pub struct AppError {
    text: String,
    status: u16,
    code: &'static str,
    is_retryable: bool,
    retry_after: Option<Duration>,
}

/// Why settings were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsRefused {
    /// The body is empty.
    #[error("settings request is empty")]
    Empty,
    /// They cannot work.
    #[error("injecting settings: {0}")]
    Invalid(SettingsProblem),
    /// The application has no settings.
    #[error("app does not accept settings")]
    NotSupported,
}

/// What is wrong with settings, in words without their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem(String);

impl AppError {
    /// An error with the words of `error`, which must hold no secret, and an HTTP status.
    ///
    /// `code` is a stable word for programs.
    pub fn new(error: &dyn std::error::Error, status: u16, code: &'static str) -> Self {
        let text = error.to_string();
        Self { text, status, code, is_retryable: false, retry_after: None }
    }

    /// The same, and trying again may help.
    #[must_use]
    pub fn retryable(self) -> Self {
        Self { is_retryable: true, ..self }
    }

    /// The same, and trying again may help after this time.
    #[must_use]
    pub fn retryable_after(self, time: Duration) -> Self {
        Self { retry_after: Some(time), ..self.retryable() }
    }

    /// When trying again may help, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The stable word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.is_retryable
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppError({} {})", self.status, self.code)
    }
}

impl std::error::Error for AppError {}

impl SettingsProblem {
    /// The words of `error`, which must hold no value of the settings.
    pub fn new(error: &dyn std::error::Error) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
