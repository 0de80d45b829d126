//! Values: what handlers return and nodes agree on.

use std::{collections::BTreeMap, time::SystemTime};

use protocol::messages::values::{BigInt, Decimal, Kind, List, Map, Value};
use serde::{Serialize, de::DeserializeOwned};

use crate::WorkflowError;

/// What can become a [`Value`]: texts, numbers, booleans, bytes, times, lists, maps, nothing.
///
/// Numbers of up to 64 signed bits become integers, `u64` an unsigned one, floats floats. For
/// structs see [`Serde`].
pub trait ToValue {
    /// Converts.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Value`] if no value can hold it.
    fn to_value(self) -> Result<Value, WorkflowError>;
}

/// What a [`Value`] can become. For structs see [`Serde`].
pub trait FromValue: Sized {
    /// Converts.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Value`] if the value is of another type or out of range.
    fn from_value(value: Value) -> Result<Self, WorkflowError>;
}

/// A value through serde: structs become maps by field name. Bytes become lists of numbers.
///
/// ```
/// use enclave_sdk::{Serde, Setup, WorkflowError, testing::Double, trigger};
///
/// #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
/// struct Summary {
///     symbol: String,
///     price: f64,
/// }
///
/// fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
///     setup.on(trigger::cron("0 * * * * *"), |_runtime, _event| {
///         Ok(Serde(Summary { symbol: "ETH".to_owned(), price: 4321.5 }))
///     });
///     Ok(())
/// }
///
/// let run = Double::new().trigger(init, 0, &trigger::Cron::default());
/// let Serde(summary) = run.value::<Serde<Summary>>().unwrap();
/// assert_eq!(summary, Summary { symbol: "ETH".to_owned(), price: 4321.5 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Serde<T>(pub T);

impl<T: Serialize> ToValue for Serde<T> {
    fn to_value(self) -> Result<Value, WorkflowError> {
        to_value(&self.0)
    }
}

impl<T: DeserializeOwned> FromValue for Serde<T> {
    fn from_value(value: Value) -> Result<Self, WorkflowError> {
        from_value(value).map(Self)
    }
}

/// Turns anything that serde can write into a value: structs become maps by field name.
///
/// # Errors
///
/// [`WorkflowError::Value`] if it is not what JSON could hold.
pub fn to_value(value: &impl Serialize) -> Result<Value, WorkflowError> {
    let value = serde_json::to_value(value);
    value.map(of_json).map_err(|_error| WorkflowError::Value { want: "representable" })
}

/// Turns a value into anything that serde can read.
///
/// # Errors
///
/// [`WorkflowError::Value`] if the value is not of that form.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, WorkflowError> {
    let value = serde_json::from_value(to_json(value)?);
    value.map_err(|_error| WorkflowError::Value { want: "of the expected form" })
}

impl ToValue for Value {
    fn to_value(self) -> Result<Value, WorkflowError> {
        Ok(self)
    }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, WorkflowError> {
        Ok(value)
    }
}

impl ToValue for () {
    fn to_value(self) -> Result<Value, WorkflowError> {
        Ok(Value::default())
    }
}

impl ToValue for &str {
    fn to_value(self) -> Result<Value, WorkflowError> {
        Ok(of(Kind::String(self.to_owned())))
    }
}

impl ToValue for &[u8] {
    fn to_value(self) -> Result<Value, WorkflowError> {
        Ok(of(Kind::Bytes(self.to_vec())))
    }
}

impl ToValue for serde_json::Value {
    fn to_value(self) -> Result<Value, WorkflowError> {
        Ok(of_json(self))
    }
}

impl FromValue for serde_json::Value {
    fn from_value(value: Value) -> Result<Self, WorkflowError> {
        to_json(value)
    }
}

impl ToValue for SystemTime {
    fn to_value(self) -> Result<Value, WorkflowError> {
        let time =
            self.try_into().map_err(|_error| WorkflowError::Value { want: "a time in range" })?;
        Ok(of(Kind::Time(time)))
    }
}

impl FromValue for SystemTime {
    fn from_value(value: Value) -> Result<Self, WorkflowError> {
        let want = WorkflowError::Value { want: "a time" };
        let Some(Kind::Time(time)) = value.kind else { return Err(want) };
        time.try_into().map_err(|_error| want)
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(self) -> Result<Value, WorkflowError> {
        self.map_or_else(|| Ok(Value::default()), ToValue::to_value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, WorkflowError> {
        value.kind.is_some().then(|| T::from_value(value)).transpose()
    }
}

impl<T: ToValue> ToValue for Vec<T> {
    fn to_value(self) -> Result<Value, WorkflowError> {
        let fields = self.into_iter().map(ToValue::to_value).collect::<Result<_, _>>()?;
        Ok(of(Kind::List(List { fields })))
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self, WorkflowError> {
        let Some(Kind::List(list)) = value.kind else {
            return Err(WorkflowError::Value { want: "a list" });
        };
        list.fields.into_iter().map(T::from_value).collect()
    }
}

impl<T: ToValue> ToValue for BTreeMap<String, T> {
    fn to_value(self) -> Result<Value, WorkflowError> {
        let fields = self.into_iter().map(|(name, value)| Ok((name, value.to_value()?)));
        Ok(of(Kind::Map(Map { fields: fields.collect::<Result<_, WorkflowError>>()? })))
    }
}

impl<T: FromValue> FromValue for BTreeMap<String, T> {
    fn from_value(value: Value) -> Result<Self, WorkflowError> {
        let Some(Kind::Map(map)) = value.kind else {
            return Err(WorkflowError::Value { want: "a map" });
        };
        map.fields.into_iter().map(|(name, value)| Ok((name, T::from_value(value)?))).collect()
    }
}

/// Types that have a kind of value of their own.
macro_rules! of_kind {
    ($($type:ty, $kind:ident, $want:literal;)*) => {$(
        impl ToValue for $type {
            fn to_value(self) -> Result<Value, WorkflowError> {
                Ok(of(Kind::$kind(self)))
            }
        }

        impl FromValue for $type {
            fn from_value(value: Value) -> Result<Self, WorkflowError> {
                let Some(Kind::$kind(value)) = value.kind else {
                    return Err(WorkflowError::Value { want: $want });
                };
                Ok(value)
            }
        }
    )*};
}

of_kind! {
    String, String, "a text";
    bool, Bool, "a boolean";
    Vec<u8>, Bytes, "bytes";
    i64, Int64, "an integer";
    u64, Uint64, "an unsigned integer";
    f64, Float64, "a number";
    Decimal, Decimal, "a decimal";
    BigInt, BigInt, "a big integer";
}

/// Smaller integers, which all become the same kind.
macro_rules! of_integer {
    ($($type:ty),*) => {$(
        impl ToValue for $type {
            fn to_value(self) -> Result<Value, WorkflowError> {
                i64::from(self).to_value()
            }
        }

        impl FromValue for $type {
            fn from_value(value: Value) -> Result<Self, WorkflowError> {
                let value = i64::from_value(value)?;
                value.try_into().map_err(|_error| WorkflowError::Value { want: "an integer in range" })
            }
        }
    )*};
}

of_integer!(i8, i16, i32, u16, u32);

fn of(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn of_json(value: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match value {
        Json::Null => return Value::default(),
        Json::Bool(value) => Kind::Bool(value),
        Json::String(value) => Kind::String(value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Kind::Int64(value),
            (None, Some(value)) => Kind::Uint64(value),
            (None, None) => Kind::Float64(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::Array(items) => Kind::List(List { fields: items.into_iter().map(of_json).collect() }),
        Json::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, of_json(value)));
            Kind::Map(Map { fields: fields.collect() })
        }
    };
    of(kind)
}

fn to_json(value: Value) -> Result<serde_json::Value, WorkflowError> {
    use serde_json::Value as Json;
    Ok(match value.kind {
        None => Json::Null,
        Some(Kind::Bool(value)) => value.into(),
        Some(Kind::String(value)) => value.into(),
        Some(Kind::Int64(value)) => value.into(),
        Some(Kind::Uint64(value)) => value.into(),
        Some(Kind::Float64(value)) => value.into(),
        Some(Kind::List(list)) => {
            list.fields.into_iter().map(to_json).collect::<Result<Vec<_>, _>>()?.into()
        }
        Some(Kind::Map(map)) => {
            let fields = map.fields.into_iter();
            let fields = fields.map(|(name, value)| Ok((name, to_json(value)?)));
            Json::Object(fields.collect::<Result<_, WorkflowError>>()?)
        }
        Some(Kind::Bytes(_) | Kind::Decimal(_) | Kind::BigInt(_) | Kind::Time(_)) => {
            return Err(WorkflowError::Value { want: "what JSON can hold" });
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        fn same<T: ToValue + FromValue + Clone + PartialEq + std::fmt::Debug>(value: T) {
            let back = T::from_value(value.clone().to_value().unwrap()).unwrap();
            assert_eq!([back], [value]);
        }
        same("text".to_owned());
        same(true);
        same(vec![1_u8, 2]);
        same(-7_i32);
        same(u64::MAX);
        same(1.5_f64);
        same(UNIX_EPOCH + Duration::new(5, 6));
        same(BTreeMap::from([("a".to_owned(), 1_u32)]));
        same(vec!["a".to_owned(), "b".to_owned()]);
    }

    #[test]
    fn another_kind_or_range_is_refused() {
        let text = |result: Result<u16, WorkflowError>| result.unwrap_err().to_string();
        assert_eq!(text(u16::from_value("7".to_value().unwrap())), "value is not an integer");
        let large = 70_000_u32.to_value().unwrap();
        assert_eq!(text(u16::from_value(large)), "value is not an integer in range");
        assert!(u64::from_value(1_i64.to_value().unwrap()).is_err());
    }

    #[test]
    fn structs_are_maps_by_field_name() {
        #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
        struct Quote {
            symbol: String,
            prices: Vec<f64>,
            count: u64,
            note: Option<String>,
        }
        let quote = Quote { symbol: "X".into(), prices: vec![1.5], count: u64::MAX, note: None };
        let value = to_value(&quote).unwrap();
        let Some(Kind::Map(map)) = &value.kind else { panic!("{value:?}") };
        assert_eq!(map.fields["count"].kind, Some(Kind::Uint64(u64::MAX)));
        assert_eq!(from_value::<Quote>(value).unwrap(), quote);
    }

    #[test]
    fn bytes_are_not_json() {
        assert!(from_value::<serde_json::Value>(vec![1_u8].to_value().unwrap()).is_err());
    }
}
