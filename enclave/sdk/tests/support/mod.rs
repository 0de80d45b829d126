//! What the tests have in common.

use enclave_sdk::{
    Runtime, Setup, ToValue, WorkflowError,
    messages::devnet::echo::{CAPABILITY, ECHO, EchoRequest, EchoResponse},
    testing::{Double, Run},
    trigger,
};

/// One handler on a cron trigger.
pub(crate) fn cron<V: ToValue>(
    handler: impl Fn(&Runtime<'_>) -> Result<V, WorkflowError> + 'static,
) -> impl FnOnce(&mut Setup<'_>) -> Result<(), WorkflowError> {
    |setup| {
        setup.on(trigger::cron("0 * * * * *"), move |runtime, _event| handler(runtime));
        Ok(())
    }
}

/// Fires it.
pub(crate) fn fire<V: ToValue>(
    double: &Double,
    handler: impl Fn(&Runtime<'_>) -> Result<V, WorkflowError> + 'static,
) -> Run {
    double.trigger(cron(handler), 0, &trigger::Cron::default())
}

/// A host with an echo.
pub(crate) fn echoing() -> Double {
    Double::new().capability(CAPABILITY, ECHO, |request: EchoRequest| {
        Ok(EchoResponse { payload: request.payload })
    })
}
