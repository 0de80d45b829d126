//! The JSON form of TDH2 objects, read strictly and written exactly (tdh2 sections 2 and 3).
//!
//! Read: exact member names, each at most once, byte strings as canonical base64, nothing after the
//! object; unknown members are skipped. What only a lenient decoder takes is refused by a variant of
//! its own. Texts without escapes are decoded in place, so secrets leave no copies.

use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, general_purpose::PAD},
};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::group::{NAME, Point, PointError, ScalarError, SecretScalar, decode_scalar, secret};

/// Why a text is not a TDH2 object. Says which member, never what it held.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseError {
    /// The text is longer than any object of its kind.
    #[error("{got} bytes are too long, the limit is {limit}")]
    TooLong {
        /// Its length in bytes.
        got: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The text is not JSON, or something follows it.
    #[error("not JSON")]
    Json,
    /// A member, or the document, has another JSON type.
    #[error("{member} has the wrong JSON type")]
    Type {
        /// Its name.
        member: &'static str,
    },
    /// A member is absent.
    #[error("{member} is missing")]
    Missing {
        /// Its name.
        member: &'static str,
    },
    /// A member stands there twice.
    #[error("{member} is there twice")]
    Duplicate {
        /// Its name.
        member: &'static str,
    },
    /// A name differs from a member's only in case, as Unicode folds it.
    #[error("{member} is written in another case")]
    Folded {
        /// The member's exact name.
        member: &'static str,
    },
    /// A byte string is not standard base64 in its one canonical form.
    #[error("{member} is not canonical base64")]
    Base64 {
        /// Its name.
        member: &'static str,
    },
    /// The group is not P-256.
    #[error("the group is not P256")]
    Group,
    /// A party's index is negative or above 2^32 - 1.
    #[error("the index is out of range")]
    Index,
    /// A member is not a scalar.
    #[error("{member} is no scalar")]
    Scalar {
        /// Its name.
        member: &'static str,
        /// What is wrong.
        #[source]
        error: ScalarError,
    },
    /// A member is not a point that an honest party sends.
    #[error("{member} is no point")]
    Point {
        /// Its name; of a list, the list's.
        member: &'static str,
        /// What is wrong.
        #[source]
        error: PointError,
    },
}

/// The members of one object, as they stand in the text.
pub(super) struct Object<'t> {
    members: Vec<Member<'t>>,
}

#[derive(Clone, Copy)]
struct Member<'t> {
    name: &'static str,
    value: Option<&'t RawValue>,
}

impl<'t> Object<'t> {
    /// Reads the members of `names` from a text of at most `limit` bytes.
    pub(super) fn parse(
        text: &'t [u8],
        names: &[&'static str],
        limit: usize,
    ) -> Result<Self, ParseError> {
        let got = text.len();
        if got > limit {
            return Err(ParseError::TooLong { got, limit });
        }
        let mut reader = serde_json::Deserializer::from_slice(text);
        let members = names.iter().map(|name| Member { name, value: None }).collect();
        let object = Members { members }.deserialize(&mut reader).map_err(|error| {
            // Nothing else of the error is kept: its text quotes the input.
            if error.is_data() { ParseError::Type { member: DOCUMENT } } else { ParseError::Json }
        })??;
        reader.end().ok().ok_or(ParseError::Json)?;
        Ok(object)
    }

    /// Holds if `Group` names the one group there is.
    pub(super) fn group(&self) -> Result<(), ParseError> {
        if *self.text("Group")? == *NAME { Ok(()) } else { Err(ParseError::Group) }
    }

    /// A byte string.
    pub(super) fn bytes(&self, member: &'static str) -> Result<Zeroizing<Vec<u8>>, ParseError> {
        decode_base64(member, &self.text(member)?)
    }

    /// A scalar.
    pub(super) fn scalar(&self, member: &'static str) -> Result<SecretScalar, ParseError> {
        decode_scalar(&self.bytes(member)?)
            .map(secret)
            .map_err(|error| ParseError::Scalar { member, error })
    }

    /// A point.
    pub(super) fn point(&self, member: &'static str) -> Result<Point, ParseError> {
        Point::decode(&self.bytes(member)?).map_err(|error| ParseError::Point { member, error })
    }

    /// A list of points; absent and `null` are the empty list.
    pub(super) fn points(&self, member: &'static str) -> Result<Vec<Point>, ParseError> {
        let raw = match self.raw(member) {
            Ok(raw) if raw.get() != "null" => raw,
            Ok(_) | Err(_) => return Ok(Vec::new()),
        };
        let items: Vec<&RawValue> =
            serde_json::from_str(raw.get()).ok().ok_or(ParseError::Type { member })?;
        let point = |item: &RawValue| {
            let bytes = decode_base64(member, &decode_text(member, item)?)?;
            Point::decode(&bytes).map_err(|error| ParseError::Point { member, error })
        };
        items.into_iter().map(point).collect()
    }

    /// A party's index, counted from 0.
    pub(super) fn index(&self) -> Result<u32, ParseError> {
        let member = "Index";
        let literal: i64 =
            self.raw(member)?.get().parse().ok().ok_or(ParseError::Type { member })?;
        literal.try_into().ok().ok_or(ParseError::Index)
    }

    fn text(&self, member: &'static str) -> Result<Text<'t>, ParseError> {
        decode_text(member, self.raw(member)?)
    }

    fn raw(&self, member: &'static str) -> Result<&'t RawValue, ParseError> {
        let found = self.members.iter().find(|known| known.name == member);
        found.and_then(|known| known.value).ok_or(ParseError::Missing { member })
    }
}

/// Writes one object: one line, no spaces, members in the order of the calls.
pub(super) struct Writer {
    text: Zeroizing<Vec<u8>>,
}

impl Writer {
    /// Starts an object of at most `capacity` bytes: within it nothing is copied.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { text: Zeroizing::new(Vec::with_capacity(capacity)) }
    }

    /// Writes the group.
    pub(super) fn group(self) -> Self {
        self.name("Group").quoted(NAME.as_bytes())
    }

    /// Writes a byte string.
    pub(super) fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        self.name(name).base64(bytes)
    }

    /// Writes a party's index.
    pub(super) fn index(self, index: u32) -> Self {
        self.name("Index").raw(index.to_string().as_bytes())
    }

    /// Writes a list of points.
    pub(super) fn points(self, name: &str, points: &[Point]) -> Self {
        let mut writer = self.name(name).raw(b"[");
        for (position, point) in points.iter().enumerate() {
            let comma: &[u8] = if position == 0 { b"" } else { b"," };
            writer = writer.raw(comma).base64(point.encoded());
        }
        writer.raw(b"]")
    }

    /// Ends the object.
    pub(super) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.raw(b"}").text
    }

    fn name(self, name: &str) -> Self {
        let start: &[u8] = if self.text.is_empty() { b"{" } else { b"," };
        self.raw(start).quoted(name.as_bytes()).raw(b":")
    }

    fn base64(self, bytes: &[u8]) -> Self {
        let text = Zeroizing::new(BASE64.encode(bytes));
        self.quoted(text.as_bytes())
    }

    fn quoted(self, text: &[u8]) -> Self {
        self.raw(b"\"").raw(text).raw(b"\"")
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.text.extend_from_slice(bytes);
        self
    }
}

/// A decoded text: in place, or wiped when dropped.
enum Text<'t> {
    InPlace(&'t str),
    Escaped(Zeroizing<String>),
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::InPlace(text) => text,
            Self::Escaped(text) => text,
        }
    }
}

fn decode_text<'t>(member: &'static str, raw: &'t RawValue) -> Result<Text<'t>, ParseError> {
    if !raw.get().starts_with('"') {
        return Err(ParseError::Type { member });
    }
    if let Ok(text) = serde_json::from_str(raw.get()) {
        return Ok(Text::InPlace(text));
    }
    let text = serde_json::from_str(raw.get()).ok().ok_or(ParseError::Json)?;
    Ok(Text::Escaped(Zeroizing::new(text)))
}

fn decode_base64(member: &'static str, text: &str) -> Result<Zeroizing<Vec<u8>>, ParseError> {
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let decoded = BASE64.decode_slice(text, &mut bytes);
    bytes.truncate(decoded.ok().ok_or(ParseError::Base64 { member })?);
    Ok(bytes)
}

/// Collects the values of known members.
struct Members<'t> {
    members: Vec<Member<'t>>,
}

impl<'t> DeserializeSeed<'t> for Members<'t> {
    type Value = Result<Object<'t>, ParseError>;

    fn deserialize<D: Deserializer<'t>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Members<'t> {
    type Value = Result<Object<'t>, ParseError>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    /// Reads to the end whatever it finds: a text that is not JSON is not JSON first of all.
    fn visit_map<A: MapAccess<'t>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut refusal = None;
        while let Some(kind) = map.next_key_seed(Name(&self.members))? {
            match kind {
                Kind::Known(position) => {
                    let value = map.next_value()?;
                    let Some(member) = self.members.get_mut(position) else { continue };
                    if member.value.replace(value).is_some() {
                        refusal.get_or_insert(ParseError::Duplicate { member: member.name });
                    }
                }
                Kind::Folded(member) => {
                    map.next_value::<IgnoredAny>()?;
                    refusal.get_or_insert(ParseError::Folded { member });
                }
                Kind::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(refusal.map_or(Ok(Object { members: self.members }), Err))
    }
}

/// What a name in the text means.
enum Kind {
    Known(usize),
    Folded(&'static str),
    Unknown,
}

struct Name<'m, 't>(&'m [Member<'t>]);

impl<'t> DeserializeSeed<'t> for Name<'_, '_> {
    type Value = Kind;

    fn deserialize<D: Deserializer<'t>>(self, reader: D) -> Result<Kind, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_> {
    type Value = Kind;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Kind, E> {
        if let Some(position) = self.0.iter().position(|member| member.name == name) {
            return Ok(Kind::Known(position));
        }
        let folded = self.0.iter().find(|member| folds_alike(member.name, name));
        Ok(folded.map_or(Kind::Unknown, |member| Kind::Folded(member.name)))
    }
}

/// Whether simple case folding makes both names equal. Of the characters outside ASCII only U+017F
/// and U+212A fold into it, to `s` and `k`.
fn folds_alike(member: &str, name: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    member.chars().map(fold).eq(name.chars().map(fold))
}

/// What [`ParseError::Type`] calls the whole text.
const DOCUMENT: &str = "the document";

/// Standard alphabet, padding required, unused bits zero.
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PAD);

#[cfg(test)]
mod tests;
