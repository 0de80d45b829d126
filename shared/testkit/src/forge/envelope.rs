//! Faults around the payload: size, CBOR of the envelope, headers, signature.

use attestation::{Check, DOCUMENT_LIMIT_BYTES, cbor::Writer};

use super::{Forger, Forgery};

pub(super) const ALL: &[Forgery] = &[
    Forgery::new("empty document", 28, Check::Size, |_| Vec::new()),
    Forgery::new("document above the limit", 28, Check::Size, |forger| {
        let zeros = Writer::new().bytes(&[0; DOCUMENT_LIMIT_BYTES]).finish();
        forger.with_fields(|fields| fields.push(("zeros".to_owned(), zeros)))
    }),
    Forgery::new("text instead of CBOR", 12, Check::Envelope, |_| b"fake-attestation".to_vec()),
    Forgery::new("tag of another structure", 12, Check::Envelope, |f| before(&[0xd8, 98], f)),
    Forgery::new("tag twice", 12, Check::Envelope, |f| before(&[0xd2, 0xd2], f)),
    Forgery::new("tag in two bytes", 12, Check::Envelope, |f| before(&[0xd8, 18], f)),
    Forgery::new("byte after the document", 14, Check::Envelope, |forger| {
        let mut document = forger.good();
        document.push(0);
        document
    }),
    Forgery::new("document cut short", 14, Check::Envelope, |forger| {
        let mut document = forger.good();
        document.pop();
        document
    }),
    Forgery::new("envelope of indefinite length", 12, Check::Envelope, |forger| {
        let mut document = forger.good();
        document[0] = 0x9f;
        document.push(0xff);
        document
    }),
    Forgery::new("envelope with an overlong head", 12, Check::Envelope, |forger| {
        [&[0x98, 4], &forger.good()[1..]].concat()
    }),
    Forgery::new("header with an overlong head", 12, Check::Envelope, |forger| {
        let document = forger.good();
        [&document[..1], &[0x58, 4], &document[2..]].concat()
    }),
    Forgery::new("envelope of three items", 12, Check::Envelope, |forger| {
        let parts = Parts::of(forger);
        let frame = Writer::new().array(3).bytes(&parts.protected).raw(&parts.unprotected);
        frame.bytes(&parts.payload).finish()
    }),
    Forgery::new("envelope of five items", 12, Check::Envelope, |forger| {
        let mut document = Parts::of(forger).encode();
        document[0] = 0x85;
        document.push(0xf6);
        document
    }),
    Forgery::new("payload outside the document", 9, Check::Envelope, |forger| {
        let parts = Parts::of(forger);
        let frame = Writer::new().array(4).bytes(&parts.protected).raw(&parts.unprotected);
        frame.null().bytes(&parts.signature).finish()
    }),
    Forgery::new("payload as text", 9, Check::Envelope, |forger| {
        let parts = Parts::of(forger);
        let frame = Writer::new().array(4).bytes(&parts.protected).raw(&parts.unprotected);
        frame.text("payload").bytes(&parts.signature).finish()
    }),
    Forgery::new("signature of 95 bytes", 11, Check::Envelope, |forger| {
        let mut parts = Parts::of(forger);
        parts.signature.pop();
        parts.encode()
    }),
    Forgery::new("signature of 97 bytes", 11, Check::Envelope, |forger| {
        let mut parts = Parts::of(forger);
        parts.signature.push(0);
        parts.encode()
    }),
    Forgery::new("signature as DER", 11, Check::Envelope, |forger| {
        let mut parts = Parts::of(forger);
        let key = forger.chain().leaf.key();
        parts.signature = rcgen::SigningKey::sign(key, &parts.signed_bytes()).unwrap();
        parts.encode()
    }),
    Forgery::new("header of ES256", 7, Check::Header, |f| header(&[0xa1, 0x01, 0x26], f)),
    Forgery::new("header of ES512", 7, Check::Header, |f| header(&[0xa1, 0x01, 0x38, 0x23], f)),
    Forgery::new("algorithm as text", 7, Check::Header, |forger| {
        header(&[0xa1, 0x01, 0x65, b'E', b'S', b'3', b'8', b'4'], forger)
    }),
    Forgery::new("header without an algorithm", 7, Check::Header, |f| header(&[0xa0], f)),
    Forgery::new("empty header", 7, Check::Header, |f| header(&[], f)),
    Forgery::new("header that says more", 7, Check::Header, |forger| {
        header(&[0xa2, 0x01, 0x38, 0x22, 0x04, 0x41, 0x00], forger)
    }),
    Forgery::new("algorithm twice", 12, Check::Header, |forger| {
        header(&[0xa2, 0x01, 0x38, 0x22, 0x01, 0x38, 0x22], forger)
    }),
    Forgery::new("byte after the header", 14, Check::Header, |forger| {
        header(&[0xa1, 0x01, 0x38, 0x22, 0x00], forger)
    }),
    Forgery::new("algorithm in the unprotected header", 8, Check::Header, |forger| {
        unprotected(&[0xa1, 0x01, 0x38, 0x22], forger)
    }),
    Forgery::new("key in the unprotected header", 8, Check::Header, |forger| {
        unprotected(&[0xa1, 0x04, 0x41, 0x00], forger)
    }),
    Forgery::new("unprotected header of null", 8, Check::Header, |f| unprotected(&[0xf6], f)),
    Forgery::new("signature by another key", 10, Check::Signature, |forger| {
        let mut parts = Parts::of(forger);
        let other = forger.chain().issuers.last().unwrap();
        parts.signature = other.sign_es384(&parts.signed_bytes()).unwrap().to_vec();
        parts.encode()
    }),
    Forgery::new("signature with one bit changed", 10, Check::Signature, |forger| {
        let mut document = forger.good();
        *document.last_mut().unwrap() ^= 1;
        document
    }),
    Forgery::new("signature of zeros", 10, Check::Signature, |forger| {
        let mut parts = Parts::of(forger);
        parts.signature.fill(0);
        parts.encode()
    }),
    Forgery::new("payload encoded again after signing", 13, Check::Signature, |forger| {
        let mut parts = Parts::of(forger);
        let mut draft = forger.draft();
        draft.fields.reverse();
        parts.payload = draft.payload();
        parts.encode()
    }),
    Forgery::new("name changed after signing", 13, Check::Signature, |forger| {
        let mut parts = Parts::of(forger);
        let mut draft = forger.draft();
        draft.set("module_id", Writer::new().text("i-1"));
        parts.payload = draft.payload();
        parts.encode()
    }),
];

/// The four items of an envelope.
struct Parts {
    protected: Vec<u8>,
    unprotected: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Parts {
    fn of(forger: &Forger) -> Self {
        let payload = forger.draft().payload();
        let protected = vec![0xa1, 0x01, 0x38, 0x22];
        let mut parts = Self { protected, unprotected: vec![0xa0], payload, signature: Vec::new() };
        parts.sign(forger);
        parts
    }

    /// Signs whatever the protected header says.
    fn sign(&mut self, forger: &Forger) {
        self.signature = forger.chain().leaf.sign_es384(&self.signed_bytes()).unwrap().to_vec();
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let frame = Writer::new().array(4).text("Signature1").bytes(&self.protected);
        frame.bytes(&[]).bytes(&self.payload).finish()
    }

    fn encode(&self) -> Vec<u8> {
        let frame = Writer::new().array(4).bytes(&self.protected).raw(&self.unprotected);
        frame.bytes(&self.payload).bytes(&self.signature).finish()
    }
}

fn before(head: &[u8], forger: &Forger) -> Vec<u8> {
    [head, &forger.good()].concat()
}

fn header(protected: &[u8], forger: &Forger) -> Vec<u8> {
    let mut parts = Parts::of(forger);
    parts.protected = protected.to_vec();
    parts.sign(forger);
    parts.encode()
}

fn unprotected(item: &[u8], forger: &Forger) -> Vec<u8> {
    let mut parts = Parts::of(forger);
    parts.unprotected = item.to_vec();
    parts.encode()
}
