//! One measurement register.

use std::fmt;

use aws_lc_rs::digest::{self, SHA384};

/// One platform configuration register: a SHA-384 measurement of part of the image or its place.
///
/// There are [`PCRS`]. PCR0 is the whole image, PCR1 kernel and boot ramdisk, PCR2 the application,
/// PCR3 the parent's role, PCR4 the parent instance, PCR8 the certificate that signed the image;
/// 16 and above are the enclave's own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pcr([u8; PCR_BYTES]);

impl Pcr {
    /// The value of a register that nothing was measured into.
    pub const ZERO: Self = Self([0; PCR_BYTES]);

    /// Whether nothing was measured into the register; so are PCR0 to PCR2 in debug mode.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// The value.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; PCR_BYTES] {
        &self.0
    }

    /// The register after `data` was measured into it: `SHA-384(value || data)`.
    #[must_use]
    pub fn extended(&self, data: &[u8]) -> Self {
        let mut hash = digest::Context::new(&SHA384);
        hash.update(&self.0);
        hash.update(data);
        let mut value = [0; PCR_BYTES];
        value.copy_from_slice(hash.finish().as_ref());
        Self(value)
    }
}

impl From<[u8; PCR_BYTES]> for Pcr {
    fn from(value: [u8; PCR_BYTES]) -> Self {
        Self(value)
    }
}

/// The text was not 96 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a PCR is 96 hexadecimal digits")]
pub struct ParsePcrError(#[from] hex::FromHexError);

impl std::str::FromStr for Pcr {
    type Err = ParsePcrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut value = [0; PCR_BYTES];
        hex::decode_to_slice(text, &mut value)?;
        Ok(Self(value))
    }
}

impl fmt::Display for Pcr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Pcr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pcr({self})")
    }
}

/// Registers of a Nitro Secure Module; an index is below this.
pub const PCRS: u8 = 32;

/// Bytes of a register: one SHA-384 digest.
pub const PCR_BYTES: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_letter_case_is_parsed_and_lower_case_is_written() {
        let text = "ab".repeat(48);
        let pcr: Pcr = text.to_uppercase().parse().unwrap();
        assert_eq!(pcr, Pcr::from([0xab; 48]));
        assert_eq!(pcr.to_string(), text);
        assert_eq!(format!("{pcr:?}"), format!("Pcr({text})"));
    }

    #[test]
    fn another_length_or_digit_is_refused() {
        for text in ["", "00", &"0".repeat(95), &"0".repeat(97), &"00".repeat(32), &"00".repeat(64)]
        {
            assert!(text.parse::<Pcr>().is_err(), "{text}");
        }
        assert!("zz".repeat(48).parse::<Pcr>().is_err());
        assert!(format!("0x{}", "0".repeat(94)).parse::<Pcr>().is_err());
    }

    #[test]
    fn a_register_is_extended_by_hashing_behind_its_value() {
        // PCR3 of a role's ARN, computed with another SHA-384.
        let extended = Pcr::ZERO.extended(b"arn:aws:iam::123456789012:role/Webserver");
        assert_eq!(
            extended.to_string(),
            "78fce75db17cd4e0a3fb8dad3ad128ca5e77edbb2b2c7f75329dccd99aa5f6ef4fc1f1a452e315b9e98f9e312e6921e6"
        );
        assert!(!extended.is_zero() && Pcr::ZERO.is_zero());
    }
}
