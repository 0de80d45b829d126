//! The one declaration from which a message's struct, name and schema come.

/// Declares a message of the schema.
///
/// A field is `NUMBER name: (KIND) TYPE`, the kind in the words of prost's own attribute. A message
/// has at most one `oneof`, declared last; its enum is declared with it. `opaque` in front of the
/// name leaves the contents out of the `Debug` form.
macro_rules! message {
    (
        $(#[$meta:meta])*
        opaque $name:ident = $full:literal { $($body:tt)* }
    ) => {
        message! {
            $(#[$meta])*
            #[prost(skip_debug)]
            $name = $full { $($body)* }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
    (
        $(#[$meta:meta])*
        $name:ident = $full:literal {
            $($number:literal $field:ident: ($($kind:tt)*) $type:ty,)*
            $(
                $(#[$one_meta:meta])*
                oneof $one:ident: $enum:ident {
                    $($one_number:literal $member:ident: $variant:ident($($one_kind:tt)*) $one_type:ty,)*
                }
            )?
        }
    ) => {
        #[derive(Clone, PartialEq, ::prost::Message)]
        $(#[$meta])*
        pub struct $name {
            $(
                #[doc = concat!("Field ", $number, ".")]
                #[prost($($kind)*, tag = $number)]
                pub $field: $type,
            )*
            $(
                #[doc = concat!("The one of ", stringify!($($member),*), " that is set.")]
                #[prost(oneof($enum), tags($($one_number),*))]
                pub $one: Option<$enum>,
            )?
        }

        $(
            $(#[$one_meta])*
            #[derive(Clone, PartialEq, ::prost::Oneof)]
            pub enum $enum {
                $(
                    #[doc = concat!("Field ", $one_number, ", `", stringify!($member), "`.")]
                    #[prost($($one_kind)*, tag = $one_number)]
                    $variant($one_type),
                )*
            }
        )?

        impl $crate::messages::Message for $name {
            const NAME: &'static str = $full;
        }

        impl $crate::messages::Described for $name {
            fn schema() -> &'static $crate::proto::Schema {
                static SCHEMA: $crate::proto::Schema = $crate::proto::Schema::new(
                    $full,
                    size_of::<$name>(),
                    &[
                        $($crate::proto::Field {
                            number: $number,
                            name: stringify!($field),
                            label: field_label!($($kind)*),
                            kind: field_kind!(($type) $($kind)*),
                        },)*
                        $($($crate::proto::Field {
                            number: $one_number,
                            name: stringify!($member),
                            label: $crate::proto::Label::Oneof,
                            kind: field_kind!(($one_type) $($one_kind)*),
                        },)*)?
                    ],
                );
                &SCHEMA
            }
        }
    };
}

/// How often a field occurs, from its kind in prost's words.
macro_rules! field_label {
    (btree_map($key:tt, $value:tt)) => {
        $crate::proto::Label::Map(field_kind!((()) $key))
    };
    ($kind:tt $(($($of:tt)*))?, repeated) => {
        $crate::proto::Label::Repeated
    };
    ($kind:tt $(($($of:tt)*))?, optional) => {
        $crate::proto::Label::Optional
    };
    ($kind:tt $(($($of:tt)*))?) => {
        $crate::proto::Label::Implicit
    };
}

/// The type of one value, from its kind in prost's words and its Rust type.
macro_rules! field_kind {
    (($type:ty) btree_map($key:tt, $value:tt)) => {
        field_kind!(($type) $value)
    };
    (($type:ty) message $($rest:tt)*) => {
        $crate::proto::Kind::Message(<$type as $crate::messages::Described>::schema)
    };
    (($type:ty) string $($rest:tt)*) => { $crate::proto::Kind::Text };
    (($type:ty) bytes $($rest:tt)*) => { $crate::proto::Kind::Bytes };
    (($type:ty) bool $($rest:tt)*) => { $crate::proto::Kind::Bool };
    (($type:ty) double $($rest:tt)*) => { $crate::proto::Kind::Double };
    (($type:ty) enumeration $($rest:tt)*) => { $crate::proto::Kind::Enum };
    (($type:ty) int32 $($rest:tt)*) => { $crate::proto::Kind::Int32 };
    (($type:ty) int64 $($rest:tt)*) => { $crate::proto::Kind::Int64 };
    (($type:ty) uint32 $($rest:tt)*) => { $crate::proto::Kind::Uint32 };
    (($type:ty) uint64 $($rest:tt)*) => { $crate::proto::Kind::Uint64 };
}

/// Declares an enumeration of the schema; the first member is the default.
macro_rules! enumeration {
    (
        $(#[$meta:meta])*
        $name:ident { $($number:literal $variant:ident,)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
        #[repr(i32)]
        pub enum $name {
            $(
                #[doc = concat!("Number ", $number, ".")]
                $variant = $number,
            )*
        }
    };
}
