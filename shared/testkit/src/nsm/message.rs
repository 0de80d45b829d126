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

/// The device's codes: those of `aws-nitro-enclaves-nsm-api`, and when this device gives each, which
/// is when the `nitro-enclave` machine of QEMU does.
///
/// Three are never given: no request of the interface has an argument that could be wrong in another
/// way than the codes for it say, and what does not belong to a request is noticed by who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorCode {
    /// The answer is longer than the room that the caller gave it.
    BufferTooSmall,
    /// User data, nonce or data to be measured of more than 512 bytes, a public key of more than
    /// 1,024, a request of more than 4,096.
    InputTooLarge,
    /// The device cannot make what it is asked for: its clock stands before 1970, or there is no key.
    InternalError,
    /// Never given.
    InvalidArgument,
    /// A register from 32 on, or a range beyond it.
    InvalidIndex,
    /// Bytes that are no request of the interface.
    InvalidOperation,
    /// Never given.
    InvalidResponse,
    /// The register to be extended or locked is locked.
    ReadOnlyIndex,
    /// Never given: an answer says it by being one.
    Success,
}

impl ErrorCode {
    /// What a caller makes of the code; success is no refusal.
    #[must_use]
    pub const fn refusal(self) -> Option<DeviceError> {
        Some(match self {
            Self::BufferTooSmall => DeviceError::BufferTooSmall,
            Self::InputTooLarge => DeviceError::InputTooLarge,
            Self::InternalError => DeviceError::InternalError,
            Self::InvalidArgument => DeviceError::InvalidArgument,
            Self::InvalidIndex => DeviceError::InvalidIndex,
            Self::InvalidOperation => DeviceError::InvalidOperation,
            Self::InvalidResponse => DeviceError::InvalidResponse,
            Self::ReadOnlyIndex => DeviceError::ReadOnlyIndex,
            Self::Success => return None,
        })
    }
}
