//! Compiled modules by the hash of their binary: bounded in bytes, compiled once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{
    AdmitError, Binary, BinaryHash, BinaryLimits, Engine, Module, Tier, TooComplex,
    compile::TooMany, module::Checked,
};

/// Compiled modules, kept by the hash of the binary as it was delivered. Clones share them.
///
/// A binary is compiled in the baseline tier first, and once more, optimized and aside, as soon as
/// somebody asks for it a second time; runs under way keep the module they began with.
/// Whoever asks first has the binary compiled; others who ask meanwhile wait for the same result. The
/// compilation goes on when the one who asked first leaves. One binary is compiled at a time, owners
/// take turns, and running workflows come first.
/// Beyond its budget of bytes the cache forgets what was used longest ago; runs keep what they have.
#[derive(Clone, Debug)]
pub struct ModuleCache {
    shared: Arc<Shared>,
}

/// Gives an owner room for so many bytes of memory until the value is dropped.
pub type Room = dyn Fn(&str, u64) -> Result<Box<dyn Send>, NoRoom> + Send + Sync;

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// Later there may be.
    Now,
    /// Nor will there be.
    Ever,
}

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
        /// To ask anew where the one who asked first allowed less.
        again: Option<Box<Wanted>>,
    },
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
    room: Box<Room>,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_hash: HashMap<BinaryHash, Entry>,
    budget_bytes: u64,
    resident_bytes: u64,
    clock: u64,
}

#[derive(Debug)]
enum Entry {
    Ready(Kept),
    Compiling { compiled: watch::Receiver<Option<Compiled>>, limits: BinaryLimits, turn: u64 },
}

/// A module that is there.
#[derive(Debug)]
struct Kept {
    module: Arc<Module>,
    /// When it was used last.
    used: u64,
    /// Together with the binary, as long as that is to be compiled once more.
    bytes: u64,
    /// What that takes, until somebody asks for the module again.
    better: Option<Wanted>,
}

type Compiled = Result<Arc<Module>, AdmitError>;

impl ModuleCache {
    /// Makes an empty cache that keeps compiled modules of at most `budget_bytes` together. Compiling takes
    /// the memory it needs.
    #[must_use]
    pub fn new(engine: Engine, budget_bytes: u64) -> Self {
        Self::within(engine, budget_bytes, Box::new(|_owner, _bytes| Ok(Box::new(()))))
    }

    /// The same, but a binary is compiled only while its owner has `room` for what that takes.
    #[must_use]
    pub fn within(engine: Engine, budget_bytes: u64, room: Box<Room>) -> Self {
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
        if let Some(Entry::Compiling { compiled, limits, .. }) = entries.by_hash.get(&hash) {
            let again = (*limits != wanted.limits).then(|| Box::new(wanted));
            return State::Compiling { compiled: compiled.clone(), again };
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
            return State::Known(Err(AdmitError::Busy));
        }
        let entry = Entry::Compiling { compiled: compiled.clone(), limits, turn };
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
            state = match again {
                // Its limits were another's, so they say nothing about ours.
                Some(wanted) if !matches!(compiled, Err(AdmitError::Aborted)) => {
                    cache.enter(*wanted)
                }
                Some(_) | None => return compiled,
            };
        }
    }
}

impl Shared {
    /// The module with this hash, if it is there, and sees to it that it will be optimized.
    fn touch(self: &Arc<Self>, hash: &BinaryHash) -> Option<Arc<Module>> {
        let (module, better) = self.entries().touch(hash)?;
        if let Some(wanted) = better {
            self.optimize(wanted);
        }
        Some(module)
    }

    fn compile(&self, wanted: &Wanted, tier: Tier) -> Result<Module, AdmitError> {
        let checked = Checked::new(&self.engine, &wanted.binary, &wanted.limits)?;
        checked.compile(&self.engine, tier, |bytes| {
            (self.room)(&wanted.owner, bytes).map_err(|no_room| match no_room {
                NoRoom::Now => AdmitError::Busy,
                NoRoom::Ever => TooComplex::Memory { got: bytes }.into(),
            })
        })
    }

    /// Compiles a module that is there once more. Where its owner has too many such waiting, or no room, the
    /// next one who asks for it tries again.
    fn optimize(self: &Arc<Self>, wanted: Wanted) {
        let (shared, again) = (Arc::clone(self), wanted.clone());
        let task = Box::new(move || match shared.compile(&wanted, Tier::Optimized) {
            Ok(module) => shared.entries().replace(Arc::new(module)),
            Err(AdmitError::Busy) => shared.entries().put_off(wanted),
            // It goes on as it is.
            Err(error) => tracing::warn!(%error, "a module cannot be optimized"),
        });
        if self.engine.optimizer().queue(&again.owner, task).is_err() {
            self.entries().put_off(again);
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("entries", &self.entries).finish_non_exhaustive()
    }
}

impl Entries {
    /// A module, and what is to be compiled now that it was used again.
    fn touch(&mut self, hash: &BinaryHash) -> Option<(Arc<Module>, Option<Wanted>)> {
        self.clock = self.clock.saturating_add(1);
        match self.by_hash.get_mut(hash)? {
            Entry::Ready(kept) => {
                kept.used = self.clock;
                Some((Arc::clone(&kept.module), kept.better.take()))
            }
            Entry::Compiling { .. } => None,
        }
    }

    /// Keeps a module, forgetting others until the budget holds. One that is larger than the whole
    /// budget is not kept.
    fn keep(&mut self, module: Arc<Module>, better: Option<Wanted>) {
        let binary = better.as_ref().map_or(0, |wanted| wanted.binary.bytes().len());
        let binary = u64::try_from(binary).unwrap_or(u64::MAX);
        let bytes = module.facts().resident_bytes.saturating_add(binary);
        if bytes > self.budget_bytes {
            return;
        }
        self.make_room(bytes);
        self.clock = self.clock.saturating_add(1);
        self.resident_bytes = self.resident_bytes.saturating_add(bytes);
        let (hash, used) = (module.hash(), self.clock);
        self.by_hash.insert(hash, Entry::Ready(Kept { module, used, bytes, better }));
    }

    /// Leaves it to the next one who asks for a module to have it optimized.
    fn put_off(&mut self, wanted: Wanted) {
        if let Some(Entry::Ready(kept)) = self.by_hash.get_mut(&wanted.binary.hash()) {
            kept.better = Some(wanted);
        }
    }

    /// Takes a module in the place of one for the same binary, unless that was forgotten.
    fn replace(&mut self, module: Arc<Module>) {
        if self.forget(&module.hash()) {
            self.keep(module, None);
        }
    }

    /// Forgets what was used longest ago until the budget holds with so many bytes more.
    fn make_room(&mut self, size: u64) {
        while self.resident_bytes.saturating_add(size) > self.budget_bytes && self.forget_oldest() {
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let ready = self.by_hash.iter().filter_map(|(hash, entry)| match entry {
            Entry::Ready(kept) => Some((kept.used, *hash)),
            Entry::Compiling { .. } => None,
        });
        let oldest = ready.min_by_key(|(used, _hash)| *used);
        oldest.is_some_and(|(_used, hash)| self.forget(&hash))
    }

    /// Whether there was a module to forget.
    fn forget(&mut self, hash: &BinaryHash) -> bool {
        let Some(Entry::Ready(kept)) = self.by_hash.get(hash) else { return false };
        self.resident_bytes = self.resident_bytes.saturating_sub(kept.bytes);
        self.by_hash.remove(hash);
        true
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
        let compiled = compiler.run(|| shared.compile(&wanted, Tier::Baseline)).map(Arc::new);
        // A failed compilation frees its place before anybody hears of it, so that a retry starts anew.
        self.free();
        if let Ok(module) = &compiled {
            let better = (module.facts().tier == Tier::Baseline).then_some(wanted);
            self.shared.entries().keep(Arc::clone(module), better);
        }
        self.sender.send_replace(Some(compiled));
    }

    fn free(&self) {
        let mut entries = self.shared.entries();
        let is_own = matches!(
            entries.by_hash.get(&self.hash),
            Some(Entry::Compiling { turn, .. }) if *turn == self.turn
        );
        if is_own {
            entries.by_hash.remove(&self.hash);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.free();
    }
}
