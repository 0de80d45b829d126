//! The execution a request asks for, decoded, with the parts that must survive as bytes
//! (enclave-and-host 8.1).

use enclave_workflow::BinaryHash;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use protocol::{
    ids::Owner,
    messages::{self, confidential_workflow::WorkflowExecution},
};

/// One execution of a workflow.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    /// The decoded message; unknown fields are lost in it.
    pub(crate) message: WorkflowExecution,
    /// The hash of the workflow's binary.
    pub(crate) binary_hash: BinaryHash,
    /// The encoded `sdk.v1alpha.ExecuteRequest`: fields unknown here reach the guest.
    pub(crate) execute: Vec<u8>,
    /// The encoded `sdk.v1alpha.Requirements`: fields unknown here must not be overlooked.
    pub(crate) requirements: Option<Vec<u8>>,
}

/// Why public data is not an execution. The texts are those peers match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExecutionError {
    /// The hash of the binary is missing.
    #[error("binary_hash is required")]
    BinaryHash,
    /// The hash of the binary is no SHA-256 (W-52).
    #[error("binary_hash is not a SHA-256 hash: {got} bytes")]
    BinaryHashLength {
        /// Its length in bytes.
        got: usize,
    },
    /// The URL of the binary is missing.
    #[error("binary_url is required")]
    BinaryUrl,
    /// The request to the workflow is missing.
    #[error("execute_request is required")]
    ExecuteRequest,
    /// The bytes are no such message.
    #[error("unable to unmarshal request data: the public data is not a WorkflowExecution")]
    Malformed,
    /// The id of the workflow is missing.
    #[error("workflow_id is required")]
    WorkflowId,
}

impl Execution {
    /// Reads the public data of a request.
    ///
    /// # Errors
    ///
    /// The first [`ExecutionError`] in the order of section 8.2.
    pub(crate) fn decode(public_data: &[u8]) -> Result<Self, ExecutionError> {
        let message: WorkflowExecution =
            messages::decode(public_data).map_err(|_error| ExecutionError::Malformed)?;
        if message.workflow_id.is_empty() {
            return Err(ExecutionError::WorkflowId);
        }
        if message.binary_url.is_empty() {
            return Err(ExecutionError::BinaryUrl);
        }
        let got = message.binary_hash.len();
        if got == 0 {
            return Err(ExecutionError::BinaryHash);
        }
        if message.sdk_execute_request.is_none() {
            return Err(ExecutionError::ExecuteRequest);
        }
        let binary_hash = message.binary_hash.as_slice().try_into();
        let binary_hash =
            binary_hash.map_err(|_length| ExecutionError::BinaryHashLength { got })?;
        let raw = |number| merged(public_data, number).ok_or(ExecutionError::Malformed);
        Ok(Self {
            message,
            binary_hash: BinaryHash(binary_hash),
            execute: raw(EXECUTE_REQUEST)?.ok_or(ExecutionError::ExecuteRequest)?,
            requirements: raw(REQUIREMENTS)?,
        })
    }

    /// Whose workflow it is.
    pub(crate) fn owner(&self) -> Owner {
        Owner::normalised(&self.message.owner)
    }
}

/// The contents of all occurrences of a message field, joined: that is how they merge. `None` if the
/// bytes are no message, `Some(None)` if it has no such field.
#[expect(clippy::option_option, reason = "malformed and absent are told apart by the caller")]
fn merged(message: &[u8], number: u32) -> Option<Option<Vec<u8>>> {
    let mut merged = None;
    let mut rest = message;
    while !rest.is_empty() {
        let (found, wire_type) = decode_key(&mut rest).ok()?;
        let mut value = rest;
        skip_field(wire_type, found, &mut rest, DecodeContext::default()).ok()?;
        if found == number && wire_type == WireType::LengthDelimited {
            decode_varint(&mut value).ok()?;
            let contents = value.get(..value.len().checked_sub(rest.len())?)?;
            merged.get_or_insert_with(Vec::new).extend_from_slice(contents);
        }
    }
    Some(merged)
}

/// Fields of `WorkflowExecution`.
const REQUIREMENTS: u32 = 8;
const EXECUTE_REQUEST: u32 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::messages::sdk::{ExecuteRequest, Requirements};

    fn message() -> WorkflowExecution {
        WorkflowExecution {
            workflow_id: "w".to_owned(),
            binary_url: "https://storage.example/artifacts/a/binary.wasm".to_owned(),
            binary_hash: vec![7; 32],
            sdk_execute_request: Some(ExecuteRequest::default()),
            ..WorkflowExecution::default()
        }
    }

    fn refusal(change: impl FnOnce(&mut WorkflowExecution)) -> String {
        let mut message = message();
        change(&mut message);
        Execution::decode(&messages::encode(&message)).unwrap_err().to_string()
    }

    #[test]
    fn an_execution_without_its_parts_is_refused_in_order() {
        assert_eq!(refusal(|m| *m = WorkflowExecution::default()), "workflow_id is required");
        assert_eq!(refusal(|m| m.binary_url.clear()), "binary_url is required");
        assert_eq!(refusal(|m| m.binary_hash.clear()), "binary_hash is required");
        assert_eq!(refusal(|m| m.sdk_execute_request = None), "execute_request is required");
        let text = Execution::decode(b"\x0a\x05abc").unwrap_err().to_string();
        assert!(text.starts_with("unable to unmarshal request data: "), "{text}");
    }

    #[test]
    fn w52_a_hash_of_another_length_is_refused_before_anything_is_fetched() {
        let text = refusal(|m| m.binary_hash.truncate(31));
        assert_eq!(text, "binary_hash is not a SHA-256 hash: 31 bytes");
    }

    #[test]
    fn what_is_unknown_here_survives_as_bytes() {
        let mut bytes = messages::encode(&message());
        // Field 9, the request, with an unknown field 100; field 8, requirements, with field 99.
        bytes.extend_from_slice(b"\x4a\x03\xa0\x06\x01\x42\x03\x98\x06\x01");
        let execution = Execution::decode(&bytes).unwrap();
        assert_eq!(execution.execute, b"\xa0\x06\x01");
        assert_eq!(execution.requirements.unwrap(), b"\x98\x06\x01");
        assert_eq!(execution.message.requirements, Some(Requirements::default()));
    }

    #[test]
    fn without_requirements_there_are_none() {
        let execution = Execution::decode(&messages::encode(&message())).unwrap();
        assert_eq!(execution.requirements, None);
    }
}
