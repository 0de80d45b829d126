//! From the host's request to the workflow's answer.

use std::{fmt, marker::PhantomData};

use protocol::messages::{
    self, Message,
    sdk::{
        ExecuteRequest, ExecutionResult, Outcome, Phase, Restrictions, Trigger as Fired,
        TriggerSubscription, TriggerSubscriptionRequest,
    },
    values::Value,
    well_known::Any,
};

use crate::{
    Enclave, Runtime, ToValue, Trigger, WorkflowError, enclave::EnclaveRuntime, log::Level,
    restrictions, session::Session,
};

/// Where a workflow says what it reacts to. The order of the handlers is part of the workflow:
/// events name them by it.
pub struct Setup<'s> {
    runtime: Runtime<'s>,
    handlers: Vec<Handler>,
}

/// A handler just registered, for what it needs beyond its trigger.
pub struct Registration<'h, P> {
    handler: &'h mut Handler,
    payload: PhantomData<fn() -> P>,
}

struct Handler {
    subscription: TriggerSubscription,
    run: Answering<Value>,
    prehook: Option<Answering<Restrictions>>,
}

type Answering<T> = Box<dyn Fn(&Runtime<'_>, &Any) -> Result<T, WorkflowError>>;

impl<'s> Setup<'s> {
    /// Starts without handlers.
    #[must_use]
    pub fn new(runtime: Runtime<'s>) -> Self {
        Self { runtime, handlers: Vec::new() }
    }

    /// The runtime, for configuration and log. This code runs before every event.
    #[must_use]
    pub fn runtime(&self) -> Runtime<'s> {
        self.runtime
    }

    /// Writes lines of this level and above from now on; before, those of every level.
    pub fn log_from(&mut self, level: Level) {
        self.runtime.log_from(level);
    }

    /// Registers a handler: what it returns for an event is the result of the run.
    pub fn on<P: Message, V: ToValue>(
        &mut self,
        trigger: Trigger<P>,
        handler: impl Fn(&Runtime<'_>, P) -> Result<V, WorkflowError> + 'static,
    ) -> Registration<'_, P> {
        let run = move |runtime: &Runtime<'_>, payload: &Any| {
            handler(runtime, messages::unpack_own(payload)?)?.to_value()
        };
        self.register(trigger.subscription, Box::new(run))
    }

    /// Registers a handler that runs inside an enclave, and only inside one that it accepts.
    pub fn on_in<P: Message, V: ToValue>(
        &mut self,
        enclave: Enclave,
        trigger: Trigger<P>,
        handler: impl Fn(&EnclaveRuntime<'_>, P) -> Result<V, WorkflowError> + 'static,
    ) -> Registration<'_, P> {
        let mut subscription = trigger.subscription;
        subscription.requirements = Some(enclave.into_message());
        let run = move |runtime: &Runtime<'_>, payload: &Any| {
            handler(&EnclaveRuntime::new(*runtime), messages::unpack(payload)?)?.to_value()
        };
        self.register(subscription, Box::new(run))
    }

    fn register<P>(
        &mut self,
        subscription: TriggerSubscription,
        run: Answering<Value>,
    ) -> Registration<'_, P> {
        let handler = self.handlers.push_mut(Handler { subscription, run, prehook: None });
        Registration { handler, payload: PhantomData }
    }

    /// The subscriptions of all handlers registered so far.
    #[must_use]
    pub fn subscriptions(&self) -> TriggerSubscriptionRequest {
        let subscriptions = self.handlers.iter().map(|handler| handler.subscription.clone());
        TriggerSubscriptionRequest { subscriptions: subscriptions.collect() }
    }

    fn handler(&self, event: &Fired) -> Result<&Handler, WorkflowError> {
        let handler = usize::try_from(event.id).ok().and_then(|id| self.handlers.get(id));
        handler.ok_or_else(|| {
            let (id, count) = (event.id, self.handlers.len());
            WorkflowError::new(format_args!(
                "no handler for trigger {id}: the workflow has {count}"
            ))
        })
    }
}

impl<P: Message> Registration<'_, P> {
    /// Decides before each run what it may call and read. It sees the event, but no configuration.
    pub fn prehook(
        self,
        prehook: impl Fn(&Runtime<'_>, P) -> Result<restrictions::Restrictions, WorkflowError> + 'static,
    ) -> Self {
        self.handler.subscription.pre_hook = true;
        self.handler.prehook = Some(Box::new(move |runtime, payload| {
            prehook(runtime, messages::unpack(payload)?).map(Into::into)
        }));
        self
    }
}

/// Answers one request of the host.
pub(crate) fn answer(
    mut request: ExecuteRequest,
    workflow: impl FnOnce(ExecuteRequest, Runtime<'_>) -> Result<Outcome, WorkflowError>,
) -> ExecutionResult {
    let session = Session::new(&mut request);
    let outcome = workflow(request, Runtime::new(&session));
    let outcome = outcome.unwrap_or_else(|error| Outcome::Error(error.to_string()));
    ExecutionResult { result: Some(outcome) }
}

/// Sets a workflow up and lets it answer in the phase the host asks for.
pub(crate) fn serve(
    request: ExecuteRequest,
    runtime: Runtime<'_>,
    init: impl FnOnce(&mut Setup<'_>) -> Result<(), WorkflowError>,
) -> Result<Outcome, WorkflowError> {
    let mut setup = Setup::new(runtime);
    init(&mut setup)?;
    match request.request {
        Some(Phase::Subscribe(_)) => Ok(Outcome::TriggerSubscriptions(setup.subscriptions())),
        Some(Phase::Trigger(event)) => {
            let handler = setup.handler(&event)?;
            Ok(Outcome::Value((handler.run)(&runtime, payload(&event)?)?))
        }
        Some(Phase::PreHook(event)) => {
            let prehook = setup.handler(&event)?.prehook.as_ref();
            let prehook =
                prehook.ok_or_else(|| WorkflowError::new("the handler has no pre-hook"))?;
            Ok(Outcome::Restrictions(prehook(&runtime, payload(&event)?)?))
        }
        None => Err(WorkflowError::new("unknown request: neither subscribe, trigger nor pre-hook")),
    }
}

fn payload(event: &Fired) -> Result<&Any, WorkflowError> {
    event.payload.as_ref().ok_or_else(|| WorkflowError::new("the event has no payload"))
}

impl fmt::Debug for Setup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("handlers", &self.handlers.len()).finish_non_exhaustive()
    }
}

impl<P> fmt::Debug for Registration<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registration")
    }
}
