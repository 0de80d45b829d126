//! Takes the keys out of a TOML text one by one, collecting what is wrong.

use std::time::Duration;

use toml::{Table, Value};

use super::{ConfigError, ConfigErrors};

/// A text that is being read. What nobody took is an unknown key.
pub(super) struct Keys {
    table: Table,
    errors: Vec<ConfigError>,
}

impl Keys {
    /// # Errors
    ///
    /// [`ConfigError::Syntax`], alone: a text that is no TOML is not read further. The parser's own
    /// words are not kept, because they quote the text, which may hold a secret.
    pub(super) fn new(text: &str) -> Result<Self, ConfigErrors> {
        let table = text.parse().map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let breaks = text.bytes().take(start).filter(|byte| *byte == b'\n').count();
            ConfigErrors::new(vec![ConfigError::Syntax { line: breaks.saturating_add(1) }])
        })?;
        Ok(Self { table, errors: Vec::new() })
    }

    /// The end: a value if nothing was wrong and nothing is left over.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] with everything that was wrong.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, ConfigErrors> {
        let table = std::mem::take(&mut self.table);
        self.unknown("", table);
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            Some(_) | None => Err(ConfigErrors::new(self.errors)),
        }
    }

    /// A text that `parse` reads. Without a default it must be there.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        want: &'static str,
        default: Option<T>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.take(key) {
            None if default.is_some() => default,
            None => self.refuse(ConfigError::Missing { key, want }),
            Some(value) => match value.as_str().and_then(parse) {
                Some(value) => Some(value),
                None => self.refuse(ConfigError::Form { key, want }),
            },
        }
    }

    /// An integer in a range, or the default.
    pub(super) fn integer(&mut self, key: &'static str, range: (i64, i64), default: i64) -> i64 {
        let (min, max) = range;
        match self.take(key) {
            None => default,
            Some(Value::Integer(got)) if (min..=max).contains(&got) => got,
            Some(Value::Integer(got)) => {
                self.refuse(ConfigError::Range { key, got, min, max }).unwrap_or(default)
            }
            Some(_) => {
                self.refuse(ConfigError::Form { key, want: "an integer" }).unwrap_or(default)
            }
        }
    }

    /// An unsigned number in a range, or the default.
    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        range: (i64, i64),
        default: i64,
    ) -> Option<T> {
        T::try_from(self.integer(key, range, default)).ok()
    }

    /// An unsigned number in a range that has no default.
    pub(super) fn required_number<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        range: (i64, i64),
        want: &'static str,
    ) -> Option<T> {
        if self.has(key) {
            self.number(key, range, range.0)
        } else {
            self.refuse(ConfigError::Missing { key, want })
        }
    }

    /// Milliseconds in a range, or the default.
    pub(super) fn millis(
        &mut self,
        key: &'static str,
        range: (i64, i64),
        default: Duration,
    ) -> Duration {
        let default = i64::try_from(default.as_millis()).unwrap_or(i64::MAX);
        Duration::from_millis(self.integer(key, range, default).unsigned_abs())
    }

    /// A flag, or the default.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Boolean(flag)) => flag,
            Some(_) => {
                self.refuse(ConfigError::Form { key, want: "true or false" }).unwrap_or(default)
            }
        }
    }

    /// A list whose elements `parse` reads; at least one, and all of them.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        want: &'static str,
        parse: impl Fn(Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let elements = match self.take(key) {
            None => return self.refuse(ConfigError::Missing { key, want }),
            Some(Value::Array(elements)) if !elements.is_empty() => elements,
            Some(_) => return self.refuse(ConfigError::Form { key, want: "a list" }),
        };
        let parsed: Vec<_> = elements.into_iter().map(parse).collect();
        for (index, _) in (1..).zip(&parsed).filter(|(_, element)| element.is_none()) {
            self.refuse::<T>(ConfigError::Element { key, index, want });
        }
        parsed.into_iter().collect()
    }

    /// A table of keys that are not ours, whole.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Table> {
        let value = self.take(key)?;
        let Value::Table(table) = value else {
            return self.refuse(ConfigError::Form { key, want: "a table" });
        };
        Some(table)
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        let mut names = key.split('.');
        let first = names.next().and_then(|name| self.table.get(name));
        names.try_fold(first, |value, name| Some(value?.as_table()?.get(name))).flatten().is_some()
    }

    /// Remembers what is wrong.
    pub(super) fn refuse<T>(&mut self, error: ConfigError) -> Option<T> {
        self.errors.push(error);
        None
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        let Some((tables, name)) = key.rsplit_once('.') else { return self.table.remove(key) };
        let mut table = &mut self.table;
        for name in tables.split('.') {
            table = table.get_mut(name)?.as_table_mut()?;
        }
        table.remove(name)
    }

    fn unknown(&mut self, prefix: &str, table: Table) {
        for (key, value) in table {
            let key = format!("{prefix}{key}");
            let is_ours = TABLES.contains(&key.as_str());
            match value {
                Value::Table(table) if is_ours => self.unknown(&format!("{key}."), table),
                Value::Array(_)
                | Value::Boolean(_)
                | Value::Datetime(_)
                | Value::Float(_)
                | Value::Integer(_)
                | Value::String(_)
                | Value::Table(_) => self.errors.push(ConfigError::Unknown { key }),
            }
        }
    }
}

/// The tables of the configuration whose keys are ours.
const TABLES: [&str; 6] = ["batch", "egress", "enclave", "enclave.config", "nodes", "operator"];
