//! The seam at which documents are made.

use crate::policy::UserData;

/// Makes attestation documents about the enclave it runs in.
///
/// One implementation asks the Nitro Secure Module, the other signs with a test root. Verifiers see
/// no difference but the root, so tests take the production path. An implementation opens its
/// device once and serves one request at a time.
pub trait Attestor: Send + Sync {
    /// Returns a document, COSE-encoded, that carries what is requested.
    ///
    /// Blocks for as long as the device takes: some milliseconds.
    ///
    /// # Errors
    ///
    /// [`AttestError`], if there is no document. Never answer without one.
    fn attest(&self, request: &AttestationRequest) -> Result<Vec<u8>, AttestError>;
}

/// What a document is asked to carry, within the limits of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationRequest {
    user_data: Vec<u8>,
    nonce: Option<Vec<u8>>,
    public_key: Option<Vec<u8>>,
}

/// Why a document cannot carry what it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationRequestError {
    /// The nonce is too long.
    #[error("the nonce is {got} bytes long, more than {NONCE_LIMIT_BYTES}")]
    Nonce {
        /// Length in bytes.
        got: usize,
    },
    /// The public key is too long.
    #[error("the public key is {got} bytes long, more than {PUBLIC_KEY_LIMIT_BYTES}")]
    PublicKey {
        /// Length in bytes.
        got: usize,
    },
    /// The user data is too long.
    #[error("the user data is {got} bytes long, more than {USER_DATA_LIMIT_BYTES}")]
    UserData {
        /// Length in bytes.
        got: usize,
    },
}

impl AttestationRequest {
    /// Asks for a document that carries this user data, at most 512 bytes.
    ///
    /// For the 32 bytes that a [`Policy`](crate::Policy) compares, convert a [`UserData`].
    ///
    /// # Errors
    ///
    /// [`AttestationRequestError::UserData`], if it is longer.
    pub fn new(user_data: &[u8]) -> Result<Self, AttestationRequestError> {
        let got = user_data.len();
        if got > USER_DATA_LIMIT_BYTES {
            return Err(AttestationRequestError::UserData { got });
        }
        Ok(Self { user_data: user_data.to_vec(), nonce: None, public_key: None })
    }

    /// Asks it to carry the caller's challenge too, at most 512 bytes.
    ///
    /// # Errors
    ///
    /// [`AttestationRequestError::Nonce`], if it is longer.
    pub fn with_nonce(mut self, nonce: &[u8]) -> Result<Self, AttestationRequestError> {
        let got = nonce.len();
        if got > NONCE_LIMIT_BYTES {
            return Err(AttestationRequestError::Nonce { got });
        }
        self.nonce = Some(nonce.to_vec());
        Ok(self)
    }

    /// Asks it to carry a public key, or a [`Statement`](crate::statement::Statement), too; at most
    /// 1,024 bytes.
    ///
    /// # Errors
    ///
    /// [`AttestationRequestError::PublicKey`], if it is longer.
    pub fn with_public_key(mut self, public_key: &[u8]) -> Result<Self, AttestationRequestError> {
        let got = public_key.len();
        if got > PUBLIC_KEY_LIMIT_BYTES {
            return Err(AttestationRequestError::PublicKey { got });
        }
        self.public_key = Some(public_key.to_vec());
        Ok(self)
    }

    /// The user data.
    #[must_use]
    pub fn user_data(&self) -> &[u8] {
        &self.user_data
    }

    /// The challenge.
    #[must_use]
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> Option<&[u8]> {
        self.public_key.as_deref()
    }
}

impl From<UserData> for AttestationRequest {
    fn from(user_data: UserData) -> Self {
        Self { user_data: user_data.as_bytes().to_vec(), nonce: None, public_key: None }
    }
}

/// Why there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestError {
    /// There is no device, or it cannot be opened.
    #[error("there is no Nitro Secure Module")]
    Absent,
    /// The device answered with an error.
    #[error("the Nitro Secure Module refused")]
    Refused(#[source] DeviceError),
    /// The device answered something else than was asked.
    #[error("the Nitro Secure Module gave another answer than a document")]
    UnexpectedAnswer,
}

/// The error codes of the Nitro Secure Module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The answer does not fit the buffer.
    #[error("buffer too small")]
    BufferTooSmall,
    /// A field or the request is too long.
    #[error("input too large")]
    InputTooLarge,
    /// The device failed.
    #[error("internal error")]
    InternalError,
    /// An argument makes no sense.
    #[error("invalid argument")]
    InvalidArgument,
    /// There is no such register.
    #[error("invalid index")]
    InvalidIndex,
    /// The device cannot do that.
    #[error("invalid operation")]
    InvalidOperation,
    /// The answer does not belong to the request.
    #[error("invalid response")]
    InvalidResponse,
    /// The register is locked.
    #[error("read-only index")]
    ReadOnlyIndex,
}

/// Bytes of user data that the device takes. A reader of documents allows twice as much.
pub const USER_DATA_LIMIT_BYTES: usize = 512;

/// Bytes of a nonce that the device takes. A reader of documents allows twice as much.
pub const NONCE_LIMIT_BYTES: usize = 512;

/// Bytes of a public key that the device takes.
pub const PUBLIC_KEY_LIMIT_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_at_each_limit_is_taken() {
        let request = AttestationRequest::new(&[1; 512]).unwrap();
        let request = request.with_nonce(&[2; 512]).unwrap().with_public_key(&[3; 1024]).unwrap();
        assert_eq!(request.user_data(), [1; 512]);
        assert_eq!(request.nonce(), Some([2; 512].as_slice()));
        assert_eq!(request.public_key(), Some([3; 1024].as_slice()));
    }

    #[test]
    fn one_byte_beyond_each_limit_is_refused() {
        let request = AttestationRequest::from(UserData::from([1; 32]));
        assert_eq!(
            AttestationRequest::new(&[1; 513]),
            Err(AttestationRequestError::UserData { got: 513 })
        );
        assert_eq!(
            request.clone().with_nonce(&[2; 513]),
            Err(AttestationRequestError::Nonce { got: 513 })
        );
        assert_eq!(
            request.with_public_key(&[3; 1025]),
            Err(AttestationRequestError::PublicKey { got: 1025 })
        );
    }

    #[test]
    fn an_attestor_can_be_shared_behind_a_pointer() {
        struct Absent;
        impl Attestor for Absent {
            fn attest(&self, _: &AttestationRequest) -> Result<Vec<u8>, AttestError> {
                Err(AttestError::Absent)
            }
        }
        let attestor: std::sync::Arc<dyn Attestor> = std::sync::Arc::new(Absent);
        let request = UserData::from([1; 32]).into();
        assert_eq!(attestor.attest(&request), Err(AttestError::Absent));
    }
}
