//! What a handler can do.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::messages::{
    Message, consensus as wire, http as http_messages, sdk::Mode, values::Value,
};
use serde::de::DeserializeOwned;

use crate::{
    Consensus, FromValue, Promise, Random, Secret, SecretId, ToValue, WorkflowError,
    consensus::agreed, http, imports, secret, session::Session,
};

/// What a handler can do in DON mode: everything here is the same on every node.
#[derive(Clone, Copy, Debug)]
pub struct Runtime<'s> {
    session: &'s Session,
}

/// What the section of one node can do: everything here may differ from node to node, until the
/// nodes agree.
#[derive(Debug)]
pub struct NodeRuntime<'s> {
    session: &'s Session,
}

impl<'s> Runtime<'s> {
    pub(crate) fn new(session: &'s Session) -> Self {
        Self { session }
    }

    /// The workflow's configuration.
    #[must_use]
    pub fn config(&self) -> &'s [u8] {
        self.session.config()
    }

    /// The workflow's configuration, as JSON.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Config`] if it is not JSON of this form.
    pub fn config_json<T: DeserializeOwned>(&self) -> Result<T, WorkflowError> {
        serde_json::from_slice(self.config()).map_err(WorkflowError::Config)
    }

    /// Writes a line to the workflow's log. No secrets: its owner's node operators can read it.
    pub fn log(&self, line: impl AsRef<str>) {
        imports::log(line.as_ref());
    }

    /// The time all nodes agree on.
    ///
    /// # Errors
    ///
    /// - [`WorkflowError::NodeMode`] inside a node section.
    /// - [`WorkflowError::Failed`] if the nodes have no time.
    pub fn now(&self) -> Result<SystemTime, WorkflowError> {
        self.session.in_don_mode()?;
        now()
    }

    /// Random numbers that all nodes draw alike, from the start each time this is called.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::NodeMode`] inside a node section.
    pub fn random(&self) -> Result<Random, WorkflowError> {
        Ok(Random::new(self.random_seed()?))
    }

    /// The seed behind [`Runtime::random`], for a generator of one's own.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::NodeMode`] inside a node section.
    pub fn random_seed(&self) -> Result<u64, WorkflowError> {
        self.session.in_don_mode()?;
        Ok(seed(Mode::Don))
    }

    /// Reads one secret, in the namespace `main` unless its name says otherwise.
    ///
    /// # Errors
    ///
    /// - [`WorkflowError::Secret`] if it is not there.
    /// - [`WorkflowError::NodeMode`] inside a node section.
    /// - [`WorkflowError::Refused`] if the host has no secrets at all.
    pub fn secret(&self, id: impl Into<SecretId>) -> Result<Secret, WorkflowError> {
        let mut secrets = self.secrets([id.into()]).wait()?;
        secrets.pop().unwrap_or_else(|| Err(WorkflowError::new("no answer for the secret")))
    }

    /// Asks for several secrets at once; each has a result of its own, in the order of the names.
    pub fn secrets(
        &self,
        ids: impl IntoIterator<Item = SecretId>,
    ) -> Promise<'s, Vec<Result<Secret, WorkflowError>>> {
        let requests: Vec<_> = ids.into_iter().map(SecretId::into_request).collect();
        let names: Vec<_> = requests.iter().map(|request| request.id.clone()).collect();
        let session = self.session;
        let started = session.in_don_mode().and_then(|()| session.ask_secrets(requests));
        Promise::new(move || {
            let answers = session.secrets(started?)?;
            if answers.len() != names.len() {
                return Err(WorkflowError::new("the host answered for another number of secrets"));
            }
            let answers = names.into_iter().zip(answers);
            Ok(answers.map(|(name, answer)| secret::read(name, Some(answer))).collect())
        })
    }

    /// Calls a capability.
    pub fn call<M: Message + 's>(
        &self,
        capability: &str,
        method: &str,
        request: &impl Message,
    ) -> Promise<'s, M> {
        let started = self.session.in_don_mode();
        let started = started.and_then(|()| self.session.call(capability, method, request));
        answer(self.session, started)
    }

    /// Sends an HTTP request. In DON mode this is only for handlers that run in an enclave; others
    /// use [`NodeRuntime::http`].
    pub fn http(&self, request: http::Request) -> Promise<'s, http::Response> {
        let promise =
            self.call(http_messages::ACTIONS, http_messages::SEND_REQUEST, &request.into_message());
        promise.map(|answer| Ok(http::Response::new(answer)))
    }

    /// Lets each node observe something by itself, then has all nodes agree on one value.
    ///
    /// An error in the section becomes this node's observation; if a default is set, the nodes may
    /// still agree on that.
    pub fn in_node_mode<T: ToValue + FromValue + 's>(
        &self,
        consensus: Consensus<T>,
        section: impl FnOnce(&NodeRuntime<'_>) -> Result<T, WorkflowError>,
    ) -> Promise<'s, T> {
        let session = self.session;
        let observed = session.node_section(|| section(&NodeRuntime { session }));
        let started = observed.and_then(|observed| {
            let inputs = consensus.inputs(observed);
            session.call(wire::CAPABILITY, wire::SIMPLE, &inputs)
        });
        answer::<Value>(session, started).map(agreed)
    }
}

impl NodeRuntime<'_> {
    /// The workflow's configuration.
    #[must_use]
    pub fn config(&self) -> &[u8] {
        self.session.config()
    }

    /// Writes a line to the workflow's log.
    pub fn log(&self, line: impl AsRef<str>) {
        imports::log(line.as_ref());
    }

    /// The time of this node's clock.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Failed`] if it has none.
    pub fn now(&self) -> Result<SystemTime, WorkflowError> {
        now()
    }

    /// Random numbers of this node's own.
    #[must_use]
    pub fn random(&self) -> Random {
        Random::new(self.random_seed())
    }

    /// The seed behind [`NodeRuntime::random`], for a generator of one's own.
    #[must_use]
    pub fn random_seed(&self) -> u64 {
        seed(Mode::Node)
    }

    /// Calls a capability.
    pub fn call<'n, M: Message + 'n>(
        &'n self,
        capability: &str,
        method: &str,
        request: &impl Message,
    ) -> Promise<'n, M> {
        answer(self.session, self.session.call(capability, method, request))
    }

    /// Sends an HTTP request.
    pub fn http(&self, request: http::Request) -> Promise<'_, http::Response> {
        let promise =
            self.call(http_messages::ACTIONS, http_messages::SEND_REQUEST, &request.into_message());
        promise.map(|answer| Ok(http::Response::new(answer)))
    }
}

/// Fills a buffer with random bytes that nobody else knows, fit for keys and nonces. Every node and
/// every run draws others.
///
/// # Errors
///
/// [`WorkflowError::Failed`] if the host has no randomness.
pub fn secure_random(out: &mut [u8]) -> Result<(), WorkflowError> {
    if imports::secure_random(out) { Ok(()) } else { Err(WorkflowError::new("no randomness")) }
}

fn answer<'s, M: Message + 's>(
    session: &'s Session,
    started: Result<i32, WorkflowError>,
) -> Promise<'s, M> {
    Promise::new(move || session.answer(started?))
}

fn now() -> Result<SystemTime, WorkflowError> {
    let nanos = imports::now().ok_or_else(|| WorkflowError::new("the host has no time"))?;
    let time = UNIX_EPOCH.checked_add(Duration::from_nanos(nanos));
    time.ok_or_else(|| WorkflowError::new("the host's time is out of range"))
}

fn seed(mode: Mode) -> u64 {
    u64::from_le_bytes(imports::random_seed(mode.into()).to_le_bytes())
}
