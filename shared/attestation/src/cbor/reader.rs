//! Reads deterministic CBOR and refuses the rest.

use std::collections::BTreeSet;

use super::{CborError, Kind, MAX_DEPTH, NULL, major};

/// A position in a CBOR input.
#[derive(Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    depth: u8,
}

/// The key of a map entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// An unsigned integer.
    Unsigned(u64),
    /// A text.
    Text(&'a str),
    /// Any other item; read, but of no use to a document.
    Other,
}

/// An item's first byte and argument.
struct Head {
    at: usize,
    major: u8,
    argument: u64,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, depth: 0 }
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`CborError::Trailing`] if bytes are left.
    pub const fn finish(self) -> Result<(), CborError> {
        if self.at == self.input.len() { Ok(()) } else { Err(CborError::Trailing { at: self.at }) }
    }

    /// Reads an unsigned integer.
    ///
    /// # Errors
    ///
    /// [`CborError`], if the item is another or malformed.
    pub fn unsigned(&mut self) -> Result<u64, CborError> {
        Ok(self.expect(major::UNSIGNED, Kind::Unsigned)?.argument)
    }

    /// Reads a byte string.
    ///
    /// # Errors
    ///
    /// [`CborError`], if the item is another or malformed.
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let head = self.expect(major::BYTES, Kind::Bytes)?;
        self.take(&head)
    }

    /// Reads a byte string, or `null` as `None`.
    ///
    /// # Errors
    ///
    /// [`CborError`], if the item is another or malformed.
    pub fn optional_bytes(&mut self) -> Result<Option<&'a [u8]>, CborError> {
        if self.null() { Ok(None) } else { self.bytes().map(Some) }
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// [`CborError`], if the item is another or malformed.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let head = self.expect(major::TEXT, Kind::Text)?;
        self.take_text(&head)
    }

    /// Moves over `null` if that is what comes next.
    pub fn null(&mut self) -> bool {
        let is_null = self.peek() == Some(NULL);
        if is_null {
            self.at = self.at.saturating_add(1);
        }
        is_null
    }

    /// Moves over the tag `number` if it comes next. Any other tag stays, and is an error later.
    pub fn tag(&mut self, number: u8) -> bool {
        let found = number < 24 && self.peek() == Some(major::TAG << 5 | number);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    /// Reads an array and calls `item` for each of its items, which it has to read.
    ///
    /// # Errors
    ///
    /// [`CborError`], if the item is another or malformed; what `item` returns.
    pub fn array<E: From<CborError>>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let head = self.expect(major::ARRAY, Kind::Array)?;
        self.nested(&head, 1, |reader| {
            for _ in 0..head.argument {
                item(reader)?;
            }
            Ok(())
        })
    }

    /// Reads a map and calls `entry` with each key; it has to read the value.
    ///
    /// # Errors
    ///
    /// [`CborError`], if the item is another or malformed, or a key is there twice; what `entry`
    /// returns.
    pub fn map<E: From<CborError>>(
        &mut self,
        mut entry: impl FnMut(Key<'a>, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let head = self.expect(major::MAP, Kind::Map)?;
        self.nested(&head, 2, |reader| {
            let mut seen = BTreeSet::new();
            for _ in 0..head.argument {
                let at = reader.at;
                let (key, encoded) = reader.key()?;
                // There is one encoding for each key here, so equal keys are equal bytes.
                if !seen.insert(encoded) {
                    return Err(CborError::DuplicateKey { at }.into());
                }
                entry(key, reader)?;
            }
            Ok(())
        })
    }

    /// Moves over one item of any type and returns its bytes.
    ///
    /// # Errors
    ///
    /// [`CborError`], if the item or anything in it is malformed.
    pub fn skip(&mut self) -> Result<&'a [u8], CborError> {
        let start = self.at;
        match self.peek().map(|byte| byte >> 5) {
            Some(major::ARRAY) => self.array(|reader| reader.skip().map(|_| ()))?,
            Some(major::MAP) => self.map(|_, reader| reader.skip().map(|_| ()))?,
            Some(major::TAG) => return Err(CborError::Tag { at: start }),
            _ => {
                let head = self.head()?;
                if head.major == major::BYTES {
                    self.take(&head)?;
                } else if head.major == major::TEXT {
                    self.take_text(&head)?;
                }
            }
        }
        Ok(self.input.get(start..self.at).unwrap_or_default())
    }

    fn key(&mut self) -> Result<(Key<'a>, &'a [u8]), CborError> {
        let start = self.at;
        let key = match self.peek().map(|byte| byte >> 5) {
            Some(major::UNSIGNED) => Key::Unsigned(self.unsigned()?),
            Some(major::TEXT) => Key::Text(self.text()?),
            Some(major::ARRAY | major::MAP) => {
                return Err(CborError::Type { at: start, want: Kind::Key });
            }
            Some(major::SIMPLE) if !matches!(self.peek(), Some(FIRST_SIMPLE..=LAST_SIMPLE)) => {
                return Err(CborError::Type { at: start, want: Kind::Key });
            }
            _ => {
                self.skip()?;
                Key::Other
            }
        };
        Ok((key, self.input.get(start..self.at).unwrap_or_default()))
    }

    /// Reads the inside of a container, one level down.
    fn nested<T, E: From<CborError>>(
        &mut self,
        head: &Head,
        items_per_entry: u64,
        inside: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        // Every item takes a byte, so a count above what is left is refused before the first one.
        let left = self.input.len().saturating_sub(self.at);
        if usize::try_from(head.argument.saturating_mul(items_per_entry)).is_ok_and(|n| n <= left) {
            if self.depth >= MAX_DEPTH {
                return Err(CborError::TooDeep { at: head.at }.into());
            }
            self.depth = self.depth.saturating_add(1);
            let value = inside(self)?;
            self.depth = self.depth.saturating_sub(1);
            return Ok(value);
        }
        Err(CborError::Truncated { at: head.at }.into())
    }

    fn expect(&mut self, major: u8, want: Kind) -> Result<Head, CborError> {
        let at = self.at;
        match self.peek().map(|byte| byte >> 5) {
            None => Err(CborError::Truncated { at }),
            Some(found) if found == major => self.head(),
            Some(major::TAG) => Err(CborError::Tag { at }),
            Some(_) => Err(CborError::Type { at, want }),
        }
    }

    fn head(&mut self) -> Result<Head, CborError> {
        let at = self.at;
        let [first] = self.fixed::<1>(at)?;
        let (major, low) = (first >> 5, first & 0x1f);
        let argument = match low {
            0..=23 => u64::from(low),
            24 => u64::from(u8::from_be_bytes(self.fixed(at)?)),
            25 => u64::from(u16::from_be_bytes(self.fixed(at)?)),
            26 => u64::from(u32::from_be_bytes(self.fixed(at)?)),
            27 => u64::from_be_bytes(self.fixed(at)?),
            31 => return Err(CborError::Indefinite { at }),
            _ => return Err(CborError::Reserved { at }),
        };
        let overlong = match low {
            24 => argument < 24,
            25 => argument <= 0xff,
            26 => argument <= 0xffff,
            27 => argument <= 0xffff_ffff,
            _ => false,
        };
        match major {
            // False, true, null and undefined (20 to 23) and the three floating-point forms.
            major::SIMPLE if !matches!(low, 20..=23 | 25..=27) => Err(CborError::Reserved { at }),
            major::SIMPLE => Ok(Head { at, major, argument }),
            _ if overlong => Err(CborError::Overlong { at }),
            _ => Ok(Head { at, major, argument }),
        }
    }

    fn take(&mut self, head: &Head) -> Result<&'a [u8], CborError> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let length = usize::try_from(head.argument).ok().filter(|length| *length <= rest.len());
        let (bytes, _) = length
            .and_then(|length| rest.split_at_checked(length))
            .ok_or(CborError::Truncated { at: head.at })?;
        self.at = self.at.saturating_add(bytes.len());
        Ok(bytes)
    }

    fn take_text(&mut self, head: &Head) -> Result<&'a str, CborError> {
        let bytes = self.take(head)?;
        std::str::from_utf8(bytes).ok().ok_or(CborError::NotUtf8 { at: head.at })
    }

    /// Takes `N` bytes of the head that began at `at`.
    fn fixed<const N: usize>(&mut self, at: usize) -> Result<[u8; N], CborError> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let bytes = *rest.first_chunk().ok_or(CborError::Truncated { at })?;
        self.at = self.at.saturating_add(N);
        Ok(bytes)
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }
}

/// The items `false` to `undefined`, each of which is one byte.
const FIRST_SIMPLE: u8 = major::SIMPLE << 5 | 20;
const LAST_SIMPLE: u8 = major::SIMPLE << 5 | 23;
