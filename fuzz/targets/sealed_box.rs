//! Sealed boxes and the keys they are sealed to.
//!
//! Holds: a box that opens was sealed to the key, so the same message sealed again opens to the same;
//! a key is read from its text as from its bytes, and takes messages that are not too long.
//!
//! Memory: 16 times. Message and box are held, each once more where it is sealed or opened again, and what is
//! sealed or opened is a copy first.

#![no_main]

use std::sync::LazyLock;

use crypto::seal::{EphemeralKey, EphemeralPublicKey, LONGEST_MESSAGE_BYTES, OVERHEAD_BYTES};
use fuzz::{Bound, Input, known::Repeated};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let enclave = &*ENCLAVE;
    BOUND.hold(input, || {
        let mut input = Input::new(input);
        match input.below(3) {
            0 => open(enclave, input.rest()),
            1 => public_key(&input.array::<32>(), input.rest()),
            _ => {
                let Ok(text) = std::str::from_utf8(input.rest()) else { return };
                let Ok(key) = text.parse::<EphemeralPublicKey>() else { return };
                assert_eq!(key.to_string(), text.to_ascii_lowercase());
                assert_eq!(EphemeralPublicKey::from_slice(key.as_bytes()), Ok(key));
            }
        }
    });
});

fn open(enclave: &EphemeralKey, sealed: &[u8]) {
    let Ok(message) = enclave.open(sealed) else { return };
    assert_eq!(message.len() + OVERHEAD_BYTES, sealed.len());
    let again = enclave.public().seal(message.expose(), &mut Repeated(6)).expect("it fits");
    assert!(enclave.open(&again).is_ok_and(|again| again.expose() == message.expose()));
}

fn public_key(bytes: &[u8; 32], message: &[u8]) {
    let Ok(key) = EphemeralPublicKey::from_slice(bytes) else { return };
    assert_eq!(key.to_string().parse(), Ok(key));
    match key.seal(message, &mut Repeated(7)) {
        Ok(sealed) => assert_eq!(sealed.len(), message.len() + OVERHEAD_BYTES),
        Err(_) => assert!(message.len() > LONGEST_MESSAGE_BYTES),
    }
}

/// The enclave's key.
static ENCLAVE: LazyLock<EphemeralKey> = LazyLock::new(|| EphemeralKey::from_bytes(&[9; 32]));

const BOUND: Bound = Bound { times: 16, plus: 1024 };
