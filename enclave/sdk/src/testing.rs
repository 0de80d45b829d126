//! Tests of workflows without a host: a double that answers from what a test gave it.
//!
//! ```
//! use enclave_sdk::{Setup, testing::Double, trigger};
//!
//! fn init(setup: &mut Setup<'_>) -> Result<(), enclave_sdk::WorkflowError> {
//!     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
//!         let key = runtime.secret("API_KEY")?;
//!         runtime.log("read the key");
//!         Ok(key.expose().len() as u32)
//!     });
//!     Ok(())
//! }
//!
//! let double = Double::new().secret("main", "API_KEY", "12345");
//! let run = double.trigger(init, 0, &trigger::Cron::default());
//! assert_eq!(run.value::<u32>().unwrap(), 5);
//! assert_eq!(run.logs, ["read the key"]);
//! ```

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt,
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};

use protocol::messages::{
    self, Message,
    sdk::{
        AwaitCapabilitiesRequest, AwaitCapabilitiesResponse, AwaitSecretsRequest,
        AwaitSecretsResponse, CapabilityOutcome, CapabilityRequest, CapabilityResponse,
        ExecuteRequest, ExecutionResult, GetSecretsRequest, Outcome, Phase, Restrictions, Secret,
        SecretError, SecretOutcome, SecretResponse, SecretResponses, Trigger, TriggerSubscription,
    },
    well_known::Empty,
};

use crate::{FromValue, Setup, WorkflowError, error::Refusal, workflow};

/// A host that answers from what a test gave it. Every run starts anew.
#[derive(Clone)]
pub struct Double {
    config: Vec<u8>,
    time: SystemTime,
    max_response_size: u64,
    secrets: BTreeMap<(String, String), String>,
    capabilities: BTreeMap<(String, String), Capability>,
}

type Capability = Rc<dyn Fn(&CapabilityRequest) -> Result<CapabilityResponse, WorkflowError>>;

/// What a run answered and what the host saw of it.
#[derive(Clone, Debug)]
pub struct Run {
    /// The answer.
    pub result: ExecutionResult,
    /// The log lines.
    pub logs: Vec<String>,
    /// The capability calls, in the order in which they were started.
    pub calls: Vec<CapabilityRequest>,
    /// The modes that were switched to, as the host numbers them.
    pub modes: Vec<i32>,
}

impl Double {
    /// A host without configuration, secrets and capabilities, early in 1970.
    #[must_use]
    pub fn new() -> Self {
        Self {
            config: Vec::new(),
            time: UNIX_EPOCH,
            max_response_size: MAX_RESPONSE_SIZE,
            secrets: BTreeMap::new(),
            capabilities: BTreeMap::new(),
        }
    }

    /// Sets the workflow's configuration.
    #[must_use]
    pub fn config(self, config: impl Into<Vec<u8>>) -> Self {
        Self { config: config.into(), ..self }
    }

    /// Sets the time that all clocks show.
    #[must_use]
    pub fn time(self, time: SystemTime) -> Self {
        Self { time, ..self }
    }

    /// Sets the room for one answer, in bytes.
    #[must_use]
    pub fn max_response_size(self, max_response_size: u64) -> Self {
        Self { max_response_size, ..self }
    }

    /// Adds a secret.
    #[must_use]
    pub fn secret(mut self, namespace: &str, id: &str, value: &str) -> Self {
        self.secrets.insert((namespace.to_owned(), id.to_owned()), value.to_owned());
        self
    }

    /// Adds a method of a capability. An error becomes the capability's error.
    #[must_use]
    pub fn capability<I: Message, O: Message>(
        mut self,
        id: &str,
        method: &str,
        answer: impl Fn(I) -> Result<O, WorkflowError> + 'static,
    ) -> Self {
        let answer = move |request: &CapabilityRequest| {
            let payload = request.payload.clone().unwrap_or_default();
            let output = messages::pack(&answer(messages::unpack(&payload)?)?);
            Ok(CapabilityResponse { response: Some(CapabilityOutcome::Payload(output)) })
        };
        self.capabilities.insert((id.to_owned(), method.to_owned()), Rc::new(answer));
        self
    }

    /// Asks a workflow for its subscriptions.
    ///
    /// # Errors
    ///
    /// The workflow's own error.
    pub fn subscriptions(
        &self,
        init: impl FnOnce(&mut Setup<'_>) -> Result<(), WorkflowError>,
    ) -> Result<Vec<TriggerSubscription>, WorkflowError> {
        match self.run(init, Phase::Subscribe(Empty {})).result.result {
            Some(Outcome::TriggerSubscriptions(all)) => Ok(all.subscriptions),
            Some(Outcome::Error(text)) => Err(WorkflowError::Failed(text)),
            Some(Outcome::Value(_) | Outcome::Restrictions(_)) | None => {
                Err(WorkflowError::new("the answer is no subscription"))
            }
        }
    }

    /// Fires the trigger of one handler.
    pub fn trigger(
        &self,
        init: impl FnOnce(&mut Setup<'_>) -> Result<(), WorkflowError>,
        handler: u64,
        event: &impl Message,
    ) -> Run {
        let event = Trigger { id: handler, payload: Some(messages::pack(event)) };
        self.run(init, Phase::Trigger(event))
    }

    /// Runs the pre-hook of one handler.
    ///
    /// # Errors
    ///
    /// The workflow's own error.
    pub fn prehook(
        &self,
        init: impl FnOnce(&mut Setup<'_>) -> Result<(), WorkflowError>,
        handler: u64,
        event: &impl Message,
    ) -> Result<Restrictions, WorkflowError> {
        let event = Trigger { id: handler, payload: Some(messages::pack(event)) };
        match self.run(init, Phase::PreHook(event)).result.result {
            Some(Outcome::Restrictions(restrictions)) => Ok(restrictions),
            Some(Outcome::Error(text)) => Err(WorkflowError::Failed(text)),
            Some(Outcome::Value(_) | Outcome::TriggerSubscriptions(_)) | None => {
                Err(WorkflowError::new("the answer is no restriction"))
            }
        }
    }

    fn run(
        &self,
        init: impl FnOnce(&mut Setup<'_>) -> Result<(), WorkflowError>,
        phase: Phase,
    ) -> Run {
        let request = ExecuteRequest {
            config: self.config.clone(),
            max_response_size: self.max_response_size,
            request: Some(phase),
        };
        let host = Host { double: self.clone(), ..Host::default() };
        let outer = HOST.replace(Some(host));
        let result =
            workflow::answer(request, |request, runtime| workflow::serve(request, runtime, init));
        let host = HOST.replace(outer).unwrap_or_default();
        Run { result, logs: host.logs, calls: host.calls, modes: host.modes }
    }
}

impl Run {
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

impl Default for Double {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Double {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Double").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

/// The host's side of one run.
#[derive(Default)]
pub(crate) struct Host {
    double: Double,
    modes: Vec<i32>,
    logs: Vec<String>,
    calls: Vec<CapabilityRequest>,
    answers: HashMap<i32, CapabilityResponse>,
    secrets: HashMap<i32, SecretResponses>,
}

/// Lends the host of the current thread's run; outside a run there is none.
pub(crate) fn with_host<T>(act: impl FnOnce(&mut Host) -> T) -> Option<T> {
    HOST.with_borrow_mut(|host| host.as_mut().map(act))
}

impl Host {
    pub(crate) fn switch_modes(&mut self, mode: i32) {
        self.modes.push(mode);
    }

    pub(crate) fn random_seed(&mut self, mode: i32) -> i64 {
        if mode == 1 || mode == 2 { i64::from(mode) } else { -1 }
    }

    pub(crate) fn now(&mut self) -> Option<u64> {
        let span = self.double.time.duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(span.as_nanos()).ok()
    }

    pub(crate) fn log(&mut self, text: &str) {
        self.logs.push(text.to_owned());
    }

    pub(crate) fn call_capability(&mut self, request: &[u8]) -> Result<(), Refusal> {
        let request: CapabilityRequest =
            messages::decode(request).map_err(|_error| Refusal::new(b"malformed request"))?;
        let key = (request.id.clone(), request.method.clone());
        let Some(capability) = self.double.capabilities.get(&key) else {
            return Err(Refusal::new(b"no such capability"));
        };
        let answer = capability(&request).unwrap_or_else(|error| CapabilityResponse {
            response: Some(CapabilityOutcome::Error(error.to_string())),
        });
        self.answers.insert(request.callback_id, answer);
        self.calls.push(request);
        Ok(())
    }

    pub(crate) fn await_capabilities(
        &mut self,
        request: &[u8],
        response: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let request: AwaitCapabilitiesRequest =
            messages::decode(request).map_err(|_error| Refusal::new(b"malformed request"))?;
        let mut responses = BTreeMap::new();
        for id in request.ids {
            let answer = self.answers.remove(&id).ok_or_else(|| unknown_call(id))?;
            responses.insert(id, answer);
        }
        put(response, &AwaitCapabilitiesResponse { responses })
    }

    pub(crate) fn get_secrets(&mut self, request: &[u8]) -> Result<(), Refusal> {
        let request: GetSecretsRequest =
            messages::decode(request).map_err(|_error| Refusal::new(b"malformed request"))?;
        let answer = |(namespace, id): (String, String)| {
            let key = (namespace, id);
            let outcome = match self.double.secrets.get(&key) {
                Some(value) => {
                    let mut secret = Secret::default();
                    (secret.namespace, secret.id) = key;
                    secret.value.clone_from(value);
                    SecretOutcome::Secret(secret)
                }
                None => {
                    let error = "no such secret".to_owned();
                    let (namespace, id) = key;
                    SecretOutcome::Error(SecretError { id, namespace, error, ..Default::default() })
                }
            };
            SecretResponse { response: Some(outcome) }
        };
        let responses =
            request.requests.into_iter().map(|one| answer((one.namespace, one.id))).collect();
        self.secrets.insert(request.callback_id, SecretResponses { responses });
        Ok(())
    }

    pub(crate) fn await_secrets(
        &mut self,
        request: &[u8],
        response: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let request: AwaitSecretsRequest =
            messages::decode(request).map_err(|_error| Refusal::new(b"malformed request"))?;
        let mut responses = BTreeMap::new();
        for id in request.ids {
            let answer = self.secrets.remove(&id).ok_or_else(|| unknown_call(id))?;
            responses.insert(id, answer);
        }
        put(response, &AwaitSecretsResponse { responses })
    }

    /// Numbers that count, because a test wants the same ones every time.
    pub(crate) fn secure_random(&mut self, out: &mut [u8]) {
        (0_u8..=u8::MAX).cycle().zip(out).for_each(|(number, byte)| *byte = number);
    }
}

fn unknown_call(id: i32) -> Refusal {
    Refusal::new(format!("failed to get call from store : {id}").as_bytes())
}

fn put(response: &mut Vec<u8>, message: &impl Message) -> Result<(), Refusal> {
    let encoded = messages::encode(message);
    if encoded.len() > response.capacity() {
        return Err(Refusal::new(b"response buffer too small"));
    }
    response.clear();
    response.extend_from_slice(&encoded);
    Ok(())
}

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// The host's own default.
const MAX_RESPONSE_SIZE: u64 = 5 * 1024 * 1024;
