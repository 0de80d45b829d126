//! Compiled modules by the hash of their binary: bounded in bytes, compiled once.

mod entries;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use self::entries::{Entries, Entry, Underway};
use crate::{
    AdmitError, Binary, BinaryHash, BinaryLimits, Engine, Module, Tier, TooComplex,
    compile::TooMany,
    module::{Checked, memory_bytes},
};

/// Compiled modules, kept by the hash of the binary as it was delivered. Clones share them.
///
/// A binary is compiled in the baseline tier first, and once more, optimized and aside, when somebody
/// asks for a module that is there; runs under way keep the module they began with.
/// Whoever asks first has the binary compiled; others who ask meanwhile wait for the same result. The
/// compilation goes on when the one who asked first leaves. One binary is compiled at a time, and one
/// optimized beside it; owners take turns, and running workflows come first.
/// Beyond its budget of bytes the cache forgets what was used longest ago; runs keep what they have.
#[derive(Clone, Debug)]
pub struct ModuleCache {
    shared: Arc<Shared>,
}

/// Who has memory for compiling. What is given is taken back when the value is dropped.
pub trait Room: Send + Sync {
    /// Gives an owner, for whom somebody waits, so many bytes.
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    fn take(&self, owner: &str, bytes: u64) -> Result<Box<dyn Send>, NoRoom>;

    /// Gives an owner so many bytes for what can wait, if nobody else will miss them.
    fn take_spare(&self, owner: &str, bytes: u64) -> Option<Box<dyn Send>>;
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// Later there may be.
    Now {
        /// When.
        retry_after: Duration,
    },
    /// Nor will there be.
    Ever,
}

/// All that is needed.
struct Unlimited;

/// A module that is there or on its way.
#[derive(Debug)]
pub struct Loading {
    cache: ModuleCache,
    state: State,
}

#[derive(Debug)]
enum State {
    Known(Compiled),
    Compiling {
        compiled: watch::Receiver<Option<Compiled>>,
        /// To ask anew in the own name.
        again: Option<Box<Again>>,
    },
}

/// What somebody wanted who joined another's compilation.
#[derive(Debug)]
struct Again {
    wanted: Wanted,
    /// The other one allowed more or less.
    limits_differ: bool,
}

/// Who wants what compiled, within which limits.
#[derive(Clone, Debug)]
struct Wanted {
    owner: String,
    binary: Binary,
    limits: BinaryLimits,
}

struct Shared {
    engine: Engine,
    room: Box<dyn Room>,
    entries: Mutex<Entries>,
}

type Compiled = Result<Arc<Module>, AdmitError>;

impl ModuleCache {
    /// Makes an empty cache that keeps compiled modules of at most `budget_bytes` together. Compiling takes
    /// the memory it needs.
    #[must_use]
    pub fn new(engine: Engine, budget_bytes: u64) -> Self {
        Self::within(engine, budget_bytes, Box::new(Unlimited))
    }

    /// The same, but a binary is compiled only while its owner has `room` for what that takes.
    #[must_use]
    pub fn within(engine: Engine, budget_bytes: u64, room: Box<dyn Room>) -> Self {
        let entries = Mutex::new(Entries { budget_bytes, ..Entries::default() });
        Self { shared: Arc::new(Shared { engine, room, entries }) }
    }

    /// Changes how many bytes are kept, forgetting at once what is too much.
    pub fn set_budget(&self, budget_bytes: u64) {
        let mut entries = self.shared.entries();
        entries.budget_bytes = budget_bytes;
        entries.make_room(0);
    }

    /// The module with this hash, if it is there and within the limits; no bytes needed.
    #[must_use]
    pub fn find(&self, hash: &BinaryHash, limits: &BinaryLimits) -> Option<Arc<Module>> {
        let module = self.shared.touch(hash)?;
        limits.admit(module.facts()).is_ok().then_some(module)
    }

    /// Begins to compile a binary if it is not there, and returns without waiting.
    ///
    /// Called as soon as a binary is known, it warms the cache for the run that will follow; the
    /// result may be dropped. `owner` is whoever the work is done for: owners take turns, and each
    /// may have eight binaries waiting.
    #[must_use = "dropping it is fine: the compilation goes on"]
    pub fn warm(&self, owner: &str, binary: Binary, limits: &BinaryLimits) -> Loading {
        let wanted = Wanted { owner: owner.to_owned(), binary, limits: *limits };
        Loading { cache: self.clone(), state: self.enter(wanted) }
    }

    /// The module of this binary, compiled now if it is not there.
    ///
    /// # Errors
    ///
    /// - [`AdmitError::Busy`] if the owner has too many binaries waiting, or there is no room to compile
    ///   this one.
    /// - Any other [`AdmitError`] if the binary is not let in. Failures are not kept.
    pub async fn load(
        &self,
        owner: &str,
        binary: Binary,
        limits: &BinaryLimits,
    ) -> Result<Arc<Module>, AdmitError> {
        self.warm(owner, binary, limits).module().await
    }

    /// Bytes that the kept modules take, roughly.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.shared.entries().resident_bytes
    }

    /// Looks up and takes the place of the first in one operation.
    fn enter(&self, wanted: Wanted) -> State {
        let hash = wanted.binary.hash();
        if let Some(module) = self.shared.touch(&hash) {
            return State::Known(wanted.limits.admit(module.facts()).map(|()| module));
        }
        let mut entries = self.shared.entries();
        // Somebody else's may have become ready since.
        if let Some(Entry::Ready(kept)) = entries.by_hash.get(&hash) {
            let admitted = wanted.limits.admit(kept.module.facts());
            return State::Known(admitted.map(|()| Arc::clone(&kept.module)));
        }
        if let Some(Entry::Compiling(underway)) = entries.by_hash.get(&hash) {
            let limits_differ = underway.limits != wanted.limits;
            let is_other = limits_differ || underway.owner != wanted.owner;
            let again = is_other.then(|| Box::new(Again { wanted, limits_differ }));
            return State::Compiling { compiled: underway.compiled.clone(), again };
        }
        let (owner, limits) = (wanted.owner.clone(), wanted.limits);
        let (sender, compiled) = watch::channel(None);
        entries.clock = entries.clock.saturating_add(1);
        let turn = entries.clock;
        let place = Place { shared: Arc::clone(&self.shared), hash, turn, sender };
        let task = Box::new(move || place.compile(wanted));
        let queued = self.shared.engine.compiler().queue(&owner, task);
        if let Err(TooMany(task)) = queued {
            // Nobody saw a place yet, so dropping this one, which locks again, frees none.
            drop(entries);
            drop(task);
            return State::Known(Err(AdmitError::Busy { retry_after: None }));
        }
        let underway = Underway { compiled: compiled.clone(), owner, limits, turn };
        let entry = Entry::Compiling(underway);
        entries.by_hash.insert(hash, entry);
        State::Compiling { compiled, again: None }
    }
}

impl Loading {
    /// Waits for the module.
    ///
    /// # Errors
    ///
    /// As of [`ModuleCache::load`].
    pub async fn module(self) -> Result<Arc<Module>, AdmitError> {
        let Self { cache, mut state } = self;
        loop {
            let (mut compiled, again) = match state {
                State::Known(compiled) => return compiled,
                State::Compiling { compiled, again } => (compiled, again),
            };
            let compiled = match compiled.wait_for(Option::is_some).await {
                Ok(compiled) => compiled.clone().unwrap_or(Err(AdmitError::Aborted)),
                Err(_task_died) => Err(AdmitError::Aborted),
            };
            state = match (again, &compiled) {
                // That another owner has no room, and what another's limits allow, says nothing about us.
                (Some(again), Err(AdmitError::Busy { .. })) => cache.enter(again.wanted),
                (Some(again), Ok(_) | Err(_))
                    if again.limits_differ && !matches!(compiled, Err(AdmitError::Aborted)) =>
                {
                    cache.enter(again.wanted)
                }
                (Some(_) | None, _) => return compiled,
            };
        }
    }
}

impl Shared {
    /// The module with this hash, if it is there, and sees to it that it will be optimized.
    fn touch(self: &Arc<Self>, hash: &BinaryHash) -> Option<Arc<Module>> {
        let (module, owner) = self.entries().touch(hash)?;
        if let Some(owner) = owner {
            self.queue_optimizing(*hash, &owner);
        }
        Some(module)
    }

    fn queue_optimizing(self: &Arc<Self>, hash: BinaryHash, owner: &str) {
        let shared = Arc::downgrade(self);
        let task = Box::new(move || {
            if let Some(shared) = shared.upgrade() {
                shared.optimize(&hash);
            }
        });
        if self.engine.optimizer().queue(owner, task).is_err() {
            self.entries().put_off(&hash);
        }
    }

    /// Compiles a module that is there once more. Where there is no memory to spare, or its owner has too
    /// many such waiting, the next one who asks for it tries again.
    fn optimize(&self, hash: &BinaryHash) {
        let Some((module, wanted)) = self.entries().due(hash) else { return };
        let facts = module.facts();
        let bytes = memory_bytes(&facts.survey, facts.module_bytes, Tier::Optimized);
        let Some(_room) = self.room.take_spare(&wanted.owner, bytes) else {
            return self.entries().put_off(hash);
        };
        let checked = Checked::new(&self.engine, &wanted.binary, &wanted.limits);
        let room = |_bytes| Ok(Box::new(()) as _);
        match checked.and_then(|checked| checked.compile(&self.engine, Tier::Optimized, room)) {
            Ok(module) => self.entries().replace(Arc::new(module)),
            Err(error) => {
                // It goes on as it is.
                tracing::warn!(%error, "a module cannot be optimized");
                self.entries().give_up(hash);
            }
        }
    }

    fn compile(&self, wanted: &Wanted) -> Result<Module, AdmitError> {
        let checked = Checked::new(&self.engine, &wanted.binary, &wanted.limits)?;
        checked.compile(&self.engine, Tier::Baseline, |bytes| {
            self.room.take(&wanted.owner, bytes).map_err(|no_room| match no_room {
                NoRoom::Now { retry_after } => AdmitError::Busy { retry_after: Some(retry_after) },
                NoRoom::Ever => TooComplex::Memory { got: bytes }.into(),
            })
        })
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room for Unlimited {
    fn take(&self, _owner: &str, _bytes: u64) -> Result<Box<dyn Send>, NoRoom> {
        Ok(Box::new(()))
    }

    fn take_spare(&self, _owner: &str, _bytes: u64) -> Option<Box<dyn Send>> {
        Some(Box::new(()))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("entries", &self.entries).finish_non_exhaustive()
    }
}

/// The place of a compilation. It is free when this is dropped, whatever became of it.
struct Place {
    shared: Arc<Shared>,
    hash: BinaryHash,
    /// Tells it from a later place for the same binary.
    turn: u64,
    sender: watch::Sender<Option<Compiled>>,
}

impl Place {
    fn compile(self, wanted: Wanted) {
        let (shared, compiler) = (&self.shared, self.shared.engine.compiler());
        let compiled = compiler.run(|| shared.compile(&wanted)).map(Arc::new);
        // A failed compilation frees its place before anybody hears of it, so that a retry starts anew.
        let kept = compiled.as_ref().ok().map(|module| (Arc::clone(module), wanted));
        shared.entries().end(&self.hash, self.turn, kept);
        self.sender.send_replace(Some(compiled));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.entries().end(&self.hash, self.turn, None);
    }
}
