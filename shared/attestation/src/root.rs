//! The certificates that chains may end at.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::{
    certificate::{Certificate, CertificateError},
    hash::sha256,
};

/// A certificate that is trusted to name enclaves' issuers. Cheap to clone.
#[derive(Clone)]
pub struct TrustRoot(Arc<Inner>);

struct Inner {
    der: CertificateDer<'static>,
    sha256: [u8; 32],
    certificate: Certificate,
    anchor: TrustAnchor<'static>,
}

/// Why a certificate cannot be a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// It is not the DER of one certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It is not a CA that may sign certificates.
    #[error("the root may not sign certificates")]
    NotCa,
}

impl TrustRoot {
    /// The root of AWS Nitro Enclaves (G1), for the commercial regions.
    ///
    /// # Panics
    ///
    /// If the certificate in the program is not the one with [`AWS_ROOT_SHA256`].
    #[must_use]
    #[expect(clippy::expect_used, reason = "the bytes are part of the program; a test reads them")]
    pub fn aws() -> Self {
        static AWS: LazyLock<TrustRoot> = LazyLock::new(|| {
            let root = TrustRoot::dangerous_from_der(AWS_ROOT).expect("AWS's root is a CA");
            assert_eq!(root.0.sha256, AWS_ROOT_SHA256, "the root in the program was exchanged");
            root
        });
        AWS.clone()
    }

    /// Trusts another root. **Whoever holds its key can claim to be any enclave.**
    ///
    /// For roots of tests and emulators; search for this name to find every use of one.
    ///
    /// # Errors
    ///
    /// [`RootError`], if it is not a CA with a P-384 key.
    pub fn dangerous_from_der(der: &[u8]) -> Result<Self, RootError> {
        let certificate = Certificate::parse(der)?;
        if !certificate.is_ca || !certificate.may_sign_certificates {
            return Err(RootError::NotCa);
        }
        if certificate.key.is_none() {
            return Err(CertificateError::Key.into());
        }
        let der = CertificateDer::from(der.to_vec());
        let Ok(anchor) = webpki::anchor_from_trusted_cert(&der) else {
            return Err(CertificateError::Malformed { at: None }.into());
        };
        let anchor = anchor.to_owned();
        let sha256 = sha256(&der);
        Ok(Self(Arc::new(Inner { der, sha256, certificate, anchor })))
    }

    /// SHA-256 of the certificate's DER: what the root is known by.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.0.sha256
    }

    /// The certificate as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    pub(crate) fn certificate(&self) -> &Certificate {
        &self.0.certificate
    }

    pub(crate) fn anchor(&self) -> &TrustAnchor<'static> {
        &self.0.anchor
    }
}

impl PartialEq for TrustRoot {
    fn eq(&self, other: &Self) -> bool {
        self.0.sha256 == other.0.sha256
    }
}

impl Eq for TrustRoot {}

impl fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustRoot({})", hex::encode(self.0.sha256))
    }
}

/// `CN=aws.nitro-enclaves, OU=AWS, O=Amazon, C=US`, valid to 2049.
const AWS_ROOT: &[u8] = include_bytes!("aws-nitro-enclaves-g1.der");

/// SHA-256 of AWS's root certificate, as AWS publishes it.
pub const AWS_ROOT_SHA256: [u8; 32] = [
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31,
    0x7e, 0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b,
];

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_root_of_aws_is_the_pinned_one() {
        let root = TrustRoot::aws();
        let pin = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b";
        assert_eq!(hex::encode(root.sha256()), pin);
        assert_eq!(format!("{root:?}"), format!("TrustRoot({pin})"));
    }

    #[test]
    fn the_root_of_aws_is_valid_from_2019_to_2049() {
        let validity = TrustRoot::aws().certificate().validity;
        assert_eq!(validity.from, UNIX_EPOCH + Duration::from_secs(1_572_269_285));
        assert_eq!(validity.until, UNIX_EPOCH + Duration::from_secs(2_519_044_085));
        assert!(TrustRoot::aws().certificate().is_self_issued());
    }

    #[test]
    fn bytes_after_the_certificate_are_refused() {
        let longer = [AWS_ROOT, &[0]].concat();
        assert!(matches!(
            TrustRoot::dangerous_from_der(&longer),
            Err(RootError::Certificate(CertificateError::Malformed { .. }))
        ));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for der in [&[][..], b"-----BEGIN CERTIFICATE-----", &AWS_ROOT[1..]] {
            assert!(TrustRoot::dangerous_from_der(der).is_err());
        }
    }
}
