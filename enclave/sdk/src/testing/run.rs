//! What a run answered and what the host saw of it.

use protocol::messages::{
    sdk::{CapabilityRequest, ExecutionResult, Outcome},
    telemetry::WorkflowUserMetric,
};

use super::Host;
use crate::{FromValue, WorkflowError};

/// What a run answered and what the host saw of it.
#[derive(Clone, Debug)]
pub struct Run {
    /// The answer.
    pub result: ExecutionResult,
    /// The log lines.
    pub logs: Vec<String>,
    /// The metrics that were taken.
    pub metrics: Vec<WorkflowUserMetric>,
    /// The capability calls, in the order in which they were started; those that restrictions
    /// refused are not among them.
    pub calls: Vec<CapabilityRequest>,
    /// The modes that were switched to, as the host numbers them.
    pub modes: Vec<i32>,
}

impl Run {
    pub(super) fn new(result: ExecutionResult, host: Host) -> Self {
        let Host { logs, metrics, calls, modes, .. } = host;
        Self { result, logs, metrics, calls, modes }
    }

    /// The value that the handler returned.
    ///
    /// # Errors
    ///
    /// The workflow's own error, or [`WorkflowError::Value`] if the value is of another type.
    pub fn value<T: FromValue>(&self) -> Result<T, WorkflowError> {
        match &self.result.result {
            Some(Outcome::Value(value)) => T::from_value(value.clone()),
            Some(Outcome::Error(text)) => Err(WorkflowError::Failed(text.clone())),
            Some(Outcome::TriggerSubscriptions(_) | Outcome::Restrictions(_)) | None => {
                Err(WorkflowError::new("the answer is no value"))
            }
        }
    }

    /// The text of the error with which the handler ended, if it did.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match &self.result.result {
            Some(Outcome::Error(text)) => Some(text),
            Some(
                Outcome::Value(_) | Outcome::TriggerSubscriptions(_) | Outcome::Restrictions(_),
            )
            | None => None,
        }
    }
}
