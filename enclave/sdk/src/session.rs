//! What one run shares between its runtimes: mode, callback ids and the buffer for answers.

use std::cell::{Cell, RefCell};

use protocol::messages::{
    self, Message,
    sdk::{
        AwaitCapabilitiesRequest, AwaitCapabilitiesResponse, AwaitSecretsRequest,
        AwaitSecretsResponse, CapabilityOutcome, CapabilityRequest, CapabilityResponse,
        ExecuteRequest, GetSecretsRequest, Mode, SecretRequest, SecretResponse, SecretResponses,
    },
};

use crate::{
    WorkflowError,
    error::{CapabilityError, ModeError, Refusal},
    imports,
    log::{self, Field, Level},
};

/// One run, from the host's request to the workflow's answer.
#[derive(Debug)]
pub(crate) struct Session {
    config: Vec<u8>,
    mode: Cell<Mode>,
    /// The lowest level that is written.
    log_from: Cell<Level>,
    /// The next id of a DON-mode call; counts up, also for secrets.
    next_don_id: Cell<i32>,
    /// The next id of a node-mode call; counts down.
    next_node_id: Cell<i32>,
    /// Room for one answer of the host, in bytes.
    answer_room: usize,
    /// Made for the first answer, used again for every other.
    answer: RefCell<Vec<u8>>,
}

impl Session {
    pub(crate) fn new(request: &mut ExecuteRequest) -> Self {
        Self {
            config: std::mem::take(&mut request.config),
            mode: Cell::new(Mode::Don),
            log_from: Cell::new(Level::Debug),
            next_don_id: Cell::new(0),
            next_node_id: Cell::new(-1),
            answer_room: usize::try_from(request.max_response_size).unwrap_or(0),
            answer: RefCell::default(),
        }
    }

    pub(crate) fn config(&self) -> &[u8] {
        &self.config
    }

    /// Fails while a node section runs, which has a runtime of its own.
    pub(crate) fn in_don_mode(&self) -> Result<(), WorkflowError> {
        if self.mode.get() == Mode::Don { Ok(()) } else { Err(ModeError::Don.into()) }
    }

    /// Fails when no node section runs.
    pub(crate) fn in_node_mode(&self) -> Result<(), WorkflowError> {
        if self.mode.get() == Mode::Node { Ok(()) } else { Err(ModeError::Node.into()) }
    }

    /// Drops lines below this level from now on.
    pub(crate) fn log_from(&self, level: Level) {
        self.log_from.set(level);
    }

    pub(crate) fn log(&self, level: Level, message: &str, fields: &[Field<'_>]) {
        if level >= self.log_from.get() {
            imports::log(&log::line(level, message, fields));
        }
    }

    /// Runs a section in node mode.
    pub(crate) fn node_section<T>(&self, section: impl FnOnce() -> T) -> Result<T, WorkflowError> {
        self.in_don_mode()?;
        self.switch(Mode::Node);
        let answer = section();
        self.switch(Mode::Don);
        Ok(answer)
    }

    /// Starts a call; the answer is waited for by its id.
    pub(crate) fn call(
        &self,
        capability: &str,
        method: &str,
        request: &impl Message,
    ) -> Result<i32, WorkflowError> {
        let callback_id = self.next_id();
        let request = CapabilityRequest {
            id: capability.to_owned(),
            payload: Some(messages::pack(request)),
            method: method.to_owned(),
            callback_id,
        };
        let started = imports::call_capability(&messages::encode(&request));
        let capability = || capability.to_owned();
        started
            .map(|()| callback_id)
            .map_err(|refusal| WorkflowError::NotCalled { capability: capability(), refusal })
    }

    /// Waits for the answer of a call.
    pub(crate) fn answer<M: Message>(&self, id: i32) -> Result<M, WorkflowError> {
        let request = messages::encode(&AwaitCapabilitiesRequest { ids: vec![id] });
        let mut answers: AwaitCapabilitiesResponse =
            self.exchange("awaitCapabilities", imports::await_capabilities, &request)?;
        let CapabilityResponse { response } = answers.responses.remove(&id).unwrap_or_default();
        match response {
            Some(CapabilityOutcome::Payload(payload)) => Ok(messages::unpack_own(&payload)?),
            Some(CapabilityOutcome::Error(text)) => Err(CapabilityError::from_wire(&text).into()),
            None => Err(CapabilityError::from_wire("answer is empty").into()),
        }
    }

    /// Starts a request for secrets; the answers are waited for by its id.
    pub(crate) fn ask_secrets(&self, requests: Vec<SecretRequest>) -> Result<i32, WorkflowError> {
        let callback_id = self.next_id();
        let request = GetSecretsRequest { requests, callback_id };
        imports::get_secrets(&messages::encode(&request))
            .map(|()| callback_id)
            .map_err(|refusal| WorkflowError::Refused { exchange: "getSecrets", refusal })
    }

    /// Waits for the answers to a request for secrets.
    pub(crate) fn secrets(&self, id: i32) -> Result<Vec<SecretResponse>, WorkflowError> {
        let request = messages::encode(&AwaitSecretsRequest { ids: vec![id] });
        let mut answers: AwaitSecretsResponse =
            self.exchange("awaitSecrets", imports::await_secrets, &request)?;
        let SecretResponses { responses } = answers.responses.remove(&id).unwrap_or_default();
        Ok(responses)
    }

    fn exchange<M: Message>(
        &self,
        name: &'static str,
        import: fn(&[u8], &mut Vec<u8>) -> Result<(), Refusal>,
        request: &[u8],
    ) -> Result<M, WorkflowError> {
        let mut answer = self.answer.borrow_mut();
        // Capacity, not contents: pages that no answer reaches stay untouched.
        answer.reserve_exact(self.answer_room);
        import(request, &mut answer)
            .map_err(|refusal| WorkflowError::Refused { exchange: name, refusal })?;
        let decoded = messages::decode(&answer);
        // Secrets do not wait here for the next answer.
        answer.fill(0);
        answer.clear();
        Ok(decoded?)
    }

    fn next_id(&self) -> i32 {
        match self.mode.get() {
            Mode::Node => self.next_node_id.replace(self.next_node_id.get().wrapping_sub(1)),
            Mode::Don | Mode::Unspecified => {
                self.next_don_id.replace(self.next_don_id.get().wrapping_add(1))
            }
        }
    }

    fn switch(&self, mode: Mode) {
        imports::switch_modes(mode.into());
        self.mode.set(mode);
    }
}
