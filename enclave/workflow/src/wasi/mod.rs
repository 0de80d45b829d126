//! The part of WASI preview 1 that guests need (section 3): a clock, sleep, randomness, two
//! arguments, and a polite no to everything else.
//!
//! There are no files, sockets, environment variables or streams; what is written to descriptors 1
//! and 2 is discarded. All 45 functions exist, so that no guest fails to link for one it never calls.

mod args;
mod clock;
mod poll;
mod stdio;

use rand_core::{OsRng, RngCore as _};
use wasmtime::{Caller, FuncType, Linker, Val, ValType};

use crate::{
    memory,
    state::{State, enter, guest},
};

/// No such file descriptor.
pub(crate) const EBADF: i32 = 8;
/// A pointer does not lie within the memory.
pub(crate) const EFAULT: i32 = 21;
/// A parameter makes no sense.
pub(crate) const EINVAL: i32 = 28;

/// How a guest ended itself. It travels as an error so that no more of the guest runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Exited with i32 exit status {0}")]
pub(crate) struct Exit(pub(crate) i32);

/// Defines all of preview 1.
pub(crate) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    for (name, parameters) in REFUSED {
        let parameters = parameters.chars().map(|c| match c {
            'I' => ValType::I64,
            _ => ValType::I32,
        });
        let signature = FuncType::new(linker.engine(), parameters, [ValType::I32]);
        linker.func_new(WASI, name, signature, |mut caller, _parameters, results| {
            caller.data_mut().meter.called();
            results.iter_mut().for_each(|result| *result = Val::I32(EBADF));
            Ok(())
        })?;
    }
    linker.func_wrap_async(WASI, "args_get", |mut caller, (argv, buffer): (i32, i32)| {
        Box::new(async move { args::args_get(&mut caller, argv, buffer).await })
    })?;
    linker.func_wrap(WASI, "args_sizes_get", args::args_sizes_get)?;
    linker
        .func_wrap(WASI, "environ_get", |caller: Caller<'_, State>, _: i32, _: i32| done(caller))?;
    linker.func_wrap(WASI, "environ_sizes_get", args::environ_sizes_get)?;
    linker.func_wrap(WASI, "clock_res_get", clock::clock_res_get)?;
    linker.func_wrap(WASI, "clock_time_get", clock::clock_time_get)?;
    linker.func_wrap(WASI, "fd_fdstat_get", stdio::fd_fdstat_get)?;
    linker.func_wrap(WASI, "fd_fdstat_set_flags", stdio::fd_fdstat_set_flags)?;
    linker.func_wrap(WASI, "fd_read", stdio::fd_read)?;
    linker.func_wrap(WASI, "fd_write", stdio::fd_write)?;
    linker.func_wrap(WASI, "sched_yield", done)?;
    linker.func_wrap(WASI, "proc_exit", proc_exit)?;
    linker.func_wrap_async(WASI, "random_get", |mut caller, (out, len): (i32, i32)| {
        Box::new(async move { random_get(&mut caller, out, len).await })
    })?;
    linker.func_wrap_async(
        WASI,
        "poll_oneoff",
        |mut caller, parameters: (i32, i32, i32, i32)| {
            Box::new(async move { poll::poll_oneoff(&mut caller, parameters).await })
        },
    )?;
    Ok(())
}

/// Does nothing, successfully.
fn done(mut caller: Caller<'_, State>) -> i32 {
    caller.data_mut().meter.called();
    0
}

fn proc_exit(mut caller: Caller<'_, State>, code: i32) -> wasmtime::Result<()> {
    caller.data_mut().meter.called();
    Err(Exit(code).into())
}

/// Fills a buffer from the system's randomness, in pieces, since a guest may ask for all its memory.
async fn random_get(caller: &mut Caller<'_, State>, out: i32, len: i32) -> wasmtime::Result<i32> {
    enter(caller)?;
    let mut done = 0;
    loop {
        let (memory, _state) = guest(caller)?;
        let Some(buffer) = memory::window(memory, out, len) else { return Ok(EFAULT) };
        let Some(rest) = buffer.get_mut(done..) else { return Ok(0) };
        let Some(piece) = rest.chunks_mut(RANDOM_PIECE_BYTES).next() else { return Ok(0) };
        if OsRng.try_fill_bytes(piece).is_err() {
            return Ok(EINVAL);
        }
        done = done.saturating_add(RANDOM_PIECE_BYTES);
        if done < buffer.len() {
            tokio::task::yield_now().await;
        }
    }
}

const WASI: &str = "wasi_snapshot_preview1";

/// Well below a millisecond of work.
const RANDOM_PIECE_BYTES: usize = 64 * 1024;

/// What answers that the descriptor does not exist: names and parameters, `i` for 32 bits and `I`
/// for 64. All of them return an error number.
const REFUSED: &[(&str, &str)] = &[
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("proc_raise", "i"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];
