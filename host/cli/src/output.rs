//! What a command prints: results and progress on standard output, everything else on standard error.

use std::{
    fmt::Arguments,
    io::{self, Write as _},
};

use crate::exit::{Exit, Failure, OrFail as _};

/// Prints a line to standard output.
///
/// # Errors
///
/// [`Exit::Internal`] if nobody reads it any more.
pub(crate) fn line(text: Arguments<'_>) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .or_fail(Exit::Internal, || "standard output cannot be written")
}

/// Prints a line to standard error; a standard error that is closed is not an error.
pub(crate) fn note(text: Arguments<'_>) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// A text of somebody else without the characters that steer a terminal; line breaks stay.
pub(crate) fn printable(text: &str) -> String {
    let steers = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    text.chars().map(|character| if steers(character) { ' ' } else { character }).collect()
}
