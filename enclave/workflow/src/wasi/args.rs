//! Arguments and environment (1.5): `wasi`, the request in base64, and no variables.

use wasmtime::Caller;

use super::EFAULT;
use crate::{
    memory,
    request::Argument,
    state::{State, enter, guest},
};

/// Writes both arguments, NUL-terminated, to `buffer` and their addresses to `argv`.
pub(super) async fn args_get(
    caller: &mut Caller<'_, State>,
    argv: i32,
    buffer: i32,
) -> wasmtime::Result<i32> {
    let (memory, state) = enter(caller)?;
    let Some(layout) = Layout::new(&state.argument, buffer) else { return Ok(EFAULT) };
    let addresses = [buffer.to_le_bytes(), layout.request.to_le_bytes()];
    // The whole window is checked first, so that what follows cannot fail half-way.
    if memory::window(memory, buffer, layout.size).is_none()
        || !put(memory, addresses.as_flattened(), argv)
    {
        return Ok(EFAULT);
    }
    put(memory, PROGRAM, buffer);
    put(memory, b"\0", layout.end);
    state.meter.gave(usize::try_from(layout.size).unwrap_or_default());
    for (index, address) in layout.pieces().enumerate() {
        let (memory, state) = guest(caller)?;
        let Some(piece) = state.argument.piece(index) else { break };
        put(memory, piece.as_bytes(), address);
        if piece.len() == Argument::PIECE_BYTES {
            tokio::task::yield_now().await;
        }
    }
    Ok(0)
}

/// Writes the count of arguments and the bytes of all, terminators included.
pub(super) fn args_sizes_get(
    mut caller: Caller<'_, State>,
    count: i32,
    size: i32,
) -> wasmtime::Result<i32> {
    let (memory, state) = enter(&mut caller)?;
    let Some(layout) = Layout::new(&state.argument, 0) else { return Ok(EFAULT) };
    let written =
        put(memory, &2_u32.to_le_bytes(), count) && put(memory, &layout.size.to_le_bytes(), size);
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

/// Where the parts of both arguments go.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// The second argument.
    request: i32,
    /// Its terminator.
    end: i32,
    /// Bytes of everything.
    size: i32,
}

impl Layout {
    fn new(argument: &Argument, buffer: i32) -> Option<Self> {
        let request = buffer.checked_add(i32::try_from(PROGRAM.len()).ok()?)?;
        let end = request.checked_add(i32::try_from(argument.text_bytes()).ok()?)?;
        let size = end.checked_sub(buffer)?.checked_add(1)?;
        Some(Self { request, end, size })
    }

    /// The address of each piece of the second argument.
    fn pieces(self) -> impl Iterator<Item = i32> {
        (self.request..self.end).step_by(Argument::PIECE_BYTES)
    }
}

fn put(memory: &mut [u8], bytes: &[u8], ptr: i32) -> bool {
    let len = i32::try_from(bytes.len()).unwrap_or(-1);
    memory::write(memory, bytes, ptr, len) >= 0
}

/// The first argument with its terminator; guests look only at the second.
const PROGRAM: &[u8] = b"wasi\0";
