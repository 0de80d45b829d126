//! Where we differ from the reference on purpose: by rule, never by case.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use crate::{Answer, Case, Text};

/// The rules of `deviations.toml`. Each is for one file, the kinds of question it names, and one
/// error or text.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviations {
    /// Errors with which we may refuse what the reference accepts.
    refused: Vec<Refused>,
    /// Weaknesses for which we accept what the reference refuses.
    #[serde(default)]
    accepted: Vec<Accepted>,
    /// Weaknesses for which we answer otherwise than the reference; the test that asks says how.
    #[serde(default)]
    answered: Vec<Accepted>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    file: String,
    /// The kinds of question for which it holds; for a file of a form of its own, its parts.
    ops: Vec<String>,
    error: String,
    reason: String,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    file: String,
    op: String,
    /// How the reference's text begins; of an answer, what it contains.
    reference: String,
    reason: String,
}

impl Deviations {
    /// Reads the committed rules.
    ///
    /// # Panics
    ///
    /// If they are not of the known form or a rule has no reason.
    #[must_use]
    pub fn read() -> Self {
        let rules: Self = toml::from_str(include_str!("../deviations.toml")).unwrap();
        let reasons = rules.refused.iter().map(|r| &r.reason);
        let reasons =
            reasons.chain(rules.accepted.iter().chain(&rules.answered).map(|a| &a.reason));
        assert!(reasons.into_iter().all(|reason| reason.len() > 20), "a rule needs a reason");
        rules
    }

    /// Whether we may refuse with this error what the reference accepts, in whatever question.
    #[must_use]
    pub fn may_refuse(&self, file: &str, variant: &str) -> bool {
        let mut rules = self.refused.iter().filter(|r| r.file == file && r.error == variant);
        let Some(rule) = rules.next() else { return false };
        for op in &rule.ops {
            mark(file, op, variant);
        }
        true
    }

    fn may_refuse_in(&self, file: &str, op: &str, variant: &str) -> bool {
        let is_it = |rule: &&Refused| {
            rule.file == file && rule.error == variant && rule.ops.iter().any(|known| known == op)
        };
        let found = self.refused.iter().any(|rule| is_it(&rule));
        if found {
            mark(file, op, variant);
        }
        found
    }

    /// Whether we may answer otherwise where the reference answers with this text.
    ///
    /// The caller holds our answer to what the rule's reason says.
    #[must_use]
    pub fn may_answer(&self, file: &str, op: &str, theirs: &str) -> bool {
        find(&self.answered, file, op, |reference| theirs.contains(reference))
    }

    /// Holds the rules about some questions of a file to the cases that were asked in this process: a
    /// rule that none of them needed says something that is not so any more.
    ///
    /// # Panics
    ///
    /// If there is such a rule.
    pub fn check_used(&self, file: &str, ops: &[&str]) {
        let refused = self.refused.iter().filter(|rule| rule.file == file);
        let refused = refused.flat_map(|r| r.ops.iter().map(|op| (op.as_str(), r.error.as_str())));
        let others = self.accepted.iter().chain(&self.answered).filter(|rule| rule.file == file);
        let others = others.map(|rule| (rule.op.as_str(), rule.reference.as_str()));
        let used = used();
        let is_stale = |(op, key): &(&str, &str)| {
            ops.contains(op) && !used.contains(&[file, op, key].map(str::to_owned))
        };
        let stale: Vec<_> = refused.chain(others).filter(is_stale).collect();
        assert!(stale.is_empty(), "{file}: no case needs these rules: {stale:?}");
    }

    /// Holds one answer to the rules.
    ///
    /// # Errors
    ///
    /// A sentence that says how the answer differs.
    pub fn compare(
        &self,
        file: &str,
        case: &Case,
        ours: &Answer,
        text: Text,
    ) -> Result<(), String> {
        match (&case.output, &case.error, ours) {
            (_, Some(theirs), Answer::Refused(refusal)) => {
                compare_text(theirs, &refusal.text, text)
            }
            (Some(theirs), None, Answer::Value(value)) => compare_value(theirs, value),
            (Some(_), None, Answer::Refused(refusal)) => {
                if self.may_refuse_in(file, &case.op, &refusal.variant) {
                    return Ok(());
                }
                Err(format!(
                    "the reference accepts, we refuse: {} ({})",
                    refusal.variant, refusal.text
                ))
            }
            (_, Some(theirs), Answer::Value(value)) => {
                let begins = |reference: &str| theirs.starts_with(reference);
                if find(&self.accepted, file, &case.op, begins) {
                    return Ok(());
                }
                Err(format!("the reference refuses ({theirs}), we answer {value}"))
            }
            (None, None, _) => Err("the case has neither output nor error".to_owned()),
        }
    }
}

/// Whether there is a rule about this question whose text fits.
fn find(rules: &[Accepted], file: &str, op: &str, fits: impl Fn(&str) -> bool) -> bool {
    let is_it = |rule: &&Accepted| rule.file == file && rule.op == op && fits(&rule.reference);
    let rule = rules.iter().find(is_it);
    if let Some(rule) = rule {
        mark(file, op, &rule.reference);
    }
    rule.is_some()
}

/// The rules that cases of this process needed: file, question, and error or text.
fn used() -> MutexGuard<'static, BTreeSet<[String; 3]>> {
    static USED: Mutex<BTreeSet<[String; 3]>> = Mutex::new(BTreeSet::new());
    USED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mark(file: &str, op: &str, key: &str) {
    used().insert([file, op, key].map(str::to_owned));
}

fn compare_text(theirs: &str, ours: &str, text: Text) -> Result<(), String> {
    let same = match text {
        Text::Exact => theirs == ours,
        Text::Any => true,
        Text::Prefix(length) => theirs.as_bytes().get(..length) == ours.as_bytes().get(..length),
    };
    if same { Ok(()) } else { Err(format!("text\n  theirs {theirs}\n  ours   {ours}")) }
}

fn compare_value(theirs: &Value, ours: &Value) -> Result<(), String> {
    if theirs == ours { Ok(()) } else { Err(format!("value\n  theirs {theirs}\n  ours   {ours}")) }
}
