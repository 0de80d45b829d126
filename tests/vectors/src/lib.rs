//! Reads the vector files and says what a difference from the reference means.
//!
//! The files beside this crate's manifest are answers of the reference implementation, copied
//! unchanged; each names its origin in `source`. When `VECTORS_DIR` is set, its files are read
//! instead, so that other answers in the same form can be tried against the same code.
//!
//! A test calls [`run`] with a file's name and a function that answers one case. Three rules hold
//! everywhere and are decided here, once:
//!
//! - what the reference answers, we answer;
//! - what the reference refuses, we refuse;
//! - what the reference accepts may be refused only with an error that `deviations.toml` lists for
//!   that file, and what it refuses may be accepted only for a weakness that `deviations.toml` lists for
//!   that file and kind of question.
//!
//! Rules are for every folder, so one may be there that no committed case uses. A file, a kind of question
//! or a member of a case that is not known is a failure, never a skip. Which crate asks which questions is
//! in [`FILES`]; the test of this crate holds that table to the files and to the sources of those crates.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "only tests use this crate: a failure is a panic, and the folder comes from the environment"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    io::Write as _,
    path::PathBuf,
};

use serde::Deserialize as _;
use serde_json::Value;

mod deviations;
pub mod model;
mod table;

pub use deviations::Deviations;
pub use table::{FILES, File, LATER, Op, Outcome};

/// One case of a file: what went in, and what the reference answered.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Unique in its file.
    pub name: String,
    /// The kind of question; the file's `ops` says what input and output mean.
    pub op: String,
    /// What the operation is given.
    #[serde(default)]
    pub input: Value,
    /// The reference's answer, if it gave one.
    #[serde(default)]
    pub output: Option<Value>,
    /// The reference's refusal. Beside `output` both hold (an HTTP status and its text).
    #[serde(default)]
    pub error: Option<String>,
    /// What the recorder wants a reader to know.
    #[serde(default)]
    pub note: Option<String>,
}

/// What our code made of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It answered; compared with the reference's `output` member by member.
    Value(Value),
    /// It refused.
    Refused(Refusal),
}

/// How our code refused: the variant decides, the text is compared where the specification fixes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `Type::Variant`, as `deviations.toml` lists it.
    pub variant: String,
    /// What a peer would read.
    pub text: String,
}

impl Answer {
    /// A refusal with the variant's name taken from the error's `Debug` form.
    pub fn refused(error: &impl std::error::Error) -> Self {
        Self::Refused(Refusal { variant: variant_of(error), text: error.to_string() })
    }
}

impl<E: std::error::Error + Debug> From<Result<Value, E>> for Answer {
    fn from(result: Result<Value, E>) -> Self {
        match result {
            Ok(value) => Self::Value(value),
            Err(error) => Self::refused(&error),
        }
    }
}

/// How much of the reference's error text is ours to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The specification fixes the whole text.
    Exact,
    /// The text is a library's own: only that there is a refusal counts.
    Any,
    /// The text up to this many bytes is fixed, the rest is a library's own.
    Prefix(usize),
}

/// Names an error's variant: the last part of its type's name, then the head of its `Debug` form.
pub fn variant_of<E: Debug>(error: &E) -> String {
    let debug = format!("{error:?}");
    let head: String =
        debug.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let path = std::any::type_name::<E>();
    let name = path.split('<').next().unwrap_or(path).rsplit("::").next().unwrap_or(path);
    format!("{name}::{head}")
}

/// The folder that is read, and whether it is the committed one.
pub fn folder() -> (PathBuf, bool) {
    match std::env::var_os("VECTORS_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => (dir.into(), false),
        None => (PathBuf::from(env!("CARGO_MANIFEST_DIR")), true),
    }
}

/// The text of a file, or `None` where a folder from outside does not hold it.
///
/// # Panics
///
/// If a committed file is missing, or a file cannot be read.
pub fn text(file: &str) -> Option<String> {
    assert!(FILES.iter().any(|known| known.name == file), "{file} is not in vectors::FILES");
    let (folder, committed) = folder();
    match std::fs::read_to_string(folder.join(file)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !committed => {
            skip(file, &format!("not in {}", folder.display()));
            None
        }
        Err(error) => panic!("{}: {error}", folder.join(file).display()),
    }
}

/// Says that a test did not run and why: on standard error, and in the file that `SKIPPED_TESTS`
/// names, from which `scripts/test` counts.
///
/// # Panics
///
/// If that file cannot be written.
pub fn skip(what: &str, why: &str) {
    eprintln!("skipped: {what}: {why}");
    if let Some(path) = std::env::var_os("SKIPPED_TESTS") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        writeln!(file.unwrap(), "skipped: {what}: {why}").unwrap();
    }
}

/// All cases of a file, or none where a folder from outside does not hold it.
///
/// # Panics
///
/// If the file is not of the known form.
pub fn cases(file: &str) -> Vec<Case> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Contents {
        source: String,
        #[serde(rename = "about")]
        _about: String,
        ops: BTreeMap<String, String>,
        cases: Vec<Case>,
    }
    let Some(text) = text(file) else { return Vec::new() };
    // Some values of the reference nest deeper than a reader's default limit.
    let mut input = serde_json::Deserializer::from_str(&text);
    input.disable_recursion_limit();
    let contents = Contents::deserialize(&mut input).unwrap_or_else(|e| panic!("{file}: {e}"));
    assert!(!contents.source.is_empty(), "a vector file names its origin");
    let mut names = BTreeSet::new();
    for case in &contents.cases {
        let Case { name, op, .. } = case;
        assert!(contents.ops.contains_key(op), "{file}: {name}: no op named {op}");
        assert!(names.insert(name), "{file}: two cases are named {name}");
    }
    contents.cases
}

/// Walks over the cases of `file` whose kind is in `ops` and holds every answer to the rules.
///
/// `answer` gives our answer; `text` says how much of the reference's error text is fixed for a
/// case. All differences are reported together.
///
/// # Panics
///
/// If any case differs, if a case is of a kind that is in neither `ops` nor `others`, if [`FILES`] does
/// not say that the calling crate asks these questions, or if the committed file has no case for one
/// of them.
pub fn run(
    file: &str,
    ops: &[&str],
    others: &[&str],
    text: impl Fn(&Case) -> Text,
    mut answer: impl FnMut(&Case) -> Answer,
) {
    check_walker(file, ops);
    let deviations = Deviations::read();
    let mut differences = Vec::new();
    let mut walked = BTreeSet::new();
    let mut count = 0_u32;
    for case in cases(file) {
        if others.contains(&case.op.as_str()) {
            continue;
        }
        assert!(ops.contains(&case.op.as_str()), "{file}: {}: unknown kind {}", case.name, case.op);
        count = count.saturating_add(1);
        if let Err(difference) = deviations.compare(file, &case, &answer(&case), text(&case)) {
            differences.push(format!("{} [{}]: {difference}", case.name, case.op));
        }
        walked.insert(case.op);
    }
    assert!(
        differences.is_empty(),
        "{file}: {} of {count} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    if folder().1 {
        let missing: Vec<_> = ops.iter().filter(|op| !walked.contains(**op)).collect();
        assert!(missing.is_empty(), "{file}: no case of {missing:?}");
    }
}

/// Holds a walker to the table: what it walks over, it is listed for.
fn check_walker(file: &str, ops: &[&str]) {
    // Cargo tells a test which crate it belongs to.
    let Ok(walker) = std::env::var("CARGO_PKG_NAME") else { return };
    let known = FILES.iter().find(|known| known.name == file);
    let is_listed = |op: &&&str| {
        let mut known = known.iter().flat_map(|file| file.ops);
        known.any(|known| known.name == **op && known.by.contains(&walker.as_str()))
    };
    let unlisted: Vec<_> = ops.iter().filter(|op| !is_listed(op)).collect();
    assert!(
        unlisted.is_empty(),
        "{walker} walks over {unlisted:?} of {file} and is not listed for it"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_named_by_type_and_head() {
        #[derive(Debug)]
        enum DecodeError {
            Trailing { _at: usize },
        }
        assert_eq!(variant_of(&DecodeError::Trailing { _at: 3 }), "DecodeError::Trailing");
    }
}
