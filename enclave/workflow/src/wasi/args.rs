//! Arguments and environment (1.5): `wasi`, the request in base64, and no variables.

use wasmtime::Caller;

use super::EFAULT;
use crate::{
    memory,
    state::{State, enter},
};

/// Writes both arguments, NUL-terminated, to `buffer` and their addresses to `argv`.
pub(super) fn args_get(
    mut caller: Caller<'_, State>,
    argv: i32,
    buffer: i32,
) -> wasmtime::Result<i32> {
    let (memory, state) = enter(&mut caller)?;
    let mut pointers = Vec::new();
    let mut texts = Vec::new();
    for text in [PROGRAM, &state.argument] {
        let Some(address) = i32::try_from(texts.len()).ok().and_then(|n| buffer.checked_add(n))
        else {
            return Ok(EFAULT);
        };
        pointers.extend_from_slice(&address.to_le_bytes());
        texts.extend_from_slice(text.as_bytes());
        texts.push(0);
    }
    let written = put(memory, &texts, buffer) && put(memory, &pointers, argv);
    if !written {
        return Ok(EFAULT);
    }
    let size = u64::try_from(texts.len()).unwrap_or(u64::MAX);
    state.meter.bytes_in = state.meter.bytes_in.saturating_add(size);
    Ok(0)
}

/// Writes the count of arguments and the bytes of all, terminators included.
pub(super) fn args_sizes_get(
    mut caller: Caller<'_, State>,
    count: i32,
    size: i32,
) -> wasmtime::Result<i32> {
    let (memory, state) = enter(&mut caller)?;
    let bytes = PROGRAM.len().saturating_add(state.argument.len()).saturating_add(2);
    let Ok(bytes) = u32::try_from(bytes) else { return Ok(EFAULT) };
    let written =
        put(memory, &2_u32.to_le_bytes(), count) && put(memory, &bytes.to_le_bytes(), size);
    Ok(if written { 0 } else { EFAULT })
}

/// Writes that there are no variables.
pub(super) fn environ_sizes_get(
    mut caller: Caller<'_, State>,
    count: i32,
    size: i32,
) -> wasmtime::Result<i32> {
    let (memory, _state) = enter(&mut caller)?;
    let written = put(memory, &[0; 4], count) && put(memory, &[0; 4], size);
    Ok(if written { 0 } else { EFAULT })
}

fn put(memory: &mut [u8], bytes: &[u8], ptr: i32) -> bool {
    let len = i32::try_from(bytes.len()).unwrap_or(-1);
    memory::write(memory, bytes, ptr, len) >= 0
}

/// The first argument; guests look only at the second.
const PROGRAM: &str = "wasi";
