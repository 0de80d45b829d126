//! Threshold encryption: keys, ciphertexts, shares and their combination.
//!
//! Holds: what is parsed is written, parsed again, and is the same; a key that is parsed can be
//! encrypted for; a ciphertext keeps its bytes; whatever shares open the known ciphertext, it holds
//! what was put into it.
//!
//! Memory: 16 times. A key is held as it came, as it is written, and as points, three times while their list
//! grows and once more where it is parsed again: nine times in all for the longest.

#![no_main]

use crypto::tdh2::{
    self, Ciphertext, CombineError, DecryptionShare, Label, MasterPublicKey, PrivateShare,
};
use fuzz::{
    Bound, Input,
    known::{CIPHERTEXT, Repeated, SECRET, SHARES, VAULT, threshold},
};
use protocol::base64;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _made = (&*VAULT, &*CIPHERTEXT, &*SHARES);
    BOUND.hold(input, || {
        let mut input = Input::new(input);
        match input.below(6) {
            0 => public_key(input.rest()),
            1 => ciphertext(input.rest()),
            2 => ciphertext(&around(input.rest())),
            3 => share(input.rest()),
            4 => private_share(input.rest()),
            _ => combine(&mut input),
        }
    });
});

fn public_key(text: &[u8]) {
    let Ok(key) = MasterPublicKey::parse(text) else { return };
    assert_eq!(key.as_bytes(), text);
    let written = key.to_json();
    let again = MasterPublicKey::parse(&written).expect("it was parsed before");
    assert_eq!(again.to_json(), written);
    assert_eq!(again.parties(), key.parties());
    let sealed = tdh2::encrypt(&key, Label::NONE, SECRET, &mut Repeated(4)).expect("it is short");
    assert!(Ciphertext::parse(sealed.as_bytes(), &again).is_ok());
}

fn ciphertext(text: &[u8]) {
    let Ok(ciphertext) = Ciphertext::parse(text, &VAULT.public_key) else { return };
    assert_eq!(ciphertext.as_bytes(), text);
    assert!(ciphertext.is_for(&VAULT.public_key));
    let share = DecryptionShare::create(&VAULT.shares[0], &ciphertext, &mut Repeated(5));
    assert_eq!(share.verify(&VAULT.public_key, &ciphertext), Ok(()));
}

/// The outer object around an inner one of any bytes.
fn around(inner: &[u8]) -> Vec<u8> {
    let sealed = base64::encode(&[0; 20]);
    let nonce = base64::encode(&[0; 12]);
    let inner = base64::encode(inner);
    format!(r#"{{"TDH2Ctxt":"{inner}","SymCtxt":"{sealed}","Nonce":"{nonce}"}}"#).into_bytes()
}

fn share(text: &[u8]) {
    let Ok(share) = DecryptionShare::parse(text) else { return };
    let written = share.to_json();
    let again = DecryptionShare::parse(written.expose()).expect("it was parsed before");
    assert!(again.to_json().expose() == written.expose());
    if share.verify(&VAULT.public_key, &CIPHERTEXT).is_ok() {
        let other = SHARES.iter().rev().map(Vec::as_slice);
        let shares = std::iter::once(written.expose()).chain(other);
        let secret = tdh2::combine(&VAULT.public_key, &CIPHERTEXT, shares, threshold());
        assert!(secret.is_ok_and(|secret| secret.expose() == SECRET));
    }
}

fn private_share(text: &[u8]) {
    let Ok(share) = PrivateShare::parse(text) else { return };
    let written = share.to_json();
    let again = PrivateShare::parse(written.expose()).expect("it was parsed before");
    assert!(again.to_json().expose() == written.expose());
    assert_eq!(again.belongs_to(&VAULT.public_key), share.belongs_to(&VAULT.public_key));
}

fn combine(input: &mut Input<'_>) {
    let mut shares = Vec::new();
    while !input.is_empty() && shares.len() < 16 {
        shares.push(match input.below(4) {
            0 => SHARES[input.below(SHARES.len())].as_slice(),
            _ => input.piece(),
        });
    }
    let texts = shares.iter().copied();
    match tdh2::combine(&VAULT.public_key, &CIPHERTEXT, texts, threshold()) {
        Ok(secret) => assert!(secret.expose() == SECRET),
        Err(CombineError::NotEnough { got, want, invalid }) => {
            assert!(got < want && invalid.len() <= shares.len());
        }
        Err(error) => panic!("valid shares do not open the ciphertext: {error}"),
    }
}

const BOUND: Bound = Bound { times: 16, plus: 8192 };
