//! Errors that forgeries are refused by, without the offsets that differ from one to the next.

use attestation::{
    CertificateError, CertificatePosition, DocumentError, VerifyError, cbor::CborError,
    cose::CoseError,
};

/// The error with every offset 0 or unknown.
pub(super) fn without_offsets(error: VerifyError) -> VerifyError {
    match error {
        VerifyError::Cose(CoseError::Cbor(error)) => envelope(at_zero(error)),
        VerifyError::Payload(DocumentError::Cbor(error)) => payload(at_zero(error)),
        VerifyError::Certificate { position, reason: CertificateError::Malformed { .. } } => {
            malformed(position)
        }
        VerifyError::Size { .. }
        | VerifyError::Cose(_)
        | VerifyError::Payload(_)
        | VerifyError::Freshness(_)
        | VerifyError::UserData(_)
        | VerifyError::Nonce(_)
        | VerifyError::Measurements(_)
        | VerifyError::Certificate { .. }
        | VerifyError::Chain(_)
        | VerifyError::Signature => error,
    }
}

/// Loose CBOR around the payload.
pub(super) const fn envelope(error: CborError) -> VerifyError {
    VerifyError::Cose(CoseError::Cbor(error))
}

/// Loose CBOR in the payload.
pub(super) const fn payload(error: CborError) -> VerifyError {
    VerifyError::Payload(DocumentError::Cbor(error))
}

/// A certificate that is no DER.
pub(super) const fn malformed(position: CertificatePosition) -> VerifyError {
    VerifyError::Certificate { position, reason: CertificateError::Malformed { at: None } }
}

const fn at_zero(error: CborError) -> CborError {
    match error {
        CborError::Truncated { .. } => CborError::Truncated { at: 0 },
        CborError::Trailing { .. } => CborError::Trailing { at: 0 },
        CborError::Type { want, .. } => CborError::Type { at: 0, want },
        CborError::Indefinite { .. } => CborError::Indefinite { at: 0 },
        CborError::Overlong { .. } => CborError::Overlong { at: 0 },
        CborError::Reserved { .. } => CborError::Reserved { at: 0 },
        CborError::DuplicateKey { .. } => CborError::DuplicateKey { at: 0 },
        CborError::TooDeep { .. } => CborError::TooDeep { at: 0 },
        CborError::Tag { .. } => CborError::Tag { at: 0 },
        CborError::NotUtf8 { .. } => CborError::NotUtf8 { at: 0 },
    }
}
