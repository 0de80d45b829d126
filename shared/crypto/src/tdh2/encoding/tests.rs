//! Both encodings carry the same; what is neither is refused.

use proptest::prelude::*;

use crate::{
    secret::Secret,
    tdh2::{
        Ciphertext, CiphertextError, CombineError, ParseError, combine,
        tests::{Vault, flipped, opens, threshold},
    },
};

/// The vault's ciphertext in the other encoding.
fn prefixed(vault: &Vault) -> Vec<u8> {
    vault.ciphertext.to_length_prefixed()
}

fn refusal(vault: &Vault, bytes: &[u8]) -> CiphertextError {
    Ciphertext::parse(bytes, &vault.deal.public_key).unwrap_err()
}

#[test]
fn both_encodings_are_read_and_written() {
    let vault = Vault::new();
    let json = vault.ciphertext.as_bytes();
    let bytes = prefixed(&vault);
    assert_eq!(bytes[..5], [0, 0, 1, 0xa2, b'{']);
    assert_eq!(bytes.len(), 4 + 418 + 4 + 7 + 16 + 4 + 12);
    let parsed = Ciphertext::parse(&bytes, &vault.deal.public_key).unwrap();
    assert_eq!((parsed.as_bytes(), parsed.label()), (&bytes[..], vault.ciphertext.label()));
    assert_eq!(parsed.to_json(), json);
    assert_eq!(parsed.to_length_prefixed(), bytes);
    assert_eq!(vault.ciphertext.to_json(), json);
}

#[test]
fn shares_open_either_encoding() {
    let vault = Vault::new();
    let key = &vault.deal.public_key;
    let parsed = Ciphertext::parse(&prefixed(&vault), key).unwrap();
    let shares = vault.shares.iter().map(Secret::expose);
    assert!(opens(&combine(key, &parsed, shares, threshold(3))));
}

#[test]
fn fields_that_do_not_fill_the_bytes_are_refused() {
    let vault = Vault::new();
    let bytes = prefixed(&vault);
    for length in 1..bytes.len() {
        assert_eq!(refusal(&vault, &bytes[..length]), CiphertextError::Fields, "{length}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(refusal(&vault, &longer), CiphertextError::Fields);
    let empty_field = [&bytes[..], &[0; 4]].concat();
    assert_eq!(refusal(&vault, &empty_field), CiphertextError::Fields);
    for position in [0, 4 + 418, 4 + 418 + 4 + 23] {
        for length in [[0, 0xff, 0xff, 0xff], [0, 0, 0, 0]] {
            let mut bytes = bytes.clone();
            bytes[position..position + 4].copy_from_slice(&length);
            assert_eq!(refusal(&vault, &bytes), CiphertextError::Fields, "{position}");
        }
    }
}

#[test]
fn fields_are_held_to_the_same_rules_as_members() {
    let vault = Vault::new();
    let field = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let of = |inner: &[u8], sealed: &[u8], nonce: &[u8]| {
        refusal(&vault, &[field(inner), field(sealed), field(nonce)].concat())
    };
    let bytes = prefixed(&vault);
    let inner = &bytes[4..422];
    assert_eq!(of(inner, &[0; 16], &[0; 11]), CiphertextError::SymmetricSize);
    assert_eq!(of(inner, &[0; 15], &[0; 12]), CiphertextError::SymmetricSize);
    assert_eq!(of(b"{}", &[0; 16], &[0; 12]), ParseError::Missing { member: "Group" }.into());
    assert_eq!(of(b"", &[0; 16], &[0; 12]), ParseError::Json.into());
    let text = String::from_utf8(inner.to_vec()).unwrap();
    let other = text.replace("\"Label\":\"Bw", "\"Label\":\"CA");
    assert_eq!(of(other.as_bytes(), &[0; 16], &[0; 12]), CiphertextError::Proof);
}

#[test]
fn a_first_byte_that_is_neither_s_is_no_json() {
    let vault = Vault::new();
    let mut bytes = prefixed(&vault);
    for first in [1, 2, 0x7f, 0xff] {
        bytes[0] = first;
        assert_eq!(refusal(&vault, &bytes), ParseError::Json.into(), "{first}");
    }
    assert_eq!(refusal(&vault, b""), ParseError::Json.into());
}

#[test]
fn fields_over_the_limit_are_refused_unread() {
    let vault = Vault::new();
    let long = vec![0; 1024 * 1024 + 1];
    let refused = ParseError::TooLong { got: 1024 * 1024 + 1, limit: 1024 * 1024 };
    assert_eq!(refusal(&vault, &long), refused.into());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn one_flipped_bit_of_the_fields_is_refused(bit in 0_usize..465 * 8) {
        let vault = Vault::new();
        let key = &vault.deal.public_key;
        let bytes = flipped(&prefixed(&vault), bit);
        if let Ok(ciphertext) = Ciphertext::parse(&bytes, key) {
            let shares = vault.picked(&[0, 1, 2]);
            let result = combine(key, &ciphertext, shares, threshold(3));
            prop_assert_eq!(result.unwrap_err(), CombineError::Decrypt);
        }
    }

    #[test]
    fn any_fields_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let vault = Vault::new();
        let bytes = [&[0][..], &bytes].concat();
        prop_assert!(Ciphertext::parse(&bytes, &vault.deal.public_key).is_err());
    }
}
