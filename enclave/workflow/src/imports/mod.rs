//! The imports a workflow finds under `env` (2.2).

mod capability;
mod events;
mod exchange;
mod mode;
mod result;
mod secrets;

use wasmtime::{Caller, Linker};

use self::exchange::Buffer;
use crate::{
    admit::{Abi, MARKER},
    state::State,
};

pub(crate) use self::{mode::unix_nanos, result::ResultTooLarge};

/// Defines all imports for a module of this generation.
pub(crate) fn define(
    linker: &mut Linker<State>,
    module: &wasmtime::Module,
    abi: &Abi,
) -> wasmtime::Result<()> {
    define_markers(linker, module)?;
    define_calls(linker, abi)?;
    linker.func_wrap(ENV, "send_response", result::send_response)?;
    linker.func_wrap(ENV, "log", events::log)?;
    linker.func_wrap(ENV, "emit_metric", events::emit_metric)?;
    linker.func_wrap(ENV, "switch_modes", mode::switch_modes)?;
    linker.func_wrap(ENV, "random_seed", mode::random_seed)?;
    linker.func_wrap_async(ENV, "now", |mut caller: Caller<'_, State>, (out,): (i32,)| {
        Box::new(async move { mode::now(&mut caller, out).await })
    })?;
    Ok(())
}

/// Markers carry no meaning beyond their name: every one the module imports does nothing.
fn define_markers(linker: &mut Linker<State>, module: &wasmtime::Module) -> wasmtime::Result<()> {
    let mut names: Vec<_> = module
        .imports()
        .filter(|import| import.module() == ENV && import.name().starts_with(MARKER))
        .map(|import| import.name())
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        linker.func_wrap(ENV, name, |mut caller: Caller<'_, State>| {
            caller.data_mut().meter.called();
        })?;
    }
    Ok(())
}

fn define_calls(linker: &mut Linker<State>, abi: &Abi) -> wasmtime::Result<()> {
    if abi.call_has_response {
        linker.func_wrap_async(ENV, "call_capability", |mut caller, parts| {
            let (request, response) = buffers(parts);
            Box::new(async move { capability::call(&mut caller, request, response).await })
        })?;
    } else {
        linker.func_wrap_async(ENV, "call_capability", |mut caller, (ptr, len): (i32, i32)| {
            let request = Buffer { ptr, len };
            Box::new(async move { capability::call(&mut caller, request, request).await })
        })?;
    }
    linker.func_wrap_async(ENV, "await_capabilities", |mut caller, parts| {
        let (request, response) = buffers(parts);
        Box::new(async move { capability::wait(&mut caller, request, response).await })
    })?;
    linker.func_wrap_async(ENV, "get_secrets", |mut caller, parts| {
        let (request, response) = buffers(parts);
        Box::new(async move { secrets::get(&mut caller, request, response).await })
    })?;
    linker.func_wrap_async(ENV, "await_secrets", |mut caller, parts| {
        let (request, response) = buffers(parts);
        Box::new(async move { secrets::wait(&mut caller, request, response).await })
    })?;
    Ok(())
}

/// Request and response buffer, as the four-parameter imports name them.
fn buffers((ptr, len, response_ptr, response_len): (i32, i32, i32, i32)) -> (Buffer, Buffer) {
    (Buffer { ptr, len }, Buffer { ptr: response_ptr, len: response_len })
}

/// The module name of all imports but WASI's.
const ENV: &str = "env";
