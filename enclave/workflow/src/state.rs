//! What one run keeps beside the guest (4.1). All of it goes when the run ends.

use std::{collections::HashMap, sync::Arc, time::Duration};

use protocol::messages::sdk::{CapabilityResponse, SecretResponse};
use tokio::sync::Semaphore;
use wasmtime::{Caller, Extern, Memory, ResourceLimiter};

use crate::{
    Limits, Services,
    calls::{Calls, Kept, UnreadBytes},
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
    pub(crate) argument: String,
    pub(crate) seeds: Seeds,
    pub(crate) mode: i32,
    /// The encoded result.
    pub(crate) result: Option<Vec<u8>>,
    pub(crate) capabilities: Calls<CapabilityAnswer>,
    pub(crate) secrets: Calls<SecretsAnswer>,
    /// Requests for secrets that failed as a whole, so that a second wait hears the same.
    pub(crate) failed_secrets: HashMap<i32, GuestText>,
    pub(crate) pending: Arc<Semaphore>,
    pub(crate) unread: UnreadBytes,
    pub(crate) logs: Logs,
    /// Where the guest's monotonic clock began.
    pub(crate) clock_base: Option<Duration>,
    pub(crate) meter: Meter,
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

/// What was used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    pub(crate) peak_memory_bytes: u64,
    pub(crate) host_calls: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) dropped_events: u64,
}

/// A guest's import was called before the guest had a memory to exchange bytes through.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("import called before the instance has its memory")]
struct NoMemory;

impl State {
    pub(crate) fn new(
        services: Arc<dyn Services>,
        limits: Limits,
        stop: Stop,
        argument: String,
        seeds: Seeds,
        pending: Arc<Semaphore>,
    ) -> Self {
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
            unread: UnreadBytes::new(limits.unread_bytes),
            logs: Logs::default(),
            clock_base: None,
            meter: Meter::default(),
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
    state.meter.host_calls = state.meter.host_calls.saturating_add(1);
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
        if desired > self.limits.memory() {
            return Ok(false);
        }
        self.meter.peak_memory_bytes = self.meter.peak_memory_bytes.max(desired);
        Ok(true)
    }

    /// The pool bounds elements; the reference has no limit of its own.
    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= maximum.unwrap_or(TABLE_ELEMENTS))
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

/// Elements of a table where neither the module nor a pool bounds them: 8 MiB.
const TABLE_ELEMENTS: usize = 1 << 20;
