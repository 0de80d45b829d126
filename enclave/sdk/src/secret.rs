//! Secrets.

use std::fmt;

use protocol::messages::sdk::{self, SecretOutcome, SecretRequest, SecretResponse};

use crate::WorkflowError;

/// The name of a secret; namespace `main` unless another is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretId {
    id: String,
    namespace: String,
}

/// A secret. It cannot be printed and is wiped when dropped.
pub struct Secret(sdk::Secret);

impl SecretId {
    /// Names a secret of the namespace `main`.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), namespace: "main".to_owned() }
    }

    /// The same name in another namespace.
    #[must_use]
    pub fn in_namespace(self, namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), ..self }
    }

    pub(crate) fn into_request(self) -> SecretRequest {
        SecretRequest { id: self.id, namespace: self.namespace }
    }
}

impl From<&str> for SecretId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl From<&String> for SecretId {
    fn from(id: &String) -> Self {
        Self::new(id)
    }
}

impl Secret {
    /// Lends the value. What is done with it is the workflow's business: whatever goes into a
    /// result, a log line or a plain request is no secret any more.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0.value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Reads the answer for one secret.
pub(crate) fn read(id: String, answer: Option<SecretResponse>) -> Result<Secret, WorkflowError> {
    match answer.and_then(|answer| answer.response) {
        Some(SecretOutcome::Secret(secret)) => Ok(Secret(secret)),
        Some(SecretOutcome::Error(error)) => Err(WorkflowError::Secret { id, text: error.error }),
        None => Err(WorkflowError::Secret { id, text: "no answer".to_owned() }),
    }
}
