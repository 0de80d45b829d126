//! Faults in the payload's CBOR and fields, under a good signature.

use attestation::{
    DocumentError, Field, VerifyError,
    cbor::{CborError, Kind, Writer},
};

use super::{Forger, Forgery, error::payload, sign};

pub(super) const ALL: &[Forgery] = &[
    Forgery::new("empty payload", 9, payload(CborError::Truncated { at: 0 }), |forger| {
        of_bytes(&[], forger)
    }),
    Forgery::new(
        "payload that is no map",
        9,
        payload(CborError::Type { at: 0, want: Kind::Map }),
        |f| of_bytes(&[0x80], f),
    ),
    Forgery::new("byte after the payload", 14, payload(CborError::Trailing { at: 0 }), |forger| {
        let mut payload = forger.draft().payload();
        payload.push(0);
        of_bytes(&payload, forger)
    }),
    Forgery::new(
        "payload of indefinite length",
        12,
        payload(CborError::Indefinite { at: 0 }),
        |forger| {
            let mut payload = forger.draft().payload();
            payload[0] = 0xbf;
            payload.push(0xff);
            of_bytes(&payload, forger)
        },
    ),
    Forgery::new("field twice", 12, payload(CborError::DuplicateKey { at: 0 }), |forger| {
        add("digest", Writer::new().text("SHA384"), forger)
    }),
    Forgery::new("register twice", 12, payload(CborError::DuplicateKey { at: 0 }), |forger| {
        let pcrs = Writer::new().map(2).unsigned(0).bytes(&[1; 48]).unsigned(0).bytes(&[1; 48]);
        set("pcrs", pcrs, forger)
    }),
    Forgery::new("unknown field twice", 12, payload(CborError::DuplicateKey { at: 0 }), |forger| {
        forger.with_fields(|fields| {
            fields.push(("zone".to_owned(), vec![0]));
            fields.push(("zone".to_owned(), vec![0]));
        })
    }),
    Forgery::new(
        "number longer than need be",
        12,
        payload(CborError::Overlong { at: 0 }),
        |forger| set("timestamp", Writer::new().raw(&[0x1b, 0, 0, 0, 0, 0, 0, 0, 1]), forger),
    ),
    Forgery::new(
        "length longer than need be",
        12,
        payload(CborError::Overlong { at: 0 }),
        |forger| {
            let user_data = [&[0x59, 0, 32][..], &[0x5a; 32]].concat();
            set("user_data", Writer::new().raw(&user_data), forger)
        },
    ),
    Forgery::new("byte string in pieces", 12, payload(CborError::Indefinite { at: 0 }), |forger| {
        let user_data = [&[0x5f, 0x58, 32][..], &[0x5a; 32], &[0xff]].concat();
        set("user_data", Writer::new().raw(&user_data), forger)
    }),
    Forgery::new("deep nesting", 12, payload(CborError::TooDeep { at: 0 }), |forger| {
        add("zone", Writer::new().raw(&[0x81; 64]).raw(&[0x80]), forger)
    }),
    Forgery::new("list of 2^62 items", 12, payload(CborError::Truncated { at: 0 }), |forger| {
        add("zone", Writer::new().array(1 << 62), forger)
    }),
    Forgery::new("bundle of 2^62 items", 12, payload(CborError::Truncated { at: 0 }), |forger| {
        set("cabundle", Writer::new().array(1 << 62), forger)
    }),
    Forgery::new(
        "byte string of 2^64 - 1 bytes",
        34,
        payload(CborError::Truncated { at: 0 }),
        |forger| set("user_data", Writer::new().raw(&[0x5b]).raw(&[0xff; 8]), forger),
    ),
    Forgery::new(
        "map of 2^64 - 1 entries",
        34,
        payload(CborError::Truncated { at: 0 }),
        |forger| add("zone", Writer::new().raw(&[0xbb]).raw(&[0xff; 8]), forger),
    ),
    Forgery::new(
        "key that is a floating-point number",
        12,
        payload(CborError::Type { at: 0, want: Kind::Key }),
        |forger| add("zone", Writer::new().map(1).raw(&[0xf9, 0x3c, 0]).null(), forger),
    ),
    Forgery::new("tag inside the payload", 12, payload(CborError::Tag { at: 0 }), |forger| {
        set("timestamp", Writer::new().raw(&[0xc1, 0x01]), forger)
    }),
    Forgery::new("text that is not UTF-8", 12, payload(CborError::NotUtf8 { at: 0 }), |forger| {
        set("module_id", Writer::new().raw(&[0x61, 0xff]), forger)
    }),
    Forgery::new(
        "field name in capitals",
        30,
        VerifyError::Payload(DocumentError::Spelling(Field::Digest)),
        |forger| rename("digest", "DIGEST", forger),
    ),
    Forgery::new(
        "name of a field and its twin in capitals",
        30,
        VerifyError::Payload(DocumentError::Spelling(Field::Digest)),
        |forger| add("Digest", Writer::new().text("SHA384"), forger),
    ),
    Forgery::new(
        "no module id",
        26,
        VerifyError::Payload(DocumentError::Missing(Field::ModuleId)),
        |f| set("module_id", Writer::new().null(), f),
    ),
    Forgery::new(
        "no timestamp",
        20,
        VerifyError::Payload(DocumentError::Missing(Field::Timestamp)),
        |f| rename("timestamp", "time", f),
    ),
    Forgery::new(
        "timestamp of zero",
        20,
        VerifyError::Payload(DocumentError::Missing(Field::Timestamp)),
        |forger| set("timestamp", Writer::new().unsigned(0), forger),
    ),
    Forgery::new(
        "timestamp beyond all time",
        20,
        VerifyError::Payload(DocumentError::Timestamp),
        |forger| set("timestamp", Writer::new().unsigned(u64::MAX), forger),
    ),
    Forgery::new("digest of SHA-256", 7, VerifyError::Payload(DocumentError::Digest), |forger| {
        set("digest", Writer::new().text("SHA256"), forger)
    }),
    Forgery::new(
        "no registers",
        2,
        VerifyError::Payload(DocumentError::Missing(Field::Pcrs)),
        |f| set("pcrs", Writer::new().map(0), f),
    ),
    Forgery::new("register 32", 15, VerifyError::Payload(DocumentError::PcrIndex), |forger| {
        set("pcrs", Writer::new().map(1).unsigned(32).bytes(&[1; 48]), forger)
    }),
    Forgery::new("register by name", 15, VerifyError::Payload(DocumentError::PcrIndex), |forger| {
        set("pcrs", Writer::new().map(1).text("0").bytes(&[1; 48]), forger)
    }),
    Forgery::new(
        "register of 32 bytes",
        15,
        VerifyError::Payload(DocumentError::PcrLength { index: 16, got: 32 }),
        |f| register_of(&[1; 32], f),
    ),
    Forgery::new(
        "register of 64 bytes",
        15,
        VerifyError::Payload(DocumentError::PcrLength { index: 16, got: 64 }),
        |f| register_of(&[1; 64], f),
    ),
    Forgery::new(
        "no bundle",
        3,
        VerifyError::Payload(DocumentError::Missing(Field::Cabundle)),
        |f| set("cabundle", Writer::new().array(0), f),
    ),
    Forgery::new(
        "empty certificate in the bundle",
        25,
        VerifyError::Payload(DocumentError::BundleItem { index: 0, got: 0 }),
        |forger| set("cabundle", Writer::new().array(1).bytes(&[]), forger),
    ),
    Forgery::new(
        "certificate of 1,025 bytes in the bundle",
        28,
        VerifyError::Payload(DocumentError::BundleItem { index: 0, got: 1025 }),
        |forger| set("cabundle", Writer::new().array(1).bytes(&[0x30; 1025]), forger),
    ),
    Forgery::new(
        "no leaf certificate",
        25,
        VerifyError::Payload(DocumentError::Missing(Field::Certificate)),
        |forger| set("certificate", Writer::new().bytes(&[]), forger),
    ),
    Forgery::new(
        "user data of 1,025 bytes",
        27,
        VerifyError::Payload(DocumentError::TooLong { field: Field::UserData, got: 1025 }),
        |f| too_long("user_data", f),
    ),
    Forgery::new(
        "nonce of 1,025 bytes",
        27,
        VerifyError::Payload(DocumentError::TooLong { field: Field::Nonce, got: 1025 }),
        |f| too_long("nonce", f),
    ),
    Forgery::new(
        "public key of 1,025 bytes",
        27,
        VerifyError::Payload(DocumentError::TooLong { field: Field::PublicKey, got: 1025 }),
        |f| too_long("public_key", f),
    ),
];

fn of_bytes(payload: &[u8], forger: &Forger) -> Vec<u8> {
    sign(payload, &forger.chain().leaf)
}

fn set(name: &str, value: Writer, forger: &Forger) -> Vec<u8> {
    let mut draft = forger.draft();
    draft.set(name, value);
    draft.sign()
}

fn add(name: &str, value: Writer, forger: &Forger) -> Vec<u8> {
    let mut draft = forger.draft();
    draft.add(name, value);
    draft.sign()
}

fn rename(name: &str, other: &str, forger: &Forger) -> Vec<u8> {
    forger.with_fields(|fields| {
        let field = fields.iter_mut().find(|field| field.0 == name).unwrap();
        other.clone_into(&mut field.0);
    })
}

/// A register beside the good ones with another length.
fn register_of(value: &[u8], forger: &Forger) -> Vec<u8> {
    let good = forger.image().pcrs();
    let pcrs = Writer::new().map(7);
    let pcrs = good.fold(pcrs, |map, (i, pcr)| map.unsigned(i.into()).bytes(pcr.as_bytes()));
    set("pcrs", pcrs.unsigned(16).bytes(value), forger)
}

fn too_long(field: &str, forger: &Forger) -> Vec<u8> {
    set(field, Writer::new().bytes(&[1; 1025]), forger)
}
