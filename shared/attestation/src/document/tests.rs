use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::cbor::{Kind, Writer};

/// The nine fields of a payload, each encoded, in the order of the module.
fn fields() -> Vec<(&'static str, Vec<u8>)> {
    let pcrs = Writer::new().map(2).unsigned(0).bytes(&[7; 48]).unsigned(31).bytes(&[8; 48]);
    let cabundle = Writer::new().array(2).bytes(b"root").bytes(b"issuer");
    vec![
        ("module_id", Writer::new().text("i-0-enc0").finish()),
        ("digest", Writer::new().text("SHA384").finish()),
        ("timestamp", Writer::new().unsigned(1_700_000_000_001).finish()),
        ("pcrs", pcrs.finish()),
        ("certificate", Writer::new().bytes(b"leaf").finish()),
        ("cabundle", cabundle.finish()),
        ("public_key", Writer::new().null().finish()),
        ("user_data", Writer::new().bytes(&[9; 32]).finish()),
        ("nonce", Writer::new().bytes(&[]).finish()),
    ]
}

fn encode(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let map = Writer::new().map(fields.len() as u64);
    fields.iter().fold(map, |map, (name, value)| map.text(name).raw(value)).finish()
}

/// Decodes the payload with one field's value replaced.
fn with(name: &str, value: Writer) -> Result<Document, DocumentError> {
    let mut fields = fields();
    fields.iter_mut().find(|field| field.0 == name).unwrap().1 = value.finish();
    Document::decode(&encode(&fields))
}

#[test]
fn every_field_is_read() {
    let document = Document::decode(&encode(&fields())).unwrap();
    let want = Document {
        module_id: "i-0-enc0".to_owned(),
        timestamp: UNIX_EPOCH + Duration::from_millis(1_700_000_000_001),
        digest: Digest::Sha384,
        pcrs: [(0, [7; 48].into()), (31, [8; 48].into())].into(),
        certificate: b"leaf".to_vec(),
        cabundle: vec![b"root".to_vec(), b"issuer".to_vec()],
        public_key: None,
        user_data: Some(vec![9; 32]),
        nonce: Some(Vec::new()),
        unknown_fields: 0,
    };
    assert_eq!(document, want);
}

#[test]
fn the_order_of_fields_says_nothing() {
    let mut reversed = fields();
    reversed.reverse();
    assert_eq!(Document::decode(&encode(&reversed)), Document::decode(&encode(&fields())));
}

#[test]
fn an_optional_field_left_out_is_as_absent_as_null() {
    let mut fewer = fields();
    fewer.retain(|(name, _)| *name != "public_key");
    assert_eq!(Document::decode(&encode(&fewer)), Document::decode(&encode(&fields())));
}

#[test]
fn unknown_fields_are_skipped_and_counted() {
    let mut more = fields();
    more.push(("zone", Writer::new().map(1).unsigned(1).array(1).text("x").finish()));
    more.push(("", Writer::new().null().finish()));
    assert_eq!(Document::decode(&encode(&more)).unwrap().unknown_fields, 2);
}

#[test]
fn an_unknown_field_is_held_to_the_same_strictness() {
    for (value, refusal) in [
        (vec![0x81, 0x81, 0x81, 0x81, 0x80], "TooDeep"),
        (vec![0xa2, 0x00, 0x00, 0x00, 0x00], "DuplicateKey"),
        (vec![0x9f, 0xff], "Indefinite"),
        (vec![0x18, 0x00], "Overlong"),
        (vec![0xc0, 0x00], "Tag"),
    ] {
        let mut more = fields();
        more.push(("zone", value));
        let Err(DocumentError::Cbor(error)) = Document::decode(&encode(&more)) else {
            panic!("{refusal}");
        };
        assert!(format!("{error:?}").starts_with(refusal), "{error:?}");
    }
}

#[test]
fn a_field_that_has_to_be_there_is_missed() {
    for (name, field) in [
        ("module_id", Field::ModuleId),
        ("digest", Field::Digest),
        ("timestamp", Field::Timestamp),
        ("pcrs", Field::Pcrs),
        ("certificate", Field::Certificate),
        ("cabundle", Field::Cabundle),
    ] {
        let mut fewer = fields();
        fewer.retain(|(other, _)| *other != name);
        assert_eq!(Document::decode(&encode(&fewer)), Err(DocumentError::Missing(field)));
        assert_eq!(with(name, Writer::new().null()), Err(DocumentError::Missing(field)));
    }
    let empty = [
        ("module_id", Writer::new().text("")),
        ("digest", Writer::new().text("")),
        ("timestamp", Writer::new().unsigned(0)),
        ("pcrs", Writer::new().map(0)),
        ("certificate", Writer::new().bytes(&[])),
        ("cabundle", Writer::new().array(0)),
    ];
    for (name, value) in empty {
        assert!(matches!(with(name, value), Err(DocumentError::Missing(_))), "{name}");
    }
}

#[test]
fn a_name_in_another_letter_case_is_refused() {
    let mut folded = fields();
    folded[1].0 = "Digest";
    assert_eq!(Document::decode(&encode(&folded)), Err(DocumentError::Spelling(Field::Digest)));
    let mut both = fields();
    both.push(("USER_DATA", Writer::new().null().finish()));
    assert_eq!(Document::decode(&encode(&both)), Err(DocumentError::Spelling(Field::UserData)));
}

#[test]
fn a_field_twice_is_refused() {
    let mut twice = fields();
    twice.push(("digest", Writer::new().text("SHA384").finish()));
    let refusal = Document::decode(&encode(&twice));
    assert!(matches!(refusal, Err(DocumentError::Cbor(CborError::DuplicateKey { .. }))));
}

#[test]
fn another_digest_is_refused() {
    for digest in ["SHA256", "sha384", "SHA384 "] {
        assert_eq!(with("digest", Writer::new().text(digest)), Err(DocumentError::Digest));
    }
}

#[test]
fn a_timestamp_out_of_range_is_refused() {
    for ms in [u64::MAX, 1 << 63] {
        let refusal = with("timestamp", Writer::new().unsigned(ms));
        assert_eq!(refusal, Err(DocumentError::Timestamp));
    }
    assert!(with("timestamp", Writer::new().unsigned(u64::MAX >> 1)).is_ok());
}

#[test]
fn an_index_outside_the_set_is_refused() {
    let indices = [
        Writer::new().map(1).unsigned(32),
        Writer::new().map(1).unsigned(256),
        Writer::new().map(1).unsigned(u64::MAX),
        Writer::new().map(1).text("0"),
        Writer::new().map(1).raw(&[0x20]),
    ];
    for index in indices {
        assert_eq!(with("pcrs", index.bytes(&[7; 48])), Err(DocumentError::PcrIndex));
    }
}

#[test]
fn a_register_of_another_length_is_refused() {
    for got in [0, 32, 47, 49, 64] {
        let pcrs = Writer::new().map(1).unsigned(3).bytes(&vec![7; got]);
        assert_eq!(with("pcrs", pcrs), Err(DocumentError::PcrLength { index: 3, got }));
    }
}

#[test]
fn a_register_twice_is_refused() {
    let pcrs = Writer::new().map(2).unsigned(0).bytes(&[7; 48]).unsigned(0).bytes(&[7; 48]);
    let refusal = with("pcrs", pcrs);
    assert!(matches!(refusal, Err(DocumentError::Cbor(CborError::DuplicateKey { .. }))));
}

#[test]
fn a_bundle_item_is_1_to_1024_bytes() {
    for got in [0, 1025] {
        let bundle = Writer::new().array(2).bytes(b"root").bytes(&vec![7; got]);
        assert_eq!(with("cabundle", bundle), Err(DocumentError::BundleItem { index: 1, got }));
    }
    assert!(with("cabundle", Writer::new().array(1).bytes(&[7; 1024])).is_ok());
}

#[test]
fn an_optional_field_is_at_most_1024_bytes() {
    for (name, field) in
        [("public_key", Field::PublicKey), ("user_data", Field::UserData), ("nonce", Field::Nonce)]
    {
        assert!(with(name, Writer::new().bytes(&[7; 1024])).is_ok());
        let refusal = with(name, Writer::new().bytes(&[7; 1025]));
        assert_eq!(refusal, Err(DocumentError::TooLong { field, got: 1025 }));
        let said = refusal.unwrap_err().to_string();
        assert_eq!(said, format!("`{name}` is 1025 bytes long, more than 1024"));
    }
}

#[test]
fn a_field_of_another_type_is_refused() {
    for (name, want) in [
        ("module_id", Kind::Text),
        ("digest", Kind::Text),
        ("timestamp", Kind::Unsigned),
        ("pcrs", Kind::Map),
        ("certificate", Kind::Bytes),
        ("cabundle", Kind::Array),
        ("public_key", Kind::Bytes),
        ("user_data", Kind::Bytes),
        ("nonce", Kind::Bytes),
    ] {
        let Err(DocumentError::Cbor(CborError::Type { want: got, .. })) =
            with(name, Writer::new().raw(&[0xf5]))
        else {
            panic!("{name}");
        };
        assert_eq!(got, want);
    }
}

#[test]
fn bytes_after_the_payload_are_refused() {
    let mut payload = encode(&fields());
    let at = payload.len();
    payload.push(0);
    let refusal = Document::decode(&payload);
    assert_eq!(refusal, Err(DocumentError::Cbor(CborError::Trailing { at })));
}
