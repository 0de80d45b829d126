//! What the fields of a message are: enough to read, order and write its bytes.

use std::sync::OnceLock;

/// A message type: its full name and its fields.
#[derive(Debug)]
pub struct Schema {
    /// The full name with its package, as it stands after the last `/` of a type URL.
    pub name: &'static str,
    /// What the decoded struct takes, without what it points to, in bytes.
    pub size_bytes: usize,
    /// The fields, in declaration order.
    pub fields: &'static [Field],
    derived_otherwise: OnceLock<bool>,
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The field's number on the wire.
    pub number: u32,
    /// The name in the schema's own spelling.
    pub name: &'static str,
    /// How often the field occurs and what its absence means.
    pub label: Label,
    /// The type of one value.
    pub kind: Kind,
}

/// How often a field occurs.
#[derive(Clone, Copy, Debug)]
pub enum Label {
    /// A scalar whose default is not written.
    Implicit,
    /// Absent and default are told apart.
    Optional,
    /// A member of the message's only `oneof`: the last one read wins.
    Oneof,
    /// A list; numbers are written packed.
    Repeated,
    /// A map with keys of this kind; entries are written sorted by key.
    Map(Kind),
}

/// The type of one value.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `bool`.
    Bool,
    /// `bytes`.
    Bytes,
    /// `double`.
    Double,
    /// An enumeration: an `int32` of which unknown numbers are kept.
    Enum,
    /// `int32`; negative numbers take ten bytes.
    Int32,
    /// `int64`.
    Int64,
    /// A message; a function, because messages may contain themselves.
    Message(fn() -> &'static Schema),
    /// `string`: UTF-8, anything else is refused.
    Text,
    /// `uint32`.
    Uint32,
    /// `uint64`.
    Uint64,
}

impl Schema {
    /// A message type. Keep it in a `static`: it remembers what was found out about it.
    #[must_use]
    pub const fn new(name: &'static str, size_bytes: usize, fields: &'static [Field]) -> Self {
        Self { name, size_bytes, fields, derived_otherwise: OnceLock::new() }
    }

    /// The field with this number.
    #[must_use]
    pub fn field(&self, number: u32) -> Option<&'static Field> {
        self.position(number).map(|(_index, field)| field)
    }

    /// The same with its place among the fields.
    pub(super) fn position(&self, number: u32) -> Option<(u32, &'static Field)> {
        (0..).zip(self.fields).find(|(_index, field)| field.number == number)
    }

    /// Whether the derived encoder writes a message of this type otherwise than the deterministic
    /// one: it leaves defaults out of map entries, and puts the member of a `oneof` among the other
    /// fields.
    pub(crate) fn is_derived_otherwise(&'static self) -> bool {
        *self.derived_otherwise.get_or_init(|| {
            let mut seen: Vec<&Self> = Vec::new();
            let mut open = vec![self];
            while let Some(schema) = open.pop() {
                if seen.iter().any(|known| std::ptr::eq(*known, schema)) {
                    continue;
                }
                seen.push(schema);
                if schema.is_itself_derived_otherwise() {
                    return true;
                }
                open.extend(schema.fields.iter().filter_map(Field::message));
            }
            false
        })
    }

    fn is_itself_derived_otherwise(&self) -> bool {
        let is_member = |field: &&Field| matches!(field.label, Label::Oneof);
        let first = self.fields.iter().filter(is_member).map(|field| field.number).min();
        let others = self.fields.iter().filter(|field| !is_member(field));
        let last = others.map(|field| field.number).max();
        let has_map = self.fields.iter().any(|field| matches!(field.label, Label::Map(_)));
        has_map || first.is_some_and(|first| last > Some(first))
    }
}

impl Field {
    /// The type of its values, if they are messages.
    fn message(&self) -> Option<&'static Schema> {
        match self.kind {
            Kind::Message(schema) => Some(schema()),
            Kind::Bool
            | Kind::Bytes
            | Kind::Double
            | Kind::Enum
            | Kind::Int32
            | Kind::Int64
            | Kind::Text
            | Kind::Uint32
            | Kind::Uint64 => None,
        }
    }
}
