//! What differs between a recorded step and one just played.

use std::{fmt, time::Duration};

use protocol::messages::{
    self,
    sdk::{ExecutionResult, Outcome as Answer},
};
use sha2::{Digest as _, Sha256};

use super::{
    schema::{Bytes, Class, Expected, Scenario, Step},
    services::{Seen, SeenRequest},
};
use crate::{AdmitError, RouteError, RunError};

/// The first difference between a recording and a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{scenario}, step {step}: {mismatch}")]
pub struct Difference {
    /// Name of the scenario.
    pub scenario: String,
    /// Index of the step.
    pub step: usize,
    /// What differs.
    pub mismatch: Mismatch,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// A call came that was not recorded, or with another request.
    Call {
        /// What came.
        got: String,
        /// What was recorded under its id, if anything.
        want: Option<String>,
    },
    /// A recorded call did not come.
    NoCall(String),
    /// Calls came in another order; these are indices into the recorded list.
    Order(Vec<usize>),
    /// More calls were in flight at once.
    InFlight {
        /// Seen now.
        got: usize,
        /// Recorded.
        want: usize,
    },
    /// Log lines differ.
    Logs {
        /// Seen now.
        got: Vec<String>,
        /// Recorded.
        want: Vec<String>,
    },
    /// A metric differs, by index; or there is one too many or too few.
    Metric(usize),
    /// The committee's clock was read more or less often.
    DonReads {
        /// Seen now.
        got: usize,
        /// Recorded.
        want: usize,
    },
    /// The run ended in another way.
    Class {
        /// How it ended, with the text of a failure.
        got: String,
        /// How it was recorded.
        want: Class,
    },
    /// The result or the error text differs.
    Outcome {
        /// Seen now.
        got: String,
        /// Recorded.
        want: String,
    },
    /// The run took less or more time than allowed.
    Duration {
        /// Milliseconds it took.
        got_ms: u128,
    },
}

/// How a step ended, whatever it met first.
#[derive(Debug)]
pub(super) enum Ended {
    Outcome { answer: Option<Answer> },
    NotAdmitted(AdmitError),
    NotRun(RouteError),
}

/// Compares everything a step was seen to do, in the order of the recording's members.
///
/// When the caller leaves or, by luck, when time is up, the reference lets the guest go on for a
/// while; here it ends at once. So such a run may have done less than was recorded, but nothing else.
pub(super) fn compare(
    scenario: &Scenario,
    step: &Step,
    seen: &Seen,
    ended: &Ended,
    took: Duration,
) -> Result<(), Mismatch> {
    let caller_ms = [scenario.limits.caller_deadline_ms, scenario.limits.caller_cancel_ms];
    let caller_ms = caller_ms.into_iter().flatten().min();
    let is_stable = |member: &str| !step.unstable.iter().any(|unstable| unstable == member);
    let may_lack =
        ended.class() == Class::Deadline && (caller_ms.is_some() || !is_stable("outcome"));
    if is_stable("calls") {
        calls(step, seen, may_lack)?;
    }
    if is_stable("max_in_flight") {
        in_flight(step, seen)?;
    }
    if is_stable("logs") {
        logs(step, seen, may_lack)?;
    }
    if is_stable("metrics") {
        metrics(step, seen, may_lack)?;
    }
    let (got, want) = (seen.don_reads, step.don_time_reads);
    let is_same = got == want || (may_lack && got < want);
    if is_stable("don_time_reads") && !is_same {
        return Err(Mismatch::DonReads { got, want });
    }
    if is_stable("outcome") && !may_lack {
        outcome(&step.outcome, ended)?;
    }
    duration(&step.outcome, caller_ms, took)
}

fn calls(step: &Step, seen: &Seen, may_lack: bool) -> Result<(), Mismatch> {
    for call in &seen.calls {
        let recorded = call.recorded.and_then(|index| step.calls.get(index));
        let is_same =
            recorded.is_some_and(|recorded| call.request.is(&recorded.request).unwrap_or(false));
        if !is_same {
            let want = recorded.map(|recorded| recorded.request.to_string());
            return Err(Mismatch::Call { got: call.request.to_string(), want });
        }
    }
    let order: Vec<_> = seen.calls.iter().filter_map(|call| call.recorded).collect();
    for (index, recorded) in step.calls.iter().enumerate() {
        if !order.contains(&index) && !may_lack {
            return Err(Mismatch::NoCall(recorded.request.to_string()));
        }
    }
    if step.calls_in_order && !order.is_sorted() {
        return Err(Mismatch::Order(order));
    }
    Ok(())
}

/// The most calls at once are luck, unless answers hang or wait for one another.
fn in_flight(step: &Step, seen: &Seen) -> Result<(), Mismatch> {
    let is_bound = step.calls.iter().any(|call| {
        call.answer.hang || call.answer.after_callback.is_some() || call.answer.delay_ms.is_some()
    });
    let (got, want) = (seen.most_in_flight, step.max_in_flight);
    if is_bound && got > want { Err(Mismatch::InFlight { got, want }) } else { Ok(()) }
}

fn logs(step: &Step, seen: &Seen, may_lack: bool) -> Result<(), Mismatch> {
    let got: Vec<_> = seen.logs.iter().map(|line| log_text(line)).collect();
    let is_as_long = got.len() == step.logs.len() || (may_lack && got.len() < step.logs.len());
    let is_same = is_as_long && (!step.logs_exact || step.logs.starts_with(&got));
    if is_same { Ok(()) } else { Err(Mismatch::Logs { got, want: step.logs.clone() }) }
}

/// A log line as recordings write it.
fn log_text(line: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(line) else {
        return format!("hex:{}", hex::encode(line));
    };
    match text.get(..LOG_HEAD_BYTES) {
        Some(head) if text.len() > FULL_BYTES => format!("{head}...({} bytes)", text.len()),
        _ => text.to_owned(),
    }
}

fn metrics(step: &Step, seen: &Seen, may_lack: bool) -> Result<(), Mismatch> {
    for (index, got) in seen.metrics.iter().enumerate() {
        let want = step.metrics.get(index).and_then(|text| hex::decode(text).ok());
        let want = want.and_then(|bytes| messages::decode(&bytes).ok());
        if want.as_ref() != Some(got) {
            return Err(Mismatch::Metric(index));
        }
    }
    if seen.metrics.len() < step.metrics.len() && !may_lack {
        return Err(Mismatch::Metric(seen.metrics.len()));
    }
    Ok(())
}

fn outcome(want: &Expected, ended: &Ended) -> Result<(), Mismatch> {
    if ended.class() != want.class {
        let got = format!("{:?}: {}", ended.class(), ended.text().unwrap_or_default());
        return Err(Mismatch::Class { got, want: want.class });
    }
    if let (Some(want), Some(got)) = (want.exit_code, ended.exit_code())
        && want != got
    {
        return Err(Mismatch::Outcome { got: got.to_string(), want: want.to_string() });
    }
    if !want.exact {
        return Ok(());
    }
    let (got, want_text) = (ended.text(), want.error_text.as_ref());
    if let Some(want) = want_text
        && got.as_ref() != Some(want)
    {
        return Err(Mismatch::Outcome { got: got.unwrap_or_default(), want: want.clone() });
    }
    match (&want.result, ended) {
        (Some(want), Ended::Outcome { answer }) => result(want, answer.as_ref()),
        (None, _) | (Some(_), Ended::NotAdmitted(_) | Ended::NotRun(_)) => Ok(()),
    }
}

fn result(want: &Bytes, answer: Option<&Answer>) -> Result<(), Mismatch> {
    let got = ExecutionResult { result: answer.cloned() };
    let encoded = messages::encode(&got);
    let is_same = want.are(&encoded)
        || want
            .hex
            .as_ref()
            .and_then(|text| hex::decode(text).ok())
            .and_then(|bytes| messages::decode(&bytes).ok())
            .is_some_and(|want| got == want);
    if is_same {
        return Ok(());
    }
    Err(Mismatch::Outcome { got: shown(&encoded), want: want.to_string() })
}

/// The reference may sit out its own timeout where the caller has left; stopping then is better.
fn duration(want: &Expected, caller_ms: Option<u64>, took: Duration) -> Result<(), Mismatch> {
    let least = match (want.at_least_ms, caller_ms) {
        (Some(least), Some(caller)) => least.min(caller.saturating_sub(GRACE_MS)),
        (least, _) => least.unwrap_or_default(),
    };
    let most = want.at_most_ms.unwrap_or(u64::MAX);
    let got_ms = took.as_millis();
    if (u128::from(least)..=u128::from(most)).contains(&got_ms) {
        return Ok(());
    }
    Err(Mismatch::Duration { got_ms })
}

impl Ended {
    fn class(&self) -> Class {
        match self {
            Self::Outcome { answer } => match answer {
                Some(Answer::Value(_)) => Class::Value,
                Some(Answer::Error(_)) => Class::Error,
                Some(Answer::TriggerSubscriptions(_)) => Class::TriggerSubscriptions,
                Some(Answer::Restrictions(_)) => Class::Restrictions,
                None => Class::Empty,
            },
            Self::NotAdmitted(error) => match error {
                AdmitError::TooLarge(_) | AdmitError::Decompress(_) | AdmitError::Memory(_) => {
                    Class::Admission
                }
                AdmitError::Compile(_) | AdmitError::Feature(_) | AdmitError::TooComplex(_) => {
                    Class::Compile
                }
                AdmitError::Link(_) => Class::Link,
                AdmitError::Legacy
                | AdmitError::NoStart
                | AdmitError::Busy { .. }
                | AdmitError::Aborted => Class::Failed,
            },
            Self::NotRun(RouteError::Run(error)) => match error {
                RunError::Deadline => Class::Deadline,
                RunError::Link(_) => Class::Link,
                RunError::Exited(0..=125) => Class::Exit,
                RunError::Exited(_) => Class::ExitInvalid,
                RunError::Trap(_) => Class::Trap,
                RunError::NoResponse => Class::Nothing,
                RunError::Request(_)
                | RunError::ResultTooLarge { .. }
                | RunError::Panicked(_)
                | RunError::Engine(_) => Class::Failed,
            },
            Self::NotRun(
                RouteError::NoRunner { .. }
                | RouteError::NotSubscribed
                | RouteError::Prehook(_)
                | RouteError::Requirements(_)
                | RouteError::Result,
            ) => Class::Failed,
        }
    }

    /// The text of a failure or of a result that is an error.
    fn text(&self) -> Option<String> {
        match self {
            Self::Outcome { answer } => match answer {
                Some(Answer::Error(text)) => Some(text.clone()),
                Some(
                    Answer::Value(_) | Answer::TriggerSubscriptions(_) | Answer::Restrictions(_),
                )
                | None => None,
            },
            Self::NotAdmitted(error) => Some(error.to_string()),
            Self::NotRun(error) => Some(error.to_string()),
        }
    }

    fn exit_code(&self) -> Option<i32> {
        match self {
            Self::NotRun(RouteError::Run(RunError::Exited(code))) => Some(*code),
            Self::Outcome { .. } | Self::NotAdmitted(_) | Self::NotRun(_) => None,
        }
    }
}

impl Bytes {
    /// Whether these are the bytes that were recorded.
    pub(super) fn are(&self, bytes: &[u8]) -> bool {
        let digest = || hex::encode(Sha256::digest(bytes));
        self.bytes == bytes.len()
            && self.hex.as_ref().is_none_or(|text| *text == hex::encode(bytes))
            && self.sha256.as_ref().is_none_or(|text| *text == digest())
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hex {
            Some(text) => f.write_str(text),
            None => write!(f, "{} bytes", self.bytes),
        }
    }
}

impl fmt::Display for SeenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capability(request) => f.write_str(&shown(&messages::encode(request))),
            Self::Secrets(request) => f.write_str(&shown(&messages::encode(request))),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { got, want: Some(want) } => write!(f, "call {got}, recorded {want}"),
            Self::Call { got, want: None } => write!(f, "call {got} was not recorded"),
            Self::NoCall(want) => write!(f, "recorded call {want} did not come"),
            Self::Order(order) => write!(f, "calls came in the order {order:?}"),
            Self::InFlight { got, want } => write!(f, "{got} calls at once, recorded {want}"),
            Self::Logs { got, want } => write!(f, "logs {got:?}, recorded {want:?}"),
            Self::Metric(index) => write!(f, "metric {index} differs"),
            Self::DonReads { got, want } => write!(f, "{got} reads of DON time, recorded {want}"),
            Self::Class { got, want } => write!(f, "ended as {got}, recorded {want:?}"),
            Self::Outcome { got, want } => write!(f, "outcome\n  got  {got}\n  want {want}"),
            Self::Duration { got_ms } => write!(f, "took {got_ms} ms"),
        }
    }
}

/// Bytes in hexadecimal, cut where recordings cut them.
fn shown(bytes: &[u8]) -> String {
    match bytes.get(..FULL_BYTES) {
        Some(head) if bytes.len() > FULL_BYTES => {
            format!("{}... ({} bytes)", hex::encode(head), bytes.len())
        }
        _ => hex::encode(bytes),
    }
}

/// What recordings keep in full.
const FULL_BYTES: usize = 4096;

/// What recordings keep of a longer log line.
const LOG_HEAD_BYTES: usize = 64;

/// How much earlier than the caller's deadline a timer may be seen to fire.
const GRACE_MS: u64 = 100;
