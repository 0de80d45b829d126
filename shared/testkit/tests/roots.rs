//! Which certificates may be roots, and how paths to them are chosen.
#![expect(clippy::unwrap_used, reason = "a test that stops has failed")]

use std::{
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};

use attestation::{CertificateError, ChainError, Nonce, Policy, RootError, TrustRoot, VerifyError};
use rcgen::{IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use testkit::{
    chain::{Holder, Window, ca, leaf, new_key, set_window},
    forge::Forger,
};

static FORGER: LazyLock<Forger> = LazyLock::new(|| {
    Forger::new(UNIX_EPOCH.checked_add(Duration::from_secs(1_787_140_800)).unwrap())
});

const HOUR: Duration = Duration::from_secs(60 * 60);

fn window() -> Window {
    Window::around(FORGER.now(), HOUR, HOUR).unwrap()
}

fn verdict(document: &[u8], root: &[u8]) -> Result<(), VerifyError> {
    let root = TrustRoot::dangerous_from_der(root).unwrap();
    let policy = Policy::new(root, FORGER.image().clone(), FORGER.user_data(), Nonce::NotUsed);
    attestation::verify(document, &policy, FORGER.now()).map(|_| ())
}

#[test]
fn a_certificate_that_may_not_issue_is_no_root() {
    let refusal = TrustRoot::dangerous_from_der(FORGER.chain().leaf.der());
    assert_eq!(refusal, Err(RootError::NotCa));
    let mut params = ca("root", None, window()).unwrap();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let root = Holder::self_issued(params, new_key().unwrap()).unwrap();
    assert_eq!(TrustRoot::dangerous_from_der(root.der()), Err(RootError::NotCa));
    let mut params = ca("root", None, window()).unwrap();
    params.is_ca = IsCa::NoCa;
    let root = Holder::self_issued(params, new_key().unwrap()).unwrap();
    assert_eq!(TrustRoot::dangerous_from_der(root.der()), Err(RootError::NotCa));
}

#[test]
fn roots_are_equal_where_their_certificates_are() {
    let [own, partition, aws] = FORGER.roots();
    assert_eq!(TrustRoot::dangerous_from_der(own.der()), Ok(own.clone()));
    assert_ne!(own, partition);
    assert_ne!(own, aws);
}

#[test]
fn a_certificate_of_another_curve_is_no_root() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let root = Holder::self_issued(ca("root", None, window()).unwrap(), key).unwrap();
    let refusal = TrustRoot::dangerous_from_der(root.der());
    assert_eq!(refusal, Err(RootError::Certificate(CertificateError::Key)));
}

#[test]
fn an_issuer_can_be_the_root() {
    for issuer in &FORGER.chain().issuers {
        assert_eq!(verdict(&FORGER.good(), issuer.der()), Ok(()));
    }
}

#[test]
fn a_root_allows_no_more_issuers_than_it_says() {
    for (path_length, want) in [(0, Err(ChainError::PathLength.into())), (1, Ok(()))] {
        let params = ca("short root", Some(path_length), window()).unwrap();
        let root = Holder::self_issued(params, new_key().unwrap()).unwrap();
        let issuer = ca("issuer", None, window()).unwrap();
        let issuer = root.issue(issuer, new_key().unwrap()).unwrap();
        let leaf = issuer.issue(leaf("i", window()).unwrap(), new_key().unwrap()).unwrap();
        let document = FORGER.with_certificates(leaf.der(), &[issuer.der().to_vec()], &leaf);
        assert_eq!(verdict(&document, root.der()), want);
    }
}

#[test]
fn a_root_holds_only_within_its_time() {
    let minute = Duration::from_secs(60);
    let past = Window { until: FORGER.now().checked_sub(minute).unwrap(), ..window() };
    let future = Window { from: FORGER.now().checked_add(minute).unwrap(), ..window() };
    for (window, want) in
        [(past, ChainError::Expired { depth: 4 }), (future, ChainError::NotYetValid { depth: 4 })]
    {
        let mut params = FORGER.root().holder().params().clone();
        set_window(&mut params, window).unwrap();
        let key = KeyPair::try_from(FORGER.root().key_der()).unwrap();
        let root = Holder::self_issued(params, key).unwrap();
        assert_eq!(verdict(&FORGER.good(), root.der()), Err(want.into()));
    }
}

#[test]
fn a_namesake_in_the_bundle_does_no_harm() {
    let chain = FORGER.chain();
    let [regional, zonal, ..] = chain.issuers.as_slice() else { panic!("three issuers") };
    let mut old = zonal.params().clone();
    let until = FORGER.now().checked_sub(Duration::from_secs(60)).unwrap();
    set_window(&mut old, Window { until, ..window() }).unwrap();
    let impostor = Holder::self_issued(regional.params().clone(), new_key().unwrap()).unwrap();
    let namesakes = [
        regional.issue(old, new_key().unwrap()).unwrap(),
        impostor.issue(zonal.params().clone(), new_key().unwrap()).unwrap(),
        impostor,
    ];
    let namesakes: Vec<_> = namesakes.iter().map(|holder| holder.der().to_vec()).collect();
    let good = chain.bundle(FORGER.root());
    for bundle in [[namesakes.clone(), good.clone()].concat(), [good, namesakes].concat()] {
        let document = FORGER.with_certificates(chain.leaf.der(), &bundle, &chain.leaf);
        assert_eq!(verdict(&document, FORGER.root().der()), Ok(()));
    }
}

#[test]
fn of_paths_that_all_fail_the_one_that_got_furthest_is_reported() {
    let chain = FORGER.chain();
    let [regional, zonal, instance] = chain.issuers.as_slice() else { panic!("three issuers") };
    let until = FORGER.now().checked_sub(Duration::from_secs(60)).unwrap();
    let mut old = zonal.params().clone();
    set_window(&mut old, Window { until, ..window() }).unwrap();
    let expired = regional.issue(old, new_key().unwrap()).unwrap();
    let unsigned = Holder::self_issued(regional.params().clone(), new_key().unwrap()).unwrap();
    let unsigned = unsigned.issue(zonal.params().clone(), new_key().unwrap()).unwrap();
    let others = [&expired, &unsigned, regional, instance].map(|holder| holder.der().to_vec());
    let mut bundle = others.to_vec();
    for _ in 0..2 {
        let document = FORGER.with_certificates(chain.leaf.der(), &bundle, &chain.leaf);
        let refusal = verdict(&document, FORGER.root().der());
        assert_eq!(refusal, Err(ChainError::Signature.into()));
        bundle.reverse();
    }
}
