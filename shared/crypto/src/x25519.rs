//! Public keys of X25519 (RFC 7748), as sealed boxes and HPKE take them.

use crate::digits::DigitsError;

/// Why bytes are not a public key.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PublicKeyError {
    /// There are not 32 bytes.
    #[error("invalid public key length: expected 32 bytes, got {got} bytes")]
    Length {
        /// Bytes.
        got: usize,
    },
    /// The text does not have 64 characters.
    #[error("a public key has 64 hexadecimal digits, got {got} characters")]
    DigitCount {
        /// Characters.
        got: usize,
    },
    /// The text is not hexadecimal.
    #[error("a public key has only hexadecimal digits")]
    Digit,
    /// Every secret key shares the same secret with this point, so anybody can open what is sealed to it.
    #[error("the public key has low order")]
    LowOrder,
    /// The point has another, shorter encoding; the one that its holder computes.
    #[error("the public key is not in its canonical encoding")]
    NotCanonical,
}

impl From<DigitsError> for PublicKeyError {
    fn from(error: DigitsError) -> Self {
        match error {
            DigitsError::Count { got } => Self::DigitCount { got },
            DigitsError::Digit => Self::Digit,
        }
    }
}

/// Takes the bytes of a key that an honest party can have.
pub(crate) fn parse(bytes: &[u8]) -> Result<[u8; 32], PublicKeyError> {
    let got = bytes.len();
    let key: [u8; 32] = bytes.try_into().ok().ok_or(PublicKeyError::Length { got })?;
    if has_low_order(&key) {
        return Err(PublicKeyError::LowOrder);
    }
    if !is_canonical(&key) {
        return Err(PublicKeyError::NotCanonical);
    }
    Ok(key)
}

/// Whether a multiple of 8 times this point is zero, on the curve or its twist. Bit 255 does not count.
pub(crate) fn has_low_order(key: &[u8; 32]) -> bool {
    let mut key = *key;
    let [.., last] = &mut key;
    *last &= 0x7f;
    LOW_ORDER.contains(&key)
}

/// Whether the key is a number below 2^255 - 19, which RFC 7748 section 5 leaves to the reader.
fn is_canonical(key: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = key;
    let is_too_large = *low >= 0xed && middle.iter().all(|byte| *byte == 0xff) && *high == 0x7f;
    *high <= 0x7f && !is_too_large
}

/// All encodings, below 2^255, of points whose order divides 8: `u` is 0, 1, -1, or one of the two
/// coordinates of order 8; only 0 and 1 are small enough to have a second encoding.
pub(crate) const LOW_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    low(1, 0),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    high(0xec),
    high(0xed),
    high(0xee),
];

/// A small number.
pub(crate) const fn low(first: u8, others: u8) -> [u8; 32] {
    let mut bytes = [others; 32];
    let [head, ..] = &mut bytes;
    *head = first;
    bytes
}

/// A number near 2^255 - 19, whose lowest byte is `0xed`.
pub(crate) const fn high(first: u8) -> [u8; 32] {
    let mut bytes = low(first, 0xff);
    let [.., last] = &mut bytes;
    *last = 0x7f;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_other_than_32_bytes_are_refused_with_the_exact_text() {
        for got in [0, 31, 33] {
            let error = parse(&vec![9; got]).unwrap_err();
            let text = format!("invalid public key length: expected 32 bytes, got {got} bytes");
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn keys_of_low_order_are_refused() {
        for mut point in LOW_ORDER {
            for bit in [0, 0x80] {
                point[31] |= bit;
                assert_eq!(parse(&point), Err(PublicKeyError::LowOrder));
            }
        }
    }

    #[test]
    fn a_second_encoding_of_a_key_is_refused() {
        let mut with_top_bit = low(9, 0);
        with_top_bit[31] |= 0x80;
        // p + 2 is 2, and neither has low order.
        for long in [with_top_bit, high(0xef), high(0xff), [0xff; 32]] {
            assert_eq!(parse(&long), Err(PublicKeyError::NotCanonical), "{}", hex::encode(long));
        }
        for short in [low(9, 0), low(2, 0), high(0xeb)] {
            assert_eq!(parse(&short), Ok(short));
        }
    }
}
