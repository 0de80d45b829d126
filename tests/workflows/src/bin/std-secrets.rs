//! Conformance: returns a secret, or says why it is not there.

use enclave_sdk::{SecretId, WorkflowError};

fn main() {
    workflows::on_basic_trigger(|runtime| {
        match runtime.secret(SecretId::new("Foo").in_namespace("")) {
            Ok(secret) => Ok(secret.expose().to_owned()),
            Err(WorkflowError::Secret { text, .. }) => Err(text.into()),
            Err(other) => Err(other),
        }
    });
}
