//! The fields of one X.509 certificate (RFC 5280) that the checks of a chain need.
//!
//! The DER is read by `x509-cert`, strictly: definite shortest lengths, canonical booleans and
//! integers, times that exist, nothing behind the end. Signatures and constraints are webpki's part.
//! Before that, no length in it may lead out of what holds it, so that none is believed and set aside.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::{
    der::{Decode, Encode, asn1::ObjectIdentifier},
    ext::pkix::{BasicConstraints, KeyUsage},
    spki::SubjectPublicKeyInfoOwned,
};

/// Why a certificate is not one that a document may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is not the DER of one X.509 certificate.
    #[error("the certificate is not DER{}", at_byte(*at))]
    Malformed {
        /// Offset in bytes where reading stopped, if it is known.
        at: Option<u32>,
    },
    /// Its public key is not an uncompressed point of P-384.
    #[error("the certificate's key is not of P-384")]
    Key,
    /// It is not signed with ECDSA and SHA-384.
    #[error("the certificate is not signed with ECDSA and SHA-384")]
    SignatureAlgorithm,
}

fn at_byte(at: Option<u32>) -> String {
    at.map(|at| format!(", at byte {at}")).unwrap_or_default()
}

/// What names a certificate for revocation: its issuer and the number the issuer gave it.
///
/// Not its bytes, because a signature can be written in more than one way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateId {
    issuer: Vec<u8>,
    serial: Vec<u8>,
}

impl CertificateId {
    /// Names the certificate with this DER encoding.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Malformed`], if it is none.
    pub fn of(der: &[u8]) -> Result<Self, CertificateError> {
        Ok(Certificate::parse(der)?.id)
    }
}

#[cfg(test)]
impl CertificateId {
    /// A certificate of which only the issuer's name matters.
    pub(crate) fn named(issuer: &[u8]) -> Self {
        Self { issuer: issuer.to_vec(), serial: vec![1] }
    }
}

/// When a certificate holds; both ends belong to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validity {
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

/// An uncompressed point of P-384 (SEC 1, section 2.3.3).
pub(crate) type PublicKey = [u8; 97];

/// One certificate's fields. None of them is verified.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) id: CertificateId,
    /// The subject's name as DER.
    pub(crate) subject: Vec<u8>,
    pub(crate) validity: Validity,
    /// The key, if it is of P-384.
    pub(crate) key: Option<PublicKey>,
    pub(crate) is_signed_with_es384: bool,
    pub(crate) is_ca: bool,
    /// How many CAs may follow it on the way to a leaf.
    pub(crate) path_length: Option<u8>,
    pub(crate) may_sign_certificates: bool,
    pub(crate) may_sign_documents: bool,
}

impl Certificate {
    pub(crate) fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        lengths(der, 0, 0).map_err(|at| CertificateError::Malformed { at })?;
        let certificate = match x509_cert::Certificate::from_der(der) {
            Ok(certificate) => certificate,
            Err(e) => return Err(malformed(e)),
        };
        fields(&certificate).map_err(malformed)
    }

    /// The issuer's name as DER.
    pub(crate) fn issuer(&self) -> &[u8] {
        &self.id.issuer
    }

    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject == self.id.issuer
    }
}

fn fields(certificate: &x509_cert::Certificate) -> x509_cert::der::Result<Certificate> {
    let tbs = &certificate.tbs_certificate;
    let constraints = tbs.get::<BasicConstraints>()?.map(|(_, constraints)| constraints);
    let usage = tbs.get::<KeyUsage>()?.map(|(_, usage)| usage);
    let algorithm = &certificate.signature_algorithm;
    Ok(Certificate {
        id: CertificateId {
            issuer: tbs.issuer.to_der()?,
            serial: tbs.serial_number.as_bytes().to_vec(),
        },
        subject: tbs.subject.to_der()?,
        validity: Validity {
            from: time(tbs.validity.not_before.to_unix_duration())?,
            until: time(tbs.validity.not_after.to_unix_duration())?,
        },
        key: p384_key(&tbs.subject_public_key_info),
        is_signed_with_es384: algorithm.oid == ECDSA_WITH_SHA384 && algorithm.parameters.is_none(),
        is_ca: constraints.as_ref().is_some_and(|constraints| constraints.ca),
        path_length: constraints.and_then(|constraints| constraints.path_len_constraint),
        may_sign_certificates: usage.as_ref().is_some_and(KeyUsage::key_cert_sign),
        may_sign_documents: usage.as_ref().is_some_and(KeyUsage::digital_signature),
    })
}

fn p384_key(spki: &SubjectPublicKeyInfoOwned) -> Option<PublicKey> {
    let curve: ObjectIdentifier = spki.algorithm.parameters.as_ref()?.decode_as().ok()?;
    let point: PublicKey = spki.subject_public_key.as_bytes()?.try_into().ok()?;
    let is_uncompressed = point.first() == Some(&4);
    let is_p384 = spki.algorithm.oid == EC_PUBLIC_KEY && curve == SECP384R1 && is_uncompressed;
    is_p384.then_some(point)
}

/// Whether every length of the DER at `start` leads no further than what holds it; otherwise the offset
/// of the first that does. What is inside a primitive type is bytes to this.
fn lengths(der: &[u8], start: usize, depth: usize) -> Result<(), Option<u32>> {
    let mut rest = der;
    while !rest.is_empty() {
        let at = start.saturating_add(der.len().saturating_sub(rest.len()));
        let fault = u32::try_from(at).ok();
        let (is_constructed, contents, behind) = element(rest).ok_or(fault)?;
        if is_constructed {
            if depth >= MOST_DEPTH {
                return Err(fault);
            }
            let head = rest.len().saturating_sub(behind.len()).saturating_sub(contents.len());
            lengths(contents, at.saturating_add(head), depth.saturating_add(1))?;
        }
        rest = behind;
    }
    Ok(())
}

/// The first element: whether it holds others, its contents, and what comes behind it.
fn element(der: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let [tag, first, rest @ ..] = der else { return None };
    // A certificate has no tags of several bytes.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let value = |length: usize, byte: &u8| length << 8 | usize::from(*byte);
            (bytes.iter().fold(0, value), rest)
        }
        _ => return None,
    };
    let (contents, behind) = rest.split_at_checked(length)?;
    Some((tag & 0x20 != 0, contents, behind))
}

fn time(since_epoch: Duration) -> x509_cert::der::Result<SystemTime> {
    let time = UNIX_EPOCH.checked_add(since_epoch);
    time.ok_or_else(|| x509_cert::der::ErrorKind::DateTime.into())
}

fn malformed(error: x509_cert::der::Error) -> CertificateError {
    CertificateError::Malformed { at: error.position().map(u32::from) }
}

/// Names in a certificate are five deep, extensions four.
const MOST_DEPTH: usize = 16;

/// RFC 5480, section 2.1.1.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// RFC 5480, section 2.1.1.1.
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// RFC 5758, section 3.2.
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

#[cfg(test)]
mod tests {
    use x509_cert::{
        der::asn1::{Any, BitString},
        spki::AlgorithmIdentifierOwned,
    };

    use super::*;
    use crate::TrustRoot;

    /// A key of 97 bytes, of the algorithm and the curve, whose point has this form.
    fn key_of(oid: ObjectIdentifier, curve: ObjectIdentifier, form: u8) -> Option<PublicKey> {
        let mut point = [7; 97];
        point[0] = form;
        p384_key(&SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned { oid, parameters: Some(Any::from(curve)) },
            subject_public_key: BitString::from_bytes(&point).unwrap(),
        })
    }

    #[test]
    fn a_point_as_long_as_one_of_p384_is_no_key_for_that() {
        // RFC 3279, section 2.3.4 and RFC 5639, section 4.1.
        let rsa = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
        let brainpool_p384 = ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.11");
        assert!(key_of(EC_PUBLIC_KEY, SECP384R1, 4).is_some());
        assert_eq!(key_of(rsa, SECP384R1, 4), None);
        assert_eq!(key_of(EC_PUBLIC_KEY, brainpool_p384, 4), None);
        assert_eq!(key_of(EC_PUBLIC_KEY, SECP384R1, 2), None);
    }

    #[test]
    fn a_refusal_says_where_if_that_is_known() {
        let said = |at| CertificateError::Malformed { at }.to_string();
        assert_eq!(said(Some(7)), "the certificate is not DER, at byte 7");
        assert_eq!(said(None), "the certificate is not DER");
    }

    /// The certificate with other bytes where its basic constraints stand, and where that is.
    fn changed(to: &[u8]) -> (Vec<u8>, usize) {
        let mut der = TrustRoot::aws().der().to_vec();
        let constraints = b"\x04\x05\x30\x03\x01\x01\xff";
        let at = der.windows(constraints.len()).position(|window| window == constraints).unwrap();
        for (byte, to) in der[at..].iter_mut().zip(to) {
            *byte = *to;
        }
        (der, at)
    }

    fn refused(der: &[u8]) -> Option<u32> {
        match Certificate::parse(der).unwrap_err() {
            CertificateError::Malformed { at } => at,
            other @ (CertificateError::Key | CertificateError::SignatureAlgorithm) => {
                panic!("{other}")
            }
        }
    }

    #[test]
    fn a_length_that_leads_out_of_its_holder_is_refused_where_it_stands() {
        for length in [&b"\x04\x84\x0f\xff\xff\xff"[..], b"\x04\x84\xff\xff\xff\xff", b"\x04\x7f"] {
            let (der, at) = changed(length);
            assert_eq!(refused(&der), u32::try_from(at).ok(), "{length:02x?}");
        }
    }

    #[test]
    fn lengths_of_other_forms_than_der_are_refused() {
        for length in [&b"\x04\x80"[..], b"\x04\x85\0\0\0\0\x01", b"\x1f\x05"] {
            let (der, at) = changed(length);
            assert_eq!(refused(&der), u32::try_from(at).ok(), "{length:02x?}");
        }
    }

    #[test]
    fn a_nest_of_sequences_is_given_up() {
        let nest: Vec<u8> = (0..60_u8).rev().flat_map(|inner| [0x30, 2 * inner]).collect();
        assert_eq!(refused(&nest), Some(32));
    }

    #[test]
    fn the_root_of_aws_has_lengths_that_hold() {
        assert_eq!(lengths(TrustRoot::aws().der(), 0, 0), Ok(()));
    }
}
