//! One run of a workflow, from request to outcome (6.2).

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc};

use futures_util::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline};

use crate::{
    Ended, Engine, Limits, LinkError, Module, Outcome, Request, RunError, Services,
    meter::Usage,
    outcome::{ended, not_linked, panicked},
    seeds::{Seeds, don_seed},
    state::{Start, State},
    stop::{Stop, Stopped},
};

/// A run that may begin.
struct Admitted {
    state: State,
    stop: Stop,
    usage: Usage,
    /// The place in the engine's pool.
    place: Option<OwnedSemaphorePermit>,
}

/// What a finished guest leaves behind.
struct Finished {
    ended: Result<(), RunError>,
    result: Option<Vec<u8>>,
}

impl Engine {
    /// Runs a module once, in a fresh instance that is gone afterwards.
    ///
    /// The run waits for a place in the engine's pool first; that time counts. While it waits, for
    /// a place, a clock or an answer, it holds no thread. It ends at the timeout of its phase or when
    /// `cancel` is cancelled, whichever comes first, wherever the guest then is: computing, waiting
    /// or sleeping. Dropping the future ends it too.
    ///
    /// A failure within [`Limits::GRAIN`] before the deadline counts as the deadline, because a guest
    /// cannot always say why it failed.
    pub async fn run(
        &self,
        module: &Module,
        request: Request,
        services: Arc<dyn Services>,
        limits: &Limits,
        cancel: &CancellationToken,
    ) -> Ended {
        let admitted = self.admit(module, request, services, limits, cancel).await;
        let Admitted { state, stop, mut usage, place } = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return Ended::unused(error),
        };
        let result = self.contained(execute(self, module, state), &stop, &mut usage).await;
        // The instance is gone, so its place is free and its counts have arrived.
        drop(place);
        Ended { result, metering: usage.metering() }
    }

    /// Waits until the run may begin.
    async fn admit(
        &self,
        module: &Module,
        request: Request,
        services: Arc<dyn Services>,
        limits: &Limits,
        cancel: &CancellationToken,
    ) -> Result<Admitted, RunError> {
        let pending = self.pending(request.workflow_id(), limits.pending_calls);
        let node = request.node_seed();
        let prepared = request.prepare(limits.response_bytes)?;
        let timeout = if prepared.is_prehook { limits.prehook_timeout } else { limits.timeout };
        let stop = Stop::new(timeout, cancel.clone());
        if timeout < Limits::GRAIN || stop.is_due() {
            return Err(RunError::Deadline);
        }
        fits(module, limits)?;
        let place = tokio::select! {
            biased;
            () = stop.due() => return Err(RunError::Deadline),
            place = self.place() => place,
        };
        let usage = Usage::new();
        let seeds = Seeds { don: don_seed(&services.execution_id()), node };
        let start = Start {
            stop: stop.clone(),
            argument: prepared.argument,
            seeds,
            pending,
            meter: usage.meter(),
            capacity: self.capacity(),
        };
        let state = State::new(services, limits.clone(), start);
        Ok(Admitted { state, stop, usage, place })
    }

    /// Runs the guest until it ends or has to, and contains panics of services and imports.
    ///
    /// A guest that is stopped while it waits is unwound by dropping its future. Where the profile
    /// makes panics abort, as in the image, there is nothing to contain: the process ends.
    async fn contained(
        &self,
        run: impl Future<Output = Finished>,
        stop: &Stop,
        usage: &mut Usage,
    ) -> Result<Outcome, RunError> {
        let run = pin!(AssertUnwindSafe(run).catch_unwind());
        let finished = tokio::select! {
            biased;
            finished = usage.time(run) => finished,
            () = stop.due() => return Err(RunError::Deadline),
        };
        let Finished { ended, result } = match finished {
            Ok(finished) => finished,
            Err(panic) => {
                let error = panicked(&*panic);
                self.count_panic();
                tracing::error!(%error, "panic during wasm execution");
                return Err(error);
            }
        };
        match ended {
            Err(_error) if stop.is_due_within(Limits::GRAIN) => Err(RunError::Deadline),
            Err(error) => Err(error),
            Ok(()) => Ok(Outcome { encoded: result.ok_or(RunError::NoResponse)? }),
        }
    }
}

/// Whether the module's first memory is within the limit.
fn fits(module: &Module, limits: &Limits) -> Result<(), LinkError> {
    let pages = module.facts().memory_min_pages;
    if pages.saturating_mul(PAGE_BYTES) > limits.memory() {
        return Err(LinkError::MemoryMinimum { pages });
    }
    Ok(())
}

/// Instantiates the module and calls `_start`.
async fn execute(engine: &Engine, module: &Module, state: State) -> Finished {
    // A module in the baseline tier was compiled where that is.
    let wasm = engine.wasm(module.facts().tier).unwrap_or_else(|| engine.optimized());
    let mut store = Store::new(wasm, state);
    store.limiter(|state| state);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        if store.data().stop.is_due() {
            return Err(Stopped.into());
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    let ended = start(module, &mut store).await;
    Finished { ended, result: store.into_data().result }
}

async fn start(module: &Module, store: &mut Store<State>) -> Result<(), RunError> {
    let instance = match module.pre().instantiate_async(&mut *store).await {
        Ok(instance) => instance,
        Err(error) => return Err(not_linked(error)),
    };
    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start");
    let start = start.map_err(|error| RunError::Engine(error.into()))?;
    ended(start.call_async(store, ()).await)
}

const PAGE_BYTES: u64 = 65_536;
