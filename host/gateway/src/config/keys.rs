//! Reads the keys of a table one by one, collects what is wrong, and leaves no key unread.

use std::time::Duration;

use serde_json::{Map, Value};

use super::ConfigError;

/// A table that is being read. Values are taken out; what is left at the end is unknown.
///
/// A TOML table and a JSON object are the same here; `null`, which TOML does not have, is absent.
pub(super) struct Keys<'e> {
    table: Map<String, Value>,
    prefix: &'static str,
    errors: &'e mut Vec<ConfigError>,
}

impl<'e> Keys<'e> {
    /// Reads the table under `value`; `prefix` stands before its keys where an error names them.
    pub(super) fn new(
        value: Option<Value>,
        prefix: &'static str,
        errors: &'e mut Vec<ConfigError>,
    ) -> Self {
        let table = match value {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(table)) => table,
            Some(_) => {
                let key = if prefix.is_empty() { "the configuration" } else { prefix };
                errors.push(ConfigError::Form { key, want: "a table" });
                Map::new()
            }
        };
        Self { table, prefix, errors }
    }

    /// The value of a key that may be left out.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value> {
        let name = key.rsplit_once('.').map_or(key, |(_, name)| name);
        self.table.remove(name).filter(|value| !value.is_null())
    }

    /// An integer in a range, or the default.
    pub(super) fn integer(
        &mut self,
        key: &'static str,
        (min, max): (i64, i64),
        default: i64,
    ) -> i64 {
        match self.take(key) {
            None => default,
            Some(value) => match value.as_i64() {
                Some(got) if (min..=max).contains(&got) => got,
                Some(got) => self.refuse(ConfigError::Range { key, got, min, max }, default),
                None => self.refuse(ConfigError::Form { key, want: "an integer" }, default),
            },
        }
    }

    /// A number of things or bytes in a range, or the default.
    pub(super) fn size(
        &mut self,
        key: &'static str,
        (min, max): (usize, usize),
        default: usize,
    ) -> usize {
        let [min, max, otherwise] =
            [min, max, default].map(|size| i64::try_from(size).unwrap_or(i64::MAX));
        usize::try_from(self.integer(key, (min, max), otherwise)).unwrap_or(default)
    }

    /// A time in milliseconds in a range, or the default.
    pub(super) fn duration_ms(
        &mut self,
        key: &'static str,
        (min, max): (Duration, Duration),
        default: Duration,
    ) -> Duration {
        let [min, max, otherwise] =
            [min, max, default].map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        let ms = self.integer(key, (min, max), otherwise);
        u64::try_from(ms).map_or(default, Duration::from_millis)
    }

    /// A text that is read by `parse`. Without a default it must be there.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        want: &'static str,
        default: Option<T>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.take(key) {
            None if default.is_some() => default,
            None => self.refuse(ConfigError::Missing { key, want }, None),
            Some(value) => match value.as_str().and_then(parse) {
                Some(value) => Some(value),
                None => self.refuse(ConfigError::Form { key, want }, default),
            },
        }
    }

    /// A list of texts, which must be there.
    pub(super) fn texts(&mut self, key: &'static str, want: &'static str) -> Option<Vec<String>> {
        let Some(value) = self.take(key) else {
            return self.refuse(ConfigError::Missing { key, want }, None);
        };
        let texts = value.as_array().and_then(|items| items.iter().map(as_text).collect());
        if texts.is_none() {
            self.refuse(ConfigError::Form { key, want }, ());
        }
        texts
    }

    /// A truth value, or the default.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        match self.take(key).map(|value| value.as_bool()) {
            None => default,
            Some(Some(value)) => value,
            Some(None) => self.refuse(ConfigError::Form { key, want: "true or false" }, default),
        }
    }

    pub(super) fn refuse<T>(&mut self, error: ConfigError, otherwise: T) -> T {
        self.errors.push(error);
        otherwise
    }

    /// Refuses what was not taken.
    pub(super) fn end(self) {
        for key in self.table.into_iter().map(|(key, _value)| key) {
            let key = match self.prefix {
                "" => key,
                prefix => format!("{prefix}.{key}"),
            };
            self.errors.push(ConfigError::Unknown { key });
        }
    }
}

fn as_text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
