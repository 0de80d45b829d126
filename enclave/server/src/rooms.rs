//! Rooms 7 to 9: load, open, run. Each takes the previous one by value.
//!
//! ```text
//! Admitted ──load──> Loaded ──open──> Ready ──run──> Finished ──answer──> Answered
//! ```

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use crypto::secret::Secret;
use protocol::{
    compute::{ComputeRequest, SignedComputeRequest},
    quorum::Batch,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admit::{AdmitError, Admitted, Gate, room_completed},
    app::{App, AppError, Program, RunContext},
    budget::{Claim, Permit},
    events::With,
    keychain::KeyPair,
    ledger::Slot,
    open::{OpenSecretError, Opener, in_turn},
    received::Quorate,
};

/// A request whose program is there, with room to run it; or why it is not there.
///
/// An application that cannot run the request is reported by [`Ready::run`]: peers expect shares to
/// be judged first.
pub(crate) struct Loaded {
    quorate: Quorate,
    slot: Slot,
    key: Arc<KeyPair>,
    program: Result<Runnable, AppError>,
}

/// A request with its secrets open. What follows is the run, at once.
pub(crate) struct Ready {
    quorate: Quorate,
    slot: Slot,
    key: Arc<KeyPair>,
    program: Result<Runnable, AppError>,
    secrets: Vec<(String, Secret)>,
}

/// A program, and room for its run.
struct Runnable {
    program: Box<dyn Program>,
    permit: Permit,
}

/// A request whose run ended well.
pub(crate) struct Finished {
    /// What was agreed on.
    pub(crate) quorate: Quorate,
    /// Its place in the ledger.
    pub(crate) slot: Slot,
    /// What the application answered.
    pub(crate) output: Vec<u8>,
    /// Its room, until the answer is made.
    pub(crate) permit: Permit,
}

/// A run that failed, with the place in the ledger that decides whether it may be tried again.
pub(crate) struct FailedRun {
    /// Why.
    pub(crate) error: AppError,
    /// Its place in the ledger.
    pub(crate) slot: Slot,
}

/// Why a request's secrets stay closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// No node sent as many sets of shares as there are ciphertexts.
    #[error("node {node} has {got} sets of encrypted decryption key shares, expected {want}")]
    Sets {
        /// The last node looked at, from 0.
        node: usize,
        /// Its sets.
        got: usize,
        /// Ciphertexts.
        want: usize,
    },
    /// A ciphertext did not open.
    #[error(transparent)]
    Secret(#[from] OpenSecretError),
    /// The task that opened them ended early.
    #[error("the shares were not looked at")]
    Aborted,
}

impl Admitted {
    /// Room 7: has the application get ready while the grace passes, then takes room for the run.
    ///
    /// What is loaded stays for whoever is sent away here and comes back.
    ///
    /// # Errors
    ///
    /// [`AdmitError::Busy`] and [`AdmitError::ShuttingDown`]; the request may be sent again.
    pub(crate) async fn load(self, app: &dyn App, gate: &Gate) -> Result<Loaded, AdmitError> {
        let Self { quorate, slot, key, .. } = self;
        let (batch, events) = (quorate.batch.get(), &quorate.events);
        let batch_bytes = bytes_of(batch);
        let waiting = gate.waiting_room(app.owner(batch.request()), batch_bytes)?;
        let loading = async { Ok(app.load(batch.request(), events).await) };
        let (program, ()) = tokio::try_join!(loading, gate.wait(app.grace()))?;
        let program = match program {
            Ok(program) => {
                let Claim { owner, bytes } = program.claim();
                let bytes = bytes.saturating_add(batch_bytes);
                let permit = gate.room(Claim { owner, bytes }, events)?;
                Ok(Runnable { program, permit })
            }
            Err(error) => Err(error),
        };
        drop(waiting);
        Ok(Loaded { quorate, slot, key, program })
    }
}

impl Loaded {
    /// Room 8: opens the secrets that came with the request.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; nothing happened, so the request may be sent again.
    pub(crate) async fn open(self, now: SystemTime) -> Result<Ready, OpenError> {
        let Self { quorate, slot, key, program } = self;
        let start = Instant::now();
        let ciphertexts = quorate.batch.get().request().ciphertexts.as_ref().map_or(0, Vec::len);
        let secrets = open_all(&quorate, &key, now).await.inspect_err(|error| {
            let details = With::default().text("error", error.to_string());
            quorate.events.add("share_aggregation_failed", details);
        })?;
        let details = With::default()
            .seconds("duration_seconds", start.elapsed())
            .count("num_ciphertexts", ciphertexts);
        quorate.events.add("shares_combining_completed", details);
        Ok(Ready { quorate, slot, key, program, secrets })
    }
}

impl Ready {
    /// Room 9: runs the program, which has to end itself when `abandoned` is cancelled.
    ///
    /// # Errors
    ///
    /// [`FailedRun`]; whether it had an effect, the slot knows.
    pub(crate) async fn run(
        self,
        abandoned: CancellationToken,
    ) -> Result<Finished, Box<FailedRun>> {
        let Self { quorate, slot, key, program, secrets } = self;
        let start = Instant::now();
        tracing::debug!(request = %quorate.batch.get().hash(), "request running");
        let ran = match program {
            Err(error) => Err(error),
            Ok(Runnable { program, permit }) => {
                let context = RunContext {
                    batch: Arc::clone(&quorate.batch),
                    config: Arc::clone(&quorate.config),
                    key,
                    secrets,
                    events: quorate.events.clone(),
                    effects: slot.effects().clone(),
                    abandoned,
                };
                let ran = program.run(context).await;
                room_completed(&quorate.events, "run", start.elapsed());
                ran.map(|output| (output, permit))
            }
        };
        let details = With::default().seconds("duration_seconds", start.elapsed());
        quorate.events.add("app_execution_completed", details);
        match ran {
            Ok((output, permit)) => Ok(Finished { quorate, slot, output, permit }),
            Err(error) => {
                let details = With::default().error(&error.to_string(), error.status());
                quorate.events.add("app_execution_failed", details);
                Err(Box::new(FailedRun { error, slot }))
            }
        }
    }
}

/// Opens every ciphertext aside: a share takes some hundred microseconds, and there may be many.
async fn open_all(
    quorate: &Quorate,
    key: &Arc<KeyPair>,
    now: SystemTime,
) -> Result<Vec<(String, Secret)>, OpenError> {
    let request = quorate.batch.get().request();
    let names = request.ciphertext_names.clone().unwrap_or_default();
    let is_empty = request.ciphertexts.as_ref().is_none_or(Vec::is_empty);
    let (batch, config, key) =
        (Arc::clone(&quorate.batch), Arc::clone(&quorate.config), Arc::clone(key));
    let work = move || {
        let batch = batch.get();
        let ciphertexts = batch.request().ciphertexts.as_deref().unwrap_or_default();
        let nodes = share_sets(batch.signed(), ciphertexts.len())?;
        let (master, threshold) = (config.master_public_key(), config.threshold());
        let opener = Opener { key: &key, master, threshold };
        let open = |(index, (name, ciphertext)): (usize, (String, &protocol::json::Bytes))| {
            let sealed: Vec<Vec<&[u8]>> = nodes.iter().map(|sets| set(sets, index)).collect();
            let secret = opener.open(ciphertext.as_slice(), in_turn(&sealed), now)?;
            Ok((name, secret))
        };
        names.into_iter().zip(ciphertexts).enumerate().map(open).collect()
    };
    if is_empty {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(OpenError::Aborted))
}

type ShareSets = [Option<Vec<protocol::json::Bytes>>];

/// The share sets of the nodes that sent one for each ciphertext; shares of all of them count.
fn share_sets<'r>(
    signed: impl Iterator<Item = &'r SignedComputeRequest>,
    want: usize,
) -> Result<Vec<&'r ShareSets>, OpenError> {
    let mut nodes = Vec::new();
    let mut last = OpenError::Sets { node: 0, got: 0, want };
    for (node, signed) in signed.enumerate() {
        let sets = signed.request.encrypted_decryption_key_shares.as_deref().unwrap_or_default();
        if sets.len() == want {
            nodes.push(sets);
        } else {
            last = OpenError::Sets { node, got: sets.len(), want };
        }
    }
    if nodes.is_empty() { Err(last) } else { Ok(nodes) }
}

/// What a batch takes in memory, roughly: what in it may be large.
fn bytes_of(batch: &Batch) -> u64 {
    let lists = |request: &ComputeRequest| {
        let shares = request.encrypted_decryption_key_shares.iter().flatten().flatten();
        let shares = shares.chain(&request.ciphertexts);
        shares.flatten().map(|bytes| bytes.as_slice().len()).sum::<usize>()
    };
    let bytes: usize = batch
        .signed()
        .map(|signed| {
            signed.request.public_data.as_slice().len().saturating_add(lists(&signed.request))
        })
        .sum();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// One node's sealed shares for one ciphertext.
fn set(sets: &ShareSets, index: usize) -> Vec<&[u8]> {
    let set = sets.get(index).and_then(Option::as_deref).unwrap_or_default();
    set.iter().map(protocol::json::Bytes::as_slice).collect()
}
