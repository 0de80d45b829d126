//! JSON text of no fixed form, kept as it came.

use std::fmt;

use serde::{Deserialize as _, Deserializer};
use serde_json::value::RawValue;

use super::{Context, DEPTH, DecodeError, Wire, Writer, scan};

/// A member whose form another layer knows: checked to be one JSON value, kept as text.
///
/// Written without white space and with HTML's characters escaped, as Go writes `RawMessage`. Not
/// printed, because it may hold shares.
#[derive(Clone)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// Takes a text that is one JSON value.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if it is not, or nests too deep.
    pub fn parse(text: String) -> Result<Self, DecodeError> {
        if scan::is_deeper_than(&text, DEPTH) {
            return Err(DecodeError::Depth { limit: DEPTH });
        }
        let raw = RawValue::from_string(text)
            .map_err(|error| DecodeError::Syntax { line: error.line(), column: error.column() })?;
        Ok(Self(raw))
    }

    /// The JSON form of a value.
    ///
    /// # Panics
    ///
    /// Never: what a value writes is JSON.
    #[must_use]
    pub fn of<T: Wire>(value: &T) -> Self {
        let text = String::from_utf8(super::to_vec(value));
        #[expect(clippy::expect_used, reason = "what the writer writes is JSON, and so UTF-8")]
        let raw = RawValue::from_string(text.expect("UTF-8")).expect("JSON");
        Self(raw)
    }

    /// The value `null`, where it must be written instead of left out.
    #[must_use]
    pub fn null() -> Self {
        Self::of(&None::<bool>)
    }

    /// Reads the value as a type.
    ///
    /// # Errors
    ///
    /// As [`super::from_slice`].
    pub fn decode<T: Wire>(&self) -> Result<T, DecodeError> {
        super::from_slice(self.as_str().as_bytes())
    }

    /// The text as it came, without white space around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({})", self.as_str().len())
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Wire for RawJson {
    fn write(&self, out: &mut Writer) {
        out.raw(self);
    }

    fn read<'de, D: Deserializer<'de>>(input: D, _context: &Context) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(input).map(Self)
    }
}
