//! What a node of the workflow DON does with an enclave (section 14): ask for its keys, sign, send, and
//! believe an answer only after every check.
//!
//! ```text
//! Client::public_keys ── sign ── Client::execute (one bridge per enclave, all nodes) ── Trust::answer
//!         └── attested, configured as expected                                   └── VerifiedAnswer
//! ```
//!
//! The bridge between is not trusted with anything: it can delay and drop.

mod address;
mod answer;
mod http;

use std::time::SystemTime;

use attestation::TrustRoot;
use protocol::config::EnclaveConfig;

pub use address::{Address, AddressError, AuthHeader, AuthHeaderError};
pub use answer::{AnswerError, Asked, Step, Verification, VerifiedAnswer};
pub use http::{Client, ClientError, Delivered, ExecuteError, KeysError, RequestError, Session};

pub use crate::enclave::Challenged;
use crate::enclave::{Attested, CheckError, Checker, Images};

/// What a node believes: which images, under which root, with which configuration.
#[derive(Debug)]
pub struct Trust {
    checker: Checker,
    config: EnclaveConfig,
}

/// In which part a configuration is not the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigMismatch {
    /// The signers are others. Their order does not matter.
    #[error("the enclave takes requests of other signers")]
    Signers,
    /// F is another.
    #[error("the enclave's fault bound is {got}, expected {want}")]
    FaultBound {
        /// The enclave's.
        got: u32,
        /// The expected.
        want: u32,
    },
    /// T is another.
    #[error("the enclave's threshold is {got}, expected {want}")]
    Threshold {
        /// The enclave's.
        got: u32,
        /// The expected.
        want: u32,
    },
    /// The vault's key is another.
    #[error("the enclave has another master public key")]
    MasterPublicKey,
}

impl Trust {
    /// Believes enclaves of these images under the root of AWS, configured like this.
    #[must_use]
    pub fn new(images: Images, config: EnclaveConfig) -> Self {
        Self { checker: Checker::new(TrustRoot::aws(), images), config }
    }

    /// The same under another root. **Whoever holds its key can claim to be any enclave.**
    #[must_use]
    pub fn dangerous_under(root: TrustRoot, images: Images, config: EnclaveConfig) -> Self {
        Self { checker: Checker::new(root, images), config }
    }

    /// Verifies an answer to `/publicKeys` and its configuration.
    ///
    /// # Errors
    ///
    /// - [`KeysCheckError::Check`] if the attestation does not hold.
    /// - [`KeysCheckError::Config`] if the enclave is configured otherwise.
    pub fn public_keys(
        &self,
        body: &[u8],
        challenged: &Challenged,
        now: SystemTime,
    ) -> Result<Attested, KeysCheckError> {
        let attested = self.checker.public_keys(body, challenged, now)?;
        self.check_config(attested.config.wire())?;
        Ok(attested)
    }

    /// Compares every part of a configuration (W-02).
    fn check_config(&self, config: &EnclaveConfig) -> Result<(), ConfigMismatch> {
        let sorted = |config: &EnclaveConfig| {
            let mut signers = config.signers.clone().unwrap_or_default();
            signers.sort();
            signers
        };
        let want = &self.config;
        if sorted(config) != sorted(want) {
            return Err(ConfigMismatch::Signers);
        }
        if config.f != want.f {
            return Err(ConfigMismatch::FaultBound { got: config.f, want: want.f });
        }
        if config.t != want.t {
            return Err(ConfigMismatch::Threshold { got: config.t, want: want.t });
        }
        if config.master_public_key.as_slice() != want.master_public_key.as_slice() {
            return Err(ConfigMismatch::MasterPublicKey);
        }
        Ok(())
    }
}

/// Why keys are not believed.
#[derive(Debug, thiserror::Error)]
pub enum KeysCheckError {
    /// The attestation does not hold.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The enclave is configured otherwise.
    #[error(transparent)]
    Config(#[from] ConfigMismatch),
}
