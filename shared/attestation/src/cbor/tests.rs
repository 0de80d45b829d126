use proptest::prelude::*;

use super::{CborError, Key, Kind, Reader, Writer};

/// Reads one item of any type to the end of the input.
fn skip(input: &[u8]) -> Result<usize, CborError> {
    let mut reader = Reader::new(input);
    let length = reader.skip()?.len();
    reader.finish()?;
    Ok(length)
}

#[test]
fn every_number_has_one_encoding() {
    let shortest: [(u64, &[u8]); 10] = [
        (0, &[0x00]),
        (23, &[0x17]),
        (24, &[0x18, 24]),
        (255, &[0x18, 255]),
        (256, &[0x19, 1, 0]),
        (65_535, &[0x19, 255, 255]),
        (65_536, &[0x1a, 0, 1, 0, 0]),
        (u64::from(u32::MAX), &[0x1a, 255, 255, 255, 255]),
        (1 << 32, &[0x1b, 0, 0, 0, 1, 0, 0, 0, 0]),
        (u64::MAX, &[0x1b, 255, 255, 255, 255, 255, 255, 255, 255]),
    ];
    for (value, bytes) in shortest {
        assert_eq!(Writer::new().unsigned(value).finish(), bytes);
        assert_eq!(Reader::new(bytes).unsigned(), Ok(value));
    }
    let longer: [&[u8]; 4] = [
        &[0x18, 23],
        &[0x19, 0, 255],
        &[0x1a, 0, 0, 255, 255],
        &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
    ];
    for bytes in longer {
        assert_eq!(Reader::new(bytes).unsigned(), Err(CborError::Overlong { at: 0 }));
    }
}

#[test]
fn an_overlong_length_is_refused() {
    assert_eq!(Reader::new(&[0x58, 1, 7]).bytes(), Err(CborError::Overlong { at: 0 }));
    assert_eq!(skip(&[0x98, 1, 0]), Err(CborError::Overlong { at: 0 }));
}

#[test]
fn an_indefinite_length_is_refused() {
    for first in [0x5f, 0x7f, 0x9f, 0xbf, 0xff] {
        assert_eq!(skip(&[first, 0xff]), Err(CborError::Indefinite { at: 0 }), "{first:x}");
    }
}

#[test]
fn a_reserved_head_is_refused() {
    for first in [0x1c, 0x1d, 0x1e, 0xe0, 0xf8, 0xfc] {
        assert_eq!(skip(&[first, 0xff]), Err(CborError::Reserved { at: 0 }), "{first:x}");
    }
}

#[test]
fn floats_and_simple_values_are_moved_over() {
    for item in [&[0xf4][..], &[0xf6], &[0xf9, 0x3c, 0], &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(skip(item), Ok(item.len()));
    }
    assert_eq!(skip(&[0xfa, 0]), Err(CborError::Truncated { at: 0 }));
}

#[test]
fn a_count_larger_than_the_input_is_refused_before_the_first_item() {
    for announced in [
        &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
        &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x82, 0x00],
        &[0xa1, 0x00],
    ] {
        assert_eq!(skip(announced), Err(CborError::Truncated { at: 0 }));
    }
}

#[test]
fn a_key_twice_in_one_map_is_refused() {
    let twice = Writer::new().map(2).text("a").unsigned(1).text("a").unsigned(2).finish();
    assert_eq!(skip(&twice), Err(CborError::DuplicateKey { at: 4 }));
    let apart = Writer::new().map(2).text("a").unsigned(1).unsigned(1).text("a").finish();
    assert_eq!(skip(&apart), Ok(apart.len()));
}

#[test]
fn a_key_that_has_several_encodings_is_refused() {
    let keys: [&[u8]; 6] = [
        &[0xf9, 0x3c, 0],
        &[0xfa, 0x3f, 0x80, 0, 0],
        &[0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0],
        &[0x80],
        &[0x81, 0xf9, 0x3c, 0],
        &[0xa0],
    ];
    for key in keys {
        let map = Writer::new().map(1).raw(key).unsigned(1).finish();
        assert_eq!(skip(&map), Err(CborError::Type { at: 1, want: Kind::Key }), "{key:x?}");
    }
    let one_byte: [&[u8]; 5] = [&[0xf4], &[0xf5], &[0xf6], &[0xf7], &[0x20]];
    for key in one_byte {
        let map = Writer::new().map(1).raw(key).unsigned(1).finish();
        assert_eq!(skip(&map), Ok(map.len()), "{key:x?}");
    }
}

#[test]
fn a_key_with_a_reserved_head_is_refused() {
    for key in [0xe0, 0xf8, 0xff] {
        let map = Writer::new().map(1).raw(&[key]).unsigned(1).finish();
        let refusal = skip(&map).unwrap_err();
        assert_eq!(refusal, CborError::Type { at: 1, want: Kind::Key }, "{key:x}");
        assert!(refusal.to_string().contains("a key with one encoding"), "{refusal}");
    }
}

#[test]
fn four_levels_are_read_and_a_fifth_is_refused() {
    assert_eq!(skip(&[0x81, 0x81, 0x81, 0x81, 0x00]), Ok(5));
    assert_eq!(skip(&[0x81, 0x81, 0x81, 0x81, 0x80]), Err(CborError::TooDeep { at: 4 }));
    assert_eq!(skip(&[0x82, 0x81, 0x80, 0x81, 0x80]), Ok(5));
}

#[test]
fn a_tag_inside_is_refused() {
    assert_eq!(skip(&[0xc1, 0x00]), Err(CborError::Tag { at: 0 }));
    assert_eq!(skip(&[0x81, 0xd2, 0x00]), Err(CborError::Tag { at: 1 }));
    let mut reader = Reader::new(&[0xd2, 0xd2, 0x00]);
    assert!(reader.tag(18));
    assert_eq!(reader.unsigned(), Err(CborError::Tag { at: 1 }));
    // The head of a tag that takes another byte is no tag of its own.
    assert!(!Reader::new(&[0xd8, 18, 0x00]).tag(24));
}

#[test]
fn text_is_utf8() {
    assert_eq!(Reader::new(&[0x62, 0xc3, 0xa9]).text(), Ok("\u{e9}"));
    assert_eq!(Reader::new(&[0x61, 0xff]).text(), Err(CborError::NotUtf8 { at: 0 }));
    assert_eq!(skip(&[0x61, 0xff]), Err(CborError::NotUtf8 { at: 0 }));
}

#[test]
fn another_type_is_refused_by_name() {
    assert_eq!(Reader::new(&[0x60]).bytes(), Err(CborError::Type { at: 0, want: Kind::Bytes }));
    assert_eq!(
        Reader::new(&[0x20]).unsigned(),
        Err(CborError::Type { at: 0, want: Kind::Unsigned })
    );
    assert_eq!(Reader::new(&[0xf6]).optional_bytes(), Ok(None));
    assert_eq!(Reader::new(&[]).text(), Err(CborError::Truncated { at: 0 }));
}

#[test]
fn bytes_after_the_item_are_refused() {
    assert_eq!(skip(&[0x00, 0x00]), Err(CborError::Trailing { at: 1 }));
}

#[test]
fn what_was_written_is_read() {
    let bytes = Writer::new()
        .map(4)
        .unsigned(300)
        .bytes(&[7; 300])
        .text("list")
        .array(2)
        .null()
        .text("x")
        .raw(&[0x20])
        .unsigned(1)
        .bytes(b"k")
        .unsigned(2)
        .finish();
    let mut keys = Vec::new();
    let mut reader = Reader::new(&bytes);
    reader
        .map(|key, value| {
            keys.push(key);
            match key {
                Key::Unsigned(300) => assert_eq!(value.bytes()?, [7; 300]),
                Key::Unsigned(_) | Key::Text(_) | Key::Other => {
                    assert!(!value.skip()?.is_empty());
                }
            }
            Ok::<(), CborError>(())
        })
        .unwrap();
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(keys, [Key::Unsigned(300), Key::Text("list"), Key::Other, Key::Other]);
}

proptest! {
    #[test]
    fn no_input_panics_or_is_read_beyond(input in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(length) = skip(&input) {
            prop_assert_eq!(length, input.len());
        }
    }

    #[test]
    fn a_cut_item_is_refused(value in proptest::collection::vec(any::<u8>(), 1..300), cut in 0_usize..300) {
        let whole = Writer::new().array(2).bytes(&value).unsigned(1).finish();
        prop_assume!(cut < whole.len());
        prop_assert!(skip(&whole[..cut]).is_err());
    }
}
