//! Why a document is not believed.

use std::fmt;

use super::Check;
use crate::{
    certificate::CertificateError,
    chain::ChainError,
    cose::CoseError,
    document::{DOCUMENT_LIMIT_BYTES, DocumentError},
    policy::{BindingError, FreshnessError, Mismatch},
};

/// Why a document is not believed: the first check that failed, in the order of [`Check`].
///
/// Its text is for the verifier's own log. A peer learns no more than that it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The document is empty or longer than any is.
    #[error("the document is {got} bytes long, not 1 to {DOCUMENT_LIMIT_BYTES}")]
    Size {
        /// Length in bytes.
        got: usize,
    },
    /// The envelope or its headers are not those of a document.
    #[error("the document is not in the envelope of one")]
    Cose(#[from] CoseError),
    /// The payload is not that of a document.
    #[error("the payload is not that of an attestation document")]
    Payload(#[from] DocumentError),
    /// The document is not of this time.
    #[error("the document is not fresh")]
    Freshness(#[from] FreshnessError),
    /// The document binds other user data.
    #[error("the user data is not the expected")]
    UserData(#[source] BindingError),
    /// The document binds another nonce.
    #[error("the nonce is not the expected")]
    Nonce(#[source] BindingError),
    /// The document is of another image.
    #[error("the measurements are of no accepted image")]
    Measurements(#[from] Mismatch),
    /// A certificate of the document is malformed, or the leaf is of another algorithm.
    #[error("{position} cannot be used")]
    Certificate {
        /// Which one.
        position: CertificatePosition,
        /// What is wrong with it.
        #[source]
        reason: CertificateError,
    },
    /// The certificates do not lead to a trusted root.
    #[error("the certificates do not lead to a trusted root")]
    Chain(#[from] ChainError),
    /// The document is not signed by its leaf certificate's key.
    #[error("the signature is not by the key of the leaf certificate")]
    Signature,
}

impl VerifyError {
    /// The check that failed. All before it passed; none after it was made.
    #[must_use]
    pub const fn check(&self) -> Check {
        match self {
            Self::Size { .. } => Check::Size,
            Self::Cose(CoseError::Protected | CoseError::Unprotected) => Check::Header,
            Self::Cose(
                CoseError::Cbor(_)
                | CoseError::Items { .. }
                | CoseError::Detached
                | CoseError::SignatureLength { .. },
            ) => Check::Envelope,
            Self::Payload(_) => Check::Payload,
            Self::Freshness(_) => Check::Freshness,
            Self::UserData(_) => Check::UserData,
            Self::Nonce(_) => Check::Nonce,
            Self::Measurements(_) => Check::Measurements,
            Self::Certificate { .. } => Check::Certificates,
            Self::Chain(error) => error.check(),
            Self::Signature => Check::Signature,
        }
    }
}

/// Which certificate of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificatePosition {
    /// One of the bundle.
    Bundle {
        /// Its position there.
        index: usize,
    },
    /// The one that signed the document.
    Leaf,
}

impl fmt::Display for CertificatePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle { index } => write!(f, "certificate {index} of the bundle"),
            Self::Leaf => f.write_str("the leaf certificate"),
        }
    }
}
