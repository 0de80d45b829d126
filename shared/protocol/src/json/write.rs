//! The writer: the bytes of Go's encoder in its default mode (relay-protocol 3.1).

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{RawJson, Wire};

/// JSON text under construction.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Starts an empty text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The finished text.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    pub(crate) fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// Appends a number or another token that needs no escape.
    pub(crate) fn token(&mut self, token: &str) {
        self.out.extend_from_slice(token.as_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.out.reserve(text.len().saturating_add(2));
        self.out.push(b'"');
        escape(text.as_bytes(), Escape::Text, &mut self.out);
        self.out.push(b'"');
    }

    pub(crate) fn base64(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        let start = self.out.len();
        let length = base64::encoded_len(bytes.len(), true).unwrap_or(0);
        self.out.resize(start.saturating_add(length), 0);
        let written = match self.out.get_mut(start..) {
            Some(space) => STANDARD.encode_slice(bytes, space).unwrap_or(0),
            None => 0,
        };
        self.out.truncate(start.saturating_add(written));
        self.out.push(b'"');
    }

    pub(crate) fn list<'i, T: Wire + 'i>(&mut self, items: impl IntoIterator<Item = &'i T>) {
        self.out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            item.write(self);
        }
        self.out.push(b']');
    }

    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Object<'_>)) {
        self.out.push(b'{');
        members(&mut Object { writer: self, first: true });
        self.out.push(b'}');
    }

    /// Appends raw JSON the way Go does: without white space, and escaped inside texts.
    pub(crate) fn raw(&mut self, raw: &RawJson) {
        let mut rest = raw.as_str().as_bytes();
        while let Some((&first, tail)) = rest.split_first() {
            rest = match first {
                b' ' | b'\t' | b'\n' | b'\r' => tail,
                b'"' => {
                    let end = text_end(tail);
                    let (inside, after) = tail.split_at_checked(end).unwrap_or((tail, b""));
                    self.out.push(b'"');
                    escape(inside, Escape::Html, &mut self.out);
                    self.out.push(b'"');
                    after.split_first().map_or(after, |(_quote, after)| after)
                }
                _ => {
                    let end = rest.iter().position(|b| b"\" \t\n\r".contains(b));
                    let (plain, after) = rest.split_at(end.unwrap_or(rest.len()));
                    self.out.extend_from_slice(plain);
                    after
                }
            };
        }
    }
}

/// An object under construction.
#[derive(Debug)]
pub struct Object<'w> {
    writer: &'w mut Writer,
    first: bool,
}

impl Object<'_> {
    pub(crate) fn member<T: Wire>(&mut self, name: &str, value: &T) {
        if !std::mem::take(&mut self.first) {
            self.writer.out.push(b',');
        }
        self.writer.text(name);
        self.writer.out.push(b':');
        value.write(self.writer);
    }
}

/// The JSON text that Go writes for these bytes taken as text: each byte that is not part of valid
/// UTF-8 becomes the six characters `\ufffd`.
#[must_use]
pub fn text_token(bytes: &[u8]) -> String {
    let mut out = vec![b'"'];
    for chunk in bytes.utf8_chunks() {
        escape(chunk.valid().as_bytes(), Escape::Text, &mut out);
        for _byte in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
    String::from_utf8_lossy(&out).into_owned()
}

/// What is escaped.
#[derive(Clone, Copy, PartialEq)]
enum Escape {
    /// Everything that a text needs escaped.
    Text,
    /// Only what HTML needs escaped, in a text that is JSON already.
    Html,
}

fn escape(bytes: &[u8], mode: Escape, out: &mut Vec<u8>) {
    let mut rest = bytes;
    loop {
        let (plain, special) = rest.split_at(plain_prefix(rest));
        out.extend_from_slice(plain);
        let Some((&first, tail)) = special.split_first() else { return };
        let mut taken = 1;
        match first {
            b'<' | b'>' | b'&' => unicode(first, out),
            LINE_SEPARATOR_LEAD => match tail.first_chunk() {
                Some([0x80, last @ (0xa8 | 0xa9)]) => {
                    out.extend_from_slice(if *last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                    taken = 3;
                }
                _ => out.push(first),
            },
            _ if mode == Escape::Html => out.push(first),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => unicode(first, out),
        }
        rest = special.get(taken..).unwrap_or_default();
    }
}

fn unicode(byte: u8, out: &mut Vec<u8>) {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).map_or(b'0', |c| c as u8);
    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
}

/// How many leading bytes need no escape. Whole blocks are judged at once, without a branch for
/// each byte, so that the compiler can use vector instructions.
fn plain_prefix(bytes: &[u8]) -> usize {
    let mut plain = 0_usize;
    for block in bytes.chunks(BLOCK_BYTES) {
        if block.iter().fold(false, |any, byte| any | is_special(*byte)) {
            let within = block.iter().position(|byte| is_special(*byte));
            return plain.saturating_add(within.unwrap_or(block.len()));
        }
        plain = plain.saturating_add(block.len());
    }
    plain
}

fn is_special(byte: u8) -> bool {
    (byte < 0x20)
        | (byte == b'"')
        | (byte == b'\\')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == b'&')
        | (byte == LINE_SEPARATOR_LEAD)
}

/// The index of the quote that ends a text, of which the opening quote is already taken.
fn text_end(bytes: &[u8]) -> usize {
    let mut escaped = false;
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index,
            _ => {}
        }
    }
    bytes.len()
}

/// The first byte of U+2028 and U+2029, which JavaScript would take for line ends.
const LINE_SEPARATOR_LEAD: u8 = 0xe2;

/// Four vector registers of the smallest machine we build for.
const BLOCK_BYTES: usize = 64;
