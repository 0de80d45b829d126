//! Where we differ from the reference on purpose: by rule, never by case.

use serde_json::Value;

use crate::{Answer, Case, Text};

/// The rules of `deviations.toml`. Each is for one file and one error, or one kind of question and one
/// text.
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

    /// Whether we may refuse with this error what the reference accepts.
    #[must_use]
    pub fn may_refuse(&self, file: &str, variant: &str) -> bool {
        self.refused.iter().any(|rule| rule.file == file && rule.error == variant)
    }

    /// Whether we may answer otherwise where the reference answers with this text.
    ///
    /// The caller holds our answer to what the rule's reason says.
    #[must_use]
    pub fn may_answer(&self, file: &str, op: &str, theirs: &str) -> bool {
        find(&self.answered, file, op, |reference| theirs.contains(reference))
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
                if self.may_refuse(file, &refusal.variant) {
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
    rules.iter().any(|rule| rule.file == file && rule.op == op && fits(&rule.reference))
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
