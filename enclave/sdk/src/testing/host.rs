//! The double's side of one run: what the imports do.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    time::UNIX_EPOCH,
};

use protocol::{
    limits,
    messages::{
        self, Message,
        sdk::{
            AwaitCapabilitiesRequest, AwaitCapabilitiesResponse, AwaitSecretsRequest,
            AwaitSecretsResponse, CapabilityOutcome, CapabilityRequest, CapabilityResponse,
            GetSecretsRequest, Mode, Secret, SecretError, SecretOutcome, SecretRequest,
            SecretResponse, SecretResponses,
        },
        telemetry::WorkflowUserMetric,
    },
    restrictions::Restrictions,
    seed,
};

use super::Double;
use crate::error::Refusal;

/// The host of one run.
pub(crate) struct Host {
    double: Double,
    restrictions: Restrictions,
    answers: HashMap<i32, CapabilityResponse>,
    secrets: HashMap<i32, SecretResponses>,
    pub(super) modes: Vec<i32>,
    pub(super) logs: Vec<String>,
    pub(super) metrics: Vec<WorkflowUserMetric>,
    pub(super) calls: Vec<CapabilityRequest>,
}

/// Lends the host of the current thread's run; outside a run there is none.
pub(crate) fn with_host<T>(act: impl FnOnce(&mut Host) -> T) -> Option<T> {
    HOST.with_borrow_mut(|host| host.as_mut().map(act))
}

/// Runs with a host, and returns what it saw.
pub(super) fn during<T>(host: Host, run: impl FnOnce() -> T) -> (T, Host) {
    let fallback = Host::new(&host.double);
    let outer = HOST.replace(Some(host));
    let result = run();
    (result, HOST.replace(outer).unwrap_or(fallback))
}

impl Host {
    pub(super) fn new(double: &Double) -> Self {
        Self {
            double: double.clone(),
            restrictions: Restrictions::new(double.restrictions.as_ref()),
            answers: HashMap::new(),
            secrets: HashMap::new(),
            modes: Vec::new(),
            logs: Vec::new(),
            metrics: Vec::new(),
            calls: Vec::new(),
        }
    }

    pub(crate) fn switch_modes(&mut self, mode: i32) {
        self.modes.push(mode);
    }

    pub(crate) fn random_seed(&mut self, mode: i32) -> i64 {
        match Mode::try_from(mode) {
            Ok(Mode::Don) => seed::don_seed(&self.double.execution_id),
            Ok(Mode::Node) => i64::from_le_bytes(self.double.node_seed.to_le_bytes()),
            Ok(Mode::Unspecified) | Err(_) => -1,
        }
    }

    pub(crate) fn now(&mut self) -> Option<u64> {
        let span = self.double.time.duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(span.as_nanos()).ok()
    }

    pub(crate) fn log(&mut self, text: &str) {
        self.logs.push(text.to_owned());
    }

    /// Takes a metric as a host with the usual limits does (wasm-abi 2.9).
    pub(crate) fn emit_metric(&mut self, encoded: &[u8]) -> bool {
        let Ok(metric) = messages::decode::<WorkflowUserMetric>(encoded) else { return false };
        let taken = self.double.takes_metrics
            && encoded.len() <= limits::METRIC_BYTES
            && metric.name.len() <= limits::METRIC_NAME_BYTES
            && metric.labels.len() <= limits::METRIC_LABELS
            && metric.labels.values().all(|value| value.len() <= limits::METRIC_LABEL_BYTES);
        if taken {
            self.metrics.push(metric);
        }
        taken
    }

    pub(crate) fn call_capability(&mut self, request: &[u8]) -> Result<(), Refusal> {
        let request: CapabilityRequest = decode(request)?;
        let id = request.callback_id;
        if let Err(denied) = self.restrictions.admit_call(&request) {
            self.answers.insert(id, error(denied.to_guest()));
            return Ok(());
        }
        let key = (request.id.clone(), request.method.clone());
        let Some(capability) = self.double.capabilities.get(&key) else {
            return Err(Refusal::new(b"no such capability"));
        };
        let answer = capability(&request).unwrap_or_else(|failure| error(failure.to_string()));
        self.answers.insert(id, answer);
        self.calls.push(request);
        Ok(())
    }

    pub(crate) fn await_capabilities(
        &mut self,
        request: &[u8],
        response: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let request: AwaitCapabilitiesRequest = decode(request)?;
        let responses = take(&mut self.answers, request.ids)?;
        put(response, &AwaitCapabilitiesResponse { responses })
    }

    pub(crate) fn get_secrets(&mut self, request: &[u8]) -> Result<(), Refusal> {
        let request: GetSecretsRequest = decode(request)?;
        let split = self.restrictions.admit_secrets(request.requests);
        let answers = split.allowed().iter().map(|one| self.secret(one)).collect();
        let refused = |denied: protocol::restrictions::SecretDenied| {
            let text = denied.to_string();
            no_secret(SecretRequest { id: denied.id, namespace: denied.namespace }, text)
        };
        let responses = split.place(answers, refused);
        let responses = responses.map_err(|_count| Refusal::new(b"answers do not fit"))?;
        self.secrets.insert(request.callback_id, SecretResponses { responses });
        Ok(())
    }

    pub(crate) fn await_secrets(
        &mut self,
        request: &[u8],
        response: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let request: AwaitSecretsRequest = decode(request)?;
        let responses = take(&mut self.secrets, request.ids)?;
        put(response, &AwaitSecretsResponse { responses })
    }

    /// Numbers that count, because a test wants the same ones every time.
    pub(crate) fn secure_random(&mut self, out: &mut [u8]) {
        (0_u8..=u8::MAX).cycle().zip(out).for_each(|(number, byte)| *byte = number);
    }

    fn secret(&self, request: &SecretRequest) -> SecretResponse {
        let key = (request.namespace.clone(), request.id.clone());
        let Some(value) = self.double.secrets.get(&key) else {
            return no_secret(request.clone(), "no such secret".to_owned());
        };
        let mut secret = Secret::default();
        (secret.namespace, secret.id) = key;
        secret.value.clone_from(value);
        SecretResponse { response: Some(SecretOutcome::Secret(secret)) }
    }
}

fn no_secret(request: SecretRequest, error: String) -> SecretResponse {
    let SecretRequest { id, namespace } = request;
    let error = SecretError { id, namespace, error, ..SecretError::default() };
    SecretResponse { response: Some(SecretOutcome::Error(error)) }
}

fn error(text: String) -> CapabilityResponse {
    CapabilityResponse { response: Some(CapabilityOutcome::Error(text)) }
}

fn decode<M: Message>(request: &[u8]) -> Result<M, Refusal> {
    messages::decode(request).map_err(|_error| Refusal::new(b"malformed request"))
}

/// Takes answers, each once (wasm-abi 4.4).
fn take<T>(kept: &mut HashMap<i32, T>, ids: Vec<i32>) -> Result<BTreeMap<i32, T>, Refusal> {
    let unknown =
        |id: i32| Refusal::new(format!("failed to get call from store : {id}").as_bytes());
    ids.into_iter().map(|id| Ok((id, kept.remove(&id).ok_or_else(|| unknown(id))?))).collect()
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
