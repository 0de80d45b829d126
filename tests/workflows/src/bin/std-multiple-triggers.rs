//! Conformance: three handlers on two kinds of trigger.

use enclave_sdk::{Setup, WorkflowError};
use workflows::{action_trigger, basic_trigger};

fn main() {
    enclave_sdk::run(|setup: &mut Setup<'_>| {
        setup.on(basic_trigger("first-trigger", 100), |_runtime, event| {
            called(0, &event.cool_output)
        });
        setup.on(action_trigger("second-trigger", 150), |_runtime, event| {
            called(1, &event.cool_output)
        });
        setup.on(basic_trigger("third-trigger", 200), |_runtime, event| {
            called(2, &event.cool_output)
        });
        Ok(())
    });
}

fn called(handler: u64, with: &str) -> Result<String, WorkflowError> {
    Ok(format!("called {handler} with {with}"))
}
