//! Compares a statement with what the verifier knows.

use super::{Name, Statement};

/// What a verifier knows of a statement; what it does not know is not compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpectedStatement<'a> {
    /// Boot id seen before.
    pub boot_id: Option<&'a [u8; 16]>,
    /// Hash of the configuration in force.
    pub config_hash: Option<&'a [u8; 32]>,
    /// Its epoch.
    pub config_epoch: Option<u64>,
    /// Hash of the settings in force.
    pub settings_hash: Option<&'a [u8; 32]>,
    /// The key that something was sealed to.
    pub hpke_public_key: Option<&'a [u8; 32]>,
    /// What is known of the answer; then it has to be the statement of one.
    pub answer: Option<ExpectedAnswer<'a>>,
}

/// What a verifier knows of the statement about an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpectedAnswer<'a> {
    /// Hash of the shares sent.
    pub shares_hash: Option<&'a [u8; 32]>,
    /// Hash of the telemetry received.
    pub telemetry_hash: Option<&'a [u8; 32]>,
    /// The id given to the request.
    pub application_request_id: Option<&'a str>,
    /// The version of the request.
    pub request_version: Option<&'a str>,
}

/// What of a statement is not as the verifier knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementMismatch {
    /// The enclave was started again.
    #[error("the enclave's boot id differs")]
    BootId,
    /// The enclave has another configuration.
    #[error("the enclave's configuration differs")]
    ConfigHash,
    /// The enclave has an older or newer configuration.
    #[error("the epoch of the enclave's configuration differs")]
    ConfigEpoch,
    /// The enclave has other settings.
    #[error("the enclave's settings differ")]
    SettingsHash,
    /// The enclave has another key.
    #[error("the enclave's HPKE key differs")]
    HpkePublicKey,
    /// The document is not that of an answer.
    #[error("the statement is not about an answer")]
    NoAnswer,
    /// The answer was made with other shares.
    #[error("the answer was made with other decryption shares")]
    SharesHash,
    /// The telemetry is not the enclave's.
    #[error("the telemetry is not what the enclave returned")]
    TelemetryHash,
    /// The answer is to another request of the application.
    #[error("the application request id differs")]
    ApplicationRequestId,
    /// The answer is to a request of another version.
    #[error("the request version differs")]
    RequestVersion,
}

impl Statement {
    /// Compares the statement with what the verifier knows, in the order of the fields.
    ///
    /// # Errors
    ///
    /// The first [`StatementMismatch`].
    pub fn check(&self, expected: &ExpectedStatement<'_>) -> Result<(), StatementMismatch> {
        use StatementMismatch as Mismatch;
        let (settings, key) = (self.settings_hash.as_ref(), self.hpke_public_key.as_ref());
        same(expected.boot_id, Some(&self.boot_id), Mismatch::BootId)?;
        same(expected.config_hash, Some(&self.config_hash), Mismatch::ConfigHash)?;
        same(expected.config_epoch, Some(self.config_epoch), Mismatch::ConfigEpoch)?;
        same(expected.settings_hash, settings, Mismatch::SettingsHash)?;
        same(expected.hpke_public_key, key, Mismatch::HpkePublicKey)?;
        let Some(want) = &expected.answer else { return Ok(()) };
        let answer = self.answer.as_ref().ok_or(Mismatch::NoAnswer)?;
        same(want.shares_hash, answer.shares_hash.as_ref(), Mismatch::SharesHash)?;
        same(want.telemetry_hash, Some(&answer.telemetry_hash), Mismatch::TelemetryHash)?;
        let id = &answer.application_request_id;
        named(want.application_request_id, id, Mismatch::ApplicationRequestId)?;
        named(want.request_version, &answer.request_version, Mismatch::RequestVersion)
    }
}

/// What is known has to be stated; what is not known may be anything.
fn same<T: Copy + PartialEq>(
    want: Option<T>,
    got: Option<T>,
    mismatch: StatementMismatch,
) -> Result<(), StatementMismatch> {
    if want.is_none() || want == got { Ok(()) } else { Err(mismatch) }
}

fn named(
    want: Option<&str>,
    got: &Name,
    mismatch: StatementMismatch,
) -> Result<(), StatementMismatch> {
    if want.is_none_or(|want| got.is(want)) { Ok(()) } else { Err(mismatch) }
}
