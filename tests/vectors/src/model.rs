//! The value model of the files: JSON that tells nil from empty and bytes from text.

use serde_json::Value;

/// Reads `{"$hex": "00ff"}`; `null` is nil.
///
/// # Panics
///
/// If the value is neither.
pub fn bytes(value: &Value) -> Option<Vec<u8>> {
    if value.is_null() {
        return None;
    }
    Some(hex(single(value, "$hex").unwrap_or_else(|| panic!("not a byte string: {value}"))))
}

/// Reads a text; `Err` holds the bytes of `{"$bytes": ".."}`, a text that is not UTF-8.
///
/// # Errors
///
/// The bytes, where no Rust string can hold them.
///
/// # Panics
///
/// If the value is not a text.
pub fn text(value: &Value) -> Result<String, Vec<u8>> {
    match (value.as_str(), single(value, "$bytes")) {
        (Some(text), _) => Ok(text.to_owned()),
        (None, Some(bytes)) => Err(hex(bytes)),
        (None, None) => panic!("not a text: {value}"),
    }
}

/// Reads `{"$raw": ".."}`, raw JSON text; `null` is absent.
///
/// # Panics
///
/// If the value is neither.
pub fn raw(value: &Value) -> Option<String> {
    if value.is_null() {
        return None;
    }
    Some(single(value, "$raw").unwrap_or_else(|| panic!("not raw JSON: {value}")).to_owned())
}

/// Reads a list; `null` is nil.
///
/// # Panics
///
/// If the value is neither.
pub fn list<T>(value: &Value, item: impl FnMut(&Value) -> T) -> Option<Vec<T>> {
    if value.is_null() {
        return None;
    }
    let items = value.as_array().unwrap_or_else(|| panic!("not a list: {value}"));
    Some(items.iter().map(item).collect())
}

/// Writes a byte string of the model; nil is `null`.
#[must_use]
pub fn of_bytes(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| serde_json::json!({ "$hex": ::hex::encode(bytes) }))
}

/// Decodes hexadecimal text.
///
/// # Panics
///
/// If the text is not hexadecimal.
#[must_use]
pub fn hex(text: &str) -> Vec<u8> {
    ::hex::decode(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The text under `name` if it is the value's only member.
fn single<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.get(name)?.as_str()
}
