//! Conformance: says what the host said about an answer that does not fit.

use enclave_sdk::WorkflowError;
use workflows::perform_action;

fn main() {
    workflows::on_basic_trigger(|runtime| match perform_action(runtime, true).wait() {
        Err(WorkflowError::Refused { exchange, refusal }) => {
            Err(WorkflowError::new(format_args!("{exchange} returned an error {refusal}")))
        }
        Err(other) => Err(other),
        Ok(outputs) => Ok(outputs.adapted_thing),
    });
}
