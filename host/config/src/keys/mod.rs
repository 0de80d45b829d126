//! Takes the keys out of a TOML text one by one, collecting what is wrong.

use std::{collections::BTreeSet, convert::Infallible, fmt, path::PathBuf, time::Duration};

use toml::{Table, Value};

use crate::{
    ConfigError, ConfigErrors,
    json::{from_json, to_json},
};

#[cfg(test)]
mod tests;

/// A text that is being read. What nobody took is an unknown key.
///
/// A key is named with the tables it stands in: `nodes.listen`. What ends in `_or` may be left out;
/// the others have to be there, unless they say otherwise. What is wrong is remembered, and `None`
/// or the default returned, so that the reading goes on.
pub struct Keys<R = Infallible> {
    table: Table,
    /// The tables that keys were looked for in.
    ours: BTreeSet<&'static str>,
    errors: Vec<ConfigError<R>>,
}

impl<R> Keys<R> {
    /// Reads a TOML text.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Syntax`], alone: a text that is no TOML is not read further. The parser's own
    /// words are not kept, because they quote the text, which may hold a secret.
    pub fn new(text: &str) -> Result<Self, ConfigErrors<R>> {
        let table = text.parse().map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let breaks = text.bytes().take(start).filter(|byte| *byte == b'\n').count();
            ConfigErrors::new(vec![ConfigError::Syntax { line: breaks.saturating_add(1) }])
        })?;
        Ok(Self::of(table))
    }

    /// Reads a JSON object as if it were the table `name` of a text. `null` is absent, as a member and
    /// as the object.
    #[must_use]
    pub fn of_json(name: &str, object: serde_json::Value) -> Self {
        let value = from_json(object).map(|value| (name.to_owned(), value));
        Self::of(value.into_iter().collect())
    }

    fn of(table: Table) -> Self {
        Self { table, ours: BTreeSet::new(), errors: Vec::new() }
    }

    /// The end: a value if nothing was wrong and nothing is left over. Without a value, something has to
    /// have been refused.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] with everything that was wrong.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, ConfigErrors<R>> {
        let table = std::mem::take(&mut self.table);
        self.refuse_the_rest("", table);
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            Some(_) | None => Err(ConfigErrors::new(self.errors)),
        }
    }

    /// Remembers what is wrong.
    pub fn refuse<T>(&mut self, error: ConfigError<R>) -> Option<T> {
        self.errors.push(error);
        None
    }

    /// Whether a key or a table is there.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        let mut names = key.split('.');
        let first = names.next().and_then(|name| self.table.get(name));
        names.try_fold(first, |value, name| Some(value?.as_table()?.get(name))).flatten().is_some()
    }

    /// A text that `parse` reads.
    pub fn text<T>(
        &mut self,
        key: &'static str,
        want: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.required(key, want)?;
        self.parsed(key, want, &value, parse)
    }

    /// A text that `parse` reads, or the default.
    pub fn text_or<T>(
        &mut self,
        key: &'static str,
        want: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.take(key) {
            None => Some(default),
            Some(value) => self.parsed(key, want, &value, parse),
        }
    }

    /// The path of a file: a text that is not empty.
    pub fn path(&mut self, key: &'static str, want: &'static str) -> Option<PathBuf> {
        self.text(key, want, file)
    }

    /// The path of a file, or none.
    pub fn optional_path(&mut self, key: &'static str) -> Option<PathBuf> {
        let value = self.take(key)?;
        self.parsed(key, "the path of a file", &value, file)
    }

    /// An integer from the first to the last of a range.
    pub fn number<T>(&mut self, key: &'static str, range: (T, T), want: &'static str) -> Option<T>
    where
        T: TryFrom<i64> + TryInto<i64>,
    {
        let value = self.required(key, want)?;
        self.in_range(key, range, &value)
    }

    /// An integer from the first to the last of a range, or the default.
    pub fn number_or<T>(&mut self, key: &'static str, range: (T, T), default: T) -> T
    where
        T: TryFrom<i64> + TryInto<i64>,
    {
        match self.take(key) {
            None => default,
            Some(value) => self.in_range(key, range, &value).unwrap_or(default),
        }
    }

    /// A time from the first to the last of a range, all in milliseconds, or the default.
    pub fn millis_or(
        &mut self,
        key: &'static str,
        range: (u64, u64),
        default: Duration,
    ) -> Duration {
        match self.take(key) {
            None => default,
            Some(value) => self.in_range(key, range, &value).map_or(default, Duration::from_millis),
        }
    }

    /// A flag, or the default.
    pub fn flag_or(&mut self, key: &'static str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Boolean(flag)) => flag,
            Some(_) => {
                self.refuse(ConfigError::Form { key, want: "true or false" }).unwrap_or(default)
            }
        }
    }

    /// A list whose elements `parse` reads: at least one, and all of them. `want` says what an element
    /// is. An element that JSON cannot say is refused.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        want: &'static str,
        parse: impl Fn(serde_json::Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let elements = self.elements(key, want)?;
        if elements.is_empty() {
            return self.refuse(ConfigError::Form { key, want: "a list of one or more" });
        }
        let parsed = elements.into_iter().map(|element| to_json(element).and_then(&parse));
        let parsed: Vec<_> = parsed.collect();
        for (index, _) in (1..).zip(&parsed).filter(|(_, element)| element.is_none()) {
            self.refuse::<T>(ConfigError::Element { key, index, want });
        }
        parsed.into_iter().collect()
    }

    /// The members of a committee, in the order of the list: texts that `parse` reads, all different,
    /// `least` or more. `want` says what a member is.
    pub fn members<T: Clone + Ord>(
        &mut self,
        key: &'static str,
        want: &'static str,
        least: usize,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let elements = self.elements(key, want)?;
        let got = elements.len();
        if got < least {
            self.refuse::<T>(ConfigError::TooFewMembers { key, got, want: least });
        }
        let (mut members, mut seen) = (Vec::new(), BTreeSet::new());
        for (index, element) in (1..).zip(&elements) {
            match element.as_str().and_then(&parse) {
                Some(member) if seen.insert(member.clone()) => members.push(member),
                Some(_) => drop(self.refuse::<T>(ConfigError::Repeated { key, index })),
                None => drop(self.refuse::<T>(ConfigError::Element { key, index, want })),
            }
        }
        (got >= least && members.len() == got).then_some(members)
    }

    /// A table of keys that are not ours, as a JSON object, or none.
    pub fn object(&mut self, key: &'static str) -> Option<serde_json::Value> {
        let value = self.take(key)?;
        if !value.is_table() {
            return self.refuse(ConfigError::Form { key, want: "a table" });
        }
        match to_json(value) {
            Some(object) => Some(object),
            None => self.refuse(ConfigError::Form { key, want: "a JSON object" }),
        }
    }

    fn parsed<T>(
        &mut self,
        key: &'static str,
        want: &'static str,
        value: &Value,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match value.as_str().and_then(parse) {
            Some(parsed) => Some(parsed),
            None => self.refuse(ConfigError::Form { key, want }),
        }
    }

    fn in_range<T>(&mut self, key: &'static str, (min, max): (T, T), value: &Value) -> Option<T>
    where
        T: TryFrom<i64> + TryInto<i64>,
    {
        let Some(got) = value.as_integer() else {
            return self.refuse(ConfigError::Form { key, want: "an integer" });
        };
        // What is beyond the integers of TOML stands in no text.
        let [min, max] = [min, max].map(|bound| bound.try_into().unwrap_or(i64::MAX));
        match T::try_from(got) {
            Ok(number) if (min..=max).contains(&got) => Some(number),
            Ok(_) | Err(_) => self.refuse(ConfigError::Range { key, got, min, max }),
        }
    }

    fn elements(&mut self, key: &'static str, want: &'static str) -> Option<Vec<Value>> {
        match self.required(key, want)? {
            Value::Array(elements) => Some(elements),
            Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Float(_)
            | Value::Integer(_)
            | Value::String(_)
            | Value::Table(_) => self.refuse(ConfigError::Form { key, want: "a list" }),
        }
    }

    fn required(&mut self, key: &'static str, want: &'static str) -> Option<Value> {
        match self.take(key) {
            Some(value) => Some(value),
            None => self.refuse(ConfigError::Missing { key, want }),
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        match key.rsplit_once('.') {
            None => self.table.remove(key),
            Some((table, name)) => self.open(table)?.remove(name),
        }
    }

    /// A table of ours, if it is there.
    fn open(&mut self, name: &'static str) -> Option<&mut Table> {
        self.ours.insert(name);
        let value = match name.rsplit_once('.') {
            None => self.table.get_mut(name),
            Some((parent, name)) => self.open(parent)?.get_mut(name),
        };
        value?.as_table_mut()
    }

    /// Refuses what is left over: whole tables by their name, our tables key by key.
    fn refuse_the_rest(&mut self, prefix: &str, table: Table) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            // A quoted name with a dot is no table in a table.
            let ours = self.ours.get(key.as_str()).filter(|_| !name.contains('.'));
            match (ours.copied(), value) {
                (Some(_), Value::Table(table)) => self.refuse_the_rest(&format!("{key}."), table),
                (Some(key), _) => {
                    self.errors.push(ConfigError::Form { key, want: "a table" });
                }
                (None, _) => self.errors.push(ConfigError::Unknown { key }),
            }
        }
    }
}

impl<R: fmt::Debug> fmt::Debug for Keys<R> {
    /// What is wrong. The values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("errors", &self.errors).finish_non_exhaustive()
    }
}

fn file(path: &str) -> Option<PathBuf> {
    Some(path).filter(|path| !path.is_empty()).map(PathBuf::from)
}
