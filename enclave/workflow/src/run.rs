//! One run of a workflow, from request to outcome (6.2).

use std::{
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline};

use crate::{
    Engine, Limits, LinkError, Metering, Module, Outcome, Request, RunError, Services,
    outcome::{ended, not_linked, panicked},
    seeds::{Seeds, don_seed},
    state::{Meter, State},
    stop::{Stop, Stopped},
};

/// What a finished guest leaves behind.
struct Finished {
    ended: Result<(), RunError>,
    result: Option<Vec<u8>>,
    meter: Meter,
}

impl Engine {
    /// Runs a module once, in a fresh instance that is gone afterwards.
    ///
    /// The run waits for a place in the engine's pool first; that time counts. While it waits, for
    /// a place, a clock or an answer, it holds no thread. It ends at the timeout of its phase or when
    /// `cancel` is cancelled, whichever comes first, wherever the guest then is: computing, waiting
    /// or sleeping. Dropping the future ends it too.
    ///
    /// # Errors
    ///
    /// [`RunError`]. A failure within [`Limits::GRAIN`] before the deadline counts as the deadline,
    /// because a guest cannot always say why it failed.
    pub async fn run(
        &self,
        module: &Module,
        request: Request,
        services: Arc<dyn Services>,
        limits: &Limits,
        cancel: &CancellationToken,
    ) -> Result<Outcome, RunError> {
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
        let seeds = Seeds { don: don_seed(&services.execution_id()), node: request.node_seed() };
        let pending = self.pending(request.workflow_id(), limits.pending_calls);
        let argument = prepared.argument;
        let state = State::new(services, limits.clone(), stop.clone(), argument, seeds, pending);
        let outcome = contained(execute(self, module, state), &stop).await;
        drop(place);
        outcome
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

/// Runs the guest until it ends or has to, measures it, and contains panics of services and imports.
///
/// A guest that is stopped while it waits is unwound by dropping its future.
async fn contained(run: impl Future<Output = Finished>, stop: &Stop) -> Result<Outcome, RunError> {
    let start = Instant::now();
    let mut active = Duration::ZERO;
    let mut run = pin!(AssertUnwindSafe(run).catch_unwind());
    let timed = std::future::poll_fn(|context| {
        let start = Instant::now();
        let poll = run.as_mut().poll(context);
        active = active.saturating_add(start.elapsed());
        poll
    });
    let finished = tokio::select! {
        biased;
        finished = timed => finished,
        () = stop.due() => return Err(RunError::Deadline),
    };
    let finished = match finished {
        Ok(finished) => finished,
        Err(panic) => {
            let error = panicked(&*panic);
            tracing::error!(%error, "panic during wasm execution");
            return Err(error);
        }
    };
    match finished.ended {
        Err(_error) if stop.is_due_within(Limits::GRAIN) => Err(RunError::Deadline),
        Err(error) => Err(error),
        Ok(()) => {
            let encoded = finished.result.ok_or(RunError::NoResponse)?;
            let metering = metering(finished.meter, start.elapsed(), active);
            Ok(Outcome { encoded, metering })
        }
    }
}

/// Instantiates the module and calls `_start`.
async fn execute(engine: &Engine, module: &Module, state: State) -> Finished {
    let mut store = Store::new(engine.wasm(), state);
    store.limiter(|state| state);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        if store.data().stop.is_due() {
            return Err(Stopped.into());
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    let ended = start(module, &mut store).await;
    let state = store.into_data();
    Finished { ended, result: state.result, meter: state.meter }
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

fn metering(meter: Meter, wall: Duration, active: Duration) -> Metering {
    let Meter { peak_memory_bytes, host_calls, bytes_in, bytes_out, dropped_events } = meter;
    Metering { wall, active, peak_memory_bytes, host_calls, bytes_in, bytes_out, dropped_events }
}

const PAGE_BYTES: u64 = 65_536;
