//! The one wasmtime engine of the process, its clock and its room.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use protocol::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{Config, PoolingAllocationConfig, Strategy, WasmFeatures};

use crate::compile::{Compiler, Threads};

/// How much room the engine sets aside; sized by what admission lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Runs that hold an instance at the same time; further ones wait for a place.
    pub instances: u32,
    /// Linear memory of one instance in bytes, rounded down to pages of 64 KiB. Address space, not
    /// memory: only touched pages cost.
    pub memory_bytes: u64,
    /// Elements of one instance's table. A workflow of the Go SDK has about 14,000.
    pub table_elements: u32,
    /// Bytes of one instance's own bookkeeping, which grows with its functions.
    pub instance_bytes: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            instances: 32,
            memory_bytes: limits::WORKFLOW_MEMORY_BYTES,
            table_elements: 200_000,
            instance_bytes: 16 * MIB,
        }
    }
}

/// Which of wasmtime's compilers made a module's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Winch: compiles in one pass, so a first run is soon.
    Baseline,
    /// Cranelift: compiles several times longer, and what it makes runs faster.
    Optimized,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime cannot work on this machine.
    #[error("wasmtime cannot start on this machine")]
    Unsupported(#[source] Arc<wasmtime::Error>),
    /// The threads that compile could not be started.
    #[error("the compiling threads cannot start")]
    Compiler(#[source] Arc<rayon::ThreadPoolBuildError>),
    /// The thread that advances the epoch could not be started.
    #[error("the epoch thread cannot start")]
    Ticker(#[source] io::Error),
}

/// The one engine of the process. Clones share it.
///
/// A thread advances the epoch every 10 ms for as long as any clone lives, so that a run that only
/// computes still yields to others and ends at its deadline.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasm: Wasm,
    capacity: Capacity,
    pooled: bool,
    places: Arc<Semaphore>,
    pending: Mutex<HashMap<String, Weak<Semaphore>>>,
    panics: AtomicU64,
    compiler: Compiler,
    optimizer: Compiler,
    /// Dropping it ends the epoch thread.
    _ticker: mpsc::Sender<()>,
}

/// wasmtime's engine for each tier. Each has instances of its own, since the code that runs in them
/// and the stack it needs differ; together they never hold more than the capacity.
#[derive(Clone)]
struct Wasm {
    optimized: wasmtime::Engine,
    /// Not there on processors that Winch does not know well.
    baseline: Option<wasmtime::Engine>,
}

impl Engine {
    /// What a run's stack takes at most, in bytes.
    pub const STACK_BYTES: usize = BASELINE_STACK_BYTES + HOST_STACK_BYTES;

    /// Makes an engine whose instances come from a pool of the given capacity.
    ///
    /// Where the machine cannot reserve the pool's address space, instances are allocated one by
    /// one instead, under the same limits; [`Engine::is_pooled`] tells.
    ///
    /// # Errors
    ///
    /// - [`EngineError::Unsupported`] if wasmtime cannot work here at all.
    /// - [`EngineError::Ticker`] if the epoch thread cannot start.
    pub fn new(capacity: Capacity) -> Result<Self, EngineError> {
        match Wasm::new(Some(&capacity)) {
            Ok(wasm) => Self::over(wasm, capacity, true),
            Err(error) => {
                tracing::warn!(%error, "no instance pool; allocating on demand");
                Self::on_demand(capacity)
            }
        }
    }

    /// Makes an engine without a pool, whose instances are allocated one by one within the same
    /// capacity: what [`Engine::new`] falls back to.
    ///
    /// # Errors
    ///
    /// As of [`Engine::new`].
    pub fn on_demand(capacity: Capacity) -> Result<Self, EngineError> {
        let wasm = Wasm::new(None);
        let wasm = wasm.map_err(|error| EngineError::Unsupported(Arc::new(error)))?;
        Self::over(wasm, capacity, false)
    }

    fn over(wasm: Wasm, capacity: Capacity, pooled: bool) -> Result<Self, EngineError> {
        let ticker = start_ticker(&wasm).map_err(EngineError::Ticker)?;
        let failed = |error| EngineError::Compiler(Arc::new(error));
        let compiler = Compiler::new(Threads::EachProcessor).map_err(failed)?;
        let optimizer = Compiler::new(Threads::One).map_err(failed)?;
        let places = usize::try_from(capacity.instances).unwrap_or(Semaphore::MAX_PERMITS);
        let inner = Inner {
            wasm,
            capacity,
            pooled,
            places: Arc::new(Semaphore::new(places)),
            pending: Mutex::default(),
            panics: AtomicU64::new(0),
            compiler,
            optimizer,
            _ticker: ticker,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The capacity the engine was made with.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.inner.capacity
    }

    /// What compiles for somebody who waits.
    pub(crate) fn compiler(&self) -> &Compiler {
        &self.inner.compiler
    }

    /// What compiles again, better, while nobody waits.
    pub(crate) fn optimizer(&self) -> &Compiler {
        &self.inner.optimizer
    }

    /// Waits on the calling thread until the optimizer's queue is empty. For tests and benches, which want
    /// to know what they run.
    pub fn wait_for_optimizer(&self) {
        self.optimizer().drain();
    }

    /// How many runs ended because a service or an import panicked, since the engine was made.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.inner.panics.load(Ordering::Relaxed)
    }

    pub(crate) fn count_panic(&self) {
        self.inner.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether instances come from the pool.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.inner.pooled
    }

    /// wasmtime's engine for this tier, if there is one.
    pub(crate) fn wasm(&self, tier: Tier) -> Option<&wasmtime::Engine> {
        match tier {
            Tier::Baseline => self.inner.wasm.baseline.as_ref(),
            Tier::Optimized => Some(self.optimized()),
        }
    }

    pub(crate) fn optimized(&self) -> &wasmtime::Engine {
        &self.inner.wasm.optimized
    }

    /// Waits for a place in the pool; it is given back when the permit is dropped.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.inner.places).acquire_owned().await.ok()
    }

    /// The calls in flight of one workflow, shared by all its runs.
    ///
    /// The first run of a workflow decides the limit for those beside it. An empty id shares with
    /// nobody.
    pub(crate) fn pending(&self, workflow_id: &str, limit: u32) -> Arc<Semaphore> {
        let limit = usize::try_from(limit).unwrap_or(Semaphore::MAX_PERMITS);
        let fresh = || Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        if workflow_id.is_empty() {
            return fresh();
        }
        let mut pending = self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pending.get(workflow_id).and_then(Weak::upgrade) {
            return pool;
        }
        // Runs end without telling: what nobody holds any more goes when a new workflow comes.
        pending.retain(|_id, pool| pool.strong_count() > 0);
        let pool = fresh();
        pending.insert(workflow_id.to_owned(), Arc::downgrade(&pool));
        pool
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inner { capacity, pooled, .. } = &*self.inner;
        f.debug_struct("Engine").field("capacity", capacity).field("pooled", pooled).finish()
    }
}

/// The proposals a module may use: all that Go, Javy and Rust guests need, and no more.
///
/// The reference's engine accepts a few more (memories that are shared, 64 bits wide or several,
/// exceptions, garbage collection); [`crate::AdmitError::Feature`] tells a module that uses them
/// from a broken one.
pub(crate) fn accepted_features() -> WasmFeatures {
    WasmFeatures::WASM2.difference(WasmFeatures::GC_TYPES)
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::TAIL_CALL
}

impl Wasm {
    fn new(pool: Option<&Capacity>) -> wasmtime::Result<Self> {
        let optimized = wasmtime::Engine::new(&config(Tier::Optimized, pool))?;
        // On other processors Winch does not check the stack.
        let baseline = cfg!(target_arch = "x86_64")
            .then(|| wasmtime::Engine::new(&config(Tier::Baseline, pool)))
            .transpose()?;
        Ok(Self { optimized, baseline })
    }
}

fn config(tier: Tier, pool: Option<&Capacity>) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .async_stack_zeroing(true)
        .memory_init_cow(true)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    let (features, stack_bytes) = match tier {
        Tier::Optimized => {
            config.relaxed_simd_deterministic(true);
            (accepted_features(), WASM_STACK_BYTES)
        }
        Tier::Baseline => {
            config.strategy(Strategy::Winch);
            (accepted_features().difference(NOT_IN_BASELINE), BASELINE_STACK_BYTES)
        }
    };
    config
        .wasm_features(features.complement(), false)
        .max_wasm_stack(stack_bytes)
        .async_stack_size(stack_bytes.saturating_add(HOST_STACK_BYTES));
    if let Some(capacity) = pool {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(capacity.instances)
            .total_memories(capacity.instances)
            .total_tables(capacity.instances)
            .total_stacks(capacity.instances)
            .max_memories_per_module(1)
            .max_tables_per_module(1)
            .max_core_instance_size(capacity.instance_bytes)
            .max_memory_size(usize::try_from(capacity.memory_bytes).unwrap_or(usize::MAX))
            .table_elements(usize::try_from(capacity.table_elements).unwrap_or(usize::MAX));
        config.allocation_strategy(pool);
    }
    config
}

/// Starts the thread that advances the epochs until the sender is dropped.
fn start_ticker(wasm: &Wasm) -> io::Result<mpsc::Sender<()>> {
    let (alive, gone) = mpsc::channel::<()>();
    let wasm = wasm.clone();
    std::thread::Builder::new().name("epoch".to_owned()).spawn(move || {
        while let Err(mpsc::RecvTimeoutError::Timeout) = gone.recv_timeout(TICK) {
            wasm.optimized.increment_epoch();
            wasm.baseline.iter().for_each(wasmtime::Engine::increment_epoch);
        }
    })?;
    Ok(alive)
}

/// How long a run computes before others get their turn. Short enough that sixteen busy runs on two
/// processors delay a waiting one by less than a tenth of a second.
const TICK: Duration = Duration::from_millis(10);

const MIB: usize = 1024 * 1024;

/// The reference's: guests that recurse without end fail in the same place.
const WASM_STACK_BYTES: usize = 512 * 1024;

/// Frames of code that was not optimized are larger, because every local has its place in them: a guest
/// that may recurse so deep in the one tier should not fail in the other.
const BASELINE_STACK_BYTES: usize = 4 * WASM_STACK_BYTES;

/// As much as any other thread of the process has, for the imports and for what the embedder does when
/// a call begins.
const HOST_STACK_BYTES: usize = 2 * MIB;

/// What Winch refuses; a module that uses it is optimized at once.
const NOT_IN_BASELINE: WasmFeatures = WasmFeatures::RELAXED_SIMD.union(WasmFeatures::TAIL_CALL);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_workflow_has_one_pool_of_calls() {
        let engine = Engine::new(Capacity::default()).unwrap();
        let first = engine.pending("w", 3);
        let second = engine.pending("w", 9);
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(second.available_permits(), 3);
        assert!(!Arc::ptr_eq(&first, &engine.pending("other", 3)));
    }

    #[test]
    fn without_a_workflow_id_nothing_is_shared() {
        let engine = Engine::new(Capacity::default()).unwrap();
        assert!(!Arc::ptr_eq(&engine.pending("", 3), &engine.pending("", 3)));
    }

    #[test]
    fn pools_nobody_holds_are_forgotten() {
        let engine = Engine::new(Capacity::default()).unwrap();
        for id in 0..100 {
            drop(engine.pending(&id.to_string(), 1));
        }
        assert_eq!(engine.inner.pending.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_pool_that_cannot_be_reserved_falls_back_to_single_allocation() {
        let too_large = Capacity { instances: 1_000_000, ..Capacity::default() };
        let engine = Engine::new(too_large).unwrap();
        assert!(!engine.is_pooled());
    }
}
