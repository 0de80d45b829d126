//! What an enclave says about itself in a document's `public_key` (profile v2).
//!
//! Verifiers of version 1 do not look at that field. Ours read it when it is there: the statement
//! is covered by the document's signature, so it tells apart enclaves that run the same image.
//!
//! It is a map in deterministic CBOR with the keys 0 to 5, or 0 to 9 in the document of an answer:
//!
//! | Key | Value |
//! |---|---|
//! | 0 | version of this form: 1 |
//! | 1 | boot id, 16 bytes, drawn when the enclave starts |
//! | 2, 3 | hash (32 bytes) and epoch of the enclave's configuration |
//! | 4 | hash of its settings, 32 bytes |
//! | 5 | its HPKE public key, 32 bytes |
//! | 6 | hash of the decryption shares used, 32 bytes |
//! | 7 | hash of the telemetry returned, 32 bytes |
//! | 8, 9 | application request id and version of the request, texts |

use crate::{
    attestor::PUBLIC_KEY_LIMIT_BYTES,
    cbor::{CborError, Key, Reader, Writer},
    document::Document,
    verify::Verified,
};

/// What an enclave says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Drawn when the enclave starts, so that a restart shows.
    pub boot_id: [u8; 16],
    /// Hash of the enclave's configuration.
    pub config_hash: [u8; 32],
    /// How often the configuration was replaced.
    pub config_epoch: u64,
    /// Hash of the enclave's settings.
    pub settings_hash: [u8; 32],
    /// The key that settings and responses for the enclave are sealed to.
    pub hpke_public_key: [u8; 32],
    /// What only the document of an answer says.
    pub answer: Option<AnswerStatement>,
}

/// What the document of an answer says of it besides the hash in its user data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerStatement {
    /// Hash of the decryption shares the answer was made with.
    pub shares_hash: [u8; 32],
    /// Hash of the telemetry beside the answer.
    pub telemetry_hash: [u8; 32],
    /// The id the application gave the request.
    pub application_request_id: String,
    /// Version of the request.
    pub request_version: String,
}

/// Why bytes are not a statement, or a statement has no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The CBOR is not what is read here.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// The keys are not 0 to 5 or 0 to 9, in order.
    #[error("the statement has other keys than it may, after {read} of them")]
    Keys {
        /// Keys that were right.
        read: u64,
    },
    /// The version is not known here.
    #[error("the statement has version {got} instead of {VERSION}")]
    Version {
        /// Version found.
        got: u64,
    },
    /// A value is of another length than it has.
    #[error("the statement's value {key} is {got} bytes long")]
    Length {
        /// Its key.
        key: u64,
        /// Length in bytes.
        got: usize,
    },
    /// The whole is longer than the field that carries it.
    #[error("the statement is {got} bytes long, more than {PUBLIC_KEY_LIMIT_BYTES}")]
    TooLong {
        /// Length in bytes.
        got: usize,
    },
}

impl Statement {
    /// Encodes the statement, at most 1,024 bytes.
    ///
    /// # Errors
    ///
    /// [`StatementError::TooLong`], if the texts of an answer make it longer.
    pub fn encode(&self) -> Result<Vec<u8>, StatementError> {
        let entries = if self.answer.is_some() { KEYS_OF_ANSWER } else { KEYS };
        let mut writer = Writer::new().map(entries).unsigned(0).unsigned(VERSION);
        writer = writer.unsigned(1).bytes(&self.boot_id);
        writer = writer.unsigned(2).bytes(&self.config_hash);
        writer = writer.unsigned(3).unsigned(self.config_epoch);
        writer = writer.unsigned(4).bytes(&self.settings_hash);
        writer = writer.unsigned(5).bytes(&self.hpke_public_key);
        if let Some(answer) = &self.answer {
            writer = writer.unsigned(6).bytes(&answer.shares_hash);
            writer = writer.unsigned(7).bytes(&answer.telemetry_hash);
            writer = writer.unsigned(8).text(&answer.application_request_id);
            writer = writer.unsigned(9).text(&answer.request_version);
        }
        let bytes = writer.finish();
        check_length(&bytes)?;
        Ok(bytes)
    }

    /// Decodes a statement: exactly what [`Statement::encode`] writes.
    ///
    /// # Errors
    ///
    /// [`StatementError`], by what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, StatementError> {
        check_length(bytes)?;
        let mut reader = Reader::new(bytes);
        let mut values = Values::default();
        reader.map(|key, value| values.read(key, value))?;
        reader.finish()?;
        values.statement()
    }

    /// Compares the statement with what the verifier knows, in the order of the fields.
    ///
    /// # Errors
    ///
    /// The first [`StatementMismatch`].
    pub fn check(&self, expected: &ExpectedStatement<'_>) -> Result<(), StatementMismatch> {
        use StatementMismatch as Mismatch;
        same(expected.boot_id, &self.boot_id, Mismatch::BootId)?;
        same(expected.config_hash, &self.config_hash, Mismatch::ConfigHash)?;
        same(expected.config_epoch.as_ref(), &self.config_epoch, Mismatch::ConfigEpoch)?;
        same(expected.settings_hash, &self.settings_hash, Mismatch::SettingsHash)?;
        same(expected.hpke_public_key, &self.hpke_public_key, Mismatch::HpkePublicKey)?;
        let Some(want) = &expected.answer else { return Ok(()) };
        let answer = self.answer.as_ref().ok_or(Mismatch::NoAnswer)?;
        same(want.shares_hash, &answer.shares_hash, Mismatch::SharesHash)?;
        same(want.telemetry_hash, &answer.telemetry_hash, Mismatch::TelemetryHash)?;
        let (id, version) = (want.application_request_id, want.request_version);
        same(id, answer.application_request_id.as_str(), Mismatch::ApplicationRequestId)?;
        same(version, answer.request_version.as_str(), Mismatch::RequestVersion)
    }
}

impl Verified<Document> {
    /// The statement in the document's `public_key`, or `None` where there is no such field.
    ///
    /// # Errors
    ///
    /// [`StatementError`], if the field holds something else.
    pub fn statement(&self) -> Result<Option<Statement>, StatementError> {
        self.get().public_key.as_deref().map(Statement::decode).transpose()
    }
}

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

/// The values as far as they are read, in the order of their keys.
#[derive(Default)]
struct Values {
    read: u64,
    boot_id: [u8; 16],
    hashes: [[u8; 32]; 5],
    config_epoch: u64,
    texts: [String; 2],
}

impl Values {
    fn read(&mut self, key: Key<'_>, value: &mut Reader<'_>) -> Result<(), StatementError> {
        let [config, settings, hpke, shares, telemetry] = &mut self.hashes;
        let [id, request_version] = &mut self.texts;
        let key = match key {
            Key::Unsigned(key) if key == self.read => key,
            Key::Unsigned(_) | Key::Text(_) | Key::Other => {
                return Err(StatementError::Keys { read: self.read });
            }
        };
        match key {
            0 => match value.unsigned()? {
                VERSION => {}
                got => return Err(StatementError::Version { got }),
            },
            1 => self.boot_id = fixed(key, value)?,
            2 => *config = fixed(key, value)?,
            3 => self.config_epoch = value.unsigned()?,
            4 => *settings = fixed(key, value)?,
            5 => *hpke = fixed(key, value)?,
            6 => *shares = fixed(key, value)?,
            7 => *telemetry = fixed(key, value)?,
            8 => value.text()?.clone_into(id),
            9 => value.text()?.clone_into(request_version),
            read => return Err(StatementError::Keys { read }),
        }
        self.read = self.read.saturating_add(1);
        Ok(())
    }

    fn statement(self) -> Result<Statement, StatementError> {
        let [config_hash, settings_hash, hpke_public_key, shares_hash, telemetry_hash] =
            self.hashes;
        let [application_request_id, request_version] = self.texts;
        let answer = match self.read {
            KEYS => None,
            KEYS_OF_ANSWER => Some(AnswerStatement {
                shares_hash,
                telemetry_hash,
                application_request_id,
                request_version,
            }),
            read => return Err(StatementError::Keys { read }),
        };
        let (boot_id, config_epoch) = (self.boot_id, self.config_epoch);
        Ok(Statement { boot_id, config_hash, config_epoch, settings_hash, hpke_public_key, answer })
    }
}

fn fixed<const N: usize>(key: u64, value: &mut Reader<'_>) -> Result<[u8; N], StatementError> {
    let bytes = value.bytes()?;
    bytes.try_into().ok().ok_or(StatementError::Length { key, got: bytes.len() })
}

fn check_length(bytes: &[u8]) -> Result<(), StatementError> {
    let got = bytes.len();
    if got > PUBLIC_KEY_LIMIT_BYTES { Err(StatementError::TooLong { got }) } else { Ok(()) }
}

fn same<T: PartialEq + ?Sized>(
    want: Option<&T>,
    got: &T,
    mismatch: StatementMismatch,
) -> Result<(), StatementMismatch> {
    if want.is_none_or(|want| want == got) { Ok(()) } else { Err(mismatch) }
}

/// Version of the statement's form.
const VERSION: u64 = 1;

/// Entries of a statement that is not about an answer.
const KEYS: u64 = 6;

/// Entries of a statement about an answer.
const KEYS_OF_ANSWER: u64 = 10;

#[cfg(test)]
mod tests;
