//! The JSON form of protobuf messages, as far as the vectors use it, driven by our schemas.

use std::{collections::BTreeMap, time::SystemTime};

use protocol::{
    base64,
    messages::{self, Message as _, well_known::Timestamp},
    proto::{Field, Kind, Label, Schema},
    time::Rfc3339,
};
use serde_json::{Map, Value, json};

use crate::wasm_protocol::named;

pub(crate) static BOOL_VALUE: Schema = Schema::new(
    "google.protobuf.BoolValue",
    1,
    &[Field { number: 1, name: "value", label: Label::Implicit, kind: Kind::Bool }],
);

/// The names of enumeration members.
const NAMES: &[(&str, i32)] = &[
    ("AGGREGATION_TYPE_MEDIAN", 1),
    ("AGGREGATION_TYPE_IDENTICAL", 2),
    ("TEE_TYPE_AWS_NITRO", 1),
    ("CAPABILITY_RESTRICTION_TYPE_OPEN", 1),
];

/// Encodes a message from its JSON form, fields in the order of the JSON.
pub(crate) fn to_bytes(schema: &Schema, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match schema.name {
        "google.protobuf.Any" if value.get("@type").is_some() => return any(value),
        "google.protobuf.BoolValue" => field_bytes(&schema.fields[0], value, &mut out),
        "google.protobuf.Timestamp" => {
            let time = value.as_str().unwrap().parse::<Rfc3339>().unwrap();
            seconds_and_nanos(schema, time.unix_nanos().into(), true, &mut out);
        }
        "google.protobuf.Duration" => {
            let text = value.as_str().unwrap();
            let nanos = text.parse::<protocol::time::GoDuration>().unwrap().nanos;
            seconds_and_nanos(schema, nanos.into(), false, &mut out);
        }
        _ => {
            for (name, value) in value.as_object().unwrap() {
                let found = schema.fields.iter().find(|f| f.name.trim_start_matches("r#") == name);
                let field = found.unwrap_or_else(|| panic!("{}: no field {name}", schema.name));
                field_bytes(field, value, &mut out);
            }
        }
    }
    out
}

fn any(value: &Value) -> Vec<u8> {
    let url = value["@type"].as_str().unwrap();
    let schema = named(url.rsplit('/').next().unwrap()).schema;
    let mut inner = value.clone();
    inner.as_object_mut().unwrap().remove("@type");
    let inner = match schema.name {
        "google.protobuf.BoolValue" => to_bytes(schema, &inner["value"]),
        _ => to_bytes(schema, &inner),
    };
    let mut out = Vec::new();
    bytes(1, url.as_bytes(), &mut out);
    bytes(2, &inner, &mut out);
    out
}

fn seconds_and_nanos(schema: &Schema, nanos: i128, floor: bool, out: &mut Vec<u8>) {
    let second = 1_000_000_000_i128;
    let (seconds, nanos) = if floor {
        (nanos.div_euclid(second), nanos.rem_euclid(second))
    } else {
        (nanos / second, nanos % second)
    };
    field_bytes(&schema.fields[0], &json!(seconds.to_string()), out);
    field_bytes(&schema.fields[1], &json!(i64::try_from(nanos).unwrap()), out);
}

fn field_bytes(field: &Field, value: &Value, out: &mut Vec<u8>) {
    let one = Field { label: Label::Optional, ..*field };
    match field.label {
        Label::Repeated => value.as_array().unwrap().iter().for_each(|v| field_bytes(&one, v, out)),
        Label::Map(key) => {
            // The JSON object is walked backwards, so that sorting is ours to do.
            for (name, value) in value.as_object().unwrap().iter().rev() {
                let mut entry = Vec::new();
                let key = Field { number: 1, name: "", label: Label::Optional, kind: key };
                field_bytes(&key, &json!(name), &mut entry);
                field_bytes(&Field { number: 2, ..one }, value, &mut entry);
                bytes(field.number, &entry, out);
            }
        }
        Label::Implicit | Label::Oneof | Label::Optional => one_value(field, value, out),
    }
}

fn one_value(field: &Field, value: &Value, out: &mut Vec<u8>) {
    let number = field.number;
    match field.kind {
        Kind::Message(schema) => bytes(number, &to_bytes(schema(), value), out),
        Kind::Text => bytes(number, value.as_str().unwrap().as_bytes(), out),
        Kind::Bytes => bytes(number, &base64::decode(value.as_str().unwrap()).unwrap(), out),
        Kind::Double => {
            varint(u64::from(number) << 3 | 1, out);
            let value = match value.as_str() {
                Some(text) => text.replace("Infinity", "inf").parse().unwrap(),
                None => value.as_f64().unwrap(),
            };
            out.extend_from_slice(&f64::to_le_bytes(value));
        }
        Kind::Bool | Kind::Enum | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => {
            varint(u64::from(number) << 3, out);
            varint(integer(value), out);
        }
    }
}

fn integer(value: &Value) -> u64 {
    if let Some(truth) = value.as_bool() {
        return u64::from(truth);
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let named = NAMES.iter().find(|(name, _number)| *name == text);
    let number: i128 = named.map_or_else(|| text.parse().unwrap(), |(_name, n)| i128::from(*n));
    u64::try_from(number).unwrap_or_else(|_negative| i64::try_from(number).unwrap().cast_unsigned())
}

fn bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap());
}

/// The JSON form of canonical bytes; unknown fields are left out.
pub(crate) fn from_bytes(schema: &Schema, mut message: &[u8]) -> Value {
    if schema.name == Timestamp::NAME {
        return timestamp(messages::decode(message).unwrap());
    }
    let mut object = Map::new();
    while let Some((number, raw)) = next(&mut message) {
        let Some(field) = schema.field(number) else { continue };
        let name = field.name.trim_start_matches("r#");
        match field.label {
            Label::Repeated => {
                let list = object.entry(name).or_insert_with(|| json!([]));
                let list = list.as_array_mut().unwrap();
                match (field.kind, &raw) {
                    (Kind::Message(_) | Kind::Bytes | Kind::Text, _) => {
                        list.push(json_of(field, &raw))
                    }
                    (_, Raw::Bytes(packed)) => {
                        let mut packed = packed.as_slice();
                        while !packed.is_empty() {
                            list.push(json_of(field, &Raw::Varint(take_varint(&mut packed))));
                        }
                    }
                    _ => panic!("not packed"),
                }
            }
            Label::Map(key) => {
                let Raw::Bytes(entry) = raw else { panic!("no map entry") };
                let mut parts: BTreeMap<u32, Raw> = BTreeMap::new();
                let mut entry = entry.as_slice();
                while let Some((number, raw)) = next(&mut entry) {
                    parts.insert(number, raw);
                }
                let key = json_of(&Field { kind: key, ..*field }, &parts[&1]);
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                let map = object.entry(name).or_insert_with(|| json!({}));
                map.as_object_mut().unwrap().insert(key, json_of(field, &parts[&2]));
            }
            Label::Implicit | Label::Oneof | Label::Optional => {
                object.insert(name.to_owned(), json_of(field, &raw));
            }
        }
    }
    Value::Object(object)
}

/// A point in time: three, six or nine digits behind the point.
fn timestamp(time: Timestamp) -> Value {
    let text = Rfc3339::try_from(SystemTime::try_from(time).unwrap()).unwrap().to_string();
    let (whole, fraction) = text.trim_end_matches('Z').split_once('.').unwrap_or((&text, ""));
    let whole = whole.trim_end_matches('Z');
    match fraction.len().next_multiple_of(3) {
        0 => json!(format!("{whole}Z")),
        digits => json!(format!("{whole}.{fraction:0<digits$}Z")),
    }
}

/// A floating-point number; a word where JSON has none.
fn double(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        json!(value)
    }
}

enum Raw {
    Varint(u64),
    Fixed(u64),
    Bytes(Vec<u8>),
}

fn next(rest: &mut &[u8]) -> Option<(u32, Raw)> {
    if rest.is_empty() {
        return None;
    }
    let tag = take_varint(rest);
    let number = u32::try_from(tag >> 3).unwrap();
    let raw = match tag & 7 {
        0 => Raw::Varint(take_varint(rest)),
        1 => Raw::Fixed(u64::from_le_bytes(take(rest, 8).try_into().unwrap())),
        2 => {
            let length = usize::try_from(take_varint(rest)).unwrap();
            Raw::Bytes(take(rest, length).to_vec())
        }
        // Groups occur only as unknown fields, which are last.
        3 => {
            *rest = &[];
            Raw::Varint(0)
        }
        other => panic!("wire type {other}"),
    };
    Some((number, raw))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, tail) = rest.split_at(length);
    *rest = tail;
    taken
}

fn take_varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(rest, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    unreachable!("a varint ends")
}

fn json_of(field: &Field, raw: &Raw) -> Value {
    match (field.kind, raw) {
        (Kind::Message(schema), Raw::Bytes(bytes)) => from_bytes(schema(), bytes),
        (Kind::Text, Raw::Bytes(bytes)) => json!(String::from_utf8(bytes.clone()).unwrap()),
        (Kind::Bytes, Raw::Bytes(bytes)) => json!(base64::encode(bytes)),
        (Kind::Double, Raw::Fixed(bits)) => double(f64::from_bits(*bits)),
        (Kind::Bool, Raw::Varint(value)) => json!(*value != 0),
        (Kind::Int64, Raw::Varint(value)) => json!(value.cast_signed().to_string()),
        (Kind::Uint64, Raw::Varint(value)) => json!(value.to_string()),
        (Kind::Uint32, Raw::Varint(value)) => json!(value),
        (Kind::Enum | Kind::Int32, Raw::Varint(value)) => json!(value.cast_signed()),
        _ => panic!("{} has another wire type", field.name),
    }
}
