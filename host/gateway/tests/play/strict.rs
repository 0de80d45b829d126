//! What in a case our reader refuses.

use protocol::{
    json::{self, DecodeError},
    relay::{CapabilityResult, SecretsResult, SignedResult},
    rpc::{self, RequestError, Response},
};
use vectors::{Refusal, variant_of};

use super::{Input, Step};

/// Every refusal of the JSON reader, in the order of the steps.
pub(super) fn refusals(input: &Input) -> Vec<Refusal> {
    let errors = input.steps.iter().flat_map(|step| match step {
        Step::User { body, .. } => user(body).into_iter().collect(),
        Step::Node { frame, .. } => node(frame),
    });
    let refusal =
        |error: DecodeError| Refusal { variant: variant_of(&error), text: error.to_string() };
    errors.map(refusal).collect()
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
