//! Takes the keys out of a TOML text one by one, collecting what is wrong.

use std::{path::PathBuf, time::Duration};

use toml::{Table, Value};

use super::{ConfigError, ConfigErrors};

/// A text that is being read. What nobody took is an unknown key.
pub(crate) struct Keys {
    table: Table,
    errors: Vec<ConfigError>,
}

impl Keys {
    /// # Errors
    ///
    /// [`ConfigError::Syntax`], alone: a text that is no TOML is not read further.
    pub(crate) fn new(text: &str) -> Result<Self, ConfigErrors> {
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
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<T, ConfigErrors> {
        let table = std::mem::take(&mut self.table);
        self.unknown("", table);
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(ConfigErrors::new(self.errors)),
        }
    }

    /// Whether a table stands in the text; then its keys have to be complete.
    pub(crate) fn has(&self, table: &str) -> bool {
        self.table.contains_key(table)
    }

    /// A text that `parse` reads.
    pub(crate) fn text<T>(
        &mut self,
        key: &'static str,
        want: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.take(key) {
            None => self.refuse(ConfigError::Missing { key, want }),
            Some(value) => match value.as_str().and_then(parse) {
                Some(value) => Some(value),
                None => self.refuse(ConfigError::Form { key, want }),
            },
        }
    }

    /// The path of a file.
    pub(crate) fn path(&mut self, key: &'static str, want: &'static str) -> Option<PathBuf> {
        self.text(key, want, |text| Some(PathBuf::from(text)).filter(|_| !text.is_empty()))
    }

    /// The path of a file, or none.
    pub(crate) fn optional_path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.peek(key)?;
        self.path(key, "the path of a file")
    }

    /// An integer in a range, or the default.
    pub(crate) fn integer(&mut self, key: &'static str, range: (i64, i64), default: i64) -> i64 {
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

    /// An integer in a range that has no default.
    pub(crate) fn required_integer(
        &mut self,
        key: &'static str,
        range: (i64, i64),
        want: &'static str,
    ) -> Option<i64> {
        if self.peek(key).is_none() {
            return self.refuse(ConfigError::Missing { key, want });
        }
        Some(self.integer(key, range, range.0))
    }

    /// Milliseconds in a range, or the default.
    pub(crate) fn millis(
        &mut self,
        key: &'static str,
        range: (i64, i64),
        default: i64,
    ) -> Duration {
        Duration::from_millis(self.integer(key, range, default).unsigned_abs())
    }

    /// A flag, or the default.
    pub(crate) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Boolean(flag)) => flag,
            Some(_) => {
                self.refuse(ConfigError::Form { key, want: "true or false" }).unwrap_or(default)
            }
        }
    }

    /// A list of texts that `parse` reads.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        want: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(value) = self.take(key) else {
            return self.refuse(ConfigError::Missing { key, want: "a list" });
        };
        let Value::Array(elements) = value else {
            return self.refuse(ConfigError::Form { key, want: "a list" });
        };
        let mut list = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            match element.as_str().and_then(&parse) {
                Some(element) => list.push(element),
                None => {
                    let index = index.saturating_add(1);
                    self.refuse::<T>(ConfigError::Element { key, index, want });
                }
            }
        }
        Some(list)
    }

    /// Remembers what is wrong.
    pub(crate) fn refuse<T>(&mut self, error: ConfigError) -> Option<T> {
        self.errors.push(error);
        None
    }

    fn peek(&self, key: &str) -> Option<&Value> {
        match key.split_once('.') {
            None => self.table.get(key),
            Some((table, key)) => self.table.get(table)?.as_table()?.get(key),
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        match key.split_once('.') {
            None => self.table.remove(key),
            Some((table, key)) => self.table.get_mut(table)?.as_table_mut()?.remove(key),
        }
    }

    fn unknown(&mut self, prefix: &str, table: Table) {
        for (key, value) in table {
            let key = format!("{prefix}{key}");
            let is_known = prefix.is_empty() && TABLES.contains(&key.as_str());
            if let (true, Value::Table(table)) = (is_known, value) {
                self.unknown(&format!("{key}."), table);
            } else {
                self.errors.push(ConfigError::Unknown { key });
            }
        }
    }
}

/// The tables of both configurations.
const TABLES: [&str; 5] = ["capabilities", "gateway", "node", "registry", "vault"];
