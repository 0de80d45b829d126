//! What verifiers of Nitro documents are known to get wrong, each with documents that show it.
//!
//! More of the 34th, a panic on some input, is in `tests/properties.rs`.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

use std::{
    num::NonZeroUsize,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{
    AttestationRequest, Attestor, CertificateId, Challenge, Check, Document, Freshness,
    MeasurementSet, Measurements, MeasurementsError, Nonce, Pcr, Policy, TrustRoot, UserData,
    Verified, Verifier, VerifyError, cbor::Writer, cose,
};
use testkit::{
    chain::{Chain, TestRoot, Window, set_window},
    forge::{self, Forger},
    nsm::{MockNsm, measurements_of},
};

static FORGER: LazyLock<Forger> = LazyLock::new(|| {
    Forger::new(UNIX_EPOCH.checked_add(Duration::from_secs(1_787_140_800)).unwrap())
});

fn verify(document: &[u8], policy: &Policy) -> Result<Verified<Document>, VerifyError> {
    attestation::verify(document, policy, FORGER.now())
}

fn check_of(document: &[u8], policy: &Policy) -> Option<Check> {
    verify(document, policy).err().map(|error| error.check())
}

fn accepted(document: &[u8]) -> Document {
    verify(document, &FORGER.policy()).unwrap().into_inner()
}

fn later(by: Duration) -> SystemTime {
    FORGER.now().checked_add(by).unwrap()
}

/// Every forgery of a pitfall is refused with exactly the error it is about, with and without a cache
/// that knows the good chain.
fn refused(pitfall: u8) {
    let verifier = Verifier::new(NonZeroUsize::MIN);
    let policy = FORGER.policy();
    assert!(verifier.verify(&FORGER.good(), &policy, FORGER.now()).is_ok());
    let forgeries: Vec<_> = forge::all().filter(|forgery| forgery.pitfall == pitfall).collect();
    assert!(!forgeries.is_empty(), "nothing is forged for it");
    for forgery in forgeries {
        let document = forgery.document(&FORGER);
        let refusals =
            [verify(&document, &policy), verifier.verify(&document, &policy, FORGER.now())];
        for refusal in refusals.map(Result::unwrap_err) {
            assert!(forgery.is_refused_by(&refusal), "{}: {refusal:?}", forgery.name);
        }
    }
}

#[test]
fn every_pitfall_is_forged() {
    for pitfall in 1..=34 {
        assert!(forge::all().any(|forgery| forgery.pitfall == pitfall), "{pitfall}");
    }
    assert!(forge::all().all(|forgery| (1..=34).contains(&forgery.pitfall)));
}

#[test]
fn an_error_of_another_kind_or_place_is_not_the_expected() {
    for forgery in forge::all() {
        assert!(forgery.is_refused_by(&forgery.error), "{}", forgery.name);
        for other in forge::all().filter(|other| other.error != forgery.error) {
            assert!(!forgery.is_refused_by(&other.error), "{}: {}", forgery.name, other.name);
        }
    }
}

#[test]
fn pitfall_01_a_debug_enclave_matches_no_policy() {
    refused(1);
    let [zero, other] = [Pcr::ZERO, Pcr::from([1; 48])];
    assert!(Measurements::new(zero, zero, zero).is_err());
    assert!(Measurements::new(other, other, zero).is_err());
}

#[test]
fn pitfall_02_an_empty_or_missing_expectation_is_no_match() {
    refused(2);
    for json in ["{}", "null", r#"{"Measurements":{}}"#, r#"{"pcr0":null}"#] {
        assert!(Measurements::parse(json.as_bytes()).is_err(), "{json}");
    }
    let unsigned = measurements_of("forged").to_registry_json().replace('}', r#","pcr8":null}"#);
    assert!(Measurements::parse(unsigned.as_bytes()).is_err(), "{unsigned}");
}

#[test]
fn pitfall_03_the_root_in_the_bundle_is_not_trusted() {
    refused(3);
}

#[test]
fn pitfall_04_the_order_of_the_bundle_says_nothing() {
    refused(4);
    let chain = FORGER.chain();
    let good = chain.bundle(FORGER.root());
    let mut orders = vec![good.clone(), good.iter().rev().cloned().collect()];
    orders.push(vec![good[2].clone(), good[0].clone(), good[3].clone(), good[1].clone()]);
    orders.push(good[1..].to_vec());
    orders.push([good.clone(), good.clone()].concat());
    let stranger = Forger::new(FORGER.now());
    orders.push([stranger.chain().bundle(stranger.root()), good].concat());
    for bundle in orders {
        accepted(&FORGER.with_certificates(chain.leaf.der(), &bundle, &chain.leaf));
    }
}

#[test]
fn pitfall_05_the_root_is_pinned_by_the_hash_of_its_der() {
    refused(5);
    let pin = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b";
    assert_eq!(hex::encode(TrustRoot::aws().sha256()), pin);
    let policy =
        Policy::new(TrustRoot::aws(), FORGER.image().clone(), FORGER.user_data(), Nonce::NotUsed);
    assert_eq!(check_of(&FORGER.good(), &policy), Some(Check::Path));
}

#[test]
fn pitfall_06_a_policy_may_have_several_roots() {
    refused(6);
    accepted(&FORGER.good_of_partition());
    let image = FORGER.image().clone();
    let policy = Policy::new(TrustRoot::aws(), image, FORGER.user_data(), Nonce::NotUsed);
    let both = policy.clone().or_root(FORGER.root().trust().unwrap());
    assert!(verify(&FORGER.good(), &both).is_ok());
    assert_eq!(check_of(&FORGER.good_of_partition(), &both), Some(Check::Path));
    let neither = policy.or_root(Forger::new(FORGER.now()).root().trust().unwrap());
    assert_eq!(check_of(&FORGER.good(), &neither), Some(Check::Chain));
}

#[test]
fn pitfall_07_one_algorithm_in_header_leaf_and_chain() {
    refused(7);
}

#[test]
fn pitfall_08_the_unprotected_header_says_nothing() {
    refused(8);
}

#[test]
fn pitfall_09_the_payload_is_in_the_document() {
    refused(9);
}

#[test]
fn pitfall_10_the_payload_is_the_identity_not_the_signature() {
    refused(10);
    let good = FORGER.good();
    let mirrored = mirrored(&good);
    assert_ne!(good, mirrored);
    let [one, two] = [good, mirrored].map(|document| verify(&document, &FORGER.policy()).unwrap());
    assert_eq!(one.payload_sha256(), two.payload_sha256());
}

#[test]
fn pitfall_11_a_signature_has_96_bytes() {
    refused(11);
}

#[test]
fn pitfall_12_cbor_is_read_strictly() {
    refused(12);
    let tagged = [&[0xd2], FORGER.good().as_slice()].concat();
    accepted(&tagged);
}

#[test]
fn pitfall_13_the_signature_covers_the_received_bytes() {
    refused(13);
    accepted(&FORGER.with_fields(|fields| fields.reverse()));
    let zone = ("zone".to_owned(), Writer::new().text("a").finish());
    let document = FORGER.with_fields(|fields| fields.insert(3, zone));
    assert_eq!(accepted(&document).unknown_fields, 1);
}

#[test]
fn pitfall_14_nothing_follows_document_payload_certificate_or_key() {
    refused(14);
}

#[test]
fn pitfall_15_registers_are_a_set_of_indices() {
    refused(15);
    let sparse = accepted(&FORGER.good());
    assert_eq!(sparse.pcrs.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 8]);
    let full = FORGER.with_payload(|payload| {
        let more = (5..32).filter(|index| *index != 8).map(|index| (index, Pcr::ZERO));
        payload.pcrs.extend(more.collect::<Vec<_>>());
    });
    assert_eq!(accepted(&full).pcrs.len(), 32);
}

#[test]
fn pitfall_16_each_register_is_compared_for_what_it_is() {
    refused(16);
    let only_image = measurements_of("forged");
    let root = FORGER.root().trust().unwrap();
    let policy = Policy::new(root, only_image, FORGER.user_data(), Nonce::NotUsed);
    let elsewhere = forge::all().filter(|forgery| forgery.pitfall == 16);
    for forgery in elsewhere {
        assert!(verify(&forgery.document(&FORGER), &policy).is_ok(), "{}", forgery.name);
    }
}

#[test]
fn pitfall_17_an_unsigned_image_has_no_signer() {
    refused(17);
    let zero = measurements_of("forged").with_signer(Pcr::ZERO);
    assert_eq!(zero.unwrap_err().index, 8);
    assert!(FORGER.policy().with_signer(Pcr::ZERO).is_err());
    let json = measurements_of("forged").to_registry_json();
    let json = json.replace('}', &format!(r#","pcr8":"{}"}}"#, Pcr::ZERO));
    assert!(matches!(Measurements::parse(json.as_bytes()), Err(MeasurementsError::Zero(_))));
    let other = FORGER.policy().with_signer(Pcr::from([1; 48])).unwrap();
    assert_eq!(check_of(&FORGER.good(), &other), Some(Check::Measurements));
}

#[test]
fn pitfall_18_the_image_is_pcr0_pcr1_and_pcr2() {
    refused(18);
}

#[test]
fn pitfall_19_what_an_image_says_of_itself_is_not_read() {
    refused(19);
    let zeros = Pcr::ZERO;
    let described = format!(
        r#"{{"Metadata":{{"PCR0":"{zeros}","Measurements":{{"PCR0":"{zeros}"}}}},{}"#,
        measurements_of("forged").to_nitro_cli_json().trim_start_matches('{')
    );
    assert_eq!(Measurements::parse(described.as_bytes()), Ok(measurements_of("forged")));
}

#[test]
fn pitfall_20_a_document_is_fresh_by_its_time_and_its_nonce() {
    refused(20);
    let ahead = FORGER.with_payload(|payload| payload.timestamp_ms += 300_000);
    assert_eq!(check_of(&ahead, &FORGER.policy()), Some(Check::Freshness));
    let reference = FORGER.policy().with_freshness(Freshness::reference());
    assert!(verify(&ahead, &reference).is_ok());
}

#[test]
fn pitfall_21_time_is_the_verifiers() {
    refused(21);
}

#[test]
fn pitfall_22_an_archived_document_is_verified_at_its_own_time() {
    refused(22);
    let good = FORGER.good();
    let year = later(Duration::from_secs(365 * 24 * 60 * 60));
    let now = attestation::verify(&good, &FORGER.policy(), year);
    assert_eq!(now.unwrap_err().check(), Check::Freshness);
    let forever = Freshness::new(Duration::MAX, Duration::ZERO);
    let now = attestation::verify(&good, &FORGER.policy().with_freshness(forever), year);
    assert_eq!(now.unwrap_err().check(), Check::Validity);
    assert!(verify(&good, &FORGER.policy()).is_ok());
}

#[test]
fn pitfall_23_each_certificate_of_a_remembered_chain_is_looked_at_again() {
    refused(23);
    let forever = FORGER.policy().with_freshness(Freshness::new(Duration::MAX, Duration::MAX));
    let hours = |hours: u64| later(Duration::from_secs(hours * 60 * 60));
    for expiring in 0..4 {
        let mut chain = Chain::below(FORGER.root(), "i-23", FORGER.now()).unwrap();
        reissue(&mut chain, |depth, window| {
            window.until = if depth == expiring { hours(1) } else { hours(2) };
        });
        let document = FORGER.with_chain(&chain);
        let verifier = Verifier::new(NonZeroUsize::MIN);
        assert!(verifier.verify(&document, &forever, FORGER.now()).is_ok());
        assert!(verifier.verify(&document, &forever, hours(1)).is_ok());
        let late = hours(1).checked_add(Duration::from_millis(1)).unwrap();
        let refusal = verifier.verify(&document, &forever, late).unwrap_err();
        let want = attestation::ChainError::Expired { depth: expiring };
        assert_eq!(refusal, VerifyError::Chain(want));
        assert_eq!(Err(refusal), attestation::verify(&document, &forever, late));
        let early = FORGER.now().checked_sub(Duration::from_secs(3600)).unwrap();
        let refusal = verifier.verify(&document, &forever, early).unwrap_err();
        assert_eq!(refusal.check(), Check::Validity);
    }
}

#[test]
fn pitfall_23_the_root_of_a_remembered_chain_expires_too() {
    let forever = FORGER.policy().with_freshness(Freshness::new(Duration::MAX, Duration::MAX));
    let mut chain = Chain::below(FORGER.root(), "i-23", FORGER.now()).unwrap();
    let century = later(Duration::from_secs(100 * 365 * 24 * 60 * 60));
    reissue(&mut chain, |_, window| window.until = century);
    let document = FORGER.with_chain(&chain);
    let verifier = Verifier::new(NonZeroUsize::MIN);
    assert!(verifier.verify(&document, &forever, FORGER.now()).is_ok());
    let late = later(Duration::from_secs(31 * 365 * 24 * 60 * 60));
    let want = VerifyError::Chain(attestation::ChainError::Expired { depth: 4 });
    assert_eq!(verifier.verify(&document, &forever, late), Err(want));
    assert_eq!(attestation::verify(&document, &forever, late), Err(want));
}

#[test]
fn pitfall_24_constraints_uses_and_critical_extensions_are_kept() {
    refused(24);
}

#[test]
fn pitfall_25_certificates_are_der() {
    refused(25);
}

#[test]
fn pitfall_26_left_out_is_as_absent_as_null() {
    refused(26);
    let null = accepted(&FORGER.good());
    let left_out = FORGER.with_fields(|fields| fields.retain(|field| field.0 != "public_key"));
    assert_eq!(accepted(&left_out), null);
    assert_eq!(null.public_key, None);
}

#[test]
fn pitfall_27_fields_are_read_up_to_1024_bytes_and_written_up_to_512() {
    refused(27);
    let longest = FORGER.with_payload(|payload| payload.public_key = Some(vec![1; 1024]));
    assert_eq!(accepted(&longest).public_key.unwrap().len(), 1024);
    let image = FORGER.image().clone();
    let root = FORGER.root().trust().unwrap();
    let nonce = vec![1; 1024];
    let expected = Nonce::Expected(Challenge::try_from(nonce.as_slice()).unwrap());
    let policy = Policy::new(root, image, FORGER.user_data(), expected);
    let longest = FORGER.with_payload(|payload| payload.nonce = Some(nonce));
    assert!(verify(&longest, &policy).is_ok());
    assert!(AttestationRequest::new(&[1; 513]).is_err());
}

#[test]
fn pitfall_28_a_real_document_fits_the_limit() {
    refused(28);
    let captured = include_bytes!("../../attestation/tests/captured/eu-central-1.cose");
    assert!(check_of(captured, &FORGER.policy()) > Some(Check::Size));
    let full = FORGER.with_payload(|payload| {
        let more = (5..32).filter(|index| *index != 8).map(|index| (index, Pcr::ZERO));
        payload.pcrs.extend(more.collect::<Vec<_>>());
        payload.public_key = Some(vec![1; 1024]);
    });
    assert!(full.len() > 5_000, "{} bytes", full.len());
    accepted(&full);
    let room = attestation::DOCUMENT_LIMIT_BYTES - full.len() - 8;
    let padded = FORGER.with_fields(|fields| {
        fields.push(("pad".to_owned(), Writer::new().bytes(&vec![0; room]).finish()));
    });
    accepted(&padded);
}

#[test]
fn pitfall_29_user_data_is_compared_as_a_whole() {
    refused(29);
}

#[test]
fn pitfall_30_measurements_are_compared_as_bytes() {
    refused(30);
    let set = measurements_of("forged");
    for json in [set.to_registry_json(), set.to_nitro_cli_json()] {
        assert_eq!(Measurements::parse(json.to_uppercase().as_bytes()), Ok(set.clone()));
    }
}

#[test]
fn pitfall_31_callers_at_the_same_time_each_get_their_own_document() {
    refused(31);
    let root = TestRoot::generate(FORGER.now()).unwrap();
    let device = MockNsm::new(root, FORGER.image(), Arc::new(|| FORGER.now()));
    std::thread::scope(|scope| {
        for caller in 0..8_u8 {
            let device = &device;
            scope.spawn(move || {
                for round in 0..4 {
                    let said = UserData::from([caller * 4 + round; 32]);
                    let document = device.attest(&said.into()).unwrap();
                    let root = device.root().trust().unwrap();
                    let policy = Policy::new(root, FORGER.image().clone(), said, Nonce::NotUsed);
                    assert!(verify(&document, &policy).is_ok());
                }
            });
        }
    });
}

#[test]
fn pitfall_32_a_certificate_is_revoked_by_issuer_and_number() {
    refused(32);
    let zonal = CertificateId::of(FORGER.chain().issuers[1].der()).unwrap();
    let verifier = Verifier::new(NonZeroUsize::MIN);
    assert!(verifier.verify(&FORGER.good(), &FORGER.policy(), FORGER.now()).is_ok());
    let policy = FORGER.policy().without_certificate(zonal);
    let refusal = verifier.verify(&FORGER.good(), &policy, FORGER.now()).unwrap_err();
    assert_eq!(refusal.check(), Check::Revocation, "a remembered chain is not above it");
}

#[test]
fn pitfall_33_every_check_refuses_something_under_any_policy() {
    refused(33);
    let [image, said] = [FORGER.image(), &measurements_of("another")];
    let root = || FORGER.root().trust().unwrap();
    let laxest = Policy::new(root(), image.clone(), FORGER.user_data(), Nonce::NotUsed)
        .or_measurements(MeasurementSet::from(said.clone()))
        .or_root(FORGER.roots()[1].clone())
        .or_root(TrustRoot::aws())
        .with_freshness(Freshness::new(Duration::MAX, Duration::MAX));
    let by_choice = [Check::Freshness, Check::Nonce, Check::Revocation];
    for check in Check::ALL {
        let mut forgeries = forge::all().filter(|forgery| forgery.check() == check).peekable();
        assert!(forgeries.peek().is_some(), "nothing is forged for {check}");
        for forgery in forgeries.filter(|_| !by_choice.contains(&check)) {
            let document = forgery.document(&FORGER);
            assert_eq!(check_of(&document, &laxest), Some(check), "{}", forgery.name);
        }
    }
}

#[test]
fn pitfall_34_a_refusal_is_an_error_and_never_a_panic() {
    refused(34);
}

#[test]
fn a_verified_document_tells_which_measurements_agreed() {
    let other = || MeasurementSet::from(measurements_of("another"));
    let root = FORGER.root().trust().unwrap();
    let mut policy =
        Policy::new(root, measurements_of("a third"), FORGER.user_data(), Nonce::NotUsed)
            .or_measurements(other());
    policy = policy.or_measurements(FORGER.image().clone()).or_measurements(other());
    assert_eq!(verify(&FORGER.good(), &policy).unwrap().matched_set(), 2);
}

#[test]
fn the_good_document_is_good() {
    let verified = verify(&FORGER.good(), &FORGER.policy()).unwrap();
    assert_eq!(verified.get().user_data.as_deref(), Some(FORGER.user_data().as_bytes().as_slice()));
    assert_eq!(UserData::from([0x5a; 32]), FORGER.user_data());
}

/// The document with `s` replaced by the order of P-384 less `s`.
fn mirrored(document: &[u8]) -> Vec<u8> {
    let order = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
                 581a0db248b0a77aecec196accc52973";
    let mut difference = hex::decode(order).unwrap();
    let (head, s) = document.split_at(document.len() - 48);
    let mut borrow = 0_u16;
    for (digit, less) in difference.iter_mut().zip(s).rev() {
        let value = 256 + u16::from(*digit) - u16::from(*less) - borrow;
        borrow = u16::from(value < 256);
        *digit = u8::try_from(value % 256).unwrap();
    }
    let document = [head, &difference].concat();
    assert!(cose::Sign1::decode(&document).is_ok());
    document
}

/// Issues the chain again with other times; depth 0 is the leaf.
fn reissue(chain: &mut Chain, change: impl Fn(usize, &mut Window)) {
    let window = |depth| {
        let from = FORGER.now().checked_sub(Duration::from_secs(60)).unwrap();
        let mut window = Window { from, until: from };
        change(depth, &mut window);
        window
    };
    let key = || testkit::chain::new_key().unwrap();
    let depth = chain.issuers.len();
    for index in 0..depth {
        let mut params = chain.issuers[index].params().clone();
        set_window(&mut params, window(depth - index)).unwrap();
        let above = index.checked_sub(1).map_or(FORGER.root().holder(), |up| &chain.issuers[up]);
        chain.issuers[index] = above.issue(params, key()).unwrap();
    }
    let mut params = chain.leaf.params().clone();
    set_window(&mut params, window(0)).unwrap();
    chain.leaf = chain.issuers[depth - 1].issue(params, key()).unwrap();
}
