//! Faults at the top of a chain: whom it leads to.

use attestation::{ChainError, VerifyError};
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyUsagePurpose};

use super::{
    Forger, Forgery,
    path::{around, below, key},
};
use crate::chain::{Holder, ca};

pub(super) const ALL: &[Forgery] = &[
    Forgery::new(
        "chain to a root of its own",
        3,
        VerifyError::Chain(ChainError::NoPath),
        |forger| below(&root_named("another root", forger), forger),
    ),
    Forgery::new(
        "chain to a root of its own with the name of ours",
        3,
        VerifyError::Chain(ChainError::Signature),
        |forger| {
            let params = forger.root().holder().params().clone();
            below(&self_issued(params), forger)
        },
    ),
    Forgery::new(
        "root with the name of AWS's and another hash",
        5,
        VerifyError::Chain(ChainError::Signature),
        |forger| {
            let mut params = ca("", None, around(forger.now())).unwrap();
            params.distinguished_name = name_of_aws();
            below(&self_issued(params), forger)
        },
    ),
    Forgery::new(
        "root of no partition that is trusted",
        6,
        VerifyError::Chain(ChainError::NoPath),
        |forger| below(&root_named("test.third-partition", forger), forger),
    ),
    Forgery::new(
        "root of one partition with the name of another's",
        6,
        VerifyError::Chain(ChainError::Signature),
        |forger| {
            let params = forger.partition.params().clone();
            below(&self_issued(params), forger)
        },
    ),
    Forgery::new(
        "issuer of one partition under the root of another",
        6,
        VerifyError::Chain(ChainError::NoPath),
        |forger| {
            let chain = forger.chain();
            let mut bundle = chain.bundle(forger.root());
            bundle[0] = forger.partition.der().to_vec();
            bundle.remove(1);
            forger.with_certificates(chain.leaf.der(), &bundle, &chain.leaf)
        },
    ),
    Forgery::new(
        "leaf that certifies itself",
        33,
        VerifyError::Chain(ChainError::NoPath),
        |forger| {
            let mut params = forger.chain().leaf.params().clone();
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            let leaf = self_issued(params);
            forger.with_certificates(leaf.der(), &[leaf.der().to_vec()], &leaf)
        },
    ),
];

fn root_named(name: &str, forger: &Forger) -> Holder {
    self_issued(ca(name, None, around(forger.now())).unwrap())
}

fn self_issued(params: CertificateParams) -> Holder {
    Holder::self_issued(params, key()).unwrap()
}

/// `C=US, O=Amazon, OU=AWS, CN=aws.nitro-enclaves`, encoded as AWS has it.
fn name_of_aws() -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, DnValue::PrintableString("US".try_into().unwrap()));
    name.push(DnType::OrganizationName, "Amazon");
    name.push(DnType::OrganizationalUnitName, "AWS");
    name.push(DnType::CommonName, "aws.nitro-enclaves");
    name
}
