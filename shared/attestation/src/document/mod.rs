//! The payload of an attestation document.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    cbor::{CborError, Key, Reader},
    cose::Sign1,
    pcr::{PCR_BYTES, PCRS, Pcr},
    verify::VerifyError,
};

/// What the Nitro Secure Module says about the enclave it was asked from.
///
/// Having one says nothing about who signed it: [`Verified`](crate::Verified) does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Name of the module: instance and enclave.
    pub module_id: String,
    /// When the document was made, to the millisecond.
    pub timestamp: SystemTime,
    /// The hash of the registers.
    pub digest: Digest,
    /// The locked registers, by index. Not every index need be there.
    pub pcrs: BTreeMap<u8, Pcr>,
    /// The certificate of the key that signed, as DER.
    pub certificate: Vec<u8>,
    /// Certificates that lead from there to the root, as DER. A set: its order says nothing.
    pub cabundle: Vec<Vec<u8>>,
    /// A key of the enclave's choice, at most 1,024 bytes.
    pub public_key: Option<Vec<u8>>,
    /// What the enclave says, at most 1,024 bytes.
    pub user_data: Option<Vec<u8>>,
    /// What the asker said, at most 1,024 bytes.
    pub nonce: Option<Vec<u8>>,
    /// How many fields there were besides these. The signature covers them, nothing reads them.
    pub unknown_fields: usize,
}

/// The hash of the registers. There is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-384.
    Sha384,
}

/// A field of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `cabundle`
    Cabundle,
    /// `certificate`
    Certificate,
    /// `digest`
    Digest,
    /// `module_id`
    ModuleId,
    /// `nonce`
    Nonce,
    /// `pcrs`
    Pcrs,
    /// `public_key`
    PublicKey,
    /// `timestamp`
    Timestamp,
    /// `user_data`
    UserData,
}

/// Why a payload is not that of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The CBOR is not what is read here.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A name differs from a field's by letter case only.
    #[error("`{0}` is spelt in another letter case")]
    Spelling(Field),
    /// A field that has to be there is not, or is empty.
    #[error("`{0}` is missing or empty")]
    Missing(Field),
    /// The registers are not SHA-384 values.
    #[error("the digest is not SHA384")]
    Digest,
    /// The time is no time in milliseconds that a signed 64-bit number holds.
    #[error("the timestamp is out of range")]
    Timestamp,
    /// A register's index is not below 32.
    #[error("a register's index is not an integer below {PCRS}")]
    PcrIndex,
    /// A register is not 48 bytes long.
    #[error("PCR{index} is {got} bytes long instead of {PCR_BYTES}")]
    PcrLength {
        /// Index of the register.
        index: u8,
        /// Length in bytes.
        got: usize,
    },
    /// A certificate of the bundle is empty or longer than 1,024 bytes.
    #[error("certificate {index} of the bundle is {got} bytes long, not 1 to {FIELD_LIMIT_BYTES}")]
    BundleItem {
        /// Its position in the bundle.
        index: usize,
        /// Its length in bytes.
        got: usize,
    },
    /// An optional field is longer than 1,024 bytes.
    #[error("`{field}` is {got} bytes long, more than {FIELD_LIMIT_BYTES}")]
    TooLong {
        /// The field.
        field: Field,
        /// Its length in bytes.
        got: usize,
    },
}

impl Document {
    /// Reads a whole document and believes all of it: **nothing is verified**.
    ///
    /// For showing what a document says. Decisions need [`verify`](crate::verify()).
    ///
    /// # Errors
    ///
    /// [`VerifyError::Size`], [`VerifyError::Cose`] and [`VerifyError::Payload`].
    pub fn decode_unverified(document: &[u8]) -> Result<Self, VerifyError> {
        check_size(document)?;
        Ok(Self::decode(Sign1::decode(document)?.payload())?)
    }

    /// Reads a payload.
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, DocumentError> {
        let mut reader = Reader::new(payload);
        let mut fields = Fields::default();
        reader.map(|key, value| fields.read(key, value))?;
        reader.finish()?;
        fields.document()
    }
}

/// Refuses a document that no reader here should look into.
pub(crate) fn check_size(document: &[u8]) -> Result<(), VerifyError> {
    let got = document.len();
    if (1..=DOCUMENT_LIMIT_BYTES).contains(&got) { Ok(()) } else { Err(VerifyError::Size { got }) }
}

/// The fields as far as they are read; `null` is as absent as absent.
#[derive(Default)]
struct Fields<'a> {
    module_id: Option<&'a str>,
    timestamp_ms: Option<u64>,
    digest: Option<&'a str>,
    pcrs: BTreeMap<u8, Pcr>,
    certificate: Option<&'a [u8]>,
    cabundle: Vec<&'a [u8]>,
    public_key: Option<&'a [u8]>,
    user_data: Option<&'a [u8]>,
    nonce: Option<&'a [u8]>,
    unknown: usize,
}

impl<'a> Fields<'a> {
    fn read(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<(), DocumentError> {
        let field = match key {
            Key::Text(name) => Field::of(name)?,
            Key::Unsigned(_) | Key::Other => None,
        };
        let Some(field) = field else {
            self.unknown = self.unknown.saturating_add(1);
            value.skip()?;
            return Ok(());
        };
        if value.null() {
            return Ok(());
        }
        match field {
            Field::Cabundle => value.array(|item| self.read_bundle_item(item))?,
            Field::Certificate => self.certificate = Some(value.bytes()?),
            Field::Digest => self.digest = Some(value.text()?),
            Field::ModuleId => self.module_id = Some(value.text()?),
            Field::Nonce => self.nonce = Some(limited(field, value.bytes()?)?),
            Field::Pcrs => value.map(|index, item| self.read_pcr(index, item))?,
            Field::PublicKey => self.public_key = Some(limited(field, value.bytes()?)?),
            Field::Timestamp => self.timestamp_ms = Some(value.unsigned()?),
            Field::UserData => self.user_data = Some(limited(field, value.bytes()?)?),
        }
        Ok(())
    }

    fn read_bundle_item(&mut self, item: &mut Reader<'a>) -> Result<(), DocumentError> {
        let (index, der) = (self.cabundle.len(), item.bytes()?);
        if !(1..=FIELD_LIMIT_BYTES).contains(&der.len()) {
            return Err(DocumentError::BundleItem { index, got: der.len() });
        }
        self.cabundle.push(der);
        Ok(())
    }

    fn read_pcr(&mut self, index: Key<'a>, item: &mut Reader<'a>) -> Result<(), DocumentError> {
        let index = match index {
            Key::Unsigned(index) => u8::try_from(index).ok().filter(|index| *index < PCRS),
            Key::Text(_) | Key::Other => None,
        };
        let index = index.ok_or(DocumentError::PcrIndex)?;
        let value = item.bytes()?;
        let pcr = <[u8; PCR_BYTES]>::try_from(value)
            .ok()
            .ok_or(DocumentError::PcrLength { index, got: value.len() })?;
        self.pcrs.insert(index, pcr.into());
        Ok(())
    }

    fn document(self) -> Result<Document, DocumentError> {
        let missing = DocumentError::Missing;
        let module_id = self.module_id.filter(|id| !id.is_empty());
        let module_id = module_id.ok_or(missing(Field::ModuleId))?.to_owned();
        let timestamp_ms = self.timestamp_ms.filter(|ms| *ms != 0);
        let timestamp = time(timestamp_ms.ok_or(missing(Field::Timestamp))?)?;
        let digest = match self.digest {
            None | Some("") => return Err(missing(Field::Digest)),
            Some("SHA384") => Digest::Sha384,
            Some(_) => return Err(DocumentError::Digest),
        };
        if self.pcrs.is_empty() {
            return Err(missing(Field::Pcrs));
        }
        let certificate = self.certificate.filter(|der| !der.is_empty());
        let certificate = certificate.ok_or(missing(Field::Certificate))?.to_vec();
        if self.cabundle.is_empty() {
            return Err(missing(Field::Cabundle));
        }
        Ok(Document {
            module_id,
            timestamp,
            digest,
            pcrs: self.pcrs,
            certificate,
            cabundle: self.cabundle.into_iter().map(<[u8]>::to_vec).collect(),
            public_key: self.public_key.map(<[u8]>::to_vec),
            user_data: self.user_data.map(<[u8]>::to_vec),
            nonce: self.nonce.map(<[u8]>::to_vec),
            unknown_fields: self.unknown,
        })
    }
}

impl Field {
    const ALL: [Self; 9] = [
        Self::Cabundle,
        Self::Certificate,
        Self::Digest,
        Self::ModuleId,
        Self::Nonce,
        Self::Pcrs,
        Self::PublicKey,
        Self::Timestamp,
        Self::UserData,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Cabundle => "cabundle",
            Self::Certificate => "certificate",
            Self::Digest => "digest",
            Self::ModuleId => "module_id",
            Self::Nonce => "nonce",
            Self::Pcrs => "pcrs",
            Self::PublicKey => "public_key",
            Self::Timestamp => "timestamp",
            Self::UserData => "user_data",
        }
    }

    /// The field of this name. A reader that folds letter case would see two where we see one, so
    /// such a name is refused, not skipped.
    fn of(name: &str) -> Result<Option<Self>, DocumentError> {
        match Self::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(name)) {
            Some(field) if field.name() == name => Ok(Some(field)),
            Some(field) => Err(DocumentError::Spelling(field)),
            None => Ok(None),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn limited(field: Field, value: &[u8]) -> Result<&[u8], DocumentError> {
    if value.len() > FIELD_LIMIT_BYTES {
        return Err(DocumentError::TooLong { field, got: value.len() });
    }
    Ok(value)
}

fn time(timestamp_ms: u64) -> Result<SystemTime, DocumentError> {
    let in_range = i64::try_from(timestamp_ms).is_ok();
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(timestamp_ms));
    time.filter(|_| in_range).ok_or(DocumentError::Timestamp)
}

/// Bytes of a whole document: one from AWS has 4,800 and the fields' own limits allow 12,000.
pub const DOCUMENT_LIMIT_BYTES: usize = 16 * 1024;

/// Bytes of each optional field and of each certificate of the bundle. The module's own limit is
/// lower for some; readers of its documents agree on this one.
pub const FIELD_LIMIT_BYTES: usize = 1024;

#[cfg(test)]
mod tests;
