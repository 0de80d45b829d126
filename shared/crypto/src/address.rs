//! Ethereum addresses: who signs an OCR report, who owns a workflow.

use sha3::{Digest, Keccak256};

/// A 20-byte Ethereum address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// After an optional `0x` there are not exactly 40 characters.
    #[error("an address has 40 hexadecimal digits, got {got} characters")]
    Length {
        /// Characters after the prefix.
        got: usize,
    },
    /// A character is not a hexadecimal digit.
    #[error("an address has only hexadecimal digits")]
    Digit,
}

impl Address {
    /// Reads 40 hexadecimal digits of any case, with or without `0x`.
    ///
    /// Case is not checked against the checksum of EIP-55.
    ///
    /// # Errors
    ///
    /// - [`AddressError::Length`] if there are not 40 characters after the prefix.
    /// - [`AddressError::Digit`] if one of them is not a hexadecimal digit.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = [0; 20];
        match hex::decode_to_slice(digits, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(hex::FromHexError::InvalidHexCharacter { .. }) if digits.len() == 40 => {
                Err(AddressError::Digit)
            }
            Err(_) => Err(AddressError::Length { got: digits.chars().count() }),
        }
    }

    /// Reads any text the way the reference does; never fails (tdh2 section 17).
    ///
    /// An odd number of digits gets a leading zero, digits are read up to the first bad pair, of more
    /// than 20 bytes the last 20 count, fewer are padded on the left. A text without digits is the
    /// zero address. Use it only to reproduce what a peer derives.
    #[must_use]
    pub fn parse_permissive(text: &str) -> Self {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let lead = if digits.len() % 2 == 1 { Some(b'0') } else { None };
        let digits: Vec<u8> = lead.into_iter().chain(digits.bytes()).collect();
        let decoded: Vec<u8> = digits
            .chunks_exact(2)
            .map_while(|pair| {
                let mut byte = [0];
                hex::decode_to_slice(pair, &mut byte).ok().map(|()| byte)
            })
            .flatten()
            .collect();
        let mut bytes = [0; 20];
        for (to, from) in bytes.iter_mut().rev().zip(decoded.iter().rev()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The address of an uncompressed secp256k1 key: the last 20 bytes of `Keccak256(X ‖ Y)`.
    pub(crate) fn of_key(coordinates: &[u8; 64]) -> Self {
        let digest = <[u8; 32]>::from(Keccak256::digest(coordinates));
        let mut bytes = [0; 20];
        for (to, from) in bytes.iter_mut().zip(digest.iter().skip(12)) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The 20 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl From<[u8; 20]> for Address {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl std::fmt::Display for Address {
    /// Writes `0x` and 40 digits with the checksum of EIP-55.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = hex::encode(self.0);
        let nibbles = hex::encode(Keccak256::digest(digits.as_bytes()));
        f.write_str("0x")?;
        for (digit, nibble) in digits.chars().zip(nibbles.chars()) {
            let digit = if nibble >= '8' { digit.to_ascii_uppercase() } else { digit };
            std::fmt::Write::write_char(f, digit)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of EIP-55.
    const CHECKSUMMED: [&str; 4] = [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];

    #[test]
    fn any_case_is_read_and_the_checksum_is_written() {
        for text in CHECKSUMMED {
            for spelling in [text.to_owned(), text.to_lowercase(), text.replacen("0x", "", 1)] {
                assert_eq!(spelling.parse::<Address>().unwrap().to_string(), text);
            }
        }
    }

    #[test]
    fn lengths_other_than_forty_digits_are_refused() {
        for (text, got) in [("", 0), ("0x", 0), ("0xabc", 3), ("ä", 1)] {
            assert_eq!(Address::parse(text), Err(AddressError::Length { got }), "{text}");
        }
        let long = format!("{}00", CHECKSUMMED[0]);
        assert_eq!(Address::parse(&long), Err(AddressError::Length { got: 42 }));
    }

    #[test]
    fn characters_other_than_digits_are_refused() {
        let text = CHECKSUMMED[0].replace('F', "g");
        assert_eq!(Address::parse(&text), Err(AddressError::Digit));
        let upper_prefix = CHECKSUMMED[0].replacen("0x", "0X", 1);
        assert_eq!(Address::parse(&upper_prefix), Err(AddressError::Length { got: 42 }));
    }

    #[test]
    fn the_permissive_reading_never_fails() {
        for (text, ends) in
            [("", "00"), ("1", "01"), ("0xabc", "0abc"), ("12zz34", "12"), ("é", "00")]
        {
            let hex = hex::encode(Address::parse_permissive(text).as_bytes());
            assert!(hex.ends_with(ends), "{text}: {hex}");
            assert!(hex.starts_with("0000000000"), "{text}: {hex}");
        }
    }
}
