//! What is wrong with a configuration: all of it at once.

use std::{convert::Infallible, fmt};

/// Everything that is wrong with a configuration: in the order in which its keys are read, then
/// what is unknown. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors<R = Infallible>(Vec<ConfigError<R>>);

/// One thing that is wrong with a configuration; `R` is what a role's own rules find.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError<R = Infallible> {
    /// The text is not TOML.
    #[error("line {line} is not TOML, or repeats a key")]
    Syntax {
        /// The line, from 1.
        line: usize,
    },
    /// There is no such key.
    #[error("{key} is not a key of this configuration")]
    Unknown {
        /// Where it stands.
        key: String,
    },
    /// A key that has no default is missing.
    #[error("{key} is missing: {want}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What belongs there.
        want: &'static str,
    },
    /// A value has another type or form.
    #[error("{key} is not {want}")]
    Form {
        /// The key.
        key: &'static str,
        /// What belongs there.
        want: &'static str,
    },
    /// A number is too small or too large.
    #[error("{key} is {got}, it must be from {min} to {max}")]
    Range {
        /// The key.
        key: &'static str,
        /// What stands there.
        got: i64,
        /// The smallest value that works.
        min: i64,
        /// The largest value that works.
        max: i64,
    },
    /// An element of a list is not what it should be.
    #[error("{key}: number {index} is not {want}")]
    Element {
        /// The key of the list.
        key: &'static str,
        /// Which one, from 1.
        index: usize,
        /// What belongs there.
        want: &'static str,
    },
    /// A list names something twice.
    #[error("{key}: number {index} is the same as one before it")]
    Repeated {
        /// The key of the list.
        key: &'static str,
        /// Which one, from 1.
        index: usize,
    },
    /// A committee is too small for its fault bound or threshold.
    #[error("{key}: {got} members, at least {want} are needed")]
    TooFewMembers {
        /// The key of the list.
        key: &'static str,
        /// How many there are.
        got: usize,
        /// How many there must be.
        want: usize,
    },
    /// A rule of the role is broken.
    #[error(transparent)]
    Rule(R),
}

impl<R> ConfigErrors<R> {
    pub(crate) fn new(errors: Vec<ConfigError<R>>) -> Self {
        Self(errors)
    }

    /// The single things.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError<R>] {
        &self.0
    }
}

impl<R: fmt::Display> fmt::Display for ConfigErrors<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl<R: std::error::Error> std::error::Error for ConfigErrors<R> {}
