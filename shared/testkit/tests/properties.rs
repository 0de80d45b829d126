//! What holds for every document: no bytes stop the verifier, no change to a good one is believed,
//! and what is remembered changes no answer.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

use std::{
    num::NonZeroUsize,
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};

use attestation::{
    CertificateId, Check, Document, Freshness, Nonce, Outcome, Policy, UserData, Verifier,
    cbor::Writer,
};
use proptest::prelude::*;
use rcgen::{KeyPair, SerialNumber};
use testkit::{
    chain::{Holder, Window, ca, new_key, set_window},
    forge::{self, Forger},
};

static FORGER: LazyLock<Forger> = LazyLock::new(|| {
    Forger::new(UNIX_EPOCH.checked_add(Duration::from_secs(1_787_140_800)).unwrap())
});

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| FORGER.good());

fn is_believed(document: &[u8]) -> bool {
    attestation::verify(document, &FORGER.policy(), FORGER.now()).is_ok()
}

/// Every bit of what the leaf's key signs or is about: envelope, fields, leaf certificate, signature.
/// Of the bundle one bit in each byte, because a change there costs a whole chain of signatures.
#[test]
fn pitfall_34_one_bit_anywhere_is_refused() {
    let bundle = FORGER.chain().bundle(FORGER.root());
    let place = |der: &Vec<u8>| GOOD.windows(der.len()).position(|bytes| bytes == der).unwrap();
    let (first, last) = (bundle.first().unwrap(), bundle.last().unwrap());
    let bundle = place(first)..place(last) + last.len();
    let masks = |at: usize| {
        let bits = if bundle.contains(&at) { at % 8..at % 8 + 1 } else { 0..8 };
        bits.map(|bit| 1_u8 << bit)
    };
    let bits: Vec<_> =
        (0..GOOD.len()).flat_map(|at| masks(at).map(move |mask| (at, mask))).collect();
    assert!(bits.len() > 10_000, "{} bits", bits.len());
    let (policy, verifier) = (FORGER.policy(), Verifier::new(NonZeroUsize::MIN));
    assert!(verifier.verify(&GOOD, &policy, FORGER.now()).is_ok());
    for (at, mask) in bits {
        let mut document = GOOD.clone();
        document[at] ^= mask;
        let verdict = verifier.verify(&document, &policy, FORGER.now());
        assert!(verdict.is_err(), "bit {mask:#b} of byte {at}");
    }
}

#[test]
fn pitfall_34_a_document_cut_anywhere_is_refused() {
    for length in 0..GOOD.len() {
        let refusal = attestation::verify(&GOOD[..length], &FORGER.policy(), FORGER.now());
        assert!(refusal.unwrap_err().check() <= Check::Envelope, "{length} bytes");
    }
}

#[test]
fn a_remembered_chain_changes_no_answer() {
    let verifier = Verifier::new(NonZeroUsize::new(4).unwrap());
    let policy = FORGER.policy();
    for _ in 0..2 {
        for forgery in forge::all() {
            let document = forgery.document(&FORGER);
            let plain = attestation::verify(&document, &policy, FORGER.now());
            assert_eq!(verifier.verify(&document, &policy, FORGER.now()), plain, "{forgery:?}");
        }
        let plain = attestation::verify(&GOOD, &policy, FORGER.now());
        assert_eq!(verifier.verify(&GOOD, &policy, FORGER.now()), plain);
    }
}

#[test]
fn a_chain_remembered_under_one_root_is_not_believed_under_another() {
    let verifier = Verifier::new(NonZeroUsize::new(4).unwrap());
    assert!(verifier.verify(&GOOD, &FORGER.policy(), FORGER.now()).is_ok());
    let root = Forger::new(FORGER.now()).root().trust().unwrap();
    let image = FORGER.image().clone();
    let other = Policy::new(root, image, FORGER.user_data(), Nonce::NotUsed);
    let refusal = verifier.verify(&GOOD, &other, FORGER.now());
    assert_eq!(refusal.unwrap_err().check(), Check::Chain);
}

#[test]
fn a_remembered_chain_does_not_stand_for_what_a_document_says() {
    let verifier = Verifier::new(NonZeroUsize::new(4).unwrap());
    assert!(verifier.verify(&GOOD, &FORGER.policy(), FORGER.now()).is_ok());
    let root = FORGER.root().trust().unwrap();
    let said = UserData::from([1; 32]);
    let policy = Policy::new(root, FORGER.image().clone(), said, Nonce::NotUsed);
    let refusal = verifier.verify(&GOOD, &policy, FORGER.now());
    assert_eq!(refusal.unwrap_err().check(), Check::UserData);
}

#[test]
fn each_check_of_a_refused_document_has_an_outcome() {
    for forgery in forge::all() {
        let document = forgery.document(&FORGER);
        let verdict = attestation::verify(&document, &FORGER.policy(), FORGER.now());
        for check in Check::ALL {
            let want = match check.cmp(&forgery.check()) {
                std::cmp::Ordering::Less => Outcome::Passed,
                std::cmp::Ordering::Equal => Outcome::Failed,
                std::cmp::Ordering::Greater => Outcome::NotReached,
            };
            assert_eq!(check.outcome(&verdict), want, "{forgery:?}: {check}");
        }
    }
}

#[test]
fn two_forgeries_of_one_name_there_are_none() {
    let mut names: Vec<_> = forge::all().map(|forgery| forgery.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// Names in a bundle cost nothing to write, so a document full of them must cost little to refuse.
#[test]
fn a_bundle_of_namesakes_is_refused() {
    let chain = FORGER.chain();
    let window = Window::around(FORGER.now(), Duration::from_secs(60), Duration::from_secs(60));
    let window = window.unwrap();
    let named = |name: &str| ca(name, None, window).unwrap();
    let root = FORGER.root().holder();
    let mut bundle = Vec::new();
    let impostor = Holder::self_issued(root.params().clone(), new_key().unwrap()).unwrap();
    let layers = ["a", "b", "c", "d", "e"];
    let mut above = vec![&impostor];
    let holders: Vec<_> =
        layers.map(|name| Holder::self_issued(named(name), new_key().unwrap()).unwrap()).into();
    above.extend(&holders);
    for (issuer, name) in above.iter().zip(layers) {
        for _ in 0..5 {
            bundle.push(issuer.issue(named(name), new_key().unwrap()).unwrap().der().to_vec());
        }
    }
    let leaf = above[layers.len()].issue(chain.leaf.params().clone(), new_key().unwrap()).unwrap();
    let document = FORGER.with_certificates(leaf.der(), &bundle, &leaf);
    assert!(document.len() <= attestation::DOCUMENT_LIMIT_BYTES, "{} bytes", document.len());
    let refusal = attestation::verify(&document, &FORGER.policy(), FORGER.now());
    assert_eq!(refusal.unwrap_err().check(), Check::Chain);
}

/// A second zonal certificate for the same name and key, each of the two valid for so many hours.
fn namesakes(hours: [u64; 2]) -> [Holder; 2] {
    let [regional, zonal, ..] = FORGER.chain().issuers.as_slice() else { panic!("three issuers") };
    let mut serial = 0x70;
    hours.map(|hours| {
        serial += 1;
        let (before, after) = (Duration::from_secs(60), Duration::from_secs(hours * 3600));
        let mut params = zonal.params().clone();
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        set_window(&mut params, Window::around(FORGER.now(), before, after).unwrap()).unwrap();
        regional.issue(params, KeyPair::try_from(zonal.key().serialized_der()).unwrap()).unwrap()
    })
}

/// The good document with both namesakes in the place of its zonal certificate.
fn document_with(namesakes: &[Holder; 2]) -> Vec<u8> {
    let (leaf, mut bundle) = (&FORGER.chain().leaf, FORGER.chain().bundle(FORGER.root()));
    bundle.splice(2..3, namesakes.iter().map(|holder| holder.der().to_vec()));
    FORGER.with_certificates(leaf.der(), &bundle, leaf)
}

#[test]
fn a_remembered_path_that_no_longer_holds_gives_way_to_another() {
    let forever = FORGER.policy().with_freshness(Freshness::new(Duration::MAX, Duration::MAX));
    let namesakes = namesakes([1, 2]);
    let id = |at: usize| CertificateId::of(namesakes[at].der()).unwrap();
    let document = document_with(&namesakes);
    let verifier = Verifier::new(NonZeroUsize::MIN);
    let verify = |policy: &Policy, hours: u64| {
        let now = FORGER.now() + Duration::from_secs(hours * 3600 + 1);
        verifier.verify(&document, policy, now).map(drop).map_err(|error| error.check())
    };
    assert_eq!(verify(&forever, 0), Ok(()));
    assert_eq!(verify(&forever.clone().without_certificate(id(0)), 0), Ok(()), "revoked");
    assert_eq!(verify(&forever.clone().without_certificate(id(1)), 0), Ok(()), "and the other");
    assert_eq!(verify(&forever, 1), Ok(()), "expired");
    let both = forever.without_certificate(id(0)).without_certificate(id(1));
    assert_eq!(verify(&both, 0), Err(Check::Revocation));
    assert_eq!(verify(&both, 2), Err(Check::Validity));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_remembered_path_of_several_changes_no_answer(
        hours in [1_u64..3, 1_u64..3],
        asked in proptest::collection::vec((0_u64..4, 0_usize..4), 2..5),
    ) {
        let namesakes = namesakes(hours);
        let document = document_with(&namesakes);
        let forever = FORGER.policy().with_freshness(Freshness::new(Duration::MAX, Duration::MAX));
        let verifier = Verifier::new(NonZeroUsize::MIN);
        for (half_hours, revoked) in asked {
            let now = FORGER.now() + Duration::from_secs(half_hours * 1800 + 1);
            let policy = namesakes.iter().enumerate().fold(forever.clone(), |policy, (at, holder)| {
                let id = CertificateId::of(holder.der()).unwrap();
                if revoked & (1 << at) == 0 { policy } else { policy.without_certificate(id) }
            });
            let plain = attestation::verify(&document, &policy, now).map(drop);
            prop_assert_eq!(verifier.verify(&document, &policy, now).map(drop), plain);
        }
    }
}

proptest! {
    #[test]
    fn pitfall_34_no_bytes_stop_the_verifier(document in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(!is_believed(&document));
    }

    #[test]
    fn pitfall_34_no_payload_stops_the_verifier(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let document = attestation::cose::encode(&payload, &[7; 96]);
        prop_assert!(!is_believed(&document));
    }

    #[test]
    fn pitfall_34_no_certificate_stops_the_verifier(at in 0_usize..500, byte: u8, bundle: bool) {
        let chain = FORGER.chain();
        let (mut leaf, mut others) = (chain.leaf.der().to_vec(), chain.bundle(FORGER.root()));
        let der = if bundle { &mut others[2] } else { &mut leaf };
        let at = at % der.len();
        prop_assume!(der[at] != byte);
        der[at] = byte;
        prop_assert!(!is_believed(&FORGER.with_certificates(&leaf, &others, &chain.leaf)));
    }

    #[test]
    fn a_document_is_read_whatever_the_order_of_its_fields(seed in any::<u64>()) {
        let document = FORGER.with_fields(|fields| fields.sort_by_key(|field| {
            field.0.bytes().fold(seed, |mix, byte| mix.rotate_left(7) ^ u64::from(byte).wrapping_mul(seed | 1))
        }));
        let read = Document::decode_unverified(&document);
        prop_assert_eq!(read, Document::decode_unverified(&GOOD));
        prop_assert!(is_believed(&document));
    }

    #[test]
    fn an_unknown_field_of_any_name_is_skipped(name in "[a-z]{1,12}[0-9]", value in any::<u64>()) {
        let document = FORGER.with_fields(|fields| {
            fields.push((name, Writer::new().unsigned(value).finish()));
        });
        prop_assert!(is_believed(&document));
    }
}
