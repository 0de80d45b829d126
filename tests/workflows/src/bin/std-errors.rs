//! Conformance: fails.

fn main() {
    workflows::on_basic_trigger(|_runtime| -> Result<(), enclave_sdk::WorkflowError> {
        Err("workflow execution failure".into())
    });
}
