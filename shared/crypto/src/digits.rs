//! Keys as text: 64 hexadecimal digits.

/// Why a text is not 32 bytes in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DigitsError {
    /// There are not 64 characters.
    Count {
        /// Characters.
        got: usize,
    },
    /// A character is not a hexadecimal digit.
    Digit,
}

/// Reads 64 hexadecimal digits of any case, without `0x`.
pub(crate) fn decode(text: &str) -> Result<[u8; 32], DigitsError> {
    let mut bytes = [0; 32];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(hex::FromHexError::InvalidHexCharacter { .. }) if text.len() == DIGITS => {
            Err(DigitsError::Digit)
        }
        Err(_) => Err(DigitsError::Count { got: text.chars().count() }),
    }
}

const DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_digits_of_any_case_are_read() {
        assert_eq!(decode(&"aB".repeat(32)), Ok([0xab; 32]));
    }

    #[test]
    fn the_count_that_is_wrong_is_the_count_of_characters() {
        for got in [0, 1, 62, 63, 65, 66, 1000] {
            assert_eq!(decode(&"0".repeat(got)), Err(DigitsError::Count { got }));
        }
        assert_eq!(decode(&format!("0x{}", "0".repeat(64))), Err(DigitsError::Count { got: 66 }));
        assert_eq!(decode(&"ä".repeat(63)), Err(DigitsError::Count { got: 63 }));
    }

    #[test]
    fn characters_that_are_no_digits_are_refused() {
        for text in
            ["g".repeat(64), format!("0x{}", "0".repeat(62)), format!(" {}", "0".repeat(63))]
        {
            assert_eq!(decode(&text), Err(DigitsError::Digit), "{text}");
        }
    }

    #[test]
    fn other_alphabets_are_refused() {
        // 32 characters of two bytes are as long as 64 digits.
        assert_eq!(decode(&"ä".repeat(32)), Err(DigitsError::Digit));
    }
}
