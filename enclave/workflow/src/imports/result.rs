//! `send_response` (2.3).

use protocol::{
    messages::{Described as _, sdk::ExecutionResult},
    proto,
};
use wasmtime::Caller;

use crate::{
    memory,
    state::{State, enter},
    wasi::EFAULT,
};

/// A guest sent a result beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("result of {got} bytes exceeds the limit of {limit} bytes")]
pub(crate) struct ResultTooLarge {
    pub(crate) got: u64,
    pub(crate) limit: u64,
}

/// Keeps a result and returns 0, or 21 if it cannot be read or is none; then an earlier one stays.
///
/// It is checked, but not decoded, which could take thirty times its size. A result beyond the
/// limit ends the run: guests do not look at the code, and would end well without a result.
pub(super) fn send_response(
    mut caller: Caller<'_, State>,
    ptr: i32,
    len: i32,
) -> wasmtime::Result<i32> {
    let (memory, state) = enter(&mut caller)?;
    let Ok(bytes) = memory::read(memory, ptr, len) else { return Ok(EFAULT) };
    let (got, limit) = (u64::try_from(bytes.len()).unwrap_or(u64::MAX), state.limits.result_bytes);
    if got > limit {
        return Err(ResultTooLarge { got, limit }.into());
    }
    if proto::check(ExecutionResult::schema(), bytes).is_err() {
        return Ok(EFAULT);
    }
    state.meter.took(bytes.len());
    state.result = Some(bytes.to_vec());
    Ok(0)
}
