//! What the readers of all types share: the context that carries refusals, and the walk over the
//! members of an object.
//!
//! # How lenient the readers are
//!
//! Decided here for every type of the protocol: whatever a Go *encoder* of the type can emit is read,
//! of this version or another; what only Go's *decoder* tolerates is refused, each with its error.
//!
//! | Text | Read as, or refused with |
//! |---|---|
//! | members in any order, white space, escapes of any spelling | what they say |
//! | a member that is not known | nothing: a newer encoder wrote it |
//! | a member that is not there | its zero value: it was zero and left out, or an older encoder does not know it |
//! | `null` for a list, a map, a byte string, a pointer, raw JSON | nil |
//! | `null` for text, a number, a truth value, a time, an array, an object | [`DecodeError::Null`] |
//! | a name in other letters | [`DecodeError::Folded`] |
//! | a name twice | [`DecodeError::Duplicate`] |
//! | an array that is shorter or longer than its type | [`DecodeError::ArrayLength`] |
//! | bytes as a list of numbers | [`DecodeError::BytesAsNumbers`] |
//! | a time with zeros behind its fraction, more than nine digits, or `+00:00` for `Z` | [`DecodeError::Time`] |
//! | base64 with line breaks, or bits behind the last byte | [`DecodeError::Base64`] |
//! | text that is not UTF-8, half a surrogate pair | [`DecodeError::NotUtf8`], [`DecodeError::Surrogate`] |
//!
//! Two bounds are ours alone, because what is read here must be: [`super::EXPANSION`], which no encoder
//! reaches, and [`super::TREE_DEPTH`] for values of no fixed form, which no peer comes near.
//! `tests/vectors/deviations.toml` repeats the refusals with their reasons, file by file.

use std::{cell::Cell, fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};

use super::{DEPTH, DecodeError, TIMES, Wire, declare::Names, scan};

/// The state of one reading: what was refused, in which member, and how much memory is left.
#[derive(Debug)]
pub struct Context {
    refusal: Cell<Option<Refusal>>,
    member: Cell<Option<&'static str>>,
    left_bytes: Cell<usize>,
}

/// What a reader refuses that the deserializer below it would not; see [`DecodeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not this many elements.
    ArrayLength(usize),
    /// Not canonical base64.
    Base64,
    /// Numbers instead of base64.
    BytesAsNumbers,
    /// Nested too deep.
    Depth(usize),
    /// A member that occurs twice.
    Duplicate,
    /// Too much memory.
    Expansion,
    /// A member in other letters.
    Folded,
    /// Not an integer of the range.
    Integer,
    /// `null` where the type has no nil.
    Null,
    /// Not a time or duration.
    Time,
}

impl Context {
    pub(crate) fn new(text_bytes: usize) -> Self {
        let left = TIMES.allow(text_bytes);
        Self { refusal: Cell::default(), member: Cell::default(), left_bytes: Cell::new(left) }
    }

    /// Records a refusal and makes the error that ends the reading.
    pub fn refuse<E: de::Error>(&self, refusal: Refusal) -> E {
        self.refusal.set(Some(refusal));
        E::custom("refused")
    }

    /// Charges memory before it is taken.
    pub(crate) fn charge<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        match self.left_bytes.get().checked_sub(bytes) {
            Some(left) => {
                self.left_bytes.set(left);
                Ok(())
            }
            None => Err(self.refuse(Refusal::Expansion)),
        }
    }

    /// Names the member in which a reading ended; the innermost one is kept.
    pub(crate) fn name(&self, member: &'static str) {
        if self.member.get().is_none() {
            self.member.set(Some(member));
        }
    }

    pub(crate) fn error(&self, text: &str, error: &serde_json::Error) -> DecodeError {
        use serde_json::error::Category;
        let member = self.member.get().unwrap_or("value");
        let Some(refusal) = self.refusal.get() else {
            return match error.classify() {
                Category::Data => DecodeError::Type { member },
                Category::Io | Category::Syntax | Category::Eof => {
                    let (line, column) = (error.line(), error.column());
                    if scan::stops_at_lone_surrogate(text, line, column) {
                        return DecodeError::Surrogate;
                    }
                    DecodeError::Syntax { line, column }
                }
            };
        };
        match refusal {
            Refusal::ArrayLength(want) => DecodeError::ArrayLength { member, want },
            Refusal::Base64 => DecodeError::Base64 { member },
            Refusal::BytesAsNumbers => DecodeError::BytesAsNumbers { member },
            Refusal::Depth(limit) => DecodeError::Depth { limit: limit.min(DEPTH) },
            Refusal::Duplicate => DecodeError::Duplicate { member },
            Refusal::Expansion => DecodeError::Expansion,
            Refusal::Folded => DecodeError::Folded { member },
            Refusal::Integer => DecodeError::Integer { member },
            Refusal::Null => DecodeError::Null { member },
            Refusal::Time => DecodeError::Time { member },
        }
    }
}

/// The members of a struct, as its declaration lists them.
pub trait Fields: Default {
    /// The members' names in order; those of a flattened struct come first.
    fn names() -> Names;

    /// Writes the members that are not left out.
    fn write_members(&self, out: &mut super::Object<'_>);

    /// Reads the value of the member with this name.
    ///
    /// # Errors
    ///
    /// The reader's of that member.
    fn read_member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut A,
        context: &Context,
    ) -> Result<(), A::Error>;
}

/// Reads a struct.
pub(crate) fn read_members<'de, T: Fields, D: Deserializer<'de>>(
    input: D,
    context: &Context,
) -> Result<T, D::Error> {
    input.deserialize_any(Members { context, fields: PhantomData })
}

struct Members<'c, T> {
    context: &'c Context,
    fields: PhantomData<T>,
}

impl<'de, T: Fields> Visitor<'de> for Members<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        Err(self.context.refuse(Refusal::Null))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut value = T::default();
        let mut seen = 0_u64;
        while let Some(member) = map.next_key_seed(Name { names: T::names() })? {
            match member {
                Member::Known { index, name } => {
                    let bit = u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index));
                    let bit = bit.unwrap_or(0);
                    if seen & bit != 0 {
                        self.context.name(name);
                        return Err(self.context.refuse(Refusal::Duplicate));
                    }
                    seen |= bit;
                    value
                        .read_member(name, &mut map, self.context)
                        .inspect_err(|_error| self.context.name(name))?;
                }
                Member::Folded { name } => {
                    self.context.name(name);
                    return Err(self.context.refuse(Refusal::Folded));
                }
                Member::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(value)
    }
}

/// What a name in an object means to a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// The name of a member.
    Known {
        /// Its index.
        index: usize,
        /// Its name.
        name: &'static str,
    },
    /// A member's name in other letters.
    Folded {
        /// The member's name.
        name: &'static str,
    },
    /// Nothing known.
    Unknown,
}

struct Name {
    names: Names,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Member, D::Error> {
        input.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Member, E> {
        Ok(self.names.find(text))
    }
}

/// Reads a value in the place where serde wants a seed.
pub(crate) struct Seed<'c, T> {
    context: &'c Context,
    cost: usize,
    value: PhantomData<T>,
}

impl<'c, T: Wire> Seed<'c, T> {
    pub(crate) fn new(context: &'c Context) -> Self {
        Self { context, cost: 0, value: PhantomData }
    }

    /// Charges so many bytes, if there is something to read, before it is read.
    pub(crate) fn charging(context: &'c Context, cost: usize) -> Self {
        Self { cost, ..Self::new(context) }
    }
}

impl<'de, T: Wire> DeserializeSeed<'de> for Seed<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<T, D::Error> {
        self.context.charge(self.cost)?;
        T::read(input, self.context)
    }
}
