//! Package `values.v1`: the values that workflows and capabilities exchange.

use std::collections::BTreeMap;

use super::well_known::Timestamp;

message! {
    /// A value; with no member set it is null.
    Value = "values.v1.Value" {
        /// What a [`Value`] holds.
        oneof kind: Kind {
            1 string_value: String(string) String,
            2 bool_value: Bool(bool) bool,
            3 bytes_value: Bytes(bytes) Vec<u8>,
            4 map_value: Map(message) Map,
            5 list_value: List(message) List,
            6 decimal_value: Decimal(message) Decimal,
            7 int64_value: Int64(int64) i64,
            9 bigint_value: BigInt(message) BigInt,
            10 time_value: Time(message) Timestamp,
            11 float64_value: Float64(double) f64,
            12 uint64_value: Uint64(uint64) u64,
        }
    }
}

message! {
    /// A map from text to values.
    Map = "values.v1.Map" {
        1 fields: (btree_map(string, message)) BTreeMap<String, Value>,
    }
}

message! {
    /// A list of values.
    List = "values.v1.List" {
        2 fields: (message, repeated) Vec<Value>,
    }
}

message! {
    /// An integer of any size.
    BigInt = "values.v1.BigInt" {
        1 abs_val: (bytes) Vec<u8>,
        2 sign: (int64) i64,
    }
}

message! {
    /// `coefficient` times ten to the power of `exponent`.
    Decimal = "values.v1.Decimal" {
        1 coefficient: (message, optional) Option<BigInt>,
        2 exponent: (int32) i32,
    }
}
