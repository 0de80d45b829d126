//! The envelope of a document: COSE_Sign1 (RFC 9052, section 4.2), in the one form that is signed
//! by the Nitro Secure Module.

use crate::cbor::{CborError, Reader, Writer};

/// A decoded envelope, not verified yet: an array of protected header, unprotected header, payload
/// and signature, tagged 18 or not at all.
///
/// The protected header is exactly `{1: -35}` (ES384) and the unprotected one is empty, so nothing
/// in an envelope chooses how it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign1<'a> {
    payload: &'a [u8],
    signature: &'a [u8; SIGNATURE_BYTES],
}

/// Why bytes are not such an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// The CBOR is not what is read here.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// The array has not the four items of a COSE_Sign1 structure.
    #[error("the array has {got} items instead of 4")]
    Items {
        /// Items found.
        got: usize,
    },
    /// The payload is `null`: signed content that is not in the document.
    #[error("the payload is not in the envelope")]
    Detached,
    /// The signature is not the 96 bytes of a P-384 signature's two numbers.
    #[error("the signature is {got} bytes long instead of {SIGNATURE_BYTES}")]
    SignatureLength {
        /// Length found in bytes.
        got: usize,
    },
    /// The protected header is not exactly `{1: -35}`.
    #[error("the protected header is not that of ES384")]
    Protected,
    /// The unprotected header is not an empty map.
    #[error("the unprotected header is not an empty map")]
    Unprotected,
}

impl<'a> Sign1<'a> {
    /// Decodes an envelope: the whole shape first, then the two headers.
    ///
    /// # Errors
    ///
    /// [`CoseError`], the first of the order above.
    pub fn decode(input: &'a [u8]) -> Result<Self, CoseError> {
        let mut reader = Reader::new(input);
        reader.tag(TAG_SIGN1);
        let mut items = Items::default();
        reader.array(|reader| items.read(reader))?;
        reader.finish()?;
        let Items { got: 4, protected, unprotected, payload, signature } = items else {
            return Err(CoseError::Items { got: items.got });
        };
        let payload = payload.ok_or(CoseError::Detached)?;
        let signature = <&[u8; SIGNATURE_BYTES]>::try_from(signature)
            .ok()
            .ok_or(CoseError::SignatureLength { got: signature.len() })?;
        if protected != PROTECTED_ES384 {
            return Err(CoseError::Protected);
        }
        if unprotected != EMPTY_MAP {
            return Err(CoseError::Unprotected);
        }
        Ok(Self { payload, signature })
    }

    /// The payload as it was received.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The signature: two big-endian numbers of 48 bytes, r and s.
    #[must_use]
    pub const fn signature(&self) -> &'a [u8; SIGNATURE_BYTES] {
        self.signature
    }

    /// The bytes that the signature covers, around the payload as it was received.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        signed_bytes(self.payload)
    }
}

/// `["Signature1", protected header, external data (none), payload]` of RFC 9052, section 4.4.
#[must_use]
pub fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    let frame = Writer::new().array(4).text("Signature1").bytes(PROTECTED_ES384);
    frame.bytes(&[]).bytes(payload).finish()
}

/// Puts an envelope together, without a tag, as the Nitro Secure Module does.
#[must_use]
pub fn encode(payload: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> Vec<u8> {
    let frame = Writer::new().array(4).bytes(PROTECTED_ES384).map(0);
    frame.bytes(payload).bytes(signature).finish()
}

/// The four items while the array is read.
#[derive(Default)]
struct Items<'a> {
    got: usize,
    protected: &'a [u8],
    unprotected: &'a [u8],
    payload: Option<&'a [u8]>,
    signature: &'a [u8],
}

impl<'a> Items<'a> {
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<(), CoseError> {
        match self.got {
            0 => self.protected = reader.bytes()?,
            1 => self.unprotected = reader.skip()?,
            2 => self.payload = reader.optional_bytes()?,
            3 => self.signature = reader.bytes()?,
            _ => _ = reader.skip()?,
        }
        self.got = self.got.saturating_add(1);
        Ok(())
    }
}

/// Bytes of an ES384 signature (RFC 9053, section 2.1).
pub const SIGNATURE_BYTES: usize = 96;

/// COSE_Sign1's tag (RFC 9052, section 2).
const TAG_SIGN1: u8 = 18;

/// `{1: -35}`: the algorithm is ES384 (RFC 9053, section 2.1).
const PROTECTED_ES384: &[u8] = &[0xa1, 0x01, 0x38, 0x22];

const EMPTY_MAP: &[u8] = &[0xa0];

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: [u8; 96] = [9; 96];

    fn envelope(protected: &[u8], unprotected: &[u8], payload: &[u8], signature: &[u8]) -> Vec<u8> {
        let frame = Writer::new().array(4).bytes(protected).raw(unprotected);
        frame.raw(payload).bytes(signature).finish()
    }

    fn payload() -> Vec<u8> {
        Writer::new().bytes(b"payload").finish()
    }

    fn decode(bytes: &[u8]) -> Result<(), CoseError> {
        Sign1::decode(bytes).map(|_| ())
    }

    #[test]
    fn the_plain_and_the_tagged_envelope_are_read() {
        let plain = encode(b"payload", &SIGNATURE);
        let want = Sign1 { payload: b"payload", signature: &SIGNATURE };
        assert_eq!(Sign1::decode(&plain), Ok(want));
        let tagged = [&[0xd2], plain.as_slice()].concat();
        assert_eq!(Sign1::decode(&tagged), Ok(want));
    }

    #[test]
    fn another_tag_or_a_second_one_is_refused() {
        let plain = encode(b"payload", &SIGNATURE);
        for tags in [&[0xd8, 98][..], &[0xd2, 0xd2], &[0xd1], &[0xd9, 0, 18], &[0xd8, 18]] {
            let refusal = decode(&[tags, plain.as_slice()].concat());
            assert!(matches!(refusal, Err(CoseError::Cbor(CborError::Tag { .. }))), "{tags:?}");
        }
    }

    #[test]
    fn an_array_of_another_length_is_refused() {
        let five = Writer::new().array(5).bytes(PROTECTED_ES384).map(0).bytes(&[]);
        let five = five.bytes(&SIGNATURE).null().finish();
        assert_eq!(decode(&five), Err(CoseError::Items { got: 5 }));
        let three = Writer::new().array(3).bytes(PROTECTED_ES384).map(0).bytes(&[]).finish();
        assert_eq!(decode(&three), Err(CoseError::Items { got: 3 }));
        assert_eq!(decode(&[0x80]), Err(CoseError::Items { got: 0 }));
    }

    #[test]
    fn detached_content_is_refused() {
        let bytes = envelope(PROTECTED_ES384, EMPTY_MAP, &[0xf6], &SIGNATURE);
        assert_eq!(decode(&bytes), Err(CoseError::Detached));
    }

    #[test]
    fn a_signature_of_another_length_is_refused_before_the_header_is_read() {
        for got in [0, 95, 97, 104] {
            let bytes = envelope(&[], EMPTY_MAP, &payload(), &vec![1; got]);
            assert_eq!(decode(&bytes), Err(CoseError::SignatureLength { got }));
        }
    }

    #[test]
    fn another_protected_header_is_refused() {
        let others: [&[u8]; 7] = [
            &[],
            &[0xa0],
            &[0xa1, 0x01, 0x26],
            &[0xa1, 0x01, 0x18, 0x22],
            &[0xa1, 0x01, 0x65, b'E', b'S', b'3', b'8', b'4'],
            &[0xa1, 0x01, 0x38, 0x22, 0x00],
            &[0xa2, 0x01, 0x38, 0x22, 0x04, 0x00],
        ];
        for protected in others {
            let bytes = envelope(protected, EMPTY_MAP, &payload(), &SIGNATURE);
            assert_eq!(decode(&bytes), Err(CoseError::Protected), "{protected:?}");
        }
    }

    #[test]
    fn an_unprotected_header_that_says_anything_is_refused() {
        let others: [&[u8]; 4] = [&[0xa1, 0x01, 0x38, 0x22], &[0xf6], &[0x80], &[0x61, b'x']];
        for unprotected in others {
            let bytes = envelope(PROTECTED_ES384, unprotected, &payload(), &SIGNATURE);
            assert_eq!(decode(&bytes), Err(CoseError::Unprotected), "{unprotected:?}");
        }
    }

    #[test]
    fn bytes_after_the_envelope_are_refused() {
        let mut bytes = encode(b"payload", &SIGNATURE);
        let at = bytes.len();
        bytes.push(0);
        assert_eq!(decode(&bytes), Err(CoseError::Cbor(CborError::Trailing { at })));
    }

    #[test]
    fn the_signed_bytes_are_those_of_the_standard() {
        let head = "846a5369676e61747572653144a101382240477061796c6f6164";
        assert_eq!(signed_bytes(b"payload"), hex::decode(head).unwrap());
    }
}
