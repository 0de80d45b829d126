//! The three standard descriptors (3.4): an empty input and two outputs that nobody reads.

use wasmtime::Caller;

use super::{EBADF, EFAULT, EINVAL};
use crate::{
    memory,
    state::{State, enter},
};

/// Writes that a standard descriptor is a character device with all rights.
pub(super) fn fd_fdstat_get(
    mut caller: Caller<'_, State>,
    fd: i32,
    out: i32,
) -> wasmtime::Result<i32> {
    let (memory, _state) = enter(&mut caller)?;
    if !(STDIN..=STDERR).contains(&fd) {
        return Ok(EBADF);
    }
    // File type, padding, flags, padding; then base and inheriting rights.
    let mut stat = [u8::MAX; 24];
    stat.iter_mut().take(8).for_each(|byte| *byte = 0);
    stat.iter_mut().take(1).for_each(|byte| *byte = CHARACTER_DEVICE);
    let written = memory::write(memory, &stat, out, 24) >= 0;
    Ok(if written { 0 } else { EFAULT })
}

/// Takes flags for a standard descriptor; they change nothing.
pub(super) fn fd_fdstat_set_flags(mut caller: Caller<'_, State>, fd: i32, _flags: i32) -> i32 {
    caller.data_mut().meter.called();
    if (STDIN..=STDERR).contains(&fd) { 0 } else { EBADF }
}

/// Reads the end of the standard input.
pub(super) fn fd_read(
    mut caller: Caller<'_, State>,
    fd: i32,
    _vectors: i32,
    _count: i32,
    out: i32,
) -> wasmtime::Result<i32> {
    let (memory, _state) = enter(&mut caller)?;
    if fd != STDIN {
        return Ok(EBADF);
    }
    let written = memory::write(memory, &[0; 4], out, 4) >= 0;
    Ok(if written { 0 } else { EFAULT })
}

/// Discards what is written to an output and returns its length.
pub(super) fn fd_write(
    mut caller: Caller<'_, State>,
    fd: i32,
    vectors: i32,
    count: i32,
    out: i32,
) -> wasmtime::Result<i32> {
    let (memory, _state) = enter(&mut caller)?;
    if fd != STDOUT && fd != STDERR {
        return Ok(EBADF);
    }
    let size = match count {
        0..=MAX_VECTORS => count.saturating_mul(VECTOR_BYTES),
        _ => return Ok(EINVAL),
    };
    let Ok(vectors) = memory::read(memory, vectors, size) else { return Ok(EFAULT) };
    let total =
        vectors.as_chunks::<8>().0.iter().fold(0_u32, |total, [_, _, _, _, length @ ..]| {
            total.saturating_add(u32::from_le_bytes(*length))
        });
    let written = memory::write(memory, &total.to_le_bytes(), out, 4) >= 0;
    Ok(if written { 0 } else { EFAULT })
}

const STDIN: i32 = 0;
const STDOUT: i32 = 1;
const STDERR: i32 = 2;
const CHARACTER_DEVICE: u8 = 2;

/// Address and length of one piece.
const VECTOR_BYTES: i32 = 8;

/// The usual limit of systems for one write.
const MAX_VECTORS: i32 = 1024;
