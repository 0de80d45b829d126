//! The vectors of RFC 9180, Appendix A.2.1: the suite and mode of `crypto::hpke`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crypto::hpke::{PublicKey, SecretKey};
use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, aead::ChaCha20Poly1305,
    kdf::HkdfSha256, kem::X25519HkdfSha256, setup_receiver, setup_sender,
};
use scripted::Scripted;
use serde::Deserialize;
use vectors::model::hex;

#[path = "../src/scripted.rs"]
mod scripted;

const TEXT: &str = include_str!("hpke/rfc9180-a2.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "source")]
    _source: String,
    kem_id: u16,
    kdf_id: u16,
    aead_id: u16,
    mode: u8,
    info: String,
    #[serde(rename = "ikmE")]
    ikm_e: String,
    #[serde(rename = "pkEm")]
    pk_e: String,
    #[serde(rename = "skEm")]
    sk_e: String,
    #[serde(rename = "ikmR")]
    ikm_r: String,
    #[serde(rename = "pkRm")]
    pk_r: String,
    #[serde(rename = "skRm")]
    sk_r: String,
    enc: String,
    encryptions: Vec<Encryption>,
    exports: Vec<Export>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Encryption {
    sequence: u64,
    pt: String,
    aad: String,
    ct: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    exporter_context: String,
    #[serde(rename = "L")]
    length: usize,
    exported_value: String,
}

fn read() -> Vectors {
    let vectors: Vectors = serde_json::from_str(TEXT).unwrap();
    let suite = (vectors.kem_id, vectors.kdf_id, vectors.aead_id, vectors.mode);
    assert_eq!(suite, (0x0020, 0x0001, 0x0003, 0));
    vectors
}

/// The recipient's key, derived from its material as the RFC has it.
fn recipient(vectors: &Vectors) -> SecretKey {
    SecretKey::generate(&mut Scripted::new(&hex(&vectors.ikm_r)))
}

#[test]
fn keys_are_derived_as_in_the_rfc() {
    let vectors = read();
    for (material, secret, public) in [
        (&vectors.ikm_r, &vectors.sk_r, &vectors.pk_r),
        (&vectors.ikm_e, &vectors.sk_e, &vectors.pk_e),
    ] {
        let key = SecretKey::generate(&mut Scripted::new(&hex(material)));
        assert_eq!(key.public(), PublicKey::from_slice(&hex(public)).unwrap());
        let (derived, _) = X25519HkdfSha256::derive_keypair(&hex(material));
        assert_eq!(derived.to_bytes().as_slice(), hex(secret));
    }
}

#[test]
fn the_first_message_is_sealed_and_opened_as_in_the_rfc() {
    let vectors = read();
    let Encryption { sequence, pt, aad, ct } = vectors.encryptions.first().unwrap();
    assert_eq!(*sequence, 0);
    let key = recipient(&vectors);
    let (info, aad, message) = (hex(&vectors.info), hex(aad), hex(pt));
    let random = hex(&vectors.ikm_e);
    let sealed = key.public().seal(&info, &aad, &message, &mut Scripted::new(&random)).unwrap();
    assert_eq!(hex::encode(&sealed), format!("{}{ct}", vectors.enc));
    assert_eq!(key.open(&info, &aad, &sealed).unwrap().expose(), message);
}

#[test]
fn later_messages_of_a_context_are_no_first_ones() {
    let vectors = read();
    let (key, info) = (recipient(&vectors), hex(&vectors.info));
    for Encryption { sequence, aad, ct, .. } in vectors.encryptions.iter().skip(1) {
        let sealed = hex(&format!("{}{ct}", vectors.enc));
        assert!(key.open(&info, &hex(aad), &sealed).is_err(), "{sequence}");
    }
}

/// What the library computes beyond the messages that we send: the whole key schedule.
#[test]
fn the_key_schedule_of_the_library_is_the_rfc_s() {
    let vectors = read();
    let info = hex(&vectors.info);
    let (secret, public) = X25519HkdfSha256::derive_keypair(&hex(&vectors.ikm_r));
    let enc = <X25519HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(&hex(&vectors.enc)).unwrap();
    let mut receiver = setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &enc,
        &info,
    )
    .unwrap();
    let (sent, mut sender) = setup_sender::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256, _>(
        &OpModeS::Base,
        &public,
        &info,
        &mut Scripted::new(&hex(&vectors.ikm_e)),
    )
    .unwrap();
    assert_eq!(hex::encode(sent.to_bytes()), vectors.enc);
    let mut recorded = vectors.encryptions.iter().peekable();
    for number in 0..=256 {
        let Some(message) = recorded.next_if(|message| message.sequence == number) else {
            let skipped = sender.seal(b"", b"").unwrap();
            receiver.open(&skipped, b"").unwrap();
            continue;
        };
        let (plain, aad) = (hex(&message.pt), hex(&message.aad));
        let sealed = sender.seal(&plain, &aad).unwrap();
        assert_eq!(hex::encode(&sealed), message.ct, "{number}");
        assert_eq!(receiver.open(&sealed, &aad).unwrap(), plain, "{number}");
    }
    assert!(recorded.next().is_none());
    assert!(!vectors.exports.is_empty());
    for Export { exporter_context, length, exported_value } in &vectors.exports {
        let mut value = vec![0; *length];
        receiver.export(&hex(exporter_context), &mut value).unwrap();
        assert_eq!(&hex::encode(value), exported_value);
    }
}
