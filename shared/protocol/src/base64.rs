//! Base64 of the standard alphabet with padding: canonical when read, Go's words when refused.

use ::base64::{Engine as _, engine::general_purpose::STANDARD};

/// Where a text stops being canonical base64: the byte that Go's decoder would name.
///
/// Text with line breaks or with bits behind the last byte is refused at the first of them,
/// although Go takes it: no encoder writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("illegal base64 data at input byte {at}")]
pub struct Base64Error {
    /// The byte at fault, from 0.
    pub at: usize,
}

/// Encodes bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes canonical base64.
///
/// # Errors
///
/// [`Base64Error`] if the text is not what [`encode`] writes for any bytes.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
    STANDARD.decode(text).map_err(|_error| Base64Error { at: fault(text.as_bytes()) })
}

/// Finds the byte at fault in a text that does not decode.
fn fault(text: &[u8]) -> usize {
    let Some(end) = text.iter().position(|byte| !is_digit(*byte)) else {
        // Digits only: the last group is short, or nothing is wrong.
        return text.len().saturating_sub(text.len() % 4);
    };
    let padding = text.get(end..).unwrap_or_default();
    match (end % 4, padding) {
        (2, [b'=', b'=']) | (3, [b'=']) => end.saturating_sub(1),
        (2, [b'=', b'=', _, ..]) => end.saturating_add(2),
        (2, [b'=']) => end.saturating_add(1),
        (2, [b'=', _, ..]) => end,
        (3, [b'=', _, ..]) => end.saturating_add(1),
        _ => end,
    }
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_byte_that_go_names() {
        for (text, at) in [
            ("%%%", 0),
            ("AQI", 0),
            ("AQI==", 4),
            ("A", 0),
            ("AQI=AQI=", 4),
            ("AQ I=", 2),
            ("====", 0),
            ("AQ=", 3),
            ("AQ=x", 2),
            ("AQID_", 4),
            ("AQIDAQ", 4),
        ] {
            assert_eq!(decode(text), Err(Base64Error { at }), "{text}");
        }
    }

    #[test]
    fn only_the_canonical_form_is_taken() {
        assert_eq!(decode("AQI="), Ok(vec![1, 2]));
        for text in ["AQJ=", "AR==", "AQ\nI=", "AQI=\n", "AQI\u{3d}\r", "_-8="] {
            assert!(decode(text).is_err(), "{text:?}");
        }
    }
}
