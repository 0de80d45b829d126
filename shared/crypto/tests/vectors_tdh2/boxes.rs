//! Sealed boxes, and one secret through every hop.

use crypto::{
    address::Address,
    seal::{EphemeralKey, EphemeralPublicKey},
    secret::Secret,
    tdh2::{Ciphertext, Label, MasterPublicKey, Threshold, combine},
};
use crypto_box::{Nonce, PublicKey, SalsaBox, SecretKey, aead::Aead as _};
use vectors::model::hex;

use crate::{
    FILE,
    class::{Expected, Refused},
    from_base64,
    schema::{Fragment, Outcome, SealedBox},
    scripted::Scripted,
    walk,
};

fn key(secret_hex: &str) -> EphemeralKey {
    EphemeralKey::from_bytes(&hex(secret_hex).try_into().unwrap())
}

#[test]
fn boxes_open_like_the_reference_s() {
    let Some(file) = &*FILE else { return };
    walk(
        "sealed_box",
        &file.sealed_box,
        |case| case.name.clone(),
        |case| {
            let key = key(&case.recipient_secret_hex);
            if key.public().to_string() != case.recipient_public_hex {
                // A pair that does not match cannot be made here: a key computes its public half.
                let refused = case.expect == Outcome::Error;
                return if refused { Ok(()) } else { Err("a key with a foreign half".to_owned()) };
            }
            let opened = key.open(&hex(&case.sealed_hex));
            if case.libsodium_expect == Some(Outcome::Error) && opened.is_ok() {
                return Err("libsodium refuses, we open".to_owned());
            }
            if let (Ok(opened), Some(message)) = (&opened, &case.message_hex) {
                assert_eq!(opened.expose(), hex(message), "{}", case.name);
                sealed_again(case, &key.public());
            }
            Expected::of(case.expect, case.error_code.as_ref(), None)
                .agrees(opened.map_err(Refused::from))
        },
    );
}

/// Seals with the recorded ephemeral key.
fn sealed_again(case: &SealedBox, recipient: &EphemeralPublicKey) {
    let (Some(secret), Some(message)) = (&case.ephemeral_secret_hex, &case.message_hex) else {
        panic!("{}: a message without an ephemeral key", case.name)
    };
    let (secret, message) = (hex(secret), hex(message));
    let sealed = recipient.seal(&message, &mut Scripted::new(&secret)).unwrap();
    assert_eq!(hex::encode(&sealed), case.sealed_hex, "{}", case.name);
    let ephemeral = hex::encode(&sealed[..32]);
    assert_eq!(Some(&ephemeral), case.ephemeral_public_hex.as_ref(), "{}", case.name);
    // The nonce is not visible from outside: it is the recorded one if that opens our box.
    let salsa = SalsaBox::new(
        &PublicKey::from_bytes(*recipient.as_bytes()),
        &SecretKey::from_slice(&secret).unwrap(),
    );
    let nonce = hex(case.nonce_hex.as_ref().unwrap());
    let opened = salsa.decrypt(Nonce::from_slice(&nonce), &sealed[32..]);
    assert_eq!(opened.ok(), Some(message), "{}", case.name);
}

#[test]
fn a_secret_passes_every_hop() {
    let Some(file) = &*FILE else { return };
    let flow = &file.vault_flow;
    let (keys, encrypted) = (file.keyset(&flow.keyset), file.encrypted(&flow.ciphertext));
    let key = MasterPublicKey::parse(&hex(&flow.master_public_key_hex)).unwrap();
    assert_eq!(key, keys.key());
    assert_eq!(hex(&flow.encrypted_value_hex), encrypted.ciphertext.as_bytes());
    let ciphertext = Ciphertext::parse(&from_base64(&flow.relay_ciphertext_b64), &key).unwrap();
    assert_eq!(ciphertext.as_bytes(), encrypted.ciphertext.as_bytes());
    let owner: Address = flow.owner_address.parse().unwrap();
    assert_eq!(Label::of_owner(&owner), Ok(ciphertext.label()));
    assert_eq!(hex::encode(ciphertext.label().as_bytes()), flow.label_hex);

    let enclave = self::key(&flow.enclave_secret_key_hex);
    assert_eq!(enclave.public(), flow.enclave_public_key_hex.parse().unwrap());
    let from_vault: Vec<Vec<u8>> = flow.vault_shares_hex.iter().map(|share| hex(share)).collect();
    let from_relay: Vec<Vec<u8>> =
        flow.relay_shares_b64.iter().map(|share| from_base64(share)).collect();
    assert_eq!(from_vault, from_relay);
    let shares: Vec<Secret> = from_relay.iter().map(|share| enclave.open(share).unwrap()).collect();
    let threshold = Threshold::new(flow.threshold).unwrap();
    let shares = shares.iter().rev().map(Secret::expose);
    let opened = combine(&key, &ciphertext, shares, threshold).unwrap();
    assert_eq!(opened.expose(), hex(&flow.plaintext_hex));

    let request: Fragment = serde_json::from_str(&flow.compute_request_fragment).unwrap();
    assert_eq!(request.names.len(), request.ciphertexts.len());
    assert_eq!(request.ciphertexts, [flow.relay_ciphertext_b64.as_str()]);
    assert!(request.shares.iter().flatten().all(|share| flow.relay_shares_b64.contains(share)));
    let public = EphemeralPublicKey::from_slice(&from_base64(&request.enclave_public_key));
    assert_eq!(public, Ok(enclave.public()));
    assert_eq!(from_base64(&request.master_public_key), key.as_bytes());
}
