//! The types that all declarations are made of: text, numbers, lists, maps, optional values.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Context, Refusal, Seed, Wire, Writer};
use crate::memory;

impl Wire for String {
    fn write(&self, out: &mut Writer) {
        out.text(self);
    }

    fn read<'de, D: Deserializer<'de>>(input: D, context: &Context) -> Result<Self, D::Error> {
        input.deserialize_any(TextVisitor(context))
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

struct TextVisitor<'c>(&'c Context);

impl Visitor<'_> for TextVisitor<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        Err(self.0.refuse(Refusal::Null))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

impl Wire for bool {
    fn write(&self, out: &mut Writer) {
        out.boolean(*self);
    }

    fn read<'de, D: Deserializer<'de>>(input: D, context: &Context) -> Result<Self, D::Error> {
        input.deserialize_any(BoolVisitor(context))
    }

    fn is_empty(&self) -> bool {
        !self
    }
}

struct BoolVisitor<'c>(&'c Context);

impl Visitor<'_> for BoolVisitor<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        Err(self.0.refuse(Refusal::Null))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn write(&self, out: &mut Writer) {
                out.token(&self.to_string());
            }

            fn read<'de, D: Deserializer<'de>>(
                input: D,
                context: &Context,
            ) -> Result<Self, D::Error> {
                input.deserialize_any(IntegerVisitor::<$type>(context, PhantomData))
            }

            fn is_empty(&self) -> bool {
                *self == 0
            }
        }
    )*};
}

integer!(u8, u32, u64, i64);

/// Reads integers as Go does: `1.0`, `1e2` and `-0` are none.
struct IntegerVisitor<'c, T>(&'c Context, PhantomData<T>);

impl<T: TryFrom<u64> + TryFrom<i64>> Visitor<'_> for IntegerVisitor<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        Err(self.0.refuse(Refusal::Null))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        T::try_from(value).map_err(|_range| self.0.refuse(Refusal::Integer))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        T::try_from(value).map_err(|_range| self.0.refuse(Refusal::Integer))
    }

    fn visit_f64<E: de::Error>(self, _value: f64) -> Result<T, E> {
        Err(self.0.refuse(Refusal::Integer))
    }
}

/// A list: nil is read as empty; where the two differ, the type is an option of a list.
impl<T: Wire> Wire for Vec<T> {
    fn write(&self, out: &mut Writer) {
        out.list(self);
    }

    fn read<'de, D: Deserializer<'de>>(input: D, context: &Context) -> Result<Self, D::Error> {
        input.deserialize_any(ListVisitor(context, PhantomData))
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

struct ListVisitor<'c, T>(&'c Context, PhantomData<T>);

impl<'de, T: Wire> Visitor<'de> for ListVisitor<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        let seed = |is_first| Seed::charging(self.0, memory::of_element(size_of::<T>(), is_first));
        while let Some(item) = items.next_element_seed(seed(list.is_empty()))? {
            list.push(item);
        }
        Ok(list)
    }
}

/// `null` is `None`: a nil pointer or list.
impl<T: Wire> Wire for Option<T> {
    fn write(&self, out: &mut Writer) {
        match self {
            Some(value) => value.write(out),
            None => out.null(),
        }
    }

    fn read<'de, D: Deserializer<'de>>(input: D, context: &Context) -> Result<Self, D::Error> {
        input.deserialize_option(OptionVisitor(context, PhantomData))
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_none_or(Wire::is_empty)
    }
}

struct OptionVisitor<'c, T>(&'c Context, PhantomData<T>);

impl<'de, T: Wire> Visitor<'de> for OptionVisitor<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_none<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Option<T>, D::Error> {
        T::read(input, self.0).map(Some)
    }
}

/// A map, written in the order of its keys' bytes.
impl<T: Wire> Wire for BTreeMap<String, T> {
    fn write(&self, out: &mut Writer) {
        out.object(|out| {
            for (name, value) in self {
                out.member(name, value);
            }
        });
    }

    fn read<'de, D: Deserializer<'de>>(input: D, context: &Context) -> Result<Self, D::Error> {
        input.deserialize_any(MapVisitor(context, PhantomData))
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

struct MapVisitor<'c, T>(&'c Context, PhantomData<T>);

impl<'de, T: Wire> Visitor<'de> for MapVisitor<'_, T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: de::Error>(self) -> Result<BTreeMap<String, T>, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<BTreeMap<String, T>, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(name) = members.next_key_seed(Seed::<String>::new(self.0))? {
            let cost = memory::of_entry(size_of::<T>(), map.is_empty());
            let value = members.next_value_seed(Seed::<T>::charging(self.0, cost))?;
            if map.insert(name, value).is_some() {
                return Err(self.0.refuse(Refusal::Duplicate));
            }
        }
        Ok(map)
    }
}

/// An array of 32 bytes, written as a list of numbers.
impl Wire for [u8; 32] {
    fn write(&self, out: &mut Writer) {
        out.list(self);
    }

    fn read<'de, D: Deserializer<'de>>(input: D, context: &Context) -> Result<Self, D::Error> {
        input.deserialize_any(ArrayVisitor(context))
    }
}

struct ArrayVisitor<'c>(&'c Context);

impl<'de> Visitor<'de> for ArrayVisitor<'_> {
    type Value = [u8; 32];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of 32 numbers")
    }

    fn visit_unit<E: de::Error>(self) -> Result<[u8; 32], E> {
        Err(self.0.refuse(Refusal::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<[u8; 32], A::Error> {
        let mut array = [0; 32];
        for place in &mut array {
            *place = match items.next_element_seed(Seed::<u8>::new(self.0))? {
                Some(byte) => byte,
                None => return Err(self.0.refuse(Refusal::ArrayLength(32))),
            };
        }
        if items.next_element::<IgnoredAny>()?.is_some() {
            return Err(self.0.refuse(Refusal::ArrayLength(32)));
        }
        Ok(array)
    }
}
