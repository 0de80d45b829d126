//! Room 6: at most once, for a key that lives; and what a run waits for and takes before it begins.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use protocol::{compute::ComputeRequest, ids::Owner};
use tokio_util::sync::CancellationToken;

use crate::{
    boot::CONNECTIONS,
    budget::{Budget, BudgetError, Claim, Permit},
    callers::Callers,
    events::{Events, With},
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
    /// What may wait until it runs: for its grace, its binary.
    pub(crate) waiting: Budget,
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
    /// Nobody else makes one.
    _proof: (),
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
    pub(crate) fn admit(
        &self,
        quorate: Quorate,
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
        room_completed(events, "admit", start.elapsed());
        Ok(Admitted { quorate, slot, key, _proof: () })
    }

    /// Waits for a grace, without holding room for an execution (W-45).
    ///
    /// # Errors
    ///
    /// [`AdmitError::ShuttingDown`].
    pub(crate) async fn wait(&self, grace: Option<Duration>) -> Result<(), AdmitError> {
        let Some(grace) = grace else { return Ok(()) };
        tokio::select! {
            () = tokio::time::sleep(grace) => Ok(()),
            () = self.shutdown.cancelled() => Err(AdmitError::ShuttingDown),
        }
    }

    /// Takes room to wait in for a request of so many bytes, at once or not at all.
    ///
    /// Each takes a connection's share at least, so that one owner whose binaries do not come leaves
    /// connections to others.
    ///
    /// # Errors
    ///
    /// [`AdmitError::Busy`].
    pub(crate) fn waiting_room(&self, owner: Owner, bytes: u64) -> Result<Permit, AdmitError> {
        let bytes = bytes.max(self.waiting.share(CONNECTIONS));
        Ok(self.waiting.take(Claim { owner, bytes })?)
    }

    /// Takes room for a run, at once or not at all.
    ///
    /// # Errors
    ///
    /// [`AdmitError::Busy`].
    pub(crate) fn room(&self, claim: Claim, events: &Events) -> Result<Permit, AdmitError> {
        let fits = self.budget.fits(claim.bytes);
        let permit = self.budget.take(claim).inspect_err(|_full| {
            let details = With::default().count("max_concurrent", fits);
            events.add("execution_rejected_at_capacity", details);
        });
        Ok(permit?)
    }
}

/// Reports how long a room took.
pub(crate) fn room_completed(events: &Events, room: &str, spent: Duration) {
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
