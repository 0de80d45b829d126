//! Values of TOML as values of JSON, and back.

use toml::Value;

/// The same value in JSON, which has no dates and no infinite numbers.
pub(crate) fn to_json(value: Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::String(text) => text.into(),
        Value::Integer(number) => number.into(),
        Value::Float(number) => serde_json::Number::from_f64(number)?.into(),
        Value::Boolean(flag) => flag.into(),
        Value::Datetime(_) => return None,
        Value::Array(list) => list.into_iter().map(to_json).collect::<Option<Vec<_>>>()?.into(),
        Value::Table(table) => {
            let members = table.into_iter().map(|(key, value)| Some((key, to_json(value)?)));
            serde_json::Value::Object(members.collect::<Option<_>>()?)
        }
    })
}

/// The same value in TOML, which has no `null`: that is absent.
pub(crate) fn from_json(value: serde_json::Value) -> Option<Value> {
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(flag) => Value::Boolean(flag),
        // What no integer of TOML holds is beyond every range, and no integer of ours.
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Float(number.as_f64()?),
        },
        serde_json::Value::String(text) => Value::String(text),
        serde_json::Value::Array(list) => {
            Value::Array(list.into_iter().filter_map(from_json).collect())
        }
        serde_json::Value::Object(members) => {
            let present = |(key, value)| Some((key, from_json(value)?));
            Value::Table(members.into_iter().filter_map(present).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use toml::Table;

    use super::*;

    fn table(text: &str) -> Value {
        Value::Table(text.parse::<Table>().unwrap())
    }

    #[test]
    fn a_value_goes_to_json_and_back() {
        let toml = table("a = 1\nb = 'x'\nc = [true, 1.5, { d = -7 }]\n[e]\nf = []\n");
        let json = json!({"a": 1, "b": "x", "c": [true, 1.5, {"d": -7}], "e": {"f": []}});
        assert_eq!(to_json(toml.clone()).unwrap(), json);
        assert_eq!(from_json(json).unwrap(), toml);
    }

    #[test]
    fn what_json_cannot_say_is_not_changed_into_something_else() {
        for text in ["a = 2026-11-21", "a = [inf]", "a = { b = nan }", "a = 12:00:00"] {
            assert_eq!(to_json(table(text)), None, "{text}");
        }
    }

    #[test]
    fn null_is_absent() {
        assert_eq!(from_json(json!(null)), None);
        assert_eq!(from_json(json!({"a": null, "b": {"c": null}})).unwrap(), table("b = {}"));
    }

    #[test]
    fn a_number_beyond_all_integers_is_no_integer() {
        assert!(from_json(json!(u64::MAX)).unwrap().is_float());
        assert_eq!(from_json(json!(i64::MAX)).unwrap(), Value::Integer(i64::MAX));
    }
}
