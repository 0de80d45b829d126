//! Faults around the payload: size, CBOR of the envelope, headers, signature.

use attestation::{
    DOCUMENT_LIMIT_BYTES, VerifyError,
    cbor::{CborError, Kind, Writer},
    cose::CoseError,
};

use super::{Forger, Forgery, error::envelope};

pub(super) const ALL: &[Forgery] = &[
    Forgery::new("empty document", 28, VerifyError::Size { got: 0 }, |_| Vec::new()),
    Forgery::new(
        "document above the limit",
        28,
        VerifyError::Size { got: DOCUMENT_LIMIT_BYTES + 1 },
        |forger| {
            // The name of the field and the head of its value take nine bytes.
            let room = DOCUMENT_LIMIT_BYTES + 1 - forger.good().len() - 9;
            let zeros = Writer::new().bytes(&vec![0; room]).finish();
            forger.with_fields(|fields| fields.push(("zeros".to_owned(), zeros)))
        },
    ),
    Forgery::new(
        "text of an attestor that signs nothing",
        33,
        envelope(CborError::Type { at: 0, want: Kind::Array }),
        |_| b"fake-attestation".to_vec(),
    ),
    Forgery::new(
        "number instead of an envelope",
        12,
        envelope(CborError::Type { at: 0, want: Kind::Array }),
        |_| vec![0x00],
    ),
    Forgery::new("tag of another structure", 12, envelope(CborError::Tag { at: 0 }), |f| {
        before(&[0xd8, 98], f)
    }),
    Forgery::new("tag twice", 12, envelope(CborError::Tag { at: 0 }), |f| before(&[0xd2, 0xd2], f)),
    Forgery::new("tag in two bytes", 12, envelope(CborError::Tag { at: 0 }), |f| {
        before(&[0xd8, 18], f)
    }),
    Forgery::new(
        "byte after the document",
        14,
        envelope(CborError::Trailing { at: 0 }),
        |forger| {
            let mut document = forger.good();
            document.push(0);
            document
        },
    ),
    Forgery::new("document cut short", 14, envelope(CborError::Truncated { at: 0 }), |forger| {
        let mut document = forger.good();
        document.pop();
        document
    }),
    Forgery::new("half a document", 34, envelope(CborError::Truncated { at: 0 }), |forger| {
        let document = forger.good();
        document[..document.len() / 2].to_vec()
    }),
    Forgery::new(
        "signature of 2^64 - 1 bytes",
        34,
        envelope(CborError::Truncated { at: 0 }),
        |forger| {
            let parts = Parts::of(forger);
            let frame = Writer::new().array(4).bytes(&parts.protected).raw(&parts.unprotected);
            frame.bytes(&parts.payload).raw(&[0x5b]).raw(&[0xff; 8]).finish()
        },
    ),
    Forgery::new(
        "envelope of indefinite length",
        12,
        envelope(CborError::Indefinite { at: 0 }),
        |forger| {
            let mut document = forger.good();
            document[0] = 0x9f;
            document.push(0xff);
            document
        },
    ),
    Forgery::new(
        "envelope with an overlong head",
        12,
        envelope(CborError::Overlong { at: 0 }),
        |forger| [&[0x98, 4], &forger.good()[1..]].concat(),
    ),
    Forgery::new(
        "header with an overlong head",
        12,
        envelope(CborError::Overlong { at: 0 }),
        |forger| {
            let document = forger.good();
            [&document[..1], &[0x58, 4], &document[2..]].concat()
        },
    ),
    Forgery::new(
        "envelope of three items",
        12,
        VerifyError::Cose(CoseError::Items { got: 3 }),
        |forger| {
            let parts = Parts::of(forger);
            let frame = Writer::new().array(3).bytes(&parts.protected).raw(&parts.unprotected);
            frame.bytes(&parts.payload).finish()
        },
    ),
    Forgery::new(
        "envelope of five items",
        12,
        VerifyError::Cose(CoseError::Items { got: 5 }),
        |forger| {
            let mut document = Parts::of(forger).encode();
            document[0] = 0x85;
            document.push(0xf6);
            document
        },
    ),
    Forgery::new(
        "payload outside the document",
        9,
        VerifyError::Cose(CoseError::Detached),
        |forger| {
            let parts = Parts::of(forger);
            let frame = Writer::new().array(4).bytes(&parts.protected).raw(&parts.unprotected);
            frame.null().bytes(&parts.signature).finish()
        },
    ),
    Forgery::new(
        "payload as text",
        9,
        envelope(CborError::Type { at: 0, want: Kind::Bytes }),
        |forger| {
            let parts = Parts::of(forger);
            let frame = Writer::new().array(4).bytes(&parts.protected).raw(&parts.unprotected);
            frame.text("payload").bytes(&parts.signature).finish()
        },
    ),
    Forgery::new(
        "signature of 95 bytes",
        11,
        VerifyError::Cose(CoseError::SignatureLength { got: 95 }),
        |forger| {
            let mut parts = Parts::of(forger);
            parts.signature.pop();
            parts.encode()
        },
    ),
    Forgery::new(
        "signature of 97 bytes",
        11,
        VerifyError::Cose(CoseError::SignatureLength { got: 97 }),
        |forger| {
            let mut parts = Parts::of(forger);
            parts.signature.push(0);
            parts.encode()
        },
    ),
    Forgery::new(
        "signature as DER",
        11,
        VerifyError::Cose(CoseError::SignatureLength { got: 103 }),
        |forger| {
            let mut parts = Parts::of(forger);
            let key = forger.chain().leaf.key();
            let mut sign = || rcgen::SigningKey::sign(key, &parts.signed_bytes()).unwrap();
            // Most have this length; the others are a byte or two shorter or longer.
            parts.signature =
                std::iter::repeat_with(&mut sign).find(|der| der.len() == 103).unwrap();
            parts.encode()
        },
    ),
    Forgery::new(
        "signature of no bytes",
        33,
        VerifyError::Cose(CoseError::SignatureLength { got: 0 }),
        |forger| {
            let mut parts = Parts::of(forger);
            parts.signature.clear();
            parts.encode()
        },
    ),
    Forgery::new("header of ES256", 7, VerifyError::Cose(CoseError::Protected), |f| {
        header(&[0xa1, 0x01, 0x26], f)
    }),
    Forgery::new("header of ES512", 7, VerifyError::Cose(CoseError::Protected), |f| {
        header(&[0xa1, 0x01, 0x38, 0x23], f)
    }),
    Forgery::new("algorithm as text", 7, VerifyError::Cose(CoseError::Protected), |forger| {
        header(&[0xa1, 0x01, 0x65, b'E', b'S', b'3', b'8', b'4'], forger)
    }),
    Forgery::new("header without an algorithm", 7, VerifyError::Cose(CoseError::Protected), |f| {
        header(&[0xa0], f)
    }),
    Forgery::new("empty header", 7, VerifyError::Cose(CoseError::Protected), |f| header(&[], f)),
    Forgery::new("header that says more", 7, VerifyError::Cose(CoseError::Protected), |forger| {
        header(&[0xa2, 0x01, 0x38, 0x22, 0x04, 0x41, 0x00], forger)
    }),
    Forgery::new("algorithm twice", 12, VerifyError::Cose(CoseError::Protected), |forger| {
        header(&[0xa2, 0x01, 0x38, 0x22, 0x01, 0x38, 0x22], forger)
    }),
    Forgery::new("byte after the header", 14, VerifyError::Cose(CoseError::Protected), |forger| {
        header(&[0xa1, 0x01, 0x38, 0x22, 0x00], forger)
    }),
    Forgery::new(
        "algorithm in the unprotected header",
        8,
        VerifyError::Cose(CoseError::Unprotected),
        |forger| unprotected(&[0xa1, 0x01, 0x38, 0x22], forger),
    ),
    Forgery::new(
        "key in the unprotected header",
        8,
        VerifyError::Cose(CoseError::Unprotected),
        |forger| unprotected(&[0xa1, 0x04, 0x41, 0x00], forger),
    ),
    Forgery::new("unprotected header of null", 8, VerifyError::Cose(CoseError::Unprotected), |f| {
        unprotected(&[0xf6], f)
    }),
    Forgery::new("signature by another key", 10, VerifyError::Signature, |forger| {
        let mut parts = Parts::of(forger);
        let other = forger.chain().issuers.last().unwrap();
        parts.signature = other.sign_es384(&parts.signed_bytes()).unwrap().to_vec();
        parts.encode()
    }),
    Forgery::new("signature with one bit changed", 10, VerifyError::Signature, |forger| {
        let mut document = forger.good();
        *document.last_mut().unwrap() ^= 1;
        document
    }),
    Forgery::new("signature of zeros", 10, VerifyError::Signature, |forger| {
        let mut parts = Parts::of(forger);
        parts.signature.fill(0);
        parts.encode()
    }),
    Forgery::new(
        "one bit of the name changed after signing",
        34,
        VerifyError::Signature,
        |forger| {
            let mut document = forger.good();
            let name = super::MODULE_ID.as_bytes();
            let at = document.windows(name.len()).position(|bytes| bytes == name).unwrap();
            document[at] ^= 1;
            document
        },
    ),
    Forgery::new("payload encoded again after signing", 13, VerifyError::Signature, |forger| {
        let mut parts = Parts::of(forger);
        let mut draft = forger.draft();
        draft.fields.reverse();
        parts.payload = draft.payload();
        parts.encode()
    }),
    Forgery::new("name changed after signing", 13, VerifyError::Signature, |forger| {
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
