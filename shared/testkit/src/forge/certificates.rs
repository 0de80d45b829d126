//! Faults in the encoding and algorithm of single certificates.

use attestation::{CertificateError, CertificatePosition, ChainError, VerifyError};
use rcgen::{
    CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P521_SHA384, PKCS_ED25519,
    PKCS_RSA_SHA384, PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey,
};

use super::{
    Forger, Forgery,
    error::malformed,
    path::{Place, build},
};
use crate::chain::Holder;

pub(super) const ALL: &[Forgery] = &[
    Forgery::new(
        "leaf that is no certificate",
        25,
        malformed(CertificatePosition::Leaf),
        |forger| leaf_of(b"certificate", forger),
    ),
    Forgery::new(
        "byte after the leaf certificate",
        14,
        malformed(CertificatePosition::Leaf),
        |forger| leaf_of(&[forger.chain().leaf.der(), &[0]].concat(), forger),
    ),
    Forgery::new(
        "byte after a certificate of the bundle",
        14,
        malformed(CertificatePosition::Bundle { index: 1 }),
        |forger| {
            let mut bundle = forger.chain().bundle(forger.root());
            bundle[1].push(0);
            bundle_of(&bundle, forger)
        },
    ),
    Forgery::new(
        "bundle with something else in it",
        25,
        malformed(CertificatePosition::Bundle { index: 4 }),
        |forger| {
            let mut bundle = forger.chain().bundle(forger.root());
            bundle.push(b"certificate".to_vec());
            bundle_of(&bundle, forger)
        },
    ),
    Forgery::new("byte after the public key", 14, leaf(CertificateError::Key), |forger| {
        let leaf = &forger.chain().leaf;
        let key = LongerKey([leaf.key().der_bytes(), &[0]].concat());
        let issuer = forger.chain().issuers.last().unwrap();
        let issuer = rcgen::Issuer::from_params(issuer.params(), issuer.key());
        leaf_of(leaf.params().signed_by(&key, &issuer).unwrap().der(), forger)
    }),
    Forgery::new(
        "byte inside the key's structure, behind the key",
        14,
        malformed(CertificatePosition::Leaf),
        |f| {
            let (leaf, point) = (&f.chain().leaf, f.chain().leaf.key().der_bytes());
            let (mut signed, algorithm) = signed_part(leaf.der());
            let point = signed.windows(point.len()).position(|bytes| bytes == point).unwrap();
            // NULL behind the bit string, counted by the structure and by the part around it.
            let key = point - SPKI_HEAD_BYTES;
            signed.splice(
                point + leaf.key().der_bytes().len()..point + leaf.key().der_bytes().len(),
                [0x05, 0x00],
            );
            signed[key + 1] += 2;
            let length = u16::from_be_bytes([signed[2], signed[3]]) + 2;
            signed[2..4].copy_from_slice(&length.to_be_bytes());
            leaf_of(&certificate(&signed, &algorithm, &[], f.chain().issuers.last().unwrap()), f)
        },
    ),
    Forgery::new(
        "byte after the signature of a certificate",
        14,
        VerifyError::Chain(ChainError::Signature),
        |forger| {
            let (signed, algorithm) = signed_part(forger.chain().leaf.der());
            let issuer = forger.chain().issuers.last().unwrap();
            leaf_of(&certificate(&signed, &algorithm, &[0], issuer), forger)
        },
    ),
    Forgery::new(
        "boolean that is neither true nor false",
        25,
        malformed(CertificatePosition::Leaf),
        |forger| patched_leaf(forger, &[0x01, 0x01, 0xff], &[0x01, 0x01, 0x01]),
    ),
    Forgery::new(
        "number with a zero too many",
        25,
        malformed(CertificatePosition::Leaf),
        |forger| patched_leaf(forger, SERIAL_DER, &[0x02, 0x04, 0x00, 0x12, 0x13, 0x14]),
    ),
    Forgery::new("time in month 13", 25, malformed(CertificatePosition::Leaf), |forger| {
        let month = utc_month(forger);
        patched_leaf(forger, &month, &[&month[..4], b"13"].concat())
    }),
    Forgery::new("time under another type", 25, malformed(CertificatePosition::Leaf), |forger| {
        let month = utc_month(forger);
        patched_leaf(forger, &month, &[&[0x16], &month[1..]].concat())
    }),
    Forgery::new(
        "DER length longer than need be",
        25,
        malformed(CertificatePosition::Leaf),
        |forger| patched_leaf(forger, SERIAL_DER, &[0x02, 0x81, 0x03, 0x12, 0x13, 0x14]),
    ),
    Forgery::new("bit string of no bytes", 25, malformed(CertificatePosition::Leaf), |forger| {
        let chain = build(forger, |place, params, _| {
            if place == Place::Leaf {
                params.key_usages.clear();
                let usage = CustomExtension::from_oid_content(KEY_USAGE, vec![0x03, 0x00]);
                params.custom_extensions.push(usage);
            }
        });
        forger.with_chain(&chain)
    }),
    Forgery::new("leaf key of P-256", 7, leaf(CertificateError::Key), |forger| {
        leaf_key(&PKCS_ECDSA_P256_SHA256, forger)
    }),
    Forgery::new("leaf key of P-521", 7, leaf(CertificateError::Key), |forger| {
        leaf_key(&PKCS_ECDSA_P521_SHA384, forger)
    }),
    Forgery::new("leaf key of RSA", 7, leaf(CertificateError::Key), |f| {
        leaf_key(&PKCS_RSA_SHA384, f)
    }),
    Forgery::new("leaf key of Ed25519", 7, leaf(CertificateError::Key), |f| {
        leaf_key(&PKCS_ED25519, f)
    }),
    Forgery::new(
        "leaf signed with SHA-256",
        7,
        leaf(CertificateError::SignatureAlgorithm),
        |forger| {
            let chain = build(forger, |place, _, key| {
                if place == Place::Instance {
                    *key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
                }
            });
            forger.with_chain(&chain)
        },
    ),
];

const fn leaf(reason: CertificateError) -> VerifyError {
    VerifyError::Certificate { position: CertificatePosition::Leaf, reason }
}

/// The good document with another leaf certificate for the same key.
fn leaf_of(der: &[u8], forger: &Forger) -> Vec<u8> {
    let chain = forger.chain();
    forger.with_certificates(der, &chain.bundle(forger.root()), &chain.leaf)
}

fn bundle_of(bundle: &[Vec<u8>], forger: &Forger) -> Vec<u8> {
    let leaf = &forger.chain().leaf;
    forger.with_certificates(leaf.der(), bundle, leaf)
}

/// A leaf with a key of another kind. The document is signed by the good leaf's, because only P-384
/// makes signatures of 96 bytes.
fn leaf_key(algorithm: &'static SignatureAlgorithm, forger: &Forger) -> Vec<u8> {
    let chain = build(forger, |place, _, key| {
        if place == Place::Leaf {
            *key = KeyPair::generate_for(algorithm).unwrap();
        }
    });
    let signer = &forger.chain().leaf;
    forger.with_certificates(chain.leaf.der(), &chain.bundle(forger.root()), signer)
}

/// A leaf in whose signed part the first `from` is `to`, certified by the leaf's issuer.
fn patched_leaf(forger: &Forger, from: &[u8], to: &[u8]) -> Vec<u8> {
    let issuer = forger.chain().issuers.last().unwrap();
    let mut params = forger.chain().leaf.params().clone();
    params.serial_number = Some(SerialNumber::from_slice(&SERIAL_DER[2..]));
    let leaf = issuer.issue(params, copy(forger.chain().leaf.key())).unwrap();
    let (mut signed, algorithm) = signed_part(leaf.der());
    let at = signed.windows(from.len()).position(|bytes| bytes == from).unwrap();
    signed[at..at + to.len()].copy_from_slice(to);
    leaf_of(&certificate(&signed, &algorithm, &[], issuer), forger)
}

/// The two parts of a certificate before its signature, each with its head.
fn signed_part(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let inside = &der[4..];
    let signed = 4 + usize::from(u16::from_be_bytes([inside[2], inside[3]]));
    let algorithm = 2 + usize::from(inside[signed + 1]);
    (inside[..signed].to_vec(), inside[signed..signed + algorithm].to_vec())
}

/// A certificate whose signature has more bytes behind it.
fn certificate(signed: &[u8], algorithm: &[u8], more: &[u8], issuer: &Holder) -> Vec<u8> {
    let signature = [&issuer.key().sign(signed).unwrap(), more].concat();
    let bits = u8::try_from(signature.len() + 1).unwrap();
    let bit_string = [&[0x03, bits, 0x00], signature.as_slice()].concat();
    let inside = [signed, algorithm, &bit_string].concat();
    let length = u16::try_from(inside.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82, length[0], length[1]], inside.as_slice()].concat()
}

/// The head, the year and the month of the leaf's first time.
fn utc_month(forger: &Forger) -> Vec<u8> {
    let der = forger.chain().leaf.der();
    let at = der.windows(2).position(|bytes| bytes == [0x17, 0x0d]).unwrap();
    der[at..at + 6].to_vec()
}

fn copy(key: &KeyPair) -> KeyPair {
    KeyPair::try_from(key.serialized_der()).unwrap()
}

/// A P-384 point with bytes behind it.
struct LongerKey(Vec<u8>);

impl PublicKeyData for LongerKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P384_SHA384
    }
}

/// A serial number as it stands in a certificate.
const SERIAL_DER: &[u8] = &[0x02, 0x04, 0x11, 0x12, 0x13, 0x14];

/// What stands before the point in the structure of a P-384 key: its head, the algorithm, and the head
/// of the bit string.
const SPKI_HEAD_BYTES: usize = 2 + 18 + 3;

/// RFC 5280, section 4.2.1.3.
const KEY_USAGE: &[u64] = &[2, 5, 29, 15];

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use rcgen::ExtendedKeyUsagePurpose;

    use super::*;

    #[test]
    fn a_leaf_may_have_any_extended_use() {
        let now = UNIX_EPOCH.checked_add(Duration::from_secs(1_787_140_800)).unwrap();
        let forger = Forger::new(now);
        let chain = build(&forger, |_, params, _| {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::CodeSigning);
        });
        let verified =
            attestation::verify(&forger.with_chain(&chain), &forger.policy(), now).unwrap();
        assert_eq!(verified.matched_set(), 0);
    }

    /// What is forged is good but for the fault: the same steps without one make a good document.
    #[test]
    fn certificates_made_anew_are_good() {
        let now = UNIX_EPOCH.checked_add(Duration::from_secs(1_787_140_800)).unwrap();
        let forger = Forger::new(now);
        let key = copy(forger.chain().leaf.key());
        let documents = [
            forger.good(),
            forger.with_chain(&build(&forger, |_, _, _| {})),
            patched_leaf(&forger, SERIAL_DER, SERIAL_DER),
            leaf_of(forger.chain().leaf.der(), &forger),
            bundle_of(&forger.chain().bundle(forger.root()), &forger),
        ];
        for document in documents {
            let verified = attestation::verify(&document, &forger.policy(), now);
            assert!(verified.is_ok(), "{verified:?}");
        }
        assert_eq!(key.public_key_raw(), forger.chain().leaf.key().public_key_raw());
    }
}
