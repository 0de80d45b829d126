//! What a workflow answered.

use std::fmt;

use protocol::messages::{
    self, DecodeMessageError,
    confidential_workflow::ConfidentialWorkflowResponse,
    sdk::{ExecutionResult, Outcome as Answer},
};
use serde_json::{Map, Value as Json, json};

use super::value;
use crate::exit::Exit;

/// The answer of a workflow, decoded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// A value, or the triggers it subscribes to.
    Result(Json),
    /// An error.
    Error(String),
}

/// An answer is none that a workflow gives.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutcomeError {
    /// The bytes are another message.
    #[error(transparent)]
    Decode(#[from] DecodeMessageError),
    /// There is no result in it.
    #[error("there is no result in it")]
    Empty,
}

impl Outcome {
    /// Decodes the output of an enclave.
    ///
    /// # Errors
    ///
    /// [`OutcomeError`].
    pub(crate) fn decode(output: &[u8]) -> Result<Self, OutcomeError> {
        let response: ConfidentialWorkflowResponse = messages::decode_own(output)?;
        Self::of(response.sdk_execution_result.ok_or(OutcomeError::Empty)?)
    }

    /// Reads the result of a workflow.
    ///
    /// # Errors
    ///
    /// [`OutcomeError::Empty`].
    pub(crate) fn of(ExecutionResult { result }: ExecutionResult) -> Result<Self, OutcomeError> {
        Ok(match result.ok_or(OutcomeError::Empty)? {
            Answer::Value(value) => Self::Result(value::json(&value)),
            Answer::Error(text) => Self::Error(text),
            Answer::TriggerSubscriptions(request) => {
                let subscriptions = request.subscriptions.iter().enumerate();
                let list = subscriptions.map(|(index, one)| value::subscription(index, one));
                Self::Result(Json::Array(list.collect()))
            }
            // Asked for by a pre-hook only, and nothing here asks for one.
            Answer::Restrictions(_) => Self::Result(json!("restrictions")),
        })
    }
}

impl Outcome {
    /// How a command ends that printed this outcome.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Result(_) => Exit::Success,
            Self::Error(_) => Exit::Workflow,
        }
    }

    /// Its members of a JSON object: `result`, and `error` if it is one.
    pub(crate) fn members(&self) -> Map<String, Json> {
        let (result, error) = match self {
            Self::Result(json) => (json.clone(), None),
            Self::Error(text) => (Json::Null, Some(Json::from(text.as_str()))),
        };
        let result = ("result".to_owned(), result);
        std::iter::once(result).chain(error.map(|text| ("error".to_owned(), text))).collect()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Result(json) => write!(f, "result\n{json:#}"),
            Self::Error(text) => write!(f, "error\n{}", crate::output::printable(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::messages::{
        sdk::{TriggerSubscription, TriggerSubscriptionRequest},
        values::{Kind, Value},
    };

    use super::*;

    fn decode(result: Option<Answer>) -> Result<Outcome, OutcomeError> {
        let sdk_execution_result = Some(ExecutionResult { result });
        let response =
            ConfidentialWorkflowResponse { sdk_execution_result, execution_result: Vec::new() };
        Outcome::decode(&messages::encode(&response))
    }

    #[test]
    fn a_value_an_error_and_subscriptions_are_told_apart() {
        let value = Value { kind: Some(Kind::String("hi".to_owned())) };
        assert_eq!(decode(Some(Answer::Value(value))).unwrap(), Outcome::Result(json!("hi")));
        let error = decode(Some(Answer::Error("no".to_owned()))).unwrap();
        assert_eq!(error, Outcome::Error("no".to_owned()));
        let subscriptions = vec![TriggerSubscription::default()];
        let answer = Answer::TriggerSubscriptions(TriggerSubscriptionRequest { subscriptions });
        let Outcome::Result(json) = decode(Some(answer)).unwrap() else { panic!() };
        assert_eq!(json[0]["trigger"], 0);
    }

    #[test]
    fn an_answer_without_a_result_is_none() {
        assert!(matches!(decode(None), Err(OutcomeError::Empty)));
        assert!(matches!(Outcome::decode(b""), Err(OutcomeError::Empty)));
        assert!(matches!(Outcome::decode(b"\xff"), Err(OutcomeError::Decode(_))));
    }

    #[test]
    fn an_error_cannot_steer_a_terminal() {
        let shown = Outcome::Error("\u{1b}[2Jgone\nnext".to_owned()).to_string();
        assert_eq!(shown, "error\n [2Jgone\nnext");
    }
}
