//! Go's quoted strings (`%q`), which stand inside texts that peers match on.

use std::fmt::Write as _;

/// What stands behind a text that was cut.
pub(crate) const TRUNCATED: &str = "...truncated";

/// Quotes a text as Go's `strconv.Quote` does.
///
/// What is neither printable nor one of Go's short escapes becomes `\x..` (a control character or a
/// byte that is not UTF-8), `\u....` or `\U........`.
#[must_use]
pub fn quote(text: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(|character| push_char(&mut quoted, character));
        chunk.invalid().iter().for_each(|byte| push_byte(&mut quoted, *byte));
    }
    quoted.push('"');
    quoted
}

fn push_char(quoted: &mut String, character: char) {
    match character {
        '"' => quoted.push_str("\\\""),
        '\\' => quoted.push_str("\\\\"),
        '\u{7}' => quoted.push_str("\\a"),
        '\u{8}' => quoted.push_str("\\b"),
        '\u{c}' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\u{b}' => quoted.push_str("\\v"),
        '\0'..='\u{1f}' | '\u{7f}' => {
            u8::try_from(character).into_iter().for_each(|byte| push_byte(quoted, byte));
        }
        _ if is_printable(character) => quoted.push(character),
        '\u{80}'..='\u{ffff}' => push_code(quoted, format_args!("\\u{:04x}", u32::from(character))),
        _ => push_code(quoted, format_args!("\\U{:08x}", u32::from(character))),
    }
}

fn push_byte(quoted: &mut String, byte: u8) {
    push_code(quoted, format_args!("\\x{byte:02x}"));
}

fn push_code(quoted: &mut String, code: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = quoted.write_fmt(code);
}

/// Letters, marks, numbers, punctuation, symbols and the ASCII space: what both languages print.
///
/// Rust escapes a mark at the start of a text only, so the character is asked about behind another.
fn is_printable(character: char) -> bool {
    let mut pair = [0; 5];
    let [first, rest @ ..] = &mut pair;
    *first = b'a';
    let length = character.encode_utf8(rest).len();
    let pair = pair.get(..length.saturating_add(1)).unwrap_or_default();
    let text = std::str::from_utf8(pair).unwrap_or_default();
    character == '\'' || text.escape_debug().nth(1) == Some(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_text_is_only_wrapped() {
        for text in ["", "abc", "it's", "a b", "é", "日本", "e\u{301}", "😀", "~"] {
            assert_eq!(quote(text.as_bytes()), format!("\"{text}\""));
        }
    }

    #[test]
    fn what_does_not_print_is_escaped_as_go_does() {
        for (text, quoted) in [
            ("\"\\", r#""\"\\""#),
            ("\u{7}\u{8}\u{c}\n\r\t\u{b}", r#""\a\b\f\n\r\t\v""#),
            ("\0\u{1f}\u{7f}", r#""\x00\x1f\x7f""#),
            ("\u{80}\u{ad}\u{a0}", r#""\u0080\u00ad\u00a0""#),
            ("\u{2028}\u{3000}\u{feff}", r#""\u2028\u3000\ufeff""#),
            ("\u{e0001}", r#""\U000e0001""#),
        ] {
            assert_eq!(quote(text.as_bytes()), quoted);
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_escaped_one_by_one() {
        assert_eq!(quote(b"a\xff\xe2\x80b"), r#""a\xff\xe2\x80b""#);
    }
}
