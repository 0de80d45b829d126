//! What the conformance guests have in common.

pub mod go_rand;

use enclave_sdk::{
    Promise, Runtime, Setup, ToValue, Trigger, WorkflowError,
    messages::{
        conformance::{basic_action, basic_trigger},
        sdk::TRIGGER,
    },
};

/// The trigger of the conformance tests.
pub fn basic_trigger(name: &str, number: i32) -> Trigger<basic_trigger::Outputs> {
    let config = basic_trigger::Config { name: name.to_owned(), number };
    Trigger::new(basic_trigger::CAPABILITY, TRIGGER, &config)
}

/// A workflow with one handler on that trigger.
pub fn on_basic_trigger<V: ToValue>(
    handler: impl Fn(&Runtime<'_>) -> Result<V, WorkflowError> + 'static,
) {
    enclave_sdk::run(|setup: &mut Setup<'_>| {
        setup.on(basic_trigger("name", 100), move |runtime, _event| handler(runtime));
        Ok(())
    });
}

/// Starts the action of the conformance tests.
pub fn perform_action<'s>(
    runtime: &Runtime<'s>,
    input_thing: bool,
) -> Promise<'s, basic_action::Outputs> {
    let inputs = basic_action::Inputs { input_thing };
    runtime.call(basic_action::CAPABILITY, basic_action::PERFORM_ACTION, &inputs)
}
