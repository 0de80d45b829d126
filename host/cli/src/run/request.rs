//! The execution that the committee asks for.

use std::time::SystemTime;

use protocol::{
    ids::Owner,
    limits::WORKFLOW_ANSWER_BYTES,
    messages::{
        self,
        confidential_workflow::WorkflowExecution,
        cron, http,
        sdk::{ExecuteRequest, Phase, Trigger},
        well_known::{Any, Empty, TimeRangeError},
    },
};
use rand_core::CryptoRngCore;
use sha2::{Digest as _, Sha256};

/// What a workflow is asked.
pub(crate) enum Ask {
    /// Which triggers it wants.
    Subscribe,
    /// What it makes of a trigger that fired.
    Fire {
        /// The index of the subscription.
        trigger: u64,
        /// What the trigger says.
        payload: Any,
    },
}

/// What a trigger says.
pub(crate) enum Payload {
    /// That it is time: of the cron trigger.
    Cron(SystemTime),
    /// A JSON text: of the http trigger.
    Http(Vec<u8>),
    /// The bytes of a protobuf message of this full name: of any trigger.
    Message {
        /// The name with its package.
        name: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// Why a payload is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadError {
    /// The input of the http trigger is JSON.
    #[error(
        "not JSON (line {line}, column {column}), which the http trigger takes; for another trigger name its message with --payload-type"
    )]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The clock is off by centuries.
    #[error(transparent)]
    Time(#[from] TimeRangeError),
}

/// One execution of a workflow.
pub(crate) struct Execution<'e> {
    /// Where its binary is.
    pub(crate) binary_url: String,
    /// The hash of its binary.
    pub(crate) binary_sha256: [u8; 32],
    /// Its configuration, as it is handed to the workflow.
    pub(crate) config: &'e [u8],
    /// Who owns it, and the secrets it may read.
    pub(crate) owner: Owner,
    /// What it is asked.
    pub(crate) ask: Ask,
}

impl Ask {
    /// What the workflow is handed.
    pub(crate) fn request(self, config: &[u8]) -> ExecuteRequest {
        let phase = match self {
            Self::Subscribe => Phase::Subscribe(Empty::default()),
            Self::Fire { trigger, payload } => {
                Phase::Trigger(Trigger { id: trigger, payload: Some(payload) })
            }
        };
        ExecuteRequest {
            config: config.to_vec(),
            max_response_size: WORKFLOW_ANSWER_BYTES,
            request: Some(phase),
        }
    }
}

impl Payload {
    /// Packs the payload as a trigger does.
    ///
    /// # Errors
    ///
    /// [`PayloadError`].
    pub(crate) fn pack(self) -> Result<Any, PayloadError> {
        match self {
            Self::Cron(now) => {
                let time = Some(now.try_into()?);
                Ok(messages::pack(&cron::Payload { scheduled_execution_time: time }))
            }
            Self::Http(input) => match serde_json::from_slice::<serde::de::IgnoredAny>(&input) {
                Ok(_) => Ok(messages::pack(&http::Payload { input, key: None })),
                Err(error) => {
                    Err(PayloadError::NotJson { line: error.line(), column: error.column() })
                }
            },
            Self::Message { name, bytes } => {
                Ok(Any { type_url: messages::type_url(&name), value: bytes })
            }
        }
    }
}

impl Execution<'_> {
    /// The message that the committee signs, with an execution id that is new.
    pub(crate) fn message(self, rng: &mut impl CryptoRngCore) -> WorkflowExecution {
        let workflow_id = workflow_id(&self.owner, &self.binary_sha256, self.config);
        WorkflowExecution {
            workflow_id,
            binary_url: self.binary_url,
            binary_hash: self.binary_sha256.to_vec(),
            owner: self.owner.to_string(),
            execution_id: execution_id(rng),
            sdk_execute_request: Some(self.ask.request(self.config)),
            ..WorkflowExecution::default()
        }
    }
}

/// The id of an execution that is new.
pub(crate) fn execution_id(rng: &mut impl CryptoRngCore) -> String {
    let mut id = [0; 32];
    rng.fill_bytes(&mut id);
    hex::encode(id)
}

/// The id of a workflow: SHA-256 over a name of this rule, the owner's 20 bytes, the binary's hash and
/// the configuration, in hexadecimal. A workflow registry has its own rule; a devnet has no registry.
pub(crate) fn workflow_id(owner: &Owner, binary_sha256: &[u8; 32], config: &[u8]) -> String {
    let hash = Sha256::new()
        .chain_update(b"enclavectl workflow id\n")
        .chain_update(owner.as_bytes())
        .chain_update(binary_sha256)
        .chain_update(config);
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;
    use crate::secret::{DEFAULT_OWNER, parse_owner};

    fn message(config: &[u8], ask: Ask) -> WorkflowExecution {
        let execution = Execution {
            binary_url: "http://127.0.0.1:1/artifacts/a/binary.wasm".to_owned(),
            binary_sha256: [7; 32],
            config,
            owner: parse_owner(DEFAULT_OWNER).unwrap(),
            ask,
        };
        execution.message(&mut OsRng)
    }

    #[test]
    fn one_workflow_has_one_id_and_each_execution_its_own() {
        let (first, second) = (message(b"a", Ask::Subscribe), message(b"a", Ask::Subscribe));
        assert_eq!(first.workflow_id, second.workflow_id);
        assert_ne!(first.execution_id, second.execution_id);
        assert_ne!(message(b"b", Ask::Subscribe).workflow_id, first.workflow_id);
        assert_eq!((first.workflow_id.len(), first.execution_id.len()), (64, 64));
    }

    #[test]
    fn a_trigger_carries_its_index_and_payload() {
        let payload = Payload::Http(b"{\"a\": 1}".to_vec()).pack().unwrap();
        let message = message(b"config", Ask::Fire { trigger: 2, payload });
        let request = message.sdk_execute_request.unwrap();
        assert_eq!(request.config, b"config");
        let Some(Phase::Trigger(trigger)) = request.request else { panic!("no trigger") };
        assert_eq!(trigger.id, 2);
        let payload: http::Payload = messages::unpack(&trigger.payload.unwrap()).unwrap();
        assert_eq!(payload.input, b"{\"a\": 1}");
    }

    #[test]
    fn without_a_payload_it_is_time() {
        let packed = Payload::Cron(SystemTime::UNIX_EPOCH).pack().unwrap();
        let payload: cron::Payload = messages::unpack(&packed).unwrap();
        assert_eq!(payload.scheduled_execution_time.unwrap().seconds, 0);
    }

    #[test]
    fn an_input_that_is_not_json_is_refused_without_repeating_it() {
        let refused = Payload::Http(b"hunter2".to_vec()).pack().unwrap_err().to_string();
        assert!(refused.starts_with("not JSON (line 1, column 1)"), "{refused}");
        assert!(!refused.contains("hunter2"));
    }

    #[test]
    fn any_message_can_be_a_payload() {
        let message = Payload::Message { name: "a.B".to_owned(), bytes: vec![1] };
        let any = Any { type_url: "type.googleapis.com/a.B".to_owned(), value: vec![1] };
        assert_eq!(message.pack().unwrap(), any);
    }
}
