//! Signatures of committees, signatures of OCR signers, and the attestation of capability answers.
//!
//! Holds: a key is the same from its bytes and from its text; no key of the committee verifies what it
//! did not sign; an address that is recovered verifies this digest and no other; an answer that verifies
//! has F + 1 signatures, and verifies once encoded again.
//!
//! Memory: `proto::EXPANSION` for the answer that is read and for the one that is
//! read again, and 32 for the canonical form that comes before each.

#![no_main]

use crypto::{
    address::Address,
    ocr as signature,
    sign::{Domain, Signature, SignerKey, find_signer},
};
use fuzz::{
    Bound, Input,
    known::{COMMITTEE, OCR_SIGNERS},
};
use protocol::{
    ids::{ExecutionId, FaultBound},
    messages, ocr, proto,
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (_committee, signers) = (&*COMMITTEE, &*OCR_SIGNERS);
    BOUND.hold(input, || {
        let mut input = Input::new(input);
        match input.below(4) {
            0 => key(&mut input),
            1 => committee(&mut input),
            2 => recovery(&mut input),
            _ => answer(signers, &mut input),
        }
    });
});

fn key(input: &mut Input<'_>) {
    let (bytes, signature) = (input.array::<32>(), input.array::<64>());
    let Ok(key) = SignerKey::from_slice(&bytes) else { return };
    assert_eq!(key.as_bytes(), &bytes);
    assert_eq!(key.to_string().parse(), Ok(key));
    let signature = Signature::from_slice(&signature).expect("it has 64 bytes");
    let _valid = key.verify(Domain::ConfigVote, input.rest(), &signature);
}

/// Any bytes as a signature for purposes for which no member signs here.
fn committee(input: &mut Input<'_>) {
    let domain = input.pick(&[Domain::ConfigVote, Domain::GatewayNode]);
    let message = input.piece();
    assert!(find_signer(COMMITTEE.members(), domain, message, input.rest()).is_err());
}

fn recovery(input: &mut Input<'_>) {
    let digest = input.array::<32>();
    let Ok(address) = signature::recover(&digest, input.rest()) else { return };
    assert_eq!(signature::verify(&address, &digest, input.rest()), Ok(()));
    assert_eq!(Address::parse(&address.to_string()), Ok(address));
    let mut other = digest;
    other[0] ^= 1;
    assert!(signature::verify(&address, &other, input.rest()).is_err());
}

fn answer(signers: &[Address], input: &mut Input<'_>) {
    let Ok(response) = ocr::decode_response(input.rest()) else { return };
    let encoded = messages::encode(&response);
    let again = ocr::decode_response(&encoded).expect("it was decoded before");
    assert_eq!(messages::encode(&again), encoded);
    let (execution, bound) = (ExecutionId::from("2".repeat(64)), FaultBound::new(1));
    let verified = ocr::verify_response(&response, &execution, "7", signers, bound);
    assert_eq!(ocr::verify_response(&again, &execution, "7", signers, bound), verified);
    match verified {
        Ok(()) => {
            let signatures = response.ocr_attestation.map(|a| a.signatures).unwrap_or_default();
            assert!((2..=signers.len()).contains(&signatures.len()));
        }
        Err(error) => assert!(error.to_string().len() < 300),
    }
}

const BOUND: Bound = Bound { times: 2 * proto::EXPANSION + 32, plus: 16 * 1024 };
