//! `switch_modes`, `random_seed` and `now` (2.10 to 2.12).

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::Caller;

use crate::{
    memory,
    seeds::MODE_DON,
    state::{State, enter, guest},
};

/// Notes the mode. Any number is taken; it only decides about clock and log lines.
pub(super) fn switch_modes(mut caller: Caller<'_, State>, mode: i32) {
    let state = caller.data_mut();
    state.meter.called();
    state.mode = mode;
}

/// Gives the seed of a mode, whatever the current mode is.
pub(super) fn random_seed(mut caller: Caller<'_, State>, mode: i32) -> i64 {
    let state = caller.data_mut();
    state.meter.called();
    state.seeds.of_mode(mode)
}

/// Writes the time of the current mode in nanoseconds and returns 0, or 28 if there is none.
///
/// A pointer outside the memory is ignored, as in the reference.
pub(super) async fn now(caller: &mut Caller<'_, State>, out: i32) -> wasmtime::Result<i32> {
    let (_memory, state) = enter(caller)?;
    let time = if state.mode == MODE_DON {
        let services = std::sync::Arc::clone(&state.services);
        services.don_time().await
    } else {
        Ok(state.services.node_time().wall)
    };
    let Ok(time) = time else { return Ok(crate::wasi::EINVAL) };
    let (memory, _state) = guest(caller)?;
    memory::write(memory, &unix_nanos(time).to_le_bytes(), out, 8);
    Ok(0)
}

/// Nanoseconds since the epoch; times before it are the epoch.
pub(crate) fn unix_nanos(time: SystemTime) -> u64 {
    let span = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
