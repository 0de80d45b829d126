//! Certificates as AWS Nitro Enclaves have them, under a root of our own.
//!
//! ```text
//! root (30 years) ── regional ── zonal ── instance ── leaf (3 hours)
//! ```
//!
//! Names, extensions, path lengths and the order of the bundle are those of AWS's documents.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{RootError, TrustRoot};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use x509_cert::der::Decode;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A key or certificate cannot be made or read.
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
    /// A time cannot stand in a certificate.
    #[error("the time is before 1970 or after 9999")]
    Time,
    /// A stored root is not one.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A stored root's certificate is not that of its key.
    #[error("the root's certificate is not that of its key")]
    Mismatch,
    /// A key does not sign.
    #[error("the key does not sign with ECDSA, P-384 and SHA-384")]
    Key,
}

/// A certificate with its key.
pub struct Holder {
    key: KeyPair,
    signer: Option<EcdsaKeyPair>,
    params: CertificateParams,
    der: Vec<u8>,
}

impl Holder {
    /// Issues itself a certificate.
    ///
    /// # Errors
    ///
    /// [`ChainError::Certificate`].
    pub fn self_issued(params: CertificateParams, key: KeyPair) -> Result<Self, ChainError> {
        let der = params.self_signed(&key)?.der().to_vec();
        Ok(Self::of(key, params, der))
    }

    /// Issues a certificate to the owner of `key`. What it says is not checked.
    ///
    /// # Errors
    ///
    /// [`ChainError::Certificate`].
    pub fn issue(&self, params: CertificateParams, key: KeyPair) -> Result<Self, ChainError> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params.signed_by(&key, &issuer)?.der().to_vec();
        Ok(Self::of(key, params, der))
    }

    fn of(key: KeyPair, params: CertificateParams, der: Vec<u8>) -> Self {
        let pkcs8 = key.serialized_der();
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8).ok();
        Self { key, signer, params, der }
    }

    /// The certificate as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &KeyPair {
        &self.key
    }

    /// What the certificate says.
    #[must_use]
    pub const fn params(&self) -> &CertificateParams {
        &self.params
    }

    /// Signs with ES384: r and s of 48 bytes each.
    ///
    /// # Errors
    ///
    /// [`ChainError::Key`], if the key is of another curve.
    pub fn sign_es384(&self, message: &[u8]) -> Result<[u8; 96], ChainError> {
        let sign = |signer: &EcdsaKeyPair| signer.sign(&SystemRandom::new(), message).ok();
        let signature = self.signer.as_ref().and_then(sign);
        signature.and_then(|bytes| bytes.as_ref().try_into().ok()).ok_or(ChainError::Key)
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holder({:?})", self.params.distinguished_name)
    }
}

/// A root of our own, with its key.
#[derive(Debug)]
pub struct TestRoot(Holder);

impl TestRoot {
    /// Makes a new root, valid for 30 years from a day before `now`.
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    pub fn generate(now: SystemTime) -> Result<Self, ChainError> {
        let window = Window::around(now, DAY, DAY.saturating_mul(30 * 365))?;
        Ok(Self(Holder::self_issued(ca(ROOT_NAME, None, window)?, new_key()?)?))
    }

    /// Takes up a stored root: its key as PKCS #8 and its certificate as DER.
    ///
    /// # Errors
    ///
    /// [`ChainError::Root`] and [`ChainError::Certificate`] if either cannot be read,
    /// [`ChainError::Mismatch`] if they are not a pair that [`TestRoot::generate`] made.
    pub fn from_parts(key: &[u8], certificate: &[u8]) -> Result<Self, ChainError> {
        TrustRoot::dangerous_from_der(certificate)?;
        let pkcs8 = PrivatePkcs8KeyDer::from(key);
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &PKCS_ECDSA_P384_SHA384)?;
        let window = Window { from: UNIX_EPOCH, until: UNIX_EPOCH };
        let root = Holder::self_issued(ca(ROOT_NAME, None, window)?, key)?;
        let parse = |der| x509_cert::Certificate::from_der(der).ok().ok_or(ChainError::Mismatch);
        let (made, stored) =
            (parse(&root.der)?.tbs_certificate, parse(certificate)?.tbs_certificate);
        let same_key = made.subject_public_key_info == stored.subject_public_key_info;
        if !same_key || made.subject != stored.subject {
            return Err(ChainError::Mismatch);
        }
        Ok(Self(Holder { der: certificate.to_vec(), ..root }))
    }

    /// The key as PKCS #8, to be stored where only its owner reads.
    #[must_use]
    pub fn key_der(&self) -> &[u8] {
        self.0.key.serialized_der()
    }

    /// The certificate as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.0.der()
    }

    /// The certificate and its key.
    #[must_use]
    pub const fn holder(&self) -> &Holder {
        &self.0
    }

    /// The root as verifiers take it.
    ///
    /// # Errors
    ///
    /// [`RootError`], never for a root that was made or taken up here.
    pub fn trust(&self) -> Result<TrustRoot, RootError> {
        TrustRoot::dangerous_from_der(self.der())
    }
}

/// Leaf and issuers below a root, as one enclave has them.
#[derive(Debug)]
pub struct Chain {
    /// The CAs, from the one below the root to the one above the leaf.
    pub issuers: Vec<Holder>,
    /// The certificate that signs documents.
    pub leaf: Holder,
}

impl Chain {
    /// Makes the chain of an enclave, valid from a minute before `now` for [`LEAF_LIFE`].
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    pub fn below(root: &TestRoot, module_id: &str, now: SystemTime) -> Result<Self, ChainError> {
        let mut issuers = Vec::new();
        for (name, path_length) in [("regional", 2), ("zonal", 1), ("instance", 0)] {
            let window = Window::around(now, CLOCK_SLACK, DAY)?;
            let params = ca(&format!("{name}.{ROOT_NAME}"), Some(path_length), window)?;
            let above = issuers.last().unwrap_or(root.holder());
            issuers.push(above.issue(params, new_key()?)?);
        }
        let above = issuers.last().unwrap_or(root.holder());
        let window = Window::around(now, CLOCK_SLACK, LEAF_LIFE)?;
        let leaf = above.issue(leaf(module_id, window)?, new_key()?)?;
        Ok(Self { issuers, leaf })
    }

    /// The bundle of a document: the root first, then down to the leaf's issuer.
    #[must_use]
    pub fn bundle(&self, root: &TestRoot) -> Vec<Vec<u8>> {
        let issuers = self.issuers.iter().map(|issuer| issuer.der().to_vec());
        std::iter::once(root.der().to_vec()).chain(issuers).collect()
    }
}

/// When a certificate holds.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// First moment.
    pub from: SystemTime,
    /// Last moment.
    pub until: SystemTime,
}

impl Window {
    /// From `before` ahead of `now` to `after` behind it.
    ///
    /// # Errors
    ///
    /// [`ChainError::Time`], if there are no such times.
    pub fn around(now: SystemTime, before: Duration, after: Duration) -> Result<Self, ChainError> {
        let (from, until) = (now.checked_sub(before), now.checked_add(after));
        from.zip(until).map(|(from, until)| Self { from, until }).ok_or(ChainError::Time)
    }
}

/// What the certificate of a CA says.
///
/// # Errors
///
/// [`ChainError::Time`].
pub fn ca(
    name: &str,
    path_length: Option<u8>,
    window: Window,
) -> Result<CertificateParams, ChainError> {
    let constraints = match path_length {
        Some(length) => BasicConstraints::Constrained(length),
        None => BasicConstraints::Unconstrained,
    };
    let mut params = named(name, window)?;
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    Ok(params)
}

/// What the certificate that signs documents says.
///
/// # Errors
///
/// [`ChainError::Time`].
pub fn leaf(module_id: &str, window: Window) -> Result<CertificateParams, ChainError> {
    let mut params = named(&format!("{module_id}.{ROOT_NAME}"), window)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
    Ok(params)
}

/// Makes a P-384 key.
///
/// # Errors
///
/// [`ChainError::Certificate`], if there is no randomness.
pub fn new_key() -> Result<KeyPair, ChainError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?)
}

fn named(name: &str, window: Window) -> Result<CertificateParams, ChainError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Test");
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    set_window(&mut params, window)?;
    Ok(params)
}

/// Changes when a certificate will hold, to the second.
///
/// # Errors
///
/// [`ChainError::Time`].
#[expect(clippy::arithmetic_side_effects, reason = "the year is below 9999 and above 1970")]
pub fn set_window(params: &mut CertificateParams, window: Window) -> Result<(), ChainError> {
    let since_epoch = |time: SystemTime| {
        let duration = time.duration_since(UNIX_EPOCH).ok();
        duration.filter(|duration| *duration < LAST_TIME).ok_or(ChainError::Time)
    };
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(window.from)?;
    params.not_after = epoch + since_epoch(window.until)?;
    Ok(())
}

/// Last part of every name; its own name is the root's.
const ROOT_NAME: &str = "test.nitro-enclaves";

/// How long the leaf certificate of an enclave holds, as at AWS.
pub const LEAF_LIFE: Duration = Duration::from_secs(3 * 60 * 60);

/// How much a verifier's clock may be behind: what the default freshness window allows.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The year 9999, the last a certificate can name.
const LAST_TIME: Duration = Duration::from_secs(253_370_764_800);
