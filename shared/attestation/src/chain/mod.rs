//! From a leaf certificate to a trusted root.
//!
//! A path is found by names, with bounded effort, before any signature is checked, and each path
//! found is handed to webpki alone. A bundle is a set: certificates that lead nowhere do no harm,
//! and the root inside it is not trusted for being there. Checks, in order:
//!
//! 1. names lead from the leaf to a root;
//! 2. every certificate of the path holds now, the root included;
//! 3. none is revoked by the policy, which names certificates by issuer and serial number;
//! 4. issuers may sign certificates, the leaf may sign documents (RFC 5280, section 4.2.1.3);
//! 5. signatures (ECDSA with P-384 and SHA-384 only), basic constraints, path lengths, name
//!    constraints, critical extensions: webpki, and the root's own path length.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error as WebpkiError, ExtendedKeyUsageValidator, KeyPurposeIdIter};

use crate::{
    certificate::{Certificate, CertificateId, PublicKey, Validity},
    root::TrustRoot,
    verify::Check,
};

mod cache;
mod path;

pub(crate) use cache::{ChainCache, ChainKey};
use path::Path;

/// Why the certificates of a document do not lead to a trusted root.
///
/// `depth` counts along the path: 0 is the leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The bundle's names do not lead from the leaf to a root.
    #[error("no path leads from the leaf to a trusted root")]
    NoPath,
    /// A certificate does not hold yet.
    #[error("the certificate at depth {depth} is not valid yet")]
    NotYetValid {
        /// Where in the path.
        depth: usize,
    },
    /// A certificate does not hold any more.
    #[error("the certificate at depth {depth} has expired")]
    Expired {
        /// Where in the path.
        depth: usize,
    },
    /// The policy revokes a certificate.
    #[error("the certificate at depth {depth} is revoked")]
    Revoked {
        /// Where in the path.
        depth: usize,
    },
    /// A certificate is not made for what it is used for, or does not say so.
    #[error("the certificate at depth {depth} is not for this use")]
    KeyUsage {
        /// Where in the path.
        depth: usize,
    },
    /// A certificate is signed by another key than its issuer's.
    #[error("a certificate of the path is not signed by its issuer")]
    Signature,
    /// A certificate is not signed with ECDSA, P-384 and SHA-384.
    #[error("a certificate of the path is not signed with P-384 and SHA-384")]
    Algorithm,
    /// A CA is used as a leaf, or another certificate as a CA.
    #[error("a certificate of the path is a CA where it may not be, or none where it must")]
    BasicConstraints,
    /// More CAs follow a CA than it allows.
    #[error("the path is longer than one of its CAs allows")]
    PathLength,
    /// A certificate asks for a rule that is not known here to be followed.
    #[error("a certificate of the path has an unknown critical extension")]
    CriticalExtension,
    /// webpki refuses the path for a reason it seldom has, such as name constraints.
    #[error("the path breaks a rule of its certificates")]
    Rejected,
}

impl ChainError {
    /// The check that failed.
    #[must_use]
    pub const fn check(&self) -> Check {
        match self {
            Self::NoPath => Check::Path,
            Self::NotYetValid { .. } | Self::Expired { .. } => Check::Validity,
            Self::Revoked { .. } => Check::Revocation,
            Self::KeyUsage { .. } => Check::KeyUsage,
            Self::Signature
            | Self::Algorithm
            | Self::BasicConstraints
            | Self::PathLength
            | Self::CriticalExtension
            | Self::Rejected => Check::Chain,
        }
    }
}

/// A certificate beside its encoding.
pub(crate) struct Encoded<'d> {
    pub(crate) der: &'d [u8],
    pub(crate) certificate: Certificate,
}

/// A path that passed every check, as far as it matters later.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    links: Vec<Link>,
    leaf_key: PublicKey,
}

/// One certificate of a path, the root included.
#[derive(Clone, Debug)]
struct Link {
    id: CertificateId,
    validity: Validity,
}

impl Chain {
    /// Verifies the leaf, whose key is `leaf_key`, against the bundle and the roots.
    ///
    /// Of several paths the first that passes counts; if none does, the error of the one that got
    /// furthest, and of the first of those that got as far.
    pub(crate) fn verify(
        leaf: &Encoded<'_>,
        leaf_key: PublicKey,
        bundle: &[Encoded<'_>],
        roots: &[TrustRoot],
        revoked: &[CertificateId],
        now: SystemTime,
    ) -> Result<Self, ChainError> {
        let mut furthest = ChainError::NoPath;
        for path in path::find(leaf, bundle, roots) {
            let chain = Self { links: links(&path), leaf_key };
            match chain.check_links(revoked, now).and_then(|()| check_path(&path, now)) {
                Ok(()) => return Ok(chain),
                Err(error) if error.check() > furthest.check() => furthest = error,
                Err(_) => {}
            }
        }
        Err(furthest)
    }

    /// Checks what changes with time and policy: steps 2 and 3, for every certificate.
    pub(crate) fn check_links(
        &self,
        revoked: &[CertificateId],
        now: SystemTime,
    ) -> Result<(), ChainError> {
        for (depth, Link { validity, .. }) in self.links.iter().enumerate() {
            if now < validity.from {
                return Err(ChainError::NotYetValid { depth });
            }
            if now > validity.until {
                return Err(ChainError::Expired { depth });
            }
        }
        match self.links.iter().position(|link| revoked.contains(&link.id)) {
            Some(depth) => Err(ChainError::Revoked { depth }),
            None => Ok(()),
        }
    }

    pub(crate) const fn leaf_key(&self) -> &PublicKey {
        &self.leaf_key
    }
}

fn links(path: &Path<'_>) -> Vec<Link> {
    let root = path.root.certificate();
    let certificates = path.certificates().map(|encoded| &encoded.certificate);
    let link = |certificate: &Certificate| Link {
        id: certificate.id.clone(),
        validity: certificate.validity,
    };
    certificates.chain([root]).map(link).collect()
}

/// Steps 4 and 5.
fn check_path(path: &Path<'_>, now: SystemTime) -> Result<(), ChainError> {
    let issuers = path.issuers.iter().map(|issuer| &issuer.certificate);
    if !path.leaf.certificate.may_sign_documents {
        return Err(ChainError::KeyUsage { depth: 0 });
    }
    if let Some(index) = issuers.clone().position(|issuer| !issuer.may_sign_certificates) {
        return Err(ChainError::KeyUsage { depth: index.saturating_add(1) });
    }
    let root = path.root.certificate();
    if root.path_length.is_some_and(|limit| path.issuers.len() > usize::from(limit)) {
        return Err(ChainError::PathLength);
    }
    check_with_webpki(path, now).map_err(|error| reason(&error))
}

fn check_with_webpki(path: &Path<'_>, now: SystemTime) -> Result<(), WebpkiError> {
    let leaf = CertificateDer::from(path.leaf.der);
    let issuers: Vec<_> = path.issuers.iter().map(|c| CertificateDer::from(c.der)).collect();
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    EndEntityCert::try_from(&leaf)?.verify_for_usage(
        &[webpki::aws_lc_rs::ECDSA_P384_SHA384],
        std::slice::from_ref(path.root.anchor()),
        &issuers,
        UnixTime::since_unix_epoch(since_epoch),
        AnyExtendedUsage,
        None,
        None,
    )?;
    Ok(())
}

/// Takes a leaf with any extended key usage: AWS's have none, and the protocol asks for none.
struct AnyExtendedUsage;

impl ExtendedKeyUsageValidator for AnyExtendedUsage {
    fn validate(&self, mut usages: KeyPurposeIdIter<'_, '_>) -> Result<(), WebpkiError> {
        usages.try_for_each(|usage| usage.map(drop))
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "webpki may add reasons of its own")]
const fn reason(error: &WebpkiError) -> ChainError {
    match error {
        WebpkiError::InvalidSignatureForPublicKey => ChainError::Signature,
        WebpkiError::UnsupportedSignatureAlgorithmContext(_)
        | WebpkiError::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => ChainError::Algorithm,
        WebpkiError::CaUsedAsEndEntity | WebpkiError::EndEntityUsedAsCa => {
            ChainError::BasicConstraints
        }
        WebpkiError::PathLenConstraintViolated => ChainError::PathLength,
        WebpkiError::UnsupportedCriticalExtension => ChainError::CriticalExtension,
        _ => ChainError::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap()
    }

    /// A CA below AWS's root that holds from and until these seconds after 1970.
    fn ca(from: u64, until: u64) -> Encoded<'static> {
        let root = TrustRoot::aws().certificate().clone();
        let validity = Validity { from: at(from), until: at(until) };
        let id = CertificateId::named(&root.subject);
        let certificate = Certificate { id, subject: b"ca".to_vec(), validity, ..root };
        Encoded { der: &[], certificate }
    }

    /// What is said of a leaf below these CAs, of which the policy revokes all of `revoked`.
    fn refused(bundle: &[Encoded<'_>], revoked: &[CertificateId]) -> ChainError {
        let leaf = Certificate {
            id: CertificateId::named(b"ca"),
            subject: b"leaf".to_vec(),
            ..ca(0, END).certificate
        };
        let leaf = Encoded { der: &[], certificate: leaf };
        Chain::verify(&leaf, [4; 97], bundle, &[TrustRoot::aws()], revoked, at(NOW)).unwrap_err()
    }

    /// In the year 2026, when AWS's root holds.
    const NOW: u64 = 1_790_000_000;
    const END: u64 = NOW + 1;

    #[test]
    fn of_two_paths_that_got_as_far_the_first_is_told_of() {
        let [early, late] = [(NOW + 1, END), (0, NOW - 1)].map(|(from, until)| ca(from, until));
        let bundle = [early, late];
        assert_eq!(refused(&bundle, &[]), ChainError::NotYetValid { depth: 1 });
        let [early, late] = bundle;
        assert_eq!(refused(&[late, early], &[]), ChainError::Expired { depth: 1 });
    }

    #[test]
    fn of_two_paths_the_one_that_got_further_is_told_of() {
        let [early, held] = [(NOW + 1, END), (0, END)].map(|(from, until)| ca(from, until));
        let revoked = [held.certificate.id.clone()];
        let bundle = [early, held];
        assert_eq!(refused(&bundle, &revoked), ChainError::Revoked { depth: 1 });
        let [early, held] = bundle;
        assert_eq!(refused(&[held, early], &revoked), ChainError::Revoked { depth: 1 });
    }
}
