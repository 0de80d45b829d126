//! What a handler can do in node mode.

use std::time::SystemTime;

use protocol::messages::{Message, http as wire, sdk::Mode};

use crate::{
    Promise, Random, WorkflowError, http,
    log::telling,
    runtime::{now, seed},
    session::Session,
};

/// What the section of one node can do: everything here may differ from node to node, until the
/// nodes agree. [`Runtime::in_node_mode`](crate::Runtime::in_node_mode) lends it to a section.
///
/// It is of no use after its section has ended: then each method that asks the host for something
/// fails with [`WorkflowError::Mode`].
///
/// ```
/// use enclave_sdk::{
///     Consensus, Setup, WorkflowError, http,
///     testing::{Double, http_response}, trigger,
/// };
///
/// fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
///     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
///         let fastest = runtime.in_node_mode(Consensus::median(), |node| {
///             let start = node.now()?;
///             let mirror = node.random()?.below(3);
///             let url = format!("https://mirror-{mirror}.example/");
///             node.http(http::Request::get(url)).wait()?.success()?;
///             let took = node.now()?.duration_since(start).map_err(WorkflowError::new)?;
///             Ok(took.as_secs_f64())
///         });
///         fastest.wait()
///     });
///     Ok(())
/// }
///
/// let double = Double::new().http(|_request| http_response(200, ""));
/// let run = double.trigger(init, 0, &trigger::Cron::default());
/// assert_eq!(run.value::<f64>().unwrap(), 0.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NodeRuntime<'s> {
    session: &'s Session,
}

telling!(NodeRuntime);

impl<'s> NodeRuntime<'s> {
    pub(crate) fn new(session: &'s Session) -> Self {
        Self { session }
    }

    /// The workflow's configuration.
    #[must_use]
    pub fn config(&self) -> &'s [u8] {
        self.session.config()
    }

    /// The time of this node's clock.
    ///
    /// # Errors
    ///
    /// - [`WorkflowError::Mode`] after the section.
    /// - [`WorkflowError::Failed`] if it has none.
    pub fn now(&self) -> Result<SystemTime, WorkflowError> {
        self.session.in_node_mode()?;
        now()
    }

    /// Random numbers of this node's own.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Mode`] after the section.
    pub fn random(&self) -> Result<Random, WorkflowError> {
        Ok(Random::new(self.random_seed()?))
    }

    /// The seed behind [`NodeRuntime::random`], for a generator of one's own.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Mode`] after the section.
    pub fn random_seed(&self) -> Result<u64, WorkflowError> {
        self.session.in_node_mode()?;
        Ok(seed(Mode::Node))
    }

    /// Calls a capability.
    pub fn call<M: Message + 's>(
        &self,
        capability: &str,
        method: &str,
        request: &impl Message,
    ) -> Promise<'s, M> {
        let session = self.session;
        let started = session.in_node_mode();
        let started = started.and_then(|()| session.call(capability, method, request));
        Promise::new(move || session.answer(started?))
    }

    /// Sends an HTTP request.
    pub fn http(&self, request: http::Request) -> Promise<'s, http::Response> {
        let answer = self.call(wire::ACTIONS, wire::SEND_REQUEST, &request.into_message());
        answer.map(|answer| Ok(http::Response::new(answer)))
    }
}
