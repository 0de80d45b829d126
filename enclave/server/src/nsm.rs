//! The Nitro Secure Module: `/dev/nsm`, opened once, one request at a time.

use std::sync::{Mutex, PoisonError};

use attestation::{AttestError, AttestationRequest, Attestor, attestor::DeviceError};
use aws_nitro_enclaves_nsm_api::{
    api::{ErrorCode, Request, Response},
    driver::{nsm_exit, nsm_init, nsm_process_request},
};

/// The device of the enclave this program runs in. Exists in Nitro enclaves only.
#[derive(Debug)]
pub struct Nsm {
    device: Mutex<Device>,
}

impl Nsm {
    /// Opens the device.
    ///
    /// # Errors
    ///
    /// [`AttestError::Absent`] if there is none, so outside of enclaves.
    pub fn open() -> Result<Self, AttestError> {
        let descriptor = nsm_init();
        if descriptor < 0 {
            return Err(AttestError::Absent);
        }
        Ok(Self { device: Mutex::new(Device { descriptor }) })
    }
}

impl Attestor for Nsm {
    fn attest(&self, request: &AttestationRequest) -> Result<Vec<u8>, AttestError> {
        let device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        let request = Request::Attestation {
            user_data: Some(request.user_data().to_vec().into()),
            nonce: request.nonce().map(|nonce| nonce.to_vec().into()),
            public_key: request.public_key().map(|key| key.to_vec().into()),
        };
        document(nsm_process_request(device.descriptor, request))
    }
}

#[derive(Debug)]
struct Device {
    descriptor: i32,
}

impl Drop for Device {
    fn drop(&mut self) {
        nsm_exit(self.descriptor);
    }
}

fn document(response: Response) -> Result<Vec<u8>, AttestError> {
    if let Response::Attestation { document } = response {
        return if document.is_empty() { Err(AttestError::UnexpectedAnswer) } else { Ok(document) };
    }
    if let Response::Error(code) = response {
        return Err(refusal(&code).map_or(AttestError::UnexpectedAnswer, AttestError::Refused));
    }
    Err(AttestError::UnexpectedAnswer)
}

fn refusal(code: &ErrorCode) -> Option<DeviceError> {
    match code {
        ErrorCode::Success => None,
        ErrorCode::BufferTooSmall => Some(DeviceError::BufferTooSmall),
        ErrorCode::InputTooLarge => Some(DeviceError::InputTooLarge),
        ErrorCode::InternalError => Some(DeviceError::InternalError),
        ErrorCode::InvalidArgument => Some(DeviceError::InvalidArgument),
        ErrorCode::InvalidIndex => Some(DeviceError::InvalidIndex),
        ErrorCode::InvalidOperation => Some(DeviceError::InvalidOperation),
        ErrorCode::InvalidResponse => Some(DeviceError::InvalidResponse),
        ErrorCode::ReadOnlyIndex => Some(DeviceError::ReadOnlyIndex),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_an_enclave_there_is_no_device() {
        if std::path::Path::new("/dev/nsm").exists() {
            vectors::skip("outside_of_an_enclave_there_is_no_device", "this is an enclave");
            return;
        }
        assert_eq!(Nsm::open().unwrap_err(), AttestError::Absent);
    }

    #[test]
    fn only_a_document_is_a_document() {
        let of = |bytes: &[u8]| document(Response::Attestation { document: bytes.to_vec() });
        assert_eq!(of(b"cose"), Ok(b"cose".to_vec()));
        assert_eq!(of(b""), Err(AttestError::UnexpectedAnswer));
        assert_eq!(document(Response::LockPCR), Err(AttestError::UnexpectedAnswer));
        let refused = document(Response::Error(ErrorCode::InputTooLarge));
        assert_eq!(refused, Err(AttestError::Refused(DeviceError::InputTooLarge)));
        let nonsense = document(Response::Error(ErrorCode::Success));
        assert_eq!(nonsense, Err(AttestError::UnexpectedAnswer));
    }
}
