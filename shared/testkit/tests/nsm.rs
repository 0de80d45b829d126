//! The mock device against what is known of the real one, and its documents against the verifier.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation::{
    AttestError, AttestationRequest, Attestor, Challenge, Check, Document, Measurements, Nonce,
    Pcr, Policy, UserData, VerifyError, attestor::DeviceError, cbor::Writer,
};
use serde_bytes::ByteBuf;
use testkit::{
    chain::{ChainError, TestRoot},
    nsm::{ErrorCode, MockNsm, RESPONSE_LIMIT_BYTES, Request, Response, measurements_of},
};

/// Seconds since 1970 at which these tests begin.
const START: u64 = 1_787_140_800;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn image() -> Measurements {
    measurements_of("workflows")
}

/// A device whose clock is the returned number of seconds.
fn device_with_clock() -> (MockNsm, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(START));
    let seconds = Arc::clone(&clock);
    let root = TestRoot::generate(at(START)).unwrap();
    let now = Arc::new(move || at(seconds.load(Ordering::Relaxed)));
    (MockNsm::new(root, &image(), now), clock)
}

fn device() -> MockNsm {
    device_with_clock().0
}

fn policy(device: &MockNsm, said: UserData) -> Policy {
    Policy::new(device.root().trust().unwrap(), image(), said, Nonce::NotUsed)
}

fn said() -> UserData {
    UserData::from([7; 32])
}

fn describe(device: &MockNsm, index: u16) -> (bool, Vec<u8>) {
    let answer = device.call(&Request::DescribePCR { index });
    let Response::DescribePCR { lock, data } = answer else { panic!("{answer:?}") };
    (lock, data)
}

fn attestation(user_data: usize, nonce: usize, public_key: usize) -> Request {
    let bytes = |length| Some(ByteBuf::from(vec![1; length]));
    Request::Attestation {
        user_data: bytes(user_data),
        nonce: bytes(nonce),
        public_key: bytes(public_key),
    }
}

#[test]
fn a_document_passes_the_production_verifier() {
    let device = device();
    let request = AttestationRequest::from(said());
    let request = request.with_nonce(b"challenge").unwrap().with_public_key(b"key").unwrap();
    let document = device.attest(&request).unwrap();
    let root = device.root().trust().unwrap();
    let policy = Policy::new(
        root,
        image(),
        said(),
        Nonce::Expected(Challenge::try_from(b"challenge".as_slice()).unwrap()),
    );
    let verified = attestation::verify(&document, &policy, at(START)).unwrap();
    assert_eq!(verified.get().public_key.as_deref(), Some(b"key".as_slice()));
    assert_eq!(verified.get().timestamp, at(START));
    assert_eq!(verified.matched_set(), 0);
}

#[test]
fn a_document_says_what_one_of_aws_says() {
    let device = device();
    let document = device.attest(&said().into()).unwrap();
    let document = Document::decode_unverified(&document).unwrap();
    assert_eq!(document.pcrs.keys().copied().collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
    assert_eq!(document.cabundle.len(), 4);
    assert_eq!(document.cabundle[0], device.root().der());
    assert_eq!((document.nonce, document.public_key), (None, None));
}

#[test]
fn the_requests_and_answers_are_the_devices_cbor() {
    let hex = |bytes: &[u8]| hex::encode(bytes);
    let request = |request: Request| hex(&serde_cbor::to_vec(&request).unwrap());
    let answer = |answer: Response| hex(&serde_cbor::to_vec(&answer).unwrap());
    let extend = Request::ExtendPCR { index: 16, data: b"x".to_vec() };
    let attestation = Request::Attestation {
        user_data: Some(ByteBuf::from(vec![1, 2])),
        nonce: None,
        public_key: None,
    };
    // Written by aws-nitro-enclaves-nsm-api 0.5.2.
    let written = [
        (request(Request::DescribePCR { index: 3 }), "a16b4465736372696265504352a165696e64657803"),
        (request(extend), "a169457874656e64504352a265696e6465781064646174614178"),
        (request(Request::LockPCR { index: 16 }), "a1674c6f636b504352a165696e64657810"),
        (request(Request::LockPCRs { range: 18 }), "a1684c6f636b50435273a16572616e676512"),
        (request(Request::DescribeNSM), "6b44657363726962654e534d"),
        (
            request(attestation),
            "a16b4174746573746174696f6ea369757365725f64617461420102656e6f6e6365f66a7075626c69635f6b6\
             579f6",
        ),
        (request(Request::GetRandom), "6947657452616e646f6d"),
        (answer(Response::LockPCR), "674c6f636b504352"),
        (answer(Response::LockPCRs), "684c6f636b50435273"),
        (
            answer(Response::DescribePCR { lock: true, data: vec![1] }),
            "a16b4465736372696265504352a2646c6f636bf564646174614101",
        ),
        (
            answer(Response::Attestation { document: vec![1, 2] }),
            "a16b4174746573746174696f6ea168646f63756d656e74420102",
        ),
        (
            answer(Response::GetRandom { random: vec![1, 2] }),
            "a16947657452616e646f6da16672616e646f6d420102",
        ),
        (
            answer(Response::Error(ErrorCode::ReadOnlyIndex)),
            "a1654572726f726d526561644f6e6c79496e646578",
        ),
    ];
    for (ours, theirs) in written {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn the_device_describes_itself() {
    let Response::DescribeNSM { module_id, max_pcrs, locked_pcrs, .. } =
        device().named("i-1-enc1").call(&Request::DescribeNSM)
    else {
        panic!();
    };
    assert_eq!((module_id.as_str(), max_pcrs), ("i-1-enc1", 32));
    assert!(locked_pcrs.into_iter().eq(0..16));
}

#[test]
fn boot_registers_are_locked_and_hold_the_image() {
    let device = device();
    let [pcr0, ..] = image().pcrs().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(describe(&device, 0), (true, pcr0.1.as_bytes().to_vec()));
    assert_eq!(describe(&device, 15), (true, vec![0; 48]));
    assert_eq!(describe(&device, 16), (false, vec![0; 48]));
    let extend = Request::ExtendPCR { index: 0, data: b"x".to_vec() };
    assert_eq!(device.call(&extend), Response::Error(ErrorCode::ReadOnlyIndex));
}

#[test]
fn a_register_is_extended_by_hash_until_it_is_locked() {
    let device = device();
    let extend = Request::ExtendPCR { index: 16, data: b"one".to_vec() };
    let once = Pcr::ZERO.extended(b"one");
    let twice = once.extended(b"one");
    assert_eq!(device.call(&extend), Response::ExtendPCR { data: once.as_bytes().to_vec() });
    assert_eq!(device.call(&extend), Response::ExtendPCR { data: twice.as_bytes().to_vec() });
    assert_eq!(device.call(&Request::LockPCR { index: 16 }), Response::LockPCR);
    assert_eq!(device.call(&extend), Response::Error(ErrorCode::ReadOnlyIndex));
    let again = device.call(&Request::LockPCR { index: 16 });
    assert_eq!(again, Response::Error(ErrorCode::ReadOnlyIndex));
    assert_eq!(describe(&device, 16), (true, twice.as_bytes().to_vec()));
    let document = device.attest(&said().into()).unwrap();
    assert_eq!(Document::decode_unverified(&document).unwrap().pcrs[&16], twice);
}

#[test]
fn a_range_of_registers_is_locked_at_once() {
    let device = device();
    assert_eq!(device.call(&Request::LockPCRs { range: 20 }), Response::LockPCRs);
    assert!(describe(&device, 19).0 && !describe(&device, 20).0);
    assert_eq!(device.call(&Request::LockPCRs { range: 32 }), Response::LockPCRs);
    let refusal = device.call(&Request::LockPCRs { range: 33 });
    assert_eq!(refusal, Response::Error(ErrorCode::InvalidIndex));
    let document = device.attest(&said().into()).unwrap();
    assert_eq!(Document::decode_unverified(&document).unwrap().pcrs.len(), 32);
}

#[test]
fn a_register_that_is_not_there_is_refused() {
    let device = device();
    let data = Vec::new();
    for index in [32, u16::MAX] {
        for request in [
            Request::DescribePCR { index },
            Request::LockPCR { index },
            Request::ExtendPCR { index, data: data.clone() },
        ] {
            assert_eq!(device.call(&request), Response::Error(ErrorCode::InvalidIndex));
        }
    }
}

#[test]
fn each_field_is_taken_up_to_the_devices_limit() {
    let device = device();
    let taken = device.call(&attestation(512, 512, 1024));
    let Response::Attestation { document } = taken else { panic!("{taken:?}") };
    assert_eq!(Document::decode_unverified(&document).unwrap().public_key.unwrap().len(), 1024);
    for beyond in [attestation(513, 1, 1), attestation(1, 513, 1), attestation(1, 1, 1025)] {
        assert_eq!(device.call(&beyond), Response::Error(ErrorCode::InputTooLarge));
    }
    let extend = |length| Request::ExtendPCR { index: 20, data: vec![1; length] };
    assert!(matches!(device.call(&extend(512)), Response::ExtendPCR { .. }));
    assert_eq!(device.call(&extend(513)), Response::Error(ErrorCode::InputTooLarge));
}

#[test]
fn a_request_longer_than_the_driver_takes_is_refused() {
    let device = device();
    let refusal = device.call(&attestation(4096, 1, 1));
    assert_eq!(refusal, Response::Error(ErrorCode::InputTooLarge));
    let answer = device.exchange(&[0x60; 4097], RESPONSE_LIMIT_BYTES);
    let refusal: Response = serde_cbor::from_slice(&answer).unwrap();
    assert_eq!(refusal, Response::Error(ErrorCode::InputTooLarge));
}

#[test]
fn an_answer_that_does_not_fit_its_room_is_refused() {
    let device = device();
    for request in [attestation(1, 1, 1), Request::GetRandom, Request::DescribeNSM] {
        let bytes = serde_cbor::to_vec(&request).unwrap();
        let length = device.exchange(&bytes, RESPONSE_LIMIT_BYTES).len();
        assert_eq!(device.exchange(&bytes, length).len(), length);
        let refusal = device.exchange(&bytes, length - 1);
        let refusal: Response = serde_cbor::from_slice(&refusal).unwrap();
        assert_eq!(refusal, Response::Error(ErrorCode::BufferTooSmall));
    }
}

#[test]
fn the_codes_are_the_devices_and_all_but_one_are_refusals() {
    let codes = [
        (ErrorCode::BufferTooSmall, Some(DeviceError::BufferTooSmall)),
        (ErrorCode::InputTooLarge, Some(DeviceError::InputTooLarge)),
        (ErrorCode::InternalError, Some(DeviceError::InternalError)),
        (ErrorCode::InvalidArgument, Some(DeviceError::InvalidArgument)),
        (ErrorCode::InvalidIndex, Some(DeviceError::InvalidIndex)),
        (ErrorCode::InvalidOperation, Some(DeviceError::InvalidOperation)),
        (ErrorCode::InvalidResponse, Some(DeviceError::InvalidResponse)),
        (ErrorCode::ReadOnlyIndex, Some(DeviceError::ReadOnlyIndex)),
        (ErrorCode::Success, None),
    ];
    for (code, refusal) in codes {
        assert_eq!(code.refusal(), refusal);
        // In the device's CBOR a code is the text of its name.
        let name = format!("{code:?}");
        assert_eq!(serde_cbor::to_vec(&code).unwrap(), Writer::new().text(&name).finish());
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let device = device();
    let requests: [&[u8]; 5] =
        [&[], b"\x64Boot", &[0xff], &[0x6b, b'x'], &[0xa1, 0x67, b'L', b'o', b'c', b'k']];
    for request in requests {
        let answer = device.exchange(request, RESPONSE_LIMIT_BYTES);
        let refusal: Response = serde_cbor::from_slice(&answer).unwrap();
        assert_eq!(refusal, Response::Error(ErrorCode::InvalidOperation), "{request:?}");
    }
}

#[test]
fn random_bytes_differ() {
    let device = device();
    let random = || {
        let answer = device.call(&Request::GetRandom);
        let Response::GetRandom { random } = answer else { panic!("{answer:?}") };
        random
    };
    let (first, second) = (random(), random());
    assert_eq!((first.len(), second.len()), (256, 256));
    assert_ne!(first, second);
}

#[test]
fn the_leaf_is_kept_for_hours_and_replaced_before_it_expires() {
    let (device, clock) = device_with_clock();
    let leaf = |after: u64| {
        clock.store(START + after, Ordering::Relaxed);
        let document = device.attest(&said().into()).unwrap();
        let now = at(START + after);
        let verified = attestation::verify(&document, &policy(&device, said()), now).unwrap();
        let at_last = attestation::verify(
            &document,
            &policy(&device, said()),
            now + Duration::from_secs(300),
        );
        assert!(at_last.is_ok(), "a document outlives its freshness");
        verified.into_inner().certificate
    };
    let first = leaf(0);
    assert_eq!(first, leaf(2 * 3600));
    assert_eq!(first, leaf(3 * 3600 - 600));
    let second = leaf(3 * 3600 - 599);
    assert_ne!(first, second);
    assert_eq!(second, leaf(5 * 3600));
    assert_ne!(second, leaf(20 * 24 * 3600));
    assert_ne!(second, leaf(0), "a clock set back gets a leaf of its time");
}

#[test]
fn a_clock_before_1970_gives_no_document() {
    let root = TestRoot::generate(at(START)).unwrap();
    let device = MockNsm::new(root, &image(), Arc::new(|| UNIX_EPOCH - Duration::from_secs(1)));
    let refusal = device.attest(&said().into());
    assert_eq!(refusal, Err(AttestError::Refused(DeviceError::InternalError)));
}

#[test]
fn a_stored_root_is_taken_up_again() {
    let device = device();
    let before = policy(&device, said());
    let (key, certificate) = (device.root().key_der().to_vec(), device.root().der().to_vec());
    let root = TestRoot::from_parts(&key, &certificate).unwrap();
    assert_eq!(root.trust().unwrap(), device.root().trust().unwrap());
    let restarted = MockNsm::new(root, &image(), Arc::new(|| at(START)));
    let document = restarted.attest(&said().into()).unwrap();
    assert!(attestation::verify(&document, &before, at(START)).is_ok());
}

#[test]
fn a_stored_root_that_is_no_pair_is_refused() {
    let [one, two] = [(); 2].map(|()| TestRoot::generate(at(START)).unwrap());
    let refusal = TestRoot::from_parts(one.key_der(), two.der()).map(|_| ());
    assert!(matches!(refusal, Err(ChainError::Mismatch)), "{refusal:?}");
    let refusal = TestRoot::from_parts(one.key_der(), b"no certificate").map(|_| ());
    assert!(matches!(refusal, Err(ChainError::Root(_))), "{refusal:?}");
    let refusal = TestRoot::from_parts(b"no key", one.der()).map(|_| ());
    assert!(matches!(refusal, Err(ChainError::Certificate(_))), "{refusal:?}");
}

#[test]
fn a_device_in_debug_mode_is_not_believed() {
    let root = TestRoot::generate(at(START)).unwrap();
    let device = MockNsm::in_debug_mode(root, Arc::new(|| at(START)));
    let document = device.attest(&said().into()).unwrap();
    let refusal = attestation::verify(&document, &policy(&device, said()), at(START));
    assert_eq!(refusal.map(|_| ()).map_err(|e| e.check()), Err(Check::Measurements));
}

#[test]
fn another_devices_root_is_not_believed() {
    let (one, two) = (device(), device());
    let document = one.attest(&said().into()).unwrap();
    let refusal = attestation::verify(&document, &policy(&two, said()), at(START));
    assert!(matches!(refusal, Err(VerifyError::Chain(_))), "{refusal:?}");
}
