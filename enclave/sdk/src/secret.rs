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
///
/// ```
/// use enclave_sdk::{SecretId, Setup, WorkflowError, testing::Double, trigger};
///
/// fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
///     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
///         let key = runtime.secret("API_KEY")?;
///         // Several at once take no longer than one.
///         let user = SecretId::new("USER").in_namespace("database");
///         let password = SecretId::new("PASSWORD").in_namespace("database");
///         let [user, password] = runtime.all_secrets([user, password]).wait()?;
///         // Each with a result of its own.
///         let rest = runtime.secrets(["OLD_KEY"]).wait()?;
///         let missing = rest.iter().filter(|secret| secret.is_err()).count();
///         let all = [key, user, password];
///         let bytes: usize = all.iter().map(|secret| secret.expose().len()).sum();
///         Ok(format!("{bytes} bytes, {missing} missing"))
///     });
///     Ok(())
/// }
///
/// let double = Double::new()
///     .secret("main", "API_KEY", "12345")
///     .secret("database", "USER", "ada")
///     .secret("database", "PASSWORD", "secret");
/// let run = double.trigger(init, 0, &trigger::Cron::default());
/// assert_eq!(run.value::<String>().unwrap(), "14 bytes, 1 missing");
/// let refused = Double::new().trigger(init, 0, &trigger::Cron::default());
/// assert_eq!(refused.error(), Some("API_KEY: no such secret"));
/// ```
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

impl From<String> for SecretId {
    fn from(id: String) -> Self {
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

/// All secrets, or all that is missing.
pub(crate) fn all<const N: usize>(
    answers: Vec<Result<Secret, WorkflowError>>,
) -> Result<[Secret; N], WorkflowError> {
    let mut secrets = Vec::with_capacity(N);
    let mut missing = Vec::new();
    for answer in answers {
        match answer {
            Ok(secret) => secrets.push(secret),
            Err(error) => missing.push(error.to_string()),
        }
    }
    if !missing.is_empty() {
        return Err(WorkflowError::Failed(missing.join("; ")));
    }
    secrets.try_into().map_err(|_other| WorkflowError::new("no answer for a secret"))
}

/// Reads the answer for one secret.
pub(crate) fn read(id: String, answer: Option<SecretResponse>) -> Result<Secret, WorkflowError> {
    match answer.and_then(|answer| answer.response) {
        Some(SecretOutcome::Secret(secret)) => Ok(Secret(secret)),
        Some(SecretOutcome::Error(error)) => Err(WorkflowError::Secret { id, text: error.error }),
        None => Err(WorkflowError::Secret { id, text: "no answer".to_owned() }),
    }
}
