//! Log lines with a level and fields.
//!
//! ```
//! use enclave_sdk::{Setup, WorkflowError, log::Level, testing::Double, trigger};
//!
//! fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
//!     setup.log_from(Level::Info);
//!     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
//!         runtime.debug("not written", &[]);
//!         runtime.info("price agreed", &[("symbol", &"ETH-USD"), ("price", &4321.5)]);
//!         runtime.log("as it is");
//!         Ok(())
//!     });
//!     Ok(())
//! }
//!
//! let run = Double::new().trigger(init, 0, &trigger::Cron::default());
//! let line = r#"level=INFO msg="price agreed" symbol=ETH-USD price=4321.5"#;
//! assert_eq!(run.logs, [line, "as it is"]);
//! ```
//!
//! A line is what Go's `slog` writes as text, which is what workflows of the Go SDK send, so one
//! reader serves both; only its first field is missing. The host dates every line itself, while
//! reading the time here would cost a round of consensus in DON mode and tell nodes apart.

use std::fmt::{Display, Write as _};

use protocol::quote::quote;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For whoever looks for a mistake.
    Debug,
    /// What happened.
    Info,
    /// What should not go on.
    Warn,
    /// What failed.
    Error,
}

/// A fact beside the message: its name and anything that can be written.
pub type Field<'f> = (&'f str, &'f dyn Display);

/// The text of a line.
pub(crate) fn line(level: Level, message: &str, fields: &[Field<'_>]) -> String {
    let mut line = format!("level={} msg={}", level.name(), quoted(message));
    for (name, value) in fields {
        // Writing to a `String` cannot fail.
        let _ = write!(line, " {}={}", quoted(name), quoted(&value.to_string()));
    }
    line
}

/// The methods by which a runtime tells the workflow's owner something.
macro_rules! telling {
    ($runtime:ident) => {
        impl $runtime<'_> {
            /// Writes a line to the workflow's log, as it is. No secrets: its owner's node
            /// operators can read it.
            pub fn log(&self, line: impl AsRef<str>) {
                $crate::imports::log(line.as_ref());
            }

            /// Writes a line of level debug, with fields.
            pub fn debug(&self, message: impl AsRef<str>, fields: &[$crate::log::Field<'_>]) {
                self.session.log($crate::log::Level::Debug, message.as_ref(), fields);
            }

            /// Writes a line of level info, with fields.
            pub fn info(&self, message: impl AsRef<str>, fields: &[$crate::log::Field<'_>]) {
                self.session.log($crate::log::Level::Info, message.as_ref(), fields);
            }

            /// Writes a line of level warn, with fields.
            pub fn warn(&self, message: impl AsRef<str>, fields: &[$crate::log::Field<'_>]) {
                self.session.log($crate::log::Level::Warn, message.as_ref(), fields);
            }

            /// Writes a line of level error, with fields.
            pub fn error(&self, message: impl AsRef<str>, fields: &[$crate::log::Field<'_>]) {
                self.session.log($crate::log::Level::Error, message.as_ref(), fields);
            }

            /// Hands over a number that was measured.
            ///
            /// # Errors
            ///
            /// [`crate::metric::MetricError`] if the host does not take it. A run need not end for
            /// that.
            pub fn metric(
                &self,
                metric: $crate::Metric,
            ) -> Result<(), $crate::metric::MetricError> {
                metric.emit()
            }
        }
    };
}

pub(crate) use telling;

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// A text that stands for itself if it can, otherwise in quotes: a field cannot look like two.
fn quoted(text: &str) -> String {
    let is_plain = |character: char| {
        !matches!(character, ' ' | '=' | '"')
            && !character.is_whitespace()
            && !character.is_control()
    };
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        quote(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_cannot_look_like_two() {
        let fields: [Field<'_>; 4] =
            [("a", &"x level=ERROR"), ("b c", &""), ("d", &"say \"hi\""), ("e", &7)];
        let line = line(Level::Warn, "line\nbreak", &fields);
        assert_eq!(
            line,
            r#"level=WARN msg="line\nbreak" a="x level=ERROR" "b c"="" d="say \"hi\"" e=7"#
        );
    }

    #[test]
    fn levels_are_ordered_by_what_they_matter() {
        assert!(
            Level::Debug < Level::Info && Level::Info < Level::Warn && Level::Warn < Level::Error
        );
    }
}
