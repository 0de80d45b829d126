//! How a command ends: a code for programs, one sentence for people.

use std::fmt::Display;

use anyhow::{Context as _, Error};

/// The exit codes. They are part of the command line's promise: none changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Success = 0,
    /// An answer or a receipt is not to be believed.
    NotVerified = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A file or a configuration cannot be used.
    Input = 3,
    /// Another process cannot be reached, or refused.
    Peer = 4,
    /// The workflow's own answer is an error, or it has none.
    Workflow = 5,
    /// The system failed, or this program.
    Internal = 6,
    /// A process of the devnet ended by itself.
    Child = 7,
    /// A workflow does otherwise than its scenario says.
    Differs = 8,
    /// An enclave would not let the workflow in.
    Refused = 9,
}

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code.
    pub(crate) exit: Exit,
    /// The sentence and its causes. Holds no secret.
    pub(crate) error: Error,
}

/// Turns an error into a [`Failure`].
pub(crate) trait OrFail<T> {
    /// Says what could not be done; the error follows after a colon.
    ///
    /// # Errors
    ///
    /// The error, if it is one.
    fn or_fail<C: Display + Send + Sync + 'static>(
        self,
        exit: Exit,
        what: impl FnOnce() -> C,
    ) -> Result<T, Failure>;
}

impl Exit {
    /// All codes with their meaning, as `--help` shows them.
    pub(crate) const HELP: &'static str = "\
Exit codes:
  0  done
  1  not verified: an answer or a receipt is not to be believed
  2  the command line is wrong
  3  a file or a configuration cannot be used
  4  another process cannot be reached, or it refused
  5  the workflow answered with an error, or did not come to an end
  6  the system failed, or this program
  7  a process of the devnet ended by itself
  8  the workflow does otherwise than its scenario says
  9  an enclave would refuse the workflow";

    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

impl Failure {
    /// A failure that has no cause beyond its sentence.
    pub(crate) fn new(
        exit: Exit,
        what: impl Display + Send + Sync + std::fmt::Debug + 'static,
    ) -> Self {
        Self { exit, error: Error::msg(what) }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl<T, E> OrFail<T> for Result<T, E>
where
    Self: anyhow::Context<T, E>,
{
    fn or_fail<C: Display + Send + Sync + 'static>(
        self,
        exit: Exit,
        what: impl FnOnce() -> C,
    ) -> Result<T, Failure> {
        self.with_context(what).map_err(|error| Failure { exit, error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_under_its_number() {
        let all = [
            Exit::Success,
            Exit::NotVerified,
            Exit::Usage,
            Exit::Input,
            Exit::Peer,
            Exit::Workflow,
            Exit::Internal,
            Exit::Child,
            Exit::Differs,
            Exit::Refused,
        ];
        let lines: Vec<_> = Exit::HELP.lines().skip(1).collect();
        assert_eq!(lines.len(), all.len());
        for (line, exit) in lines.iter().zip(all) {
            assert!(line.starts_with(&format!("  {}  ", exit.code())), "{line}");
        }
    }

    #[test]
    fn a_failure_says_what_and_why_in_one_line() {
        let failed: Result<(), _> = Err(std::io::Error::from(std::io::ErrorKind::NotFound));
        let failure = failed.or_fail(Exit::Input, || "reading x").unwrap_err();
        assert_eq!(failure.to_string(), "reading x: entity not found");
        assert_eq!(failure.exit, Exit::Input);
    }
}
