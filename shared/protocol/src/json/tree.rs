//! Values of no fixed form: the details of metric events.

use std::{collections::BTreeMap, fmt};

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Context, Refusal, Seed, Wire, Writer};
use crate::memory;

/// Details by name, written in the order of the names.
pub type Details = BTreeMap<String, Tree>;

/// A JSON value of any form, at most [`TREE_DEPTH`] levels deep.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object, written in this order; what was read is in the order of its names.
    Object(Vec<(String, Self)>),
}

/// A number that JSON can hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(Repr);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Repr {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

/// A number was infinite or no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("JSON has no form for a number that is not finite")]
pub struct NotFiniteError;

impl TryFrom<f64> for Number {
    type Error = NotFiniteError;

    fn try_from(number: f64) -> Result<Self, NotFiniteError> {
        if number.is_finite() { Ok(Self(Repr::Float(number))) } else { Err(NotFiniteError) }
    }
}

impl From<i64> for Tree {
    fn from(number: i64) -> Self {
        Self::Number(Number(Repr::Signed(number)))
    }
}

impl From<u64> for Tree {
    fn from(number: u64) -> Self {
        Self::Number(Number(Repr::Unsigned(number)))
    }
}

impl From<Number> for Tree {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Tree {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl fmt::Display for Number {
    /// Writes what Go's encoder writes: the shortest digits that read back as the same number, with
    /// an exponent below 10^-6 and from 10^21.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Repr::Signed(number) => number.fmt(f),
            Repr::Unsigned(number) => number.fmt(f),
            Repr::Float(number) => {
                let size = number.abs();
                if size == 0.0 || (1e-6..1e21).contains(&size) {
                    return number.fmt(f);
                }
                let text = format!("{number:e}");
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                match exponent.strip_prefix('-') {
                    Some(exponent) => write!(f, "{digits}e-{exponent}"),
                    None => write!(f, "{digits}e+{exponent}"),
                }
            }
        }
    }
}

impl Wire for Tree {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::Null => out.null(),
            Self::Bool(value) => out.boolean(*value),
            Self::Number(number) => out.token(&number.to_string()),
            Self::Text(text) => out.text(text),
            Self::List(items) => out.list(items),
            Self::Object(members) => out.object(|out| {
                for (name, value) in members {
                    out.member(name, value);
                }
            }),
        }
    }

    fn read<'de, D: Deserializer<'de>>(input: D, context: &Context) -> Result<Self, D::Error> {
        input.deserialize_any(TreeVisitor { context, cost: 0, depth: 0 })
    }
}

struct TreeVisitor<'c> {
    context: &'c Context,
    cost: usize,
    depth: usize,
}

impl TreeVisitor<'_> {
    /// For a value inside this one, which is charged so many bytes before it is read.
    fn below<E: de::Error>(&self, cost: usize) -> Result<Self, E> {
        if self.depth >= TREE_DEPTH {
            return Err(self.context.refuse(Refusal::Depth(TREE_DEPTH)));
        }
        Ok(Self { context: self.context, cost, depth: self.depth.saturating_add(1) })
    }
}

impl<'de> de::DeserializeSeed<'de> for TreeVisitor<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Tree, D::Error> {
        self.context.charge(self.cost)?;
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeVisitor<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    // Go reads every number of a value without a fixed form as a float.
    #[expect(clippy::cast_precision_loss, reason = "Go rounds these integers too")]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Tree, E> {
        self.visit_f64(value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "Go rounds these integers too")]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Tree, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(Number(Repr::Float(value))))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        let cost = |is_first| memory::of_element(size_of::<Tree>(), is_first);
        while let Some(item) = items.next_element_seed(self.below(cost(list.is_empty()))?)? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut object = BTreeMap::new();
        while let Some(name) = members.next_key_seed(Seed::<String>::new(self.context))? {
            // First in a map, then in a list.
            let is_first = object.is_empty();
            let cost = memory::of_element(size_of::<(String, Tree)>(), is_first);
            let cost = cost.saturating_add(memory::of_entry(size_of::<Tree>(), is_first));
            let value = members.next_value_seed(self.below(cost)?)?;
            if object.insert(name, value).is_some() {
                return Err(self.context.refuse(Refusal::Duplicate));
            }
        }
        Ok(Tree::Object(object.into_iter().collect()))
    }
}

/// How deep values of no fixed form may nest. Metric details are two levels deep; what is refused is
/// far beyond, and what is taken, with the members around it, is within what the reader below takes.
pub const TREE_DEPTH: usize = 100;
