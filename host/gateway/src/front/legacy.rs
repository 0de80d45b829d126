//! Params in the old form, which the gateway core recognises and this service does not serve
//! (relay-protocol 10.1 step 2).

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserializer as _,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Why params are refused before any service sees them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LegacyError {
    /// They are no object, or their members `signature` and `body` have other types than a message
    /// of the old form has, or occur twice.
    #[error("params are not an object, or conflict with the old message form")]
    Form,
    /// The signature has another length than 65 bytes in hexadecimal digits.
    #[error("invalid hex-encoded signature length")]
    SignatureLength,
    /// The request's id is empty or too long for the old form.
    #[error("invalid message ID length")]
    IdLength,
    /// The method is too long for the old form.
    #[error("invalid method name length")]
    MethodLength,
    /// The id of the DON is too long.
    #[error("invalid DON ID length")]
    DonIdLength,
    /// The receiver is no address.
    #[error("invalid hex-encoded receiver length")]
    ReceiverLength,
    /// A message of the old form, for a DON that is not served in that way.
    #[error("Unsupported DON ID: {don_id}")]
    UnsupportedDon {
        /// The id of the DON.
        don_id: String,
    },
}

/// Lets params pass that are not of the old form, whatever they are besides.
///
/// # Errors
///
/// [`LegacyError`]; params of the old form never pass.
pub(super) fn refuse_legacy(id: &str, method: &str, params: &str) -> Result<(), LegacyError> {
    let message = Object::read(params, &["signature", "body"])?;
    let signature = message.text("signature")?;
    let body = message.raw("body").unwrap_or("{}");
    let body = Object::read(body, &["don_id", "message_id", "method", "receiver"])?;
    let (don_id, receiver) = (body.text("don_id")?, body.text("receiver")?);
    // The envelope's id and method stand in for these two; only their type counts.
    body.text("message_id")?;
    body.text("method")?;
    if don_id.is_empty() {
        return Ok(());
    }
    if signature.len() != SIGNATURE_DIGITS {
        return Err(LegacyError::SignatureLength);
    }
    if !(1..=ID_BYTES).contains(&id.len()) {
        return Err(LegacyError::IdLength);
    }
    if method.len() > METHOD_BYTES {
        return Err(LegacyError::MethodLength);
    }
    if don_id.len() > DON_ID_BYTES {
        return Err(LegacyError::DonIdLength);
    }
    if !receiver.is_empty() && receiver.len() != RECEIVER_DIGITS {
        return Err(LegacyError::ReceiverLength);
    }
    Err(LegacyError::UnsupportedDon { don_id })
}

/// The members of an object that matter here, not yet read.
struct Object<'p>(BTreeMap<&'static str, &'p RawValue>);

impl<'p> Object<'p> {
    /// Finds the named members. Their names count in letters of any case, as they do to the
    /// reference, so that no spelling of the old form passes.
    fn read(text: &'p str, names: &'static [&'static str]) -> Result<Self, LegacyError> {
        let mut input = serde_json::Deserializer::from_str(text);
        let members = input.deserialize_map(Members(names));
        members.map(Self).map_err(|_error| LegacyError::Form)
    }

    fn raw(&self, name: &str) -> Option<&'p str> {
        self.0.get(name).map(|value| value.get()).filter(|text| *text != "null")
    }

    /// A text; absent and `null` are empty.
    fn text(&self, name: &str) -> Result<String, LegacyError> {
        let text = self.raw(name).map(serde_json::from_str).transpose();
        text.map(Option::unwrap_or_default).map_err(|_error| LegacyError::Form)
    }
}

struct Members(&'static [&'static str]);

impl<'p> Visitor<'p> for Members {
    type Value = BTreeMap<&'static str, &'p RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object without repeated members")
    }

    fn visit_map<A: MapAccess<'p>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match self.0.iter().find(|name| name.eq_ignore_ascii_case(&key)) {
                Some(name) => {
                    if members.insert(*name, map.next_value()?).is_some() {
                        return Err(de::Error::duplicate_field(name));
                    }
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

/// A signature of 65 bytes with `0x`.
const SIGNATURE_DIGITS: usize = 132;

/// An address of 20 bytes with `0x`.
const RECEIVER_DIGITS: usize = 42;

/// The longest id, method and DON id of the old form, in bytes.
const ID_BYTES: usize = 128;
const METHOD_BYTES: usize = 64;
const DON_ID_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(params: &str) -> Result<(), LegacyError> {
        refuse_legacy("q", "confidential.secrets.get", params)
    }

    fn signed(body: &str) -> String {
        format!(r#"{{"signature":"{}","body":{body}}}"#, "0".repeat(132))
    }

    #[test]
    fn params_without_a_don_pass_untouched() {
        for params in [
            "{}",
            r#"{"a":1,"a":2,"body":null,"signature":null}"#,
            r#"{"body":{"don_id":"","payload":[[[1]]]},"signature":"x"}"#,
            r#"{"body":{},"deep":{"body":5,"don_id":"x"}}"#,
            r#"{"text":"\ud800"}"#,
        ] {
            assert_eq!(refuse(params), Ok(()), "{params}");
        }
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert_eq!(refuse(&deep), Ok(()));
    }

    #[test]
    fn params_that_conflict_with_the_old_form_are_refused() {
        for params in [
            "[1]",
            "1",
            "\"text\"",
            "true",
            r#"{"body":5}"#,
            r#"{"Body":[]}"#,
            r#"{"signature":5}"#,
            r#"{"body":{"don_id":7}}"#,
            r#"{"body":{"method":{}}}"#,
            r#"{"body":{"don_id":"x"},"BODY":{}}"#,
        ] {
            assert_eq!(refuse(params), Err(LegacyError::Form), "{params}");
        }
    }

    #[test]
    fn the_old_form_is_checked_in_its_order_and_never_served() {
        use LegacyError::{DonIdLength, IdLength, MethodLength, ReceiverLength, SignatureLength};
        assert_eq!(refuse(r#"{"body":{"don_id":"x"}}"#), Err(SignatureLength));
        assert_eq!(refuse(r#"{"BODY":{"Don_Id":"x"}}"#), Err(SignatureLength));
        let params = signed(r#"{"don_id":"x"}"#);
        assert_eq!(refuse_legacy("", "m", &params), Err(IdLength));
        assert_eq!(refuse_legacy(&"i".repeat(129), "m", &params), Err(IdLength));
        assert_eq!(refuse_legacy("q", &"m".repeat(65), &params), Err(MethodLength));
        let long = signed(&format!(r#"{{"don_id":"{}"}}"#, "d".repeat(65)));
        assert_eq!(refuse(&long), Err(DonIdLength));
        assert_eq!(refuse(&signed(r#"{"don_id":"x","receiver":"0x"}"#)), Err(ReceiverLength));
        let unsupported = refuse(&params).unwrap_err();
        assert_eq!(unsupported.to_string(), "Unsupported DON ID: x");
    }
}
