//! Faults between certificates: roots, names, times, uses, constraints, signatures.

use std::time::{Duration, SystemTime};

use attestation::{ChainError, VerifyError};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, GeneralSubtree, IsCa, KeyPair,
    KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};

use super::{Forger, Forgery, HOUR, milliseconds};
use crate::chain::{Chain, Holder, TestRoot, Window, ca, new_key, set_window};

pub(super) const ALL: &[Forgery] = &[
    Forgery::new(
        "bundle without one of the issuers",
        4,
        VerifyError::Chain(ChainError::NoPath),
        |forger| {
            let chain = forger.chain();
            let mut bundle = chain.bundle(forger.root());
            bundle.remove(2);
            forger.with_certificates(chain.leaf.der(), &bundle, &chain.leaf)
        },
    ),
    Forgery::new("bundle of the root alone", 3, VerifyError::Chain(ChainError::NoPath), |forger| {
        let leaf = &forger.chain().leaf;
        forger.with_certificates(leaf.der(), &[forger.root().der().to_vec()], leaf)
    }),
    Forgery::new("expired leaf", 22, VerifyError::Chain(ChainError::Expired { depth: 0 }), |f| {
        expired(Place::Leaf, f)
    }),
    Forgery::new(
        "expired instance certificate",
        23,
        VerifyError::Chain(ChainError::Expired { depth: 1 }),
        |forger| expired(Place::Instance, forger),
    ),
    Forgery::new(
        "expired zonal certificate",
        23,
        VerifyError::Chain(ChainError::Expired { depth: 2 }),
        |f| expired(Place::Zonal, f),
    ),
    Forgery::new(
        "expired regional certificate",
        23,
        VerifyError::Chain(ChainError::Expired { depth: 3 }),
        |forger| expired(Place::Regional, forger),
    ),
    Forgery::new(
        "leaf of the future",
        21,
        VerifyError::Chain(ChainError::NotYetValid { depth: 0 }),
        |forger| {
            let from = forger.now().checked_add(Duration::from_secs(1)).unwrap();
            let until = forger.now().checked_add(HOUR).unwrap();
            valid(Place::Leaf, Window { from, until }, forger)
        },
    ),
    Forgery::new(
        "leaf that held by the enclave's clock only",
        21,
        VerifyError::Chain(ChainError::Expired { depth: 0 }),
        |forger| {
            let until = forger.now().checked_sub(Duration::from_secs(100)).unwrap();
            let from = until.checked_sub(HOUR).unwrap();
            let chain = build(forger, |place, params, _| {
                if place == Place::Leaf {
                    set_window(params, Window { from, until }).unwrap();
                }
            });
            let mut payload = forger.payload();
            payload.timestamp_ms = milliseconds(until).saturating_sub(100_000);
            let fields = payload.fields(chain.leaf.der(), &chain.bundle(forger.root()));
            super::Draft { fields: super::owned(fields), signer: &chain.leaf }.sign()
        },
    ),
    Forgery::new(
        "revoked certificate in other bytes",
        32,
        VerifyError::Chain(ChainError::Revoked { depth: 2 }),
        |forger| {
            change(Place::Zonal, forger, |params| params.serial_number = Some(revoked_serial()))
        },
    ),
    Forgery::new(
        "leaf not for signing",
        24,
        VerifyError::Chain(ChainError::KeyUsage { depth: 0 }),
        |forger| {
            change(Place::Leaf, forger, |params| {
                params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
            })
        },
    ),
    Forgery::new(
        "leaf for no use",
        24,
        VerifyError::Chain(ChainError::KeyUsage { depth: 0 }),
        |forger| change(Place::Leaf, forger, |params| params.key_usages.clear()),
    ),
    Forgery::new(
        "issuer not for certificates",
        24,
        VerifyError::Chain(ChainError::KeyUsage { depth: 2 }),
        |forger| {
            change(Place::Zonal, forger, |params| {
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            })
        },
    ),
    Forgery::new(
        "issuer for no use",
        24,
        VerifyError::Chain(ChainError::KeyUsage { depth: 1 }),
        |forger| change(Place::Instance, forger, |params| params.key_usages.clear()),
    ),
    Forgery::new(
        "issuer that is no CA",
        24,
        VerifyError::Chain(ChainError::BasicConstraints),
        |forger| change(Place::Zonal, forger, |params| params.is_ca = IsCa::ExplicitNoCa),
    ),
    Forgery::new(
        "issuer that does not say it is a CA",
        24,
        VerifyError::Chain(ChainError::BasicConstraints),
        |forger| change(Place::Instance, forger, |params| params.is_ca = IsCa::NoCa),
    ),
    Forgery::new(
        "leaf that is a CA",
        24,
        VerifyError::Chain(ChainError::BasicConstraints),
        |forger| {
            let is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            change(Place::Leaf, forger, |params| params.is_ca = is_ca)
        },
    ),
    Forgery::new(
        "more issuers than one allows",
        24,
        VerifyError::Chain(ChainError::PathLength),
        |forger| {
            let mut chain = build(forger, |_, _, _| {});
            let params = ca("one more", None, around(forger.now())).unwrap();
            let extra = chain.issuers.last().unwrap().issue(params, key()).unwrap();
            let leaf = extra.issue(chain.leaf.params().clone(), key()).unwrap();
            chain.issuers.push(extra);
            forger.with_chain(&Chain { leaf, ..chain })
        },
    ),
    Forgery::new(
        "unknown critical extension in the leaf",
        24,
        VerifyError::Chain(ChainError::CriticalExtension),
        |forger| change(Place::Leaf, forger, unknown_critical),
    ),
    Forgery::new(
        "unknown critical extension in an issuer",
        24,
        VerifyError::Chain(ChainError::CriticalExtension),
        |forger| change(Place::Regional, forger, unknown_critical),
    ),
    Forgery::new(
        "leaf with a use that cannot be read",
        24,
        VerifyError::Chain(ChainError::Rejected),
        |forger| {
            // NULL where the name of a use has to stand.
            let uses = CustomExtension::from_oid_content(EXTENDED_KEY_USAGE, vec![0x30, 2, 5, 0]);
            change(Place::Leaf, forger, |params| params.custom_extensions.push(uses.clone()))
        },
    ),
    Forgery::new(
        "leaf outside of the names its issuer may name",
        24,
        VerifyError::Chain(ChainError::Rejected),
        |forger| {
            let chain = build(forger, |place, params, _| match place {
                Place::Zonal => {
                    let permitted = GeneralSubtree::DnsName("enclaves.example".to_owned());
                    let permitted_subtrees = vec![permitted];
                    params.name_constraints =
                        Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
                }
                Place::Leaf => {
                    let name = "enclave.other.example".try_into().unwrap();
                    params.subject_alt_names = vec![SanType::DnsName(name)];
                }
                Place::Regional | Place::Instance => {}
            });
            forger.with_chain(&chain)
        },
    ),
    Forgery::new("issuer of P-256", 7, VerifyError::Chain(ChainError::Algorithm), |forger| {
        let chain = build(forger, |place, _, key| {
            if place == Place::Zonal {
                *key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
            }
        });
        forger.with_chain(&chain)
    }),
    Forgery::new(
        "leaf signed by another of its issuer's name",
        3,
        VerifyError::Chain(ChainError::Signature),
        |forger| {
            let chain = forger.chain();
            let params = chain.issuers.last().unwrap().params().clone();
            let impostor = Holder::self_issued(params, key()).unwrap();
            let leaf = impostor.issue(chain.leaf.params().clone(), key()).unwrap();
            forger.with_certificates(leaf.der(), &chain.bundle(forger.root()), &leaf)
        },
    ),
];

/// Where in the chain a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Regional,
    Zonal,
    Instance,
    Leaf,
}

/// The enclave's chain made anew, with each certificate's contents and key changed first.
pub(super) fn build(
    forger: &Forger,
    mut change: impl FnMut(Place, &mut CertificateParams, &mut KeyPair),
) -> Chain {
    build_below(forger.root().holder(), forger, &mut change)
}

fn build_below(
    root: &Holder,
    forger: &Forger,
    change: &mut dyn FnMut(Place, &mut CertificateParams, &mut KeyPair),
) -> Chain {
    let mut issue = |above: &Holder, place: Place, like: &Holder| {
        let (mut params, mut key) = (like.params().clone(), key());
        change(place, &mut params, &mut key);
        above.issue(params, key).unwrap()
    };
    let mut issuers: Vec<Holder> = Vec::new();
    let places = [Place::Regional, Place::Zonal, Place::Instance];
    for (place, like) in places.into_iter().zip(&forger.chain().issuers) {
        let issuer = issue(issuers.last().unwrap_or(root), place, like);
        issuers.push(issuer);
    }
    let leaf = issue(issuers.last().unwrap(), Place::Leaf, &forger.chain().leaf);
    Chain { issuers, leaf }
}

/// A document under a root of the forger's own, which is in the bundle.
pub(super) fn below(root: &Holder, forger: &Forger) -> Vec<u8> {
    let chain = build_below(root, forger, &mut |_, _, _| {});
    let mut bundle = chain.bundle(forger.root());
    bundle[0] = root.der().to_vec();
    forger.with_certificates(chain.leaf.der(), &bundle, &chain.leaf)
}

fn change(at: Place, forger: &Forger, to: impl Fn(&mut CertificateParams)) -> Vec<u8> {
    let chain = build(forger, |place, params, _| {
        if place == at {
            to(params);
        }
    });
    forger.with_chain(&chain)
}

fn valid(at: Place, window: Window, forger: &Forger) -> Vec<u8> {
    change(at, forger, |params| set_window(params, window).unwrap())
}

fn expired(at: Place, forger: &Forger) -> Vec<u8> {
    let until = forger.now().checked_sub(Duration::from_secs(1)).unwrap();
    let from = until.checked_sub(HOUR).unwrap();
    valid(at, Window { from, until }, forger)
}

fn unknown_critical(params: &mut CertificateParams) {
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0x05, 0x00]);
    extension.set_criticality(true);
    params.custom_extensions.push(extension);
}

/// A zonal certificate with the number that the policy revokes.
pub(super) fn revoked(root: &TestRoot, now: SystemTime) -> Holder {
    let chain = Chain::below(root, "revoked", now).unwrap();
    let [regional, zonal, _] = chain.issuers.as_slice() else { panic!("three issuers") };
    let mut params = zonal.params().clone();
    params.serial_number = Some(revoked_serial());
    regional.issue(params, key()).unwrap()
}

/// RFC 5280, section 4.2.1.12.
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];

fn revoked_serial() -> SerialNumber {
    SerialNumber::from_slice(&[0x52, 0x45, 0x56])
}

pub(super) fn around(now: SystemTime) -> Window {
    Window::around(now, HOUR, HOUR).unwrap()
}

pub(super) fn key() -> KeyPair {
    new_key().unwrap()
}
