//! The node's clock (3.2). Never the committee's: a Go guest reads it ten times before `main`.

use std::time::Duration;

use wasmtime::Caller;

use super::{EFAULT, EINVAL};
use crate::{
    imports::unix_nanos,
    memory,
    state::{State, enter},
};

/// Writes the time of day (0) or the time since the first reading plus one nanosecond (1).
///
/// The monotonic clock is never 0, which the Go runtime would not survive. A pointer outside the
/// memory is ignored, as in the reference.
pub(super) fn clock_time_get(
    mut caller: Caller<'_, State>,
    clock: i32,
    _precision: i64,
    out: i32,
) -> wasmtime::Result<i32> {
    let (memory, state) = enter(&mut caller)?;
    let now = state.services.node_time();
    let base = *state.clock_base.get_or_insert(now.monotonic);
    let nanos = match clock {
        REALTIME => unix_nanos(now.wall),
        MONOTONIC => {
            let span = now.monotonic.saturating_sub(base).saturating_add(Duration::from_nanos(1));
            u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
        }
        _ => return Ok(EINVAL),
    };
    memory::write(memory, &nanos.to_le_bytes(), out, 8);
    Ok(0)
}

/// Writes one nanosecond, whatever the clock.
pub(super) fn clock_res_get(
    mut caller: Caller<'_, State>,
    _clock: i32,
    out: i32,
) -> wasmtime::Result<i32> {
    let (memory, _state) = enter(&mut caller)?;
    let written = memory::write(memory, &1_u64.to_le_bytes(), out, 8) >= 0;
    Ok(if written { 0 } else { EFAULT })
}

const REALTIME: i32 = 0;
const MONOTONIC: i32 = 1;
