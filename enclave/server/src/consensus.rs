//! The capability `consensus@1.0.0-alpha`, method `Simple`: of one enclave, its own observation
//! (enclave-and-host 8.9).

use protocol::messages::{
    self,
    consensus::{Observation, SimpleConsensusInputs},
    sdk::{CapabilityOutcome, CapabilityResponse},
    values::Value,
    well_known::Any,
};

/// Why there is no value. The text is the guest's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConsensusError {
    /// The payload is not the inputs of this method.
    #[error("consensus.Simple: unmarshalling inputs: the payload is not SimpleConsensusInputs")]
    Inputs,
    /// The workflow failed to observe, and named no default.
    #[error("consensus.Simple: observation error: {0}")]
    Observation(String),
    /// The workflow observed nothing.
    #[error("consensus.Simple: missing observation")]
    Missing,
}

/// Answers a call. A refusal is an answer too: its `error` member.
pub(crate) fn simple(payload: &Any) -> CapabilityResponse {
    let response = match agree(payload) {
        Ok(value) => CapabilityOutcome::Payload(messages::pack(&value)),
        Err(error) => CapabilityOutcome::Error(error.to_string()),
    };
    CapabilityResponse { response: Some(response) }
}

fn agree(payload: &Any) -> Result<Value, ConsensusError> {
    let inputs: Result<SimpleConsensusInputs, _> = messages::unpack(payload);
    let Ok(inputs) = inputs else { return Err(ConsensusError::Inputs) };
    match inputs.observation {
        Some(Observation::Value(value)) => Ok(value),
        // The Go SDK always sends a default, without a member where the workflow has none. Taking
        // that for a default makes its guests crash on a failed observation instead of failing.
        Some(Observation::Error(text)) => inputs
            .default
            .filter(|default| default.kind.is_some())
            .ok_or(ConsensusError::Observation(text)),
        None => Err(ConsensusError::Missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::messages::values::Kind;

    fn value(text: &str) -> Value {
        Value { kind: Some(Kind::String(text.to_owned())) }
    }

    fn answer(observation: Option<Observation>, default: Option<Value>) -> Result<Value, String> {
        let inputs = SimpleConsensusInputs { observation, default, descriptors: None };
        outcome(&messages::pack(&inputs))
    }

    fn outcome(payload: &Any) -> Result<Value, String> {
        match simple(payload).response.unwrap() {
            CapabilityOutcome::Payload(any) => {
                assert_eq!(any.type_url, "type.googleapis.com/values.v1.Value");
                Ok(messages::unpack(&any).unwrap())
            }
            CapabilityOutcome::Error(text) => Err(text),
        }
    }

    #[test]
    fn the_own_observation_is_the_consensus() {
        assert_eq!(answer(Some(Observation::Value(value("x"))), None), Ok(value("x")));
    }

    #[test]
    fn a_failed_observation_falls_back_to_the_default() {
        let failed = || Some(Observation::Error("no".to_owned()));
        assert_eq!(answer(failed(), Some(value("d"))), Ok(value("d")));
        let text = "consensus.Simple: observation error: no";
        assert_eq!(answer(failed(), None), Err(text.to_owned()));
    }

    #[test]
    fn a_default_without_a_member_is_no_default() {
        let failed = Some(Observation::Error("no".to_owned()));
        let text = "consensus.Simple: observation error: no";
        assert_eq!(answer(failed, Some(Value::default())), Err(text.to_owned()));
    }

    #[test]
    fn no_observation_and_other_payloads_are_refused() {
        assert_eq!(answer(None, None), Err("consensus.Simple: missing observation".to_owned()));
        let other = Any { type_url: "x/other.Message".to_owned(), value: Vec::new() };
        let text = outcome(&other).unwrap_err();
        assert!(text.starts_with("consensus.Simple: unmarshalling inputs: "), "{text}");
    }
}
