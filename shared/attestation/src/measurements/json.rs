//! Reads measurements: the JSON into its members, then the members into registers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{INSTANCE, MEASUREMENTS_LIMIT_BYTES, Measurements, ROLE, SIGNER, ZeroPcrError};
use crate::pcr::{PCRS, Pcr};

/// Why a text is not a set of measurements.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeasurementsError {
    /// The text is longer than what is read.
    #[error("the measurements are {got} bytes of JSON, more than {MEASUREMENTS_LIMIT_BYTES}")]
    TooLong {
        /// Length in bytes.
        got: usize,
    },
    /// The text is not one JSON value.
    #[error("the measurements are not JSON, at line {line}, column {column}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// The value, or its member `Measurements`, is not an object.
    #[error("the measurements are not a JSON object")]
    Shape,
    /// Registers stand both in the object and in its member `Measurements`.
    #[error("the measurements are given flat and nested at once")]
    Ambiguous,
    /// A name is there twice; letter case makes no difference.
    #[error("the measurements have a name twice{}", of_register(*index))]
    Duplicate {
        /// The register named, or none for `Measurements`.
        index: Option<u8>,
    },
    /// One of PCR0, PCR1 and PCR2 is not given.
    #[error("the measurements lack PCR{index}")]
    Missing {
        /// Index of the register.
        index: u8,
    },
    /// A value is not 96 hexadecimal digits.
    #[error("PCR{index} is not 96 hexadecimal digits")]
    Value {
        /// Index of the register.
        index: u8,
    },
    /// A value is zero that may not be.
    #[error(transparent)]
    Zero(#[from] ZeroPcrError),
    /// A register is named that a policy does not compare.
    #[error("PCR{index} cannot be asked for, only 0, 1, 2, 3, 4 and 8")]
    Unsupported {
        /// Index of the register, or the largest number there is here.
        index: u64,
    },
}

fn of_register(index: Option<u8>) -> String {
    index.map(|index| format!(": PCR{index}")).unwrap_or_default()
}

pub(super) fn parse(json: &[u8]) -> Result<Measurements, MeasurementsError> {
    if json.len() > MEASUREMENTS_LIMIT_BYTES {
        return Err(MeasurementsError::TooLong { got: json.len() });
    }
    let value: Value = match serde_json::from_slice(json) {
        Ok(value) => value,
        Err(e) => return Err(MeasurementsError::Json { line: e.line(), column: e.column() }),
    };
    let Value::Object(members) = value else { return Err(MeasurementsError::Shape) };
    let mut nested = members.iter().filter(|(name, _)| name.eq_ignore_ascii_case(NESTED));
    let nested = match (nested.next(), nested.next()) {
        (None, _) => return registers(&members)?.measurements(),
        (Some((_, nested)), None) => nested,
        (Some(_), Some(_)) => return Err(MeasurementsError::Duplicate { index: None }),
    };
    if members.iter().any(|(name, _)| register_of(name).is_some()) {
        return Err(MeasurementsError::Ambiguous);
    }
    match nested {
        Value::Object(members) => registers(members)?.measurements(),
        Value::Null | Value::Text(_) | Value::Other => Err(MeasurementsError::Shape),
    }
}

/// What the object says of each register.
#[derive(Default)]
struct Registers([Option<Pcr>; PCRS as usize]);

fn registers(members: &[(String, Value)]) -> Result<Registers, MeasurementsError> {
    let mut found = Registers::default();
    let mut named = [false; PCRS as usize];
    for (name, value) in members {
        let Some(number) = register_of(name) else { continue };
        let unsupported = MeasurementsError::Unsupported { index: number };
        let Ok(index) = u8::try_from(number) else { return Err(unsupported) };
        let place = usize::from(index);
        let (Some(named), Some(slot)) = (named.get_mut(place), found.0.get_mut(place)) else {
            return Err(unsupported);
        };
        if std::mem::replace(named, true) {
            return Err(MeasurementsError::Duplicate { index: Some(index) });
        }
        *slot = match value {
            // Missed below. What need not be named is not left out by naming it.
            Value::Null if index < ROLE => None,
            Value::Text(text) => match text.parse() {
                Ok(pcr) => Some(pcr),
                Err(_) => return Err(MeasurementsError::Value { index }),
            },
            Value::Null | Value::Object(_) | Value::Other => {
                return Err(MeasurementsError::Value { index });
            }
        };
    }
    Ok(found)
}

impl Registers {
    fn measurements(mut self) -> Result<Measurements, MeasurementsError> {
        let [pcr0, pcr1, pcr2] = [0, 1, 2].map(|index| self.take(index));
        let mut measurements = Measurements::new(
            pcr0.ok_or(MeasurementsError::Missing { index: 0 })?,
            pcr1.ok_or(MeasurementsError::Missing { index: 1 })?,
            pcr2.ok_or(MeasurementsError::Missing { index: 2 })?,
        )?;
        if let Some(pcr3) = self.take(ROLE) {
            measurements = measurements.with_role(pcr3);
        }
        if let Some(pcr4) = self.take(INSTANCE) {
            measurements = measurements.with_instance(pcr4);
        }
        if let Some(pcr8) = self.take(SIGNER) {
            measurements = measurements.with_signer(pcr8)?;
        }
        match (0..PCRS).find(|index| self.take(*index).is_some()) {
            Some(index) => Err(MeasurementsError::Unsupported { index: index.into() }),
            None => Ok(measurements),
        }
    }

    fn take(&mut self, index: u8) -> Option<Pcr> {
        self.0.get_mut(usize::from(index)).and_then(Option::take)
    }
}

/// The register that a member's name means: `pcr` in any letter case, then its number. A number that
/// no integer holds here is the largest, which is no register either.
fn register_of(name: &str) -> Option<u64> {
    let (head, number) = name.split_at_checked(3)?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let is_canonical = number == "0" || !number.starts_with('0');
    let is_register = head.eq_ignore_ascii_case("pcr") && is_number && is_canonical;
    (is_register && !number.is_empty()).then(|| number.parse().unwrap_or(u64::MAX))
}

/// A JSON value with its members in order, duplicates included.
enum Value {
    Null,
    Text(String),
    Object(Vec<(String, Self)>),
    Other,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = entries.next_entry()? {
            members.push(member);
        }
        Ok(Value::Object(members))
    }
}

/// Name of the member that holds the registers in nitro-cli's form.
const NESTED: &str = "measurements";
