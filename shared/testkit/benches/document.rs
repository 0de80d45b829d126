//! What verifying an attestation document costs beside the signatures it needs:
//! `cargo bench -p testkit --bench document`.
//!
//! | Row | Meaning | Goal |
//! |---|---|---|
//! | floor | the five P-384 signatures of a document, by aws-lc-rs alone | |
//! | cold | all checks, nothing remembered | at most 1.5 times the floor |
//! | cached | all checks, the chain remembered | at most 0.6 times cold |
//! | refused | a document of another image: refused before any signature | |
//!
//! The rows are measured in turn, so that what else the machine does meets all of them alike. Medians.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and what goes wrong has to stop it"
)]

use std::{
    hint::black_box,
    num::NonZeroUsize,
    time::{Duration, Instant, UNIX_EPOCH},
};

use attestation::{Verifier, cose::Sign1};
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, UnparsedPublicKey, VerificationAlgorithm,
};
use testkit::forge::Forger;
use x509_cert::der::{Decode, Encode};

/// One signature with all that it is verified with.
struct Signed {
    algorithm: &'static dyn VerificationAlgorithm,
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // As part of `cargo test` there is nothing to measure.
        return;
    }
    let forger = Forger::new(UNIX_EPOCH + Duration::from_secs(1_787_140_800));
    let (policy, now, document) = (forger.policy(), forger.now(), forger.good());
    let signatures = signatures(&forger, &document);
    let verifier = Verifier::new(NonZeroUsize::MIN);
    verifier.verify(&document, &policy, now).expect("it is good");
    let other_image = forger.with_payload(|payload| payload.pcrs[0].1 = [7; 48].into());

    let floor = || signatures.iter().for_each(Signed::verify);
    let cold = || drop(black_box(attestation::verify(&document, &policy, now).unwrap()));
    let cached = || drop(black_box(verifier.verify(&document, &policy, now).unwrap()));
    let refused = || assert!(black_box(attestation::verify(&other_image, &policy, now)).is_err());
    let rows: [&dyn Fn(); 4] = [&floor, &cold, &cached, &refused];
    let mut samples = [(); 4].map(|()| Vec::new());
    for _ in 0..ROUNDS {
        for (row, samples) in rows.iter().zip(&mut samples) {
            let start = Instant::now();
            row();
            samples.push(start.elapsed());
        }
    }
    let [floor, cold, cached, refused] = samples.map(median);
    println!("document of {} bytes, {ROUNDS} rounds", document.len());
    println!("{:<34}{floor:>10.1} us", "floor: five signatures");
    println!("{:<34}{cold:>10.1} us{:>8.3} of the floor (goal 1.5)", "cold", cold / floor);
    println!("{:<34}{cached:>10.1} us{:>8.3} of cold (goal 0.6)", "chain cached", cached / cold);
    println!("{:<34}{refused:>10.1} us", "refused: another image");
}

/// Those of the certificates below the root, and the document's own.
fn signatures(forger: &Forger, document: &[u8]) -> Vec<Signed> {
    let chain = forger.chain();
    let root = x509_cert::Certificate::from_der(forger.root().der()).unwrap();
    let issued = chain.issuers.iter().chain([&chain.leaf]);
    let issued = issued.map(|holder| x509_cert::Certificate::from_der(holder.der()).unwrap());
    let certificates: Vec<_> = std::iter::once(root).chain(issued).collect();
    let key = |certificate: &x509_cert::Certificate| {
        let info = &certificate.tbs_certificate.subject_public_key_info;
        info.subject_public_key.as_bytes().unwrap().to_vec()
    };
    let mut signatures: Vec<_> = certificates
        .windows(2)
        .map(|pair| Signed {
            algorithm: &ECDSA_P384_SHA384_ASN1,
            key: key(&pair[0]),
            message: pair[1].tbs_certificate.to_der().unwrap(),
            signature: pair[1].signature.as_bytes().unwrap().to_vec(),
        })
        .collect();
    let envelope = Sign1::decode(document).unwrap();
    signatures.push(Signed {
        algorithm: &ECDSA_P384_SHA384_FIXED,
        key: key(certificates.last().unwrap()),
        message: envelope.signed_bytes(),
        signature: envelope.signature().to_vec(),
    });
    assert_eq!(signatures.len(), 5);
    signatures
}

impl Signed {
    fn verify(&self) {
        let key = UnparsedPublicKey::new(self.algorithm, &self.key);
        key.verify(&self.message, &self.signature).expect("it is good");
    }
}

/// In microseconds.
fn median(mut samples: Vec<Duration>) -> f64 {
    samples.sort_unstable();
    samples[samples.len() / 2].as_secs_f64() * 1e6
}

const ROUNDS: usize = 2_000;
