//! Digests of messages over their canonical form of RFC 8785 (relay-protocol 2.6). Attestations do
//! not use these.

use sha2::{Digest as _, Sha256};

use super::{Request, Response};
use crate::json::{self, DecodeError, Tree};

/// A message has no canonical form: a name occurs twice, or something nests too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error marshaling JSON: {0}")]
pub struct DigestError(#[from] DecodeError);

/// The digest of a request, its token left out, as hexadecimal digits.
///
/// # Errors
///
/// [`DigestError`] if it has no canonical form.
pub fn digest_request(request: &Request) -> Result<String, DigestError> {
    digest(&json::to_vec(&Request { auth: String::new(), ..request.clone() }))
}

/// The digest of a response, as hexadecimal digits.
///
/// # Errors
///
/// [`DigestError`] if it has no canonical form.
pub fn digest_response(response: &Response) -> Result<String, DigestError> {
    digest(&json::to_vec(response))
}

fn digest(text: &[u8]) -> Result<String, DigestError> {
    let mut canonical = String::with_capacity(text.len());
    write(&json::from_slice(text)?, &mut canonical);
    Ok(hex::encode(Sha256::digest(canonical)))
}

/// Writes the canonical form: no white space, names in the order of their UTF-16 units, numbers as
/// ECMAScript writes them, texts with as few escapes as JSON allows.
fn write(tree: &Tree, out: &mut String) {
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Tree::Number(number) => match number.to_string() {
            zero if zero == "-0" => out.push('0'),
            digits => out.push_str(&digits),
        },
        Tree::Text(text) => write_text(text, out),
        Tree::List(items) => {
            for (index, item) in items.iter().enumerate() {
                out.push(if index == 0 { '[' } else { ',' });
                write(item, out);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Tree::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            for (index, (name, value)) in members.iter().enumerate() {
                out.push(if index == 0 { '{' } else { ',' });
                write_text(name, out);
                out.push(':');
                write(value, out);
            }
            out.push_str(if members.is_empty() { "{}" } else { "}" });
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    // The library writes texts as the RFC asks for.
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = String::new();
        write(&json::from_slice(text.as_bytes()).unwrap(), &mut out);
        out
    }

    #[test]
    fn the_example_of_the_rfc_comes_out_as_printed() {
        let input = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let want = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(canonical(input), want);
    }

    #[test]
    fn names_are_sorted_by_utf_16_units() {
        let input =
            r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#;
        let want = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}";
        assert_eq!(canonical(input), want);
    }
}
