//! `log` and `emit_metric` (2.8, 2.9).

use protocol::messages::telemetry::WorkflowUserMetric;
use wasmtime::Caller;

use crate::{
    memory,
    seeds::{MODE_DON, MODE_NODE},
    state::{State, enter},
};

/// Takes a log line. Nothing is returned: lines beyond a limit are dropped and counted.
pub(super) fn log(mut caller: Caller<'_, State>, ptr: i32, len: i32) -> wasmtime::Result<()> {
    let (memory, state) = enter(&mut caller)?;
    let (attempts, lines) = match state.mode {
        MODE_DON => (&mut state.logs.don, state.limits.log_lines_don),
        MODE_NODE => (&mut state.logs.node, state.limits.log_lines_node),
        // Before the first mode, and in modes that do not exist, a line vanishes.
        _ => return Ok(()),
    };
    *attempts = attempts.saturating_add(1);
    let allowed = *attempts <= lines && i64::from(len) <= i64::from(state.limits.log_line_bytes);
    let line = if allowed { memory::read(memory, ptr, len).ok() } else { None };
    let taken = line.is_some_and(|line| {
        let size = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let bytes = state.logs.bytes.saturating_add(size);
        if bytes > state.limits.log_bytes {
            return false;
        }
        state.logs.bytes = bytes;
        state.meter.took(line.len());
        state.services.emit_log(line).is_ok()
    });
    if !taken {
        state.meter.dropped_event();
    }
    Ok(())
}

/// Takes a user metric and returns 0, or -1 if it is dropped.
pub(super) fn emit_metric(
    mut caller: Caller<'_, State>,
    ptr: i32,
    len: i32,
) -> wasmtime::Result<i32> {
    let (memory, state) = enter(&mut caller)?;
    let taken = metric(memory, state, ptr, len)
        .is_some_and(|metric| state.services.emit_metric(metric).is_ok());
    if taken {
        state.meter.took(usize::try_from(len).unwrap_or_default());
        return Ok(0);
    }
    state.meter.dropped_event();
    Ok(-1)
}

/// Reads a metric if the gate is open and it is within all limits. Label names are not limited
/// but by the payload, as in the reference.
fn metric(memory: &[u8], state: &State, ptr: i32, len: i32) -> Option<WorkflowUserMetric> {
    let limits = state.limits.metrics?;
    if len <= 0 || i64::from(len) > i64::from(limits.payload_bytes) {
        return None;
    }
    let bytes = memory::read(memory, ptr, len).ok()?;
    let metric: WorkflowUserMetric = protocol::messages::decode(bytes).ok()?;
    let within = !metric.name.is_empty()
        && metric.name.len() <= limits.name_bytes
        && metric.labels.len() <= limits.labels
        && metric.labels.values().all(|value| value.len() <= limits.label_value_bytes);
    within.then_some(metric)
}
