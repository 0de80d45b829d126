//! Secrets that a workflow asks for while it runs.

use std::{sync::Arc, time::SystemTime};

use protocol::{
    messages::sdk::{GetSecretsRequest, Secret, SecretError, SecretOutcome, SecretResponse},
    relay::{
        AnswerError, SealedSecretError, SecretEntry, SecretIdentifier, SecretsRequestParams,
        reconcile, requested,
    },
};

use super::{Relay, RemoteError};
use crate::open::{OpenSecretError, Opener};

/// Why one secret is not there. The text is the guest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum SecretFault {
    /// The task that opened it ended early.
    #[error("the shares were not looked at")]
    Aborted,
    /// The ciphertext cannot be read.
    #[error(transparent)]
    Ciphertext(#[from] SealedSecretError),
    /// The relay nodes left it out.
    #[error("secret missing from relay response")]
    Missing,
    /// What was encrypted is no text.
    #[error("the secret is not UTF-8")]
    NotText,
    /// It did not open.
    #[error(transparent)]
    Open(#[from] OpenSecretError),
}

impl Relay {
    /// Has relay nodes seal shares to the request's own key, and opens the secrets.
    ///
    /// One response for each request, repeated ones too, in their order (W-21). A secret that fails
    /// leaves the others alone.
    ///
    /// # Errors
    ///
    /// [`RemoteError`], if no secret at all can be had.
    pub(crate) async fn secrets(
        &self,
        request: &GetSecretsRequest,
        now: SystemTime,
    ) -> Result<Vec<SecretResponse>, RemoteError> {
        let asked = requested(request);
        let batch: Vec<_> = self.batch.get().signed().cloned().collect();
        let (caller, config) = (&self.caller, self.config.wire());
        let params = SecretsRequestParams::new(caller, request, self.key.public(), config, &batch);
        let agreed = self.ask(params, None, SecretsRequestParams::read_answer).await?;
        let entries = agreed.into_inner().secrets.unwrap_or_default();
        let matched = reconcile(&asked, &entries).map_err(AnswerError::from)?;
        let mut distinct = Vec::new();
        for (id, entry) in matched.distinct() {
            distinct.push(self.open(id, entry.cloned(), now).await);
        }
        let place = |position: usize| distinct.get(position).cloned().unwrap_or_default();
        Ok(matched.by_request().map(place).collect())
    }

    async fn open(
        &self,
        id: &SecretIdentifier,
        entry: Option<SecretEntry>,
        now: SystemTime,
    ) -> SecretResponse {
        let opened = match entry {
            None => Err(SecretFault::Missing),
            Some(entry) => {
                let relay = self.clone();
                // A share takes some hundred microseconds, and there are many.
                let work = tokio::task::spawn_blocking(move || relay.open_entry(&entry, now));
                work.await.unwrap_or(Err(SecretFault::Aborted))
            }
        };
        let (id, namespace) = (id.key.clone(), id.namespace.clone());
        let owner = String::new();
        let outcome = match opened {
            Ok(value) => SecretOutcome::Secret(Secret { id, namespace, owner, value }),
            Err(error) => {
                let error = error.to_string();
                SecretOutcome::Error(SecretError { id, namespace, owner, error })
            }
        };
        SecretResponse { response: Some(outcome) }
    }

    /// Opens one secret; a share that is not base64 is passed over like one that does not open (W-28).
    fn open_entry(&self, entry: &SecretEntry, now: SystemTime) -> Result<String, SecretFault> {
        let ciphertext = entry.ciphertext_bytes()?;
        let shares: Vec<_> = entry.sealed_shares().filter_map(Result::ok).collect();
        let opener = Opener {
            key: Arc::as_ref(&self.key),
            master: self.config.master_public_key(),
            threshold: self.config.threshold(),
        };
        let secret = opener.open(&ciphertext, shares.iter().map(Vec::as_slice), now)?;
        let text = std::str::from_utf8(secret.expose()).map_err(|_bytes| SecretFault::NotText)?;
        // Wiped with the message it goes into.
        Ok(text.to_owned())
    }
}
