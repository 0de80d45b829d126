//! Reads a statement: its keys one after the other, each in its place.

use super::{
    AnswerStatement, Form, NAME_LIMIT_BYTES, Name, Statement, StatementError, VERSION, key,
};
use crate::{
    attestor::PUBLIC_KEY_LIMIT_BYTES,
    cbor::{CborError, Key, Reader},
};

pub(super) fn statement(bytes: &[u8]) -> Result<Statement, StatementError> {
    let got = bytes.len();
    if got > PUBLIC_KEY_LIMIT_BYTES {
        return Err(StatementError::TooLong { got });
    }
    let mut reader = Reader::new(bytes);
    let mut values = Values::default();
    reader.map(|key, value| values.read(key, value))?;
    reader.finish()?;
    values.statement()
}

/// The values as far as they are read.
#[derive(Default)]
struct Values {
    read: u64,
    last: Option<u64>,
    boot_id: Option<[u8; 16]>,
    config_hash: Option<[u8; 32]>,
    config_epoch: Option<u64>,
    settings_hash: Option<[u8; 32]>,
    hpke_public_key: Option<[u8; 32]>,
    shares_hash: Option<[u8; 32]>,
    telemetry_hash: Option<[u8; 32]>,
    request_id: Option<Name>,
    request_version: Option<Name>,
}

impl Values {
    fn read(&mut self, key: Key<'_>, value: &mut Reader<'_>) -> Result<(), StatementError> {
        let Key::Unsigned(key) = key else {
            return Err(StatementError::Keys { read: self.read });
        };
        // The version says what the other keys mean, so it comes first; then they ascend.
        if self.last.map_or(key != key::VERSION, |last| key <= last) {
            return Err(StatementError::Keys { read: self.read });
        }
        match key {
            key::VERSION => match value.unsigned()? {
                VERSION => {}
                got => return Err(StatementError::Version { got }),
            },
            key::BOOT_ID => self.boot_id = Some(fixed(key, value)?),
            key::CONFIG_HASH => self.config_hash = Some(fixed(key, value)?),
            key::CONFIG_EPOCH => self.config_epoch = Some(value.unsigned()?),
            key::SETTINGS_HASH => self.settings_hash = Some(fixed(key, value)?),
            key::HPKE_PUBLIC_KEY => self.hpke_public_key = Some(fixed(key, value)?),
            key::SHARES_HASH => self.shares_hash = Some(fixed(key, value)?),
            key::TELEMETRY_HASH => self.telemetry_hash = Some(fixed(key, value)?),
            key::REQUEST_ID => self.request_id = Some(name(key, value)?),
            key::REQUEST_VERSION => self.request_version = Some(name(key, value)?),
            _ => return Err(StatementError::Keys { read: self.read }),
        }
        self.last = Some(key);
        self.read = self.read.saturating_add(1);
        Ok(())
    }

    fn statement(self) -> Result<Statement, StatementError> {
        let missing = |key| StatementError::Missing { key };
        // An empty map has no version, which is all that makes a map a statement.
        self.last.ok_or(missing(key::VERSION))?;
        let boot_id = self.boot_id.ok_or(missing(key::BOOT_ID))?;
        let config_hash = self.config_hash.ok_or(missing(key::CONFIG_HASH))?;
        let config_epoch = self.config_epoch.ok_or(missing(key::CONFIG_EPOCH))?;
        let is_answer = self.last >= Some(key::SHARES_HASH);
        let answer = if is_answer { Some(self.answer()?) } else { None };
        let Self { settings_hash, hpke_public_key, .. } = self;
        Ok(Statement { boot_id, config_hash, config_epoch, settings_hash, hpke_public_key, answer })
    }

    /// The part about an answer, whole or not at all.
    fn answer(&self) -> Result<AnswerStatement, StatementError> {
        let missing = |key| StatementError::Missing { key };
        let Self { shares_hash, telemetry_hash, request_id, request_version, .. } = self;
        Ok(AnswerStatement {
            shares_hash: *shares_hash,
            telemetry_hash: telemetry_hash.ok_or(missing(key::TELEMETRY_HASH))?,
            application_request_id: request_id.clone().ok_or(missing(key::REQUEST_ID))?,
            request_version: request_version.clone().ok_or(missing(key::REQUEST_VERSION))?,
        })
    }
}

fn fixed<const N: usize>(key: u64, value: &mut Reader<'_>) -> Result<[u8; N], StatementError> {
    let bytes = value.bytes()?;
    bytes.try_into().ok().ok_or(StatementError::Length { key, got: bytes.len() })
}

/// A text, or the hash of one that is too long: each text has one form.
fn name(key: u64, value: &mut Reader<'_>) -> Result<Name, StatementError> {
    match value.text() {
        Ok(text) if text.len() <= NAME_LIMIT_BYTES => Ok(Name(Form::Text(text.to_owned()))),
        Ok(text) => Err(StatementError::Length { key, got: text.len() }),
        // Nothing is read of an item that has another type.
        Err(CborError::Type { .. }) => Ok(Name(Form::Sha256(fixed(key, value)?))),
        Err(error) => Err(error.into()),
    }
}
