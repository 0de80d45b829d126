//! What in a case our reader refuses.

use protocol::{
    json::{self, DecodeError},
    relay::{CapabilityResult, SecretsResult, SignedResult},
    rpc::{self, RequestError, Response},
};
use serde_json::Value;
use vectors::{Refusal, variant_of};

use super::{Answered, Input, Played, Step};

/// Every refusal of the JSON reader with its step, in the order of the steps.
pub(super) fn refusals(input: &Input) -> Vec<(usize, Refusal)> {
    let errors = input.steps.iter().enumerate().flat_map(|(index, step)| {
        let errors = match step {
            Step::User { body, .. } => user(body).into_iter().collect(),
            Step::Node { frame, .. } => node(frame),
        };
        errors.into_iter().map(move |error| (index, error))
    });
    let refusal = |(index, error): (usize, DecodeError)| {
        (index, Refusal { variant: variant_of(&error), text: error.to_string() })
    };
    errors.map(refusal).collect()
}

/// Holds users' requests that are read more strictly to be refused at once.
pub(super) fn hold_to_refusals(
    input: &Input,
    played: &Played,
    strict: &[(usize, Refusal)],
) -> Result<(), String> {
    let users = input.steps.iter().enumerate();
    let users = users.filter(|(_step, user)| matches!(user, Step::User { .. })).enumerate();
    for (request, (index, step)) in users {
        let is_strict = strict.iter().any(|(strict, _refusal)| *strict == index);
        let refuses = |answer: &Answered| {
            let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            (answer.request, answer.at_ms) == (request, step.at_ms()) && body["error"].is_object()
        };
        if is_strict && !played.answers.iter().any(refuses) {
            return Err(format!("step {index} is not refused: {:?}", played.answers));
        }
    }
    Ok(())
}

fn user(body: &str) -> Option<DecodeError> {
    match rpc::Request::decode(body.as_bytes(), "") {
        Err(RequestError::Decode(error)) => Some(error),
        Ok(_) | Err(_) => None,
    }
}

/// A frame, or its result as either method's.
fn node(frame: &str) -> Vec<DecodeError> {
    let response: Response = match json::from_slice(frame.as_bytes()) {
        Ok(response) => response,
        Err(error) => return vec![error],
    };
    let Some(result) = response.result else { return Vec::new() };
    let result = result.as_str().as_bytes();
    let capability = json::from_slice::<SignedResult<CapabilityResult>>(result).err();
    let secrets = json::from_slice::<SignedResult<SecretsResult>>(result).err();
    capability.into_iter().chain(secrets).collect()
}
