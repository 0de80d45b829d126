//! Attestation documents: raw bytes, and a good document with changes that keep its form.
//!
//! Holds: at any time, what is believed is a payload that somebody below the root signed; a verifier
//! with a memory answers as one without; what is refused has a check that failed.
//!
//! Memory: 64 times. A certificate may be there eight times: in the list, in the payload and in the
//! document, of which the latter two take three times that while they grow.

#![no_main]

use std::{num::NonZeroUsize, sync::LazyLock, time::Duration};

use attestation::{
    Check, Document, Outcome, Verifier,
    cose::{self, Sign1},
};
use fuzz::{
    Bound, Input,
    known::document::{GOOD, Known},
};
use testkit::nsm::Payload;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (known, verifier) = (&*GOOD, &*VERIFIER);
    BOUND.hold(input, || target(known, verifier, Input::new(input)));
});

fn target(known: &Known, verifier: &Verifier, mut input: Input<'_>) {
    let changed = input.below(2) == 1;
    let seconds = i32::from_le_bytes(input.array());
    let span = Duration::from_secs(seconds.unsigned_abs().into());
    let now = if seconds < 0 { known.now.checked_sub(span) } else { known.now.checked_add(span) };
    let Some(now) = now else { return };
    let document = if changed { change(known, &mut input) } else { input.rest().to_vec() };

    let plain = attestation::verify(&document, &known.policy, now);
    assert_eq!(verifier.verify(&document, &known.policy, now), plain);
    let read = Document::decode_unverified(&document);
    match &plain {
        Ok(verified) => {
            let payload = Sign1::decode(&document).expect("it was verified").payload().to_vec();
            assert!(known.signed.contains(&payload), "nobody signed this");
            assert_eq!(read.as_ref(), Ok(verified.get()));
        }
        Err(error) => {
            assert_eq!(error.check().outcome(&plain), Outcome::Failed);
            assert_eq!(read.is_ok(), error.check() > Check::Payload);
            assert!(error.to_string().len() < 400, "{error}");
        }
    }
}

/// The good document with changes that leave its CBOR whole. The signature stays as it was.
fn change(known: &Known, input: &mut Input<'_>) -> Vec<u8> {
    let document = Document::decode_unverified(&known.bytes).expect("it is good");
    let since_epoch = document.timestamp.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut certificates = document.cabundle;
    certificates.push(document.certificate);
    let mut payload = Payload {
        module_id: document.module_id,
        timestamp_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
        pcrs: document.pcrs.into_iter().collect(),
        user_data: document.user_data,
        nonce: document.nonce,
        public_key: document.public_key,
    };
    while !input.is_empty() {
        let at = input.below(certificates.len());
        match input.below(10) {
            0 => certificates[at] = input.piece().to_vec(),
            1 => {
                let position = usize::from(u16::from_le_bytes(input.array()));
                if let Some(byte) = certificates[at].get_mut(position) {
                    *byte = input.byte();
                }
            }
            2 => {
                let position = usize::from(u16::from_le_bytes(input.array()));
                let position = position.min(certificates[at].len());
                certificates[at].splice(position..position, input.piece().iter().copied());
            }
            3 => certificates.truncate(at + 1),
            4 => {
                let copy = certificates[input.below(certificates.len())].clone();
                certificates.insert(at, copy);
                certificates.truncate(MOST_CERTIFICATES);
            }
            5 => {
                let other = input.below(certificates.len());
                certificates.swap(at, other);
            }
            6 => payload.timestamp_ms = u64::from_le_bytes(input.array()),
            7 => payload.user_data = Some(input.piece().to_vec()),
            8 => payload.public_key = Some(input.piece().to_vec()),
            _ => payload.pcrs.push((input.byte(), input.array::<48>().into())),
        }
    }
    let leaf = certificates.pop().unwrap_or_default();
    let signature = Sign1::decode(&known.bytes).expect("it is good").signature();
    cose::encode(&payload.encode(&leaf, &certificates), signature)
}

static VERIFIER: LazyLock<Verifier> =
    LazyLock::new(|| Verifier::new(NonZeroUsize::new(4).unwrap_or(NonZeroUsize::MIN)));

/// A copy of a long one takes three bytes of the input.
const MOST_CERTIFICATES: usize = 8;

const BOUND: Bound = Bound { times: 64, plus: 256 * 1024 };
