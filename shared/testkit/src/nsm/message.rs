//! What the device is asked and what it answers, in CBOR.

use std::collections::BTreeSet;

use attestation::attestor::DeviceError;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// What the device can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields have the device's own names")]
pub enum Request {
    /// Asks for one register.
    DescribePCR { index: u16 },
    /// Measures data into one register.
    ExtendPCR {
        index: u16,
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    },
    /// Makes one register read-only.
    LockPCR { index: u16 },
    /// Makes the registers below `range` read-only.
    LockPCRs { range: u16 },
    /// Asks what the device is.
    DescribeNSM,
    /// Asks for a document.
    Attestation { user_data: Option<ByteBuf>, nonce: Option<ByteBuf>, public_key: Option<ByteBuf> },
    /// Asks for random bytes.
    GetRandom,
}

/// What the device answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields have the device's own names")]
pub enum Response {
    /// One register.
    DescribePCR {
        lock: bool,
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    },
    /// The register's new value.
    ExtendPCR {
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    },
    /// The register is read-only.
    LockPCR,
    /// The registers are read-only.
    LockPCRs,
    /// What the device is.
    DescribeNSM {
        version_major: u16,
        version_minor: u16,
        version_patch: u16,
        module_id: String,
        max_pcrs: u16,
        locked_pcrs: BTreeSet<u16>,
        digest: Digest,
    },
    /// The document.
    Attestation {
        #[serde(with = "serde_bytes")]
        document: Vec<u8>,
    },
    /// Random bytes.
    GetRandom {
        #[serde(with = "serde_bytes")]
        random: Vec<u8>,
    },
    /// A refusal.
    Error(ErrorCode),
}

/// The hash of the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Digest {
    /// SHA-384.
    SHA384,
}

/// The device's refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorCode {
    /// The answer does not fit.
    BufferTooSmall,
    /// A field or the whole request is too long.
    InputTooLarge,
    /// The device failed.
    InternalError,
    /// An argument makes no sense.
    InvalidArgument,
    /// There is no such register.
    InvalidIndex,
    /// There is no such request.
    InvalidOperation,
    /// The register is locked.
    ReadOnlyIndex,
}

impl From<ErrorCode> for DeviceError {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::BufferTooSmall => Self::BufferTooSmall,
            ErrorCode::InputTooLarge => Self::InputTooLarge,
            ErrorCode::InternalError => Self::InternalError,
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::InvalidIndex => Self::InvalidIndex,
            ErrorCode::InvalidOperation => Self::InvalidOperation,
            ErrorCode::ReadOnlyIndex => Self::ReadOnlyIndex,
        }
    }
}
