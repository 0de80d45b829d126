//! Values that workflows and capabilities exchange: from Rust's own types and back to text
//! (wasm-abi 5.2).
//!
//! A `From` exists for each type that the reference wraps, so what it refuses at run time does not
//! compile here. Integers of up to 32 bits, and signed ones of 64, become `int64`.

use std::{collections::BTreeMap, str::FromStr};

use crate::messages::{
    values::{BigInt, Decimal, Kind, List, Map, Value},
    well_known::Timestamp,
};

/// A number has no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberTextError {
    /// The coefficient of a decimal is missing, so it is no number.
    #[error("decimal has no coefficient")]
    NoCoefficient,
    /// It has more digits than a person reads, and a short message could ask for gigabytes of them.
    #[error("the number has more than {LONGEST_DIGITS} digits")]
    TooLong,
}

/// The text is no decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a decimal number has digits, at most one point, and at most one exponent")]
pub struct ParseDecimalError;

/// Wraps types whose values are taken over as they are.
macro_rules! wrap {
    ($($type:ty => $kind:ident,)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self { kind: Some(Kind::$kind(value.into())) }
            }
        }
    )*};
}

wrap! {
    &str => String,
    String => String,
    bool => Bool,
    Vec<u8> => Bytes,
    &[u8] => Bytes,
    i8 => Int64,
    i16 => Int64,
    i32 => Int64,
    i64 => Int64,
    u8 => Int64,
    u16 => Int64,
    u32 => Int64,
    u64 => Uint64,
    f32 => Float64,
    f64 => Float64,
    BigInt => BigInt,
    Decimal => Decimal,
    Timestamp => Time,
    Map => Map,
    List => List,
}

impl From<BTreeMap<String, Self>> for Value {
    fn from(fields: BTreeMap<String, Self>) -> Self {
        Map { fields }.into()
    }
}

impl From<Vec<Self>> for Value {
    fn from(fields: Vec<Self>) -> Self {
        List { fields }.into()
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    /// Nothing becomes null, the value without a kind.
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::default, Into::into)
    }
}

impl From<i128> for BigInt {
    fn from(value: i128) -> Self {
        let magnitude = value.unsigned_abs().to_be_bytes();
        let abs_val: Vec<u8> = magnitude.into_iter().skip_while(|byte| *byte == 0).collect();
        Self { abs_val, sign: i64::try_from(value.signum()).unwrap_or(0) }
    }
}

impl BigInt {
    /// Writes decimal digits without leading zeros; only a sign below zero counts.
    ///
    /// # Errors
    ///
    /// [`NumberTextError::TooLong`] for a magnitude of more than [`LONGEST_BYTES`].
    pub fn to_text(&self) -> Result<String, NumberTextError> {
        let sign = if self.is_negative() { "-" } else { "" };
        Ok(format!("{sign}{}", self.digits()?))
    }

    /// The digits of the magnitude; at least one. Takes time in the square of their number, which is
    /// why there are not many.
    fn digits(&self) -> Result<String, NumberTextError> {
        let magnitude = self.magnitude();
        if magnitude.len() > LONGEST_BYTES {
            return Err(NumberTextError::TooLong);
        }
        // Little-endian, nine decimal digits each.
        let mut limbs: Vec<u32> = vec![0];
        for byte in magnitude {
            let mut carry = u64::from(*byte);
            for limb in &mut limbs {
                let value = u64::from(*limb).saturating_mul(256).saturating_add(carry);
                *limb = u32::try_from(value % LIMB).unwrap_or(0);
                carry = value / LIMB;
            }
            if carry > 0 {
                limbs.push(u32::try_from(carry).unwrap_or(0));
            }
        }
        let (first, rest) = limbs.split_last().unwrap_or((&0, &[]));
        let mut text = first.to_string();
        for limb in rest.iter().rev() {
            text.push_str(&format!("{limb:09}"));
        }
        Ok(text)
    }

    /// The magnitude without leading zeros.
    fn magnitude(&self) -> &[u8] {
        let first = self.abs_val.iter().position(|byte| *byte != 0);
        first.and_then(|first| self.abs_val.get(first..)).unwrap_or_default()
    }

    /// Whether the number is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.sign < 0 && !self.magnitude().is_empty()
    }
}

impl Decimal {
    /// Writes the number with a point and without an exponent, as its owner would.
    ///
    /// # Errors
    ///
    /// [`NumberTextError`]: without a coefficient, or with more digits than [`LONGEST_DIGITS`] in
    /// front of the point or behind it.
    pub fn to_text(&self) -> Result<String, NumberTextError> {
        let coefficient = self.coefficient.as_ref().ok_or(NumberTextError::NoCoefficient)?;
        let sign = if coefficient.is_negative() { "-" } else { "" };
        let digits = coefficient.digits()?;
        if digits == "0" {
            return Ok(digits);
        }
        let places = usize::try_from(self.exponent.unsigned_abs()).unwrap_or(usize::MAX);
        if places > LONGEST_DIGITS {
            return Err(NumberTextError::TooLong);
        }
        if self.exponent >= 0 {
            return Ok(format!("{sign}{digits}{}", "0".repeat(places)));
        }
        let padded = format!("{digits:0>width$}", width = places.saturating_add(1));
        let (whole, fraction) = padded.split_at(padded.len().saturating_sub(places));
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        Ok(format!("{sign}{whole}{point}{fraction}"))
    }
}

impl FromStr for Decimal {
    type Err = ParseDecimalError;

    /// Reads digits with an optional sign, point and exponent; trailing zeros are kept in the
    /// coefficient, as the reference keeps them. The coefficient has at most 38 digits.
    fn from_str(text: &str) -> Result<Self, ParseDecimalError> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()),
            None => (text, Some(0)),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        let digits = [unsigned, fraction].concat();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseDecimalError);
        }
        let magnitude = digits.parse::<i128>().map_err(|_range| ParseDecimalError)?;
        let value = if whole.starts_with('-') { magnitude.checked_neg() } else { Some(magnitude) };
        let places = i32::try_from(fraction.len()).ok();
        let exponent =
            exponent.zip(places).and_then(|(exponent, places)| exponent.checked_sub(places));
        match (value, exponent) {
            (Some(value), Some(exponent)) => Ok(Self { coefficient: Some(value.into()), exponent }),
            _ => Err(ParseDecimalError),
        }
    }
}

/// The base of the limbs in which digits are computed.
const LIMB: u64 = 1_000_000_000;

/// The longest magnitude that is written in decimal digits, in bytes: such a number has as many digits
/// as there may be, and takes a millisecond.
pub const LONGEST_BYTES: usize = 1_700;

/// The most digits that are written on one side of a decimal's point.
pub const LONGEST_DIGITS: usize = 4_096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn null_is_the_value_without_a_kind() {
        assert_eq!(Value::from(None::<bool>), Value::default());
        assert_eq!(Value::from(Some(true)), Value::from(true));
    }

    #[test]
    fn leading_zeros_and_odd_signs_mean_what_they_mean_to_the_reference() {
        let big =
            |abs_val: &[u8], sign| BigInt { abs_val: abs_val.to_vec(), sign }.to_text().unwrap();
        assert_eq!(big(&[0, 0, 1, 0], 1), "256");
        assert_eq!(big(&[7], 0), "7");
        assert_eq!(big(&[7], -5), "-7");
        assert_eq!(big(&[], -1), "0");
        assert_eq!(big(&[0xff; 40], 1).len(), 97);
    }

    #[test]
    fn a_decimal_without_a_coefficient_is_refused() {
        let decimal = Decimal { coefficient: None, exponent: 2 };
        assert_eq!(decimal.to_text(), Err(NumberTextError::NoCoefficient));
    }

    #[test]
    fn a_number_that_nobody_reads_is_refused_instead_of_cut() {
        let big = |bytes| BigInt { abs_val: vec![0xff; bytes], sign: 1 };
        assert!(big(LONGEST_BYTES).to_text().unwrap().len() <= LONGEST_DIGITS);
        assert_eq!(big(LONGEST_BYTES + 1).to_text(), Err(NumberTextError::TooLong));
        // Leading zeros are no part of it.
        let padded = BigInt { abs_val: [vec![0; 100_000], vec![7]].concat(), sign: -1 };
        assert_eq!(padded.to_text(), Ok("-7".to_owned()));
        let decimal = |exponent| Decimal { coefficient: Some(12.into()), exponent }.to_text();
        let longest = i32::try_from(LONGEST_DIGITS).unwrap();
        assert_eq!(decimal(longest), Ok(format!("12{}", "0".repeat(LONGEST_DIGITS))));
        assert_eq!(decimal(-longest), Ok(format!("0.{}12", "0".repeat(LONGEST_DIGITS - 2))));
        for exponent in [longest + 1, -longest - 1, i32::MIN, i32::MAX] {
            assert_eq!(decimal(exponent), Err(NumberTextError::TooLong));
        }
        let zero = Decimal { coefficient: Some(0.into()), exponent: i32::MAX };
        assert_eq!(zero.to_text(), Ok("0".to_owned()));
    }

    #[test]
    fn texts_that_are_no_decimals_are_refused() {
        for text in ["", ".", "-", "1.2.3", "1e", "e5", "0x1", "1_0", "--1", "+-1", "1.-5"] {
            assert_eq!(text.parse::<Decimal>(), Err(ParseDecimalError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn digits_are_those_of_the_number(value: i128) {
            prop_assert_eq!(BigInt::from(value).to_text(), Ok(value.to_string()));
        }

        #[test]
        fn decimals_read_back(value: i64, exponent in -19_i32..=0) {
            let decimal = Decimal { coefficient: Some(i128::from(value).into()), exponent };
            let text = decimal.to_text().unwrap();
            let again: Decimal = text.parse().unwrap();
            prop_assert_eq!(again.to_text().unwrap(), text);
        }
    }
}
