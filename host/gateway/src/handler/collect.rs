//! What the nodes answered to one request (relay-protocol 10.5).

use protocol::{
    json::{self, DecodeError, RawJson, Wire},
    relay::{
        Bundle, CapabilityRequestParams, CapabilityResult, Params, SecretsRequestParams,
        SecretsResult, SignedResult,
    },
};

/// The signed results of one request, decoded. What a node added to the known members is lost.
#[derive(Debug)]
pub(super) enum Collected {
    Capability(Vec<SignedResult<CapabilityResult>>),
    Secrets(Vec<SignedResult<SecretsResult>>),
}

impl Collected {
    /// Starts an empty collection, if the method is one that relay nodes answer.
    pub(super) fn of_method(method: &str) -> Option<Self> {
        match method {
            CapabilityRequestParams::METHOD => Some(Self::Capability(Vec::new())),
            SecretsRequestParams::METHOD => Some(Self::Secrets(Vec::new())),
            _ => None,
        }
    }

    /// Adds one node's result. Only its structure is looked at: whether a signature is good, the
    /// enclave decides.
    pub(super) fn push(&mut self, result: &RawJson) -> Result<(), DecodeError> {
        match self {
            Self::Capability(results) => push(results, result),
            Self::Secrets(results) => push(results, result),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Capability(results) => results.len(),
            Self::Secrets(results) => results.len(),
        }
    }

    /// The bundle as the result member of the answer.
    ///
    /// The results move into it: a bundle is made once.
    pub(super) fn bundle(&mut self) -> RawJson {
        match self {
            Self::Capability(results) => bundle(results),
            Self::Secrets(results) => bundle(results),
        }
    }
}

fn push<R: Wire + Default>(
    results: &mut Vec<SignedResult<R>>,
    result: &RawJson,
) -> Result<(), DecodeError> {
    results.push(json::from_slice(result.as_str().as_bytes())?);
    Ok(())
}

fn bundle<R: Wire + Default>(results: &mut Vec<SignedResult<R>>) -> RawJson {
    RawJson::of(&Bundle { responses: Some(std::mem::take(results)) })
}
