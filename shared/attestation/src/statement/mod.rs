//! What an enclave says about itself in a document's `public_key` (profile v2).
//!
//! Verifiers of version 1 do not look at that field. Ours read it when it is there: the statement
//! is covered by the document's signature, so it tells apart enclaves that run the same image. A
//! document without the field is one of version 1.
//!
//! It is a map in deterministic CBOR, its keys in ascending order:
//!
//! | Key | In | Value |
//! |---|---|---|
//! | 0 | every statement | version of this form: 1 |
//! | 1 | every statement | boot id, 16 bytes, drawn when the enclave starts |
//! | 2, 3 | every statement | hash (32 bytes) and epoch of the enclave's configuration |
//! | 4 | that of an enclave with settings | [`settings_hash`], 32 bytes |
//! | 5 | that of an enclave with such a key | its HPKE public key, 32 bytes |
//! | 6 | that of an answer made with shares | [`shares_hash`], 32 bytes |
//! | 7 | that of an answer | [`TelemetryHash`], 32 bytes |
//! | 8, 9 | that of an answer | application request id and version of the request, each a [`Name`] |

use crate::{
    attestor::PUBLIC_KEY_LIMIT_BYTES,
    cbor::{CborError, Writer},
    document::Document,
    verify::Verified,
};

mod check;
mod digest;
mod read;

pub use check::{ExpectedAnswer, ExpectedStatement, StatementMismatch};
pub use digest::{TelemetryHash, settings_hash, shares_hash};

/// What an enclave says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Drawn when the enclave starts, so that a restart shows.
    pub boot_id: [u8; 16],
    /// Hash of the enclave's configuration.
    pub config_hash: [u8; 32],
    /// How often the configuration was replaced; 0 where votes have no epoch.
    pub config_epoch: u64,
    /// Hash of the enclave's settings, once it has some.
    pub settings_hash: Option<[u8; 32]>,
    /// The key that settings and responses for the enclave are sealed to, if it has one.
    pub hpke_public_key: Option<[u8; 32]>,
    /// What only the document of an answer says.
    pub answer: Option<AnswerStatement>,
}

/// What the document of an answer says of it besides the hash in its user data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerStatement {
    /// Hash of the decryption shares that came with the request, if any did.
    pub shares_hash: Option<[u8; 32]>,
    /// Hash of the telemetry beside the answer, as far as it was known when the document was made.
    pub telemetry_hash: [u8; 32],
    /// The id the application gave the request.
    pub application_request_id: Name,
    /// Version of the request.
    pub request_version: Name,
}

/// A text of the caller's choice: as it is up to [`NAME_LIMIT_BYTES`], beyond that its SHA-256, so
/// that every statement fits its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Text(String),
    Sha256([u8; 32]),
}

/// Why bytes are not a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The CBOR is not what is read here.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A key is none of a statement, or not in its place.
    #[error("the statement has another key than it may, after {read} of them")]
    Keys {
        /// Keys that were right.
        read: u64,
    },
    /// A key that has to be there is not.
    #[error("the statement lacks its value {key}")]
    Missing {
        /// The key.
        key: u64,
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
    /// Encodes the statement: 730 bytes at most.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new().map(self.entries());
        writer = writer.unsigned(key::VERSION).unsigned(VERSION);
        writer = writer.unsigned(key::BOOT_ID).bytes(&self.boot_id);
        writer = writer.unsigned(key::CONFIG_HASH).bytes(&self.config_hash);
        writer = writer.unsigned(key::CONFIG_EPOCH).unsigned(self.config_epoch);
        writer = optional(writer, key::SETTINGS_HASH, self.settings_hash.as_ref());
        writer = optional(writer, key::HPKE_PUBLIC_KEY, self.hpke_public_key.as_ref());
        if let Some(answer) = &self.answer {
            writer = optional(writer, key::SHARES_HASH, answer.shares_hash.as_ref());
            writer = writer.unsigned(key::TELEMETRY_HASH).bytes(&answer.telemetry_hash);
            writer = answer.application_request_id.write(writer.unsigned(key::REQUEST_ID));
            writer = answer.request_version.write(writer.unsigned(key::REQUEST_VERSION));
        }
        writer.finish()
    }

    /// Decodes a statement: exactly what [`Statement::encode`] writes.
    ///
    /// # Errors
    ///
    /// [`StatementError`], by what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, StatementError> {
        read::statement(bytes)
    }

    fn entries(&self) -> u64 {
        let plain = [self.settings_hash.is_some(), self.hpke_public_key.is_some()];
        let shares = self.answer.as_ref().is_some_and(|answer| answer.shares_hash.is_some());
        let answer = [self.answer.is_some(); 3];
        let further = plain.into_iter().chain([shares]).chain(answer);
        further.map(u64::from).fold(4, u64::saturating_add)
    }
}

impl Name {
    /// Whether this is the text.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        *self == Self::from(text)
    }

    fn write(&self, writer: Writer) -> Writer {
        match &self.0 {
            Form::Text(text) => writer.text(text),
            Form::Sha256(hash) => writer.bytes(hash),
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        let fits = text.len() <= NAME_LIMIT_BYTES;
        let hash = || Form::Sha256(crate::hash::sha256(text.as_bytes()));
        Self(if fits { Form::Text(text.to_owned()) } else { hash() })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Form::Text(text) => f.write_str(text),
            Form::Sha256(hash) => write!(f, "sha256:{}", hex::encode(hash)),
        }
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

fn optional(writer: Writer, key: u64, value: Option<&[u8; 32]>) -> Writer {
    match value {
        Some(value) => writer.unsigned(key).bytes(value),
        None => writer,
    }
}

/// The keys of a statement's map.
mod key {
    pub(super) const VERSION: u64 = 0;
    pub(super) const BOOT_ID: u64 = 1;
    pub(super) const CONFIG_HASH: u64 = 2;
    pub(super) const CONFIG_EPOCH: u64 = 3;
    pub(super) const SETTINGS_HASH: u64 = 4;
    pub(super) const HPKE_PUBLIC_KEY: u64 = 5;
    pub(super) const SHARES_HASH: u64 = 6;
    pub(super) const TELEMETRY_HASH: u64 = 7;
    pub(super) const REQUEST_ID: u64 = 8;
    pub(super) const REQUEST_VERSION: u64 = 9;
}

/// Version of the statement's form.
const VERSION: u64 = 1;

/// Bytes of a text that is stated as it is: ids of executions have 64, versions a few.
pub const NAME_LIMIT_BYTES: usize = 256;

#[cfg(test)]
mod tests;
