//! What one run keeps beside the guest (4.1). All of it goes when the run ends.

use std::{collections::HashMap, sync::Arc, time::Duration};

use protocol::messages::sdk::{CapabilityResponse, SecretResponse};
use tokio::sync::Semaphore;
use wasmtime::{Caller, Extern, Memory, ResourceLimiter};

use crate::{
    Capacity, Limits, Services,
    calls::{Calls, Kept, Room},
    meter::Meter,
    request::Argument,
    seeds::Seeds,
    services::GuestText,
    stop::Stop,
};

/// The data of a run's store.
pub(crate) struct State {
    pub(crate) services: Arc<dyn Services>,
    pub(crate) limits: Limits,
    pub(crate) stop: Stop,
    /// The request as the guest finds it in its second argument.
    pub(crate) argument: Argument,
    pub(crate) seeds: Seeds,
    pub(crate) mode: i32,
    /// The encoded result.
    pub(crate) result: Option<Vec<u8>>,
    pub(crate) capabilities: Calls<CapabilityAnswer>,
    pub(crate) secrets: Calls<SecretsAnswer>,
    /// Requests for secrets that failed as a whole, so that a second wait hears the same.
    pub(crate) failed_secrets: HashMap<i32, GuestText>,
    pub(crate) pending: Arc<Semaphore>,
    pub(crate) held: Room,
    pub(crate) logs: Logs,
    /// Where the guest's monotonic clock began.
    pub(crate) clock_base: Option<Duration>,
    pub(crate) meter: Meter,
    /// What the engine's pool holds, or would if there were one.
    capacity: Capacity,
    memory: Option<Memory>,
}

pub(crate) type CapabilityAnswer = Kept<CapabilityResponse>;
pub(crate) type SecretsAnswer = Result<Kept<Vec<SecretResponse>>, GuestText>;

/// What was logged so far.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    /// Attempts in DON mode.
    pub(crate) don: u32,
    /// Attempts in node mode.
    pub(crate) node: u32,
    /// Bytes of the lines taken.
    pub(crate) bytes: u64,
}

/// A guest's import was called before the guest had a memory to exchange bytes through.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("import called before the instance has its memory")]
struct NoMemory;

/// What a run is given to begin with, beside services and limits.
pub(crate) struct Start {
    pub(crate) stop: Stop,
    pub(crate) argument: Argument,
    pub(crate) seeds: Seeds,
    pub(crate) pending: Arc<Semaphore>,
    pub(crate) meter: Meter,
    pub(crate) capacity: Capacity,
}

impl State {
    pub(crate) fn new(services: Arc<dyn Services>, limits: Limits, start: Start) -> Self {
        let Start { stop, argument, seeds, pending, meter, capacity } = start;
        Self {
            services,
            stop,
            argument,
            seeds,
            mode: 0,
            result: None,
            capabilities: Calls::new(limits.capability_calls),
            secrets: Calls::new(limits.secret_calls),
            failed_secrets: HashMap::new(),
            pending,
            held: Room::new(limits.held_bytes),
            logs: Logs::default(),
            clock_base: None,
            meter,
            capacity,
            memory: None,
            limits,
        }
    }
}

/// Notes that an import was called, and lends the guest's memory beside the run's state.
pub(crate) fn enter<'c>(
    caller: &'c mut Caller<'_, State>,
) -> wasmtime::Result<(&'c mut [u8], &'c mut State)> {
    let (memory, state) = guest(caller)?;
    state.meter.called();
    Ok((memory, state))
}

/// Lends the guest's memory, as large as it is now, beside the run's state.
///
/// Memory may grow while an import waits, so it is borrowed anew afterwards.
pub(crate) fn guest<'c>(
    caller: &'c mut Caller<'_, State>,
) -> wasmtime::Result<(&'c mut [u8], &'c mut State)> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        None => caller.get_export("memory").and_then(Extern::into_memory).ok_or(NoMemory)?,
    };
    let (bytes, state) = memory.data_and_store_mut(caller);
    state.memory = Some(memory);
    Ok((bytes, state))
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let desired = u64::try_from(desired).unwrap_or(u64::MAX);
        if desired > self.limits.memory().min(self.capacity.memory_bytes) {
            return Ok(false);
        }
        self.meter.grew(desired);
        Ok(true)
    }

    /// The reference has no limit of its own. A table without a maximum comes with that of its type,
    /// so the engine's room decides, whether instances come from a pool or not.
    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(u64::try_from(desired)
            .is_ok_and(|desired| desired <= self.capacity.table_elements.into()))
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}
