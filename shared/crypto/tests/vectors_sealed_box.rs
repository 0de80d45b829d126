//! Sealed boxes of the reference, with their ephemeral keys fixed.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use crypto::seal::{EphemeralKey, EphemeralPublicKey};
use crypto_box::{Nonce, PublicKey, SalsaBox, SecretKey, aead::Aead as _};
use scripted::Scripted;
use serde::Deserialize;
use serde_json::{Value, json};
use vectors::{Answer, Case, Text, model::hex};

#[path = "../src/scripted.rs"]
mod scripted;

const FILE: &str = "sealed-box.json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyInput {
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenInput {
    recipient_secret: String,
    sealed: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SealInput {
    ephemeral_secret: String,
    message: String,
    recipient_public: String,
}

fn key(secret: &str) -> EphemeralKey {
    EphemeralKey::from_bytes(&hex(secret).try_into().unwrap())
}

fn input<T: for<'de> Deserialize<'de>>(case: &Case) -> T {
    serde_json::from_value(case.input.clone()).unwrap()
}

#[test]
fn keys_and_boxes_are_the_reference_s() {
    vectors::run(
        FILE,
        &["key", "open", "seal"],
        &[],
        |_| Text::Exact,
        |case| match case.op.as_str() {
            "key" => {
                let KeyInput { secret } = input(case);
                Answer::Value(json!({ "public": key(&secret).public().to_string() }))
            }
            "open" => {
                let OpenInput { recipient_secret, sealed } = input(case);
                let opened = key(&recipient_secret).open(&hex(&sealed));
                opened.map(|message| json!({ "message": hex::encode(message.expose()) })).into()
            }
            _ => seal(case),
        },
    );
}

fn seal(case: &Case) -> Answer {
    let input: SealInput = input(case);
    let recipient: EphemeralPublicKey = input.recipient_public.parse().unwrap();
    let (secret, message) = (hex(&input.ephemeral_secret), hex(&input.message));
    let sealed = recipient.seal(&message, &mut Scripted::new(&secret)).unwrap();
    // The nonce is not visible from outside: it is the recorded one if that opens our box.
    let nonce = case.output.as_ref().and_then(|output| output["nonce"].as_str()).unwrap();
    let salsa = SalsaBox::new(
        &PublicKey::from_bytes(*recipient.as_bytes()),
        &SecretKey::from_slice(&secret).unwrap(),
    );
    let opened = salsa.decrypt(Nonce::from_slice(&hex(nonce)), &sealed[32..]).ok();
    Answer::Value(json!({
        "sealed": hex::encode(&sealed),
        "ephemeral_public": hex::encode(&sealed[..32]),
        "nonce": if opened == Some(message) { Value::from(nonce) } else { Value::Null },
    }))
}
