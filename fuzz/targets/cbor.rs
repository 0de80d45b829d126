//! CBOR, the COSE envelope and the statement.
//!
//! Holds: what the reader takes is what the writer writes, byte for byte, at every level.
//!
//! Memory: 96 times. An array of numbers below 24 has an item in each byte, which is written again on its
//! own: 24 bytes in a list, which takes three times that while it grows, and eight for its byte.

#![no_main]

use attestation::{
    cbor::{CborError, Key, Reader, Writer},
    cose::{self, Sign1},
    statement::Statement,
};
use fuzz::Bound;

libfuzzer_sys::fuzz_target!(|input: &[u8]| BOUND.hold(input, || {
    let mut reader = Reader::new(input);
    if let Ok(item) = reader.skip() {
        assert_eq!(rewritten(item).expect("it was read before"), item);
        assert_eq!(reader.finish().is_ok(), item.len() == input.len());
    }
    if let Ok(envelope) = Sign1::decode(input) {
        let plain = input.strip_prefix(&[TAG]).unwrap_or(input);
        assert_eq!(cose::encode(envelope.payload(), envelope.signature()), plain);
    }
    if let Ok(statement) = Statement::decode(input) {
        assert_eq!(statement.encode(), input);
    }
}));

/// Reads an item by the function for its type and writes it again.
fn rewritten(item: &[u8]) -> Result<Vec<u8>, CborError> {
    let mut reader = Reader::new(item);
    let writer = match item.first().map(|byte| byte >> 5) {
        Some(0) => Writer::new().unsigned(reader.unsigned()?),
        Some(2) => Writer::new().bytes(reader.bytes()?),
        Some(3) => Writer::new().text(reader.text()?),
        Some(4) => {
            let mut items = Vec::new();
            reader.array(|reader| rewritten(reader.skip()?).map(|item| items.push(item)))?;
            let writer = Writer::new().array(items.len() as u64);
            items.iter().fold(writer, |writer, item| writer.raw(item))
        }
        Some(5) => {
            let mut entries = Vec::new();
            let mut is_other = false;
            reader.map(|key, reader| {
                match key {
                    Key::Unsigned(key) => entries.push(Writer::new().unsigned(key).finish()),
                    Key::Text(key) => entries.push(Writer::new().text(key).finish()),
                    Key::Other => is_other = true,
                }
                rewritten(reader.skip()?).map(|value| entries.push(value))
            })?;
            if is_other {
                // The bytes of such a key are not shown.
                return Ok(item.to_vec());
            }
            let writer = Writer::new().map(entries.len() as u64 / 2);
            entries.iter().fold(writer, |writer, item| writer.raw(item))
        }
        _ => Writer::new().raw(reader.skip()?),
    };
    reader.finish()?;
    Ok(writer.finish())
}

/// The tag of an envelope that has one.
const TAG: u8 = 0xd2;

const BOUND: Bound = Bound { times: 96, plus: 4096 };
