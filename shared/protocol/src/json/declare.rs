//! The one declaration from which a type's writer and reader come.

use super::Member;

/// Declares a struct with a JSON form.
///
/// A member is `name: Type = "jsonName"`, in the order in which Go writes them; `, omit` after the
/// JSON name leaves a zero value out. `, flat name: Type` after the struct's name puts the members of
/// that type in front. The contents are not printed: they may hold shares and user data.
macro_rules! wire {
    (
        $(#[$meta:meta])*
        $name:ident $(<$param:ident>)? $(, flat $flat:ident: $flat_type:ident)? {
            $($(#[$doc:meta])* $field:ident: $type:ty = $json:literal $(, $omit:ident)?;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Default, PartialEq)]
        pub struct $name $(<$param>)? {
            $(
                #[doc = concat!("The members of a [`", stringify!($flat_type), "`].")]
                pub $flat: $flat_type,
            )?
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $(<$param>)? ::core::fmt::Debug for $name $(<$param>)? {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl $(<$param: $crate::json::Wire + Default>)? $crate::json::Fields
            for $name $(<$param>)?
        {
            fn names() -> $crate::json::Names {
                let names = $crate::json::Names::new(&[$($json),*]);
                $(let names = names.after(<$flat_type as $crate::json::Fields>::names);)?
                names
            }

            fn write_members(&self, out: &mut $crate::json::Object<'_>) {
                $(self.$flat.write_members(out);)?
                $(member_writer!(out, $json, self.$field $(, $omit)?);)*
            }

            fn read_member<'de, A: ::serde::de::MapAccess<'de>>(
                &mut self,
                name: &'static str,
                map: &mut A,
                context: &$crate::json::Context,
            ) -> Result<(), A::Error> {
                match name {
                    $($json => {
                        let seed = $crate::json::Seed::<$type>::new(context);
                        self.$field = map.next_value_seed(seed)?;
                        Ok(())
                    })*
                    $(_ if true => self.$flat.read_member(name, map, context),)?
                    _ => Ok(()),
                }
            }
        }

        impl $(<$param: $crate::json::Wire + Default>)? $crate::json::Wire
            for $name $(<$param>)?
        {
            fn write(&self, out: &mut $crate::json::Writer) {
                out.object(|out| $crate::json::Fields::write_members(self, out));
            }

            fn read<'de, D: ::serde::Deserializer<'de>>(
                input: D,
                context: &$crate::json::Context,
            ) -> Result<Self, D::Error> {
                $crate::json::read_members(input, context)
            }
        }
    };
}

macro_rules! member_writer {
    ($out:ident, $json:literal, $self:ident.$field:ident) => {
        $out.member($json, &$self.$field)
    };
    ($out:ident, $json:literal, $self:ident.$field:ident, omit) => {
        if !$crate::json::Wire::is_empty(&$self.$field) {
            $out.member($json, &$self.$field);
        }
    };
}

/// The names of a struct's members; those of a flattened struct come first.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    own: &'static [&'static str],
    flat: Option<fn() -> Self>,
}

impl Names {
    pub(crate) const fn new(own: &'static [&'static str]) -> Self {
        Self { own, flat: None }
    }

    pub(crate) const fn after(mut self, flat: fn() -> Self) -> Self {
        self.flat = Some(flat);
        self
    }

    /// Says what a name means: exact names first, then folded ones.
    pub(crate) fn find(self, text: &str) -> Member {
        if let Some((index, name)) = self.position(|name| name == text) {
            return Member::Known { index, name };
        }
        match self.position(|name| folds_to(text, name)) {
            Some((_index, name)) => Member::Folded { name },
            None => Member::Unknown,
        }
    }

    fn position(self, is: impl Fn(&str) -> bool + Copy) -> Option<(usize, &'static str)> {
        let flat = self.flat.map(|names| names());
        if let Some(found) = flat.and_then(|flat| flat.position(is)) {
            return Some(found);
        }
        let before = flat.map_or(0, Self::count);
        let (index, name) = self.own.iter().enumerate().find(|(_index, name)| is(name))?;
        Some((before.saturating_add(index), name))
    }

    fn count(self) -> usize {
        let flat = self.flat.map_or(0, |names| names().count());
        self.own.len().saturating_add(flat)
    }
}

/// Whether Go's decoder takes `text` for the ASCII `name`: letters fold as Unicode's simple folding
/// has it, which adds the Kelvin sign and the long s to the ASCII pairs.
fn folds_to(text: &str, name: &str) -> bool {
    let folded = text.chars().map(|letter| match letter {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(name.chars().map(|letter| letter.to_ascii_lowercase()))
}
