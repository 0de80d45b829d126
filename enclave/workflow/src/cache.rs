//! Compiled modules by the hash of their binary: bounded in bytes, compiled once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Semaphore, watch};

use crate::{AdmitError, BinaryHash, BinaryLimits, Engine, Module};

/// Compiled modules, kept by the hash of the binary as it was delivered.
///
/// Whoever asks first has the binary compiled; others who ask meanwhile wait for the same result.
/// The compilation goes on when the one who asked first leaves. One binary is compiled at a time,
/// on as many threads as there are processors, so that running workflows keep their share.
/// Beyond its budget of bytes the cache forgets what was used longest ago; runs keep what they have.
#[derive(Clone, Debug)]
pub struct ModuleCache {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: Engine,
    limits: BinaryLimits,
    budget_bytes: u64,
    worker: Semaphore,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_hash: HashMap<BinaryHash, Entry>,
    resident_bytes: u64,
    clock: u64,
}

#[derive(Debug)]
enum Entry {
    Ready { module: Arc<Module>, used: u64 },
    Compiling(watch::Receiver<Option<Compiled>>),
}

type Compiled = Result<Arc<Module>, AdmitError>;

impl ModuleCache {
    /// Makes an empty cache that keeps compiled modules of at most `budget_bytes` together.
    #[must_use]
    pub fn new(engine: Engine, limits: BinaryLimits, budget_bytes: u64) -> Self {
        let shared = Shared {
            engine,
            limits,
            budget_bytes,
            worker: Semaphore::new(1),
            entries: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The module with this hash, if it is there; no bytes needed.
    #[must_use]
    pub fn find(&self, hash: &BinaryHash) -> Option<Arc<Module>> {
        self.shared.entries().touch(hash)
    }

    /// The module of this binary, compiled now if it is not there.
    ///
    /// Called as soon as a binary is known, it warms the cache for the run that will follow.
    ///
    /// # Errors
    ///
    /// - [`AdmitError::WrongHash`] if the bytes do not have this hash; they are not compiled.
    /// - Any other [`AdmitError`] if the binary is not let in. Failures are not kept.
    pub async fn load(&self, hash: BinaryHash, binary: Vec<u8>) -> Result<Arc<Module>, AdmitError> {
        let mut compiled = match self.shared.enter(hash) {
            Entered::Ready(module) => return Ok(module),
            Entered::Waiting(compiled) => compiled,
            Entered::First(sender, compiled) => {
                drop(tokio::spawn(compile(Arc::clone(&self.shared), hash, binary, sender)));
                compiled
            }
        };
        match compiled.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Err(AdmitError::Aborted)),
            Err(_worker_died) => Err(AdmitError::Aborted),
        }
    }

    /// Bytes that the kept modules take, roughly.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.shared.entries().resident_bytes
    }
}

enum Entered {
    Ready(Arc<Module>),
    Waiting(watch::Receiver<Option<Compiled>>),
    First(watch::Sender<Option<Compiled>>, watch::Receiver<Option<Compiled>>),
}

impl Shared {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up and takes the place of the first in one operation.
    fn enter(&self, hash: BinaryHash) -> Entered {
        let mut entries = self.entries();
        if let Some(module) = entries.touch(&hash) {
            return Entered::Ready(module);
        }
        if let Some(Entry::Compiling(compiled)) = entries.by_hash.get(&hash) {
            return Entered::Waiting(compiled.clone());
        }
        let (sender, compiled) = watch::channel(None);
        entries.by_hash.insert(hash, Entry::Compiling(compiled.clone()));
        Entered::First(sender, compiled)
    }
}

impl Entries {
    fn touch(&mut self, hash: &BinaryHash) -> Option<Arc<Module>> {
        self.clock = self.clock.saturating_add(1);
        match self.by_hash.get_mut(hash)? {
            Entry::Ready { module, used } => {
                *used = self.clock;
                Some(Arc::clone(module))
            }
            Entry::Compiling(_) => None,
        }
    }

    /// Keeps a module, forgetting others until the budget holds. One that is larger than the whole
    /// budget is not kept.
    fn keep(&mut self, hash: BinaryHash, module: Arc<Module>, budget_bytes: u64) {
        let size = module.facts().resident_bytes;
        if size > budget_bytes {
            return;
        }
        while self.resident_bytes.saturating_add(size) > budget_bytes && self.forget_oldest() {}
        self.clock = self.clock.saturating_add(1);
        self.resident_bytes = self.resident_bytes.saturating_add(size);
        self.by_hash.insert(hash, Entry::Ready { module, used: self.clock });
    }

    fn forget_oldest(&mut self) -> bool {
        let ready = self.by_hash.iter().filter_map(|(hash, entry)| match entry {
            Entry::Ready { module, used } => Some((*used, *hash, module.facts().resident_bytes)),
            Entry::Compiling(_) => None,
        });
        let Some((_used, hash, size)) = ready.min_by_key(|(used, ..)| *used) else { return false };
        self.by_hash.remove(&hash);
        self.resident_bytes = self.resident_bytes.saturating_sub(size);
        true
    }
}

/// Removes the place of a compilation that ended without a result.
struct Place<'s> {
    shared: &'s Shared,
    hash: BinaryHash,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut entries = self.shared.entries();
        if let Some(Entry::Compiling(_)) = entries.by_hash.get(&self.hash) {
            entries.by_hash.remove(&self.hash);
        }
    }
}

async fn compile(
    shared: Arc<Shared>,
    hash: BinaryHash,
    binary: Vec<u8>,
    sender: watch::Sender<Option<Compiled>>,
) {
    let place = Place { shared: &shared, hash };
    let Ok(permit) = shared.worker.acquire().await else { return };
    let (engine, limits) = (shared.engine.clone(), shared.limits);
    let compiled = tokio::task::spawn_blocking(move || {
        if BinaryHash::of(&binary) != hash {
            return Err(AdmitError::WrongHash);
        }
        Module::compile(&engine, &binary, &limits).map(Arc::new)
    })
    .await
    .unwrap_or(Err(AdmitError::Aborted));
    drop(permit);
    if let Ok(module) = &compiled {
        let mut entries = shared.entries();
        entries.by_hash.remove(&hash);
        entries.keep(hash, Arc::clone(module), shared.budget_bytes);
    }
    // A failed compilation frees its place before anybody hears of it, so that a retry starts anew.
    drop(place);
    sender.send_replace(Some(compiled));
}
