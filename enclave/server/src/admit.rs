//! Room 6: at most once, for a key that lives, and only if there is room.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use protocol::compute::ComputeRequest;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    budget::{Budget, BudgetError, Permit},
    callers::Callers,
    events::With,
    keychain::{FindKeyError, KeyPair, Keychain},
    ledger::{Ledger, ReserveError, Slot},
    received::Quorate,
};

/// What requests are admitted by.
#[derive(Debug)]
pub(crate) struct Gate {
    /// What was executed.
    pub(crate) ledger: Ledger,
    /// What may run.
    pub(crate) budget: Budget,
    /// The keys that live.
    pub(crate) keychain: Arc<Keychain>,
    /// Ends what waits.
    pub(crate) shutdown: CancellationToken,
}

/// A request that will be executed, by whoever holds this.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// What was agreed on.
    pub(crate) quorate: Quorate,
    /// Its place in the ledger.
    pub(crate) slot: Slot,
    /// The key it names.
    pub(crate) key: Arc<KeyPair>,
    permit: Permit,
}

/// Why a request is turned away. The texts are those of section 2.7.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdmitError {
    /// There is no room for it now.
    #[error(transparent)]
    Busy(#[from] BudgetError),
    /// Names and ciphertexts do not belong together.
    #[error(
        "number of ciphertexts ({ciphertexts}) does not match number of ciphertext names ({names})"
    )]
    Ciphertexts {
        /// Ciphertexts.
        ciphertexts: usize,
        /// Names.
        names: usize,
    },
    /// The key it names does not live here.
    #[error("failed to retrieve keypair for request: {0}")]
    Key(#[from] FindKeyError),
    /// It was executed, or is being executed.
    #[error(transparent)]
    Ledger(#[from] ReserveError),
    /// It asks for no application.
    #[error("missing AppID in request")]
    NoApp,
    /// It names no version.
    #[error("missing Version in request")]
    NoVersion,
    /// The server is stopping.
    #[error("the enclave is shutting down")]
    ShuttingDown,
}

impl Gate {
    /// Lets a request in, for which these callers wait.
    ///
    /// # Errors
    ///
    /// [`AdmitError`]; the request may be sent again, unless it was executed.
    pub(crate) async fn admit(
        &self,
        quorate: Quorate,
        app: &dyn App,
        callers: &Callers,
        now: SystemTime,
    ) -> Result<Admitted, AdmitError> {
        let start = Instant::now();
        let events = &quorate.events;
        let slot = self.ledger.reserve(quorate.batch.get().hash(), callers, now)?;
        let request = quorate.batch.get().request();
        let id = With::default().text("request_id", request.request_id.to_string());
        events.add("request_id", id);
        check(request)?;
        let key = self.keychain.find(request.enclave_ephemeral_public_key.as_slice(), now);
        let key = key.inspect_err(|error| {
            events.add("keypair_not_found", With::default().text("error", error.to_string()));
        })?;
        if let Some(grace) = app.grace() {
            self.wait(grace).await?;
        }
        let claim = app.claim(request);
        let fits = self.budget.fits(claim.bytes);
        let permit = self.budget.take(claim).inspect_err(|_full| {
            let details = With::default().count("max_concurrent", fits);
            events.add("execution_rejected_at_capacity", details);
        })?;
        let spent = start.elapsed();
        room_completed(events, "admit", spent);
        Ok(Admitted { quorate, slot, key, permit })
    }

    /// Waits without holding room for an execution (W-45).
    async fn wait(&self, grace: Duration) -> Result<(), AdmitError> {
        tokio::select! {
            () = tokio::time::sleep(grace) => Ok(()),
            () = self.shutdown.cancelled() => Err(AdmitError::ShuttingDown),
        }
    }
}

impl Admitted {
    /// Takes it apart; the permit is to be held until the answer is made.
    pub(crate) fn into_parts(self) -> (Quorate, Slot, Arc<KeyPair>, Permit) {
        (self.quorate, self.slot, self.key, self.permit)
    }
}

/// Reports how long a room took.
pub(crate) fn room_completed(events: &crate::events::Events, room: &str, spent: Duration) {
    let details = With::default().text("room", room).milliseconds("duration_ms", spent);
    events.add("room_completed", details);
}

fn check(request: &ComputeRequest) -> Result<(), AdmitError> {
    let ciphertexts = request.ciphertexts.as_deref().unwrap_or_default().len();
    let names = request.ciphertext_names.as_deref().unwrap_or_default().len();
    if ciphertexts != names {
        return Err(AdmitError::Ciphertexts { ciphertexts, names });
    }
    if request.app_id.is_empty() {
        return Err(AdmitError::NoApp);
    }
    if request.version.is_empty() {
        return Err(AdmitError::NoVersion);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
