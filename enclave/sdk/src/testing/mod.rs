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

mod host;
mod run;

use std::{
    collections::BTreeMap,
    fmt,
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};

use protocol::messages::{
    self, Message,
    consensus::{self, Observation, SimpleConsensusInputs},
    http,
    sdk::{
        self, CapabilityOutcome, CapabilityRequest, CapabilityResponse, ExecuteRequest, Outcome,
        Phase, Trigger, TriggerSubscription,
    },
    values::Value,
    well_known::Empty,
};

use crate::{Setup, WorkflowError, restrictions::Restrictions, workflow};

pub(crate) use host::{Host, with_host};
pub use run::Run;

/// A host that answers from what a test gave it. Every run starts anew.
///
/// Nodes agree as an enclave does, which is a committee of one: the observation counts, or the
/// default where observing failed.
#[derive(Clone)]
pub struct Double {
    config: Vec<u8>,
    execution_id: String,
    node_seed: u64,
    time: SystemTime,
    max_response_size: u64,
    takes_metrics: bool,
    restrictions: Option<sdk::Restrictions>,
    secrets: BTreeMap<(String, String), String>,
    capabilities: BTreeMap<(String, String), Capability>,
}

type Capability = Rc<dyn Fn(&CapabilityRequest) -> Result<CapabilityResponse, WorkflowError>>;

impl Double {
    /// A host without configuration, secrets and capabilities, early in 1970.
    #[must_use]
    pub fn new() -> Self {
        let double = Self {
            config: Vec::new(),
            execution_id: String::new(),
            node_seed: 2,
            time: UNIX_EPOCH,
            max_response_size: MAX_RESPONSE_SIZE,
            takes_metrics: true,
            restrictions: None,
            secrets: BTreeMap::new(),
            capabilities: BTreeMap::new(),
        };
        double.capability(consensus::CAPABILITY, consensus::SIMPLE, agree)
    }

    /// Sets the workflow's configuration.
    #[must_use]
    pub fn config(self, config: impl Into<Vec<u8>>) -> Self {
        Self { config: config.into(), ..self }
    }

    /// Sets the execution id, which all nodes' random numbers follow from.
    #[must_use]
    pub fn execution_id(self, execution_id: impl Into<String>) -> Self {
        Self { execution_id: execution_id.into(), ..self }
    }

    /// Sets what this node's own random numbers follow from.
    #[must_use]
    pub fn node_seed(self, node_seed: u64) -> Self {
        Self { node_seed, ..self }
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

    /// Takes no metrics, as most hosts.
    #[must_use]
    pub fn without_metrics(self) -> Self {
        Self { takes_metrics: false, ..self }
    }

    /// Holds runs to what a pre-hook allowed, as a host does.
    #[must_use]
    pub fn restricted(self, restrictions: Restrictions) -> Self {
        Self { restrictions: Some(restrictions.into()), ..self }
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

    /// Answers HTTP requests; see [`http_response`].
    #[must_use]
    pub fn http(self, answer: impl Fn(http::Request) -> http::Response + 'static) -> Self {
        self.capability(http::ACTIONS, http::SEND_REQUEST, move |request| Ok(answer(request)))
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

    /// Runs the pre-hook of one handler, without configuration, as hosts do.
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
        let host = self.clone().config("");
        match host.run(init, Phase::PreHook(event)).result.result {
            Some(Outcome::Restrictions(restrictions)) => Ok(restrictions.into()),
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
        let (result, host) = host::during(Host::new(self), || {
            workflow::answer(request, |request, runtime| workflow::serve(request, runtime, init))
        });
        Run::new(result, host)
    }
}

/// An answer to an HTTP request, without headers.
#[must_use]
pub fn http_response(status_code: u32, body: impl Into<Vec<u8>>) -> http::Response {
    http::Response { status_code, body: body.into(), ..http::Response::default() }
}

/// What a committee of one agrees on.
fn agree(inputs: SimpleConsensusInputs) -> Result<Value, WorkflowError> {
    match (inputs.observation, inputs.default) {
        (Some(Observation::Value(value)), _) => Ok(value),
        (Some(Observation::Error(_)), Some(default)) if default.kind.is_some() => Ok(default),
        (Some(Observation::Error(text)), _) => {
            Err(WorkflowError::new(format_args!("consensus.Simple: observation error: {text}")))
        }
        (None, _) => Err("consensus.Simple: missing observation".into()),
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

/// The host's own default.
const MAX_RESPONSE_SIZE: u64 = 5 * 1024 * 1024;
