//! wasmtime alone: the settings of `src/engine.rs`, and imports that do next to nothing.

use enclave_workflow::Capacity;
use protocol::base64;
use wasmtime::{
    Caller, Config, Engine, Extern, InstancePre, Linker, Memory, Module, PoolingAllocationConfig,
    Store, Val, ValType,
};

/// An engine like the runtime's own, without anything around it.
pub(crate) struct Floor(Engine);

/// A guest's request and its result.
pub(crate) struct Alone {
    argument: Vec<u8>,
    result: Vec<u8>,
}

/// A guest that called `proc_exit`, as workflows of the TypeScript SDK do.
#[derive(Debug, thiserror::Error)]
#[error("exited")]
struct Exited;

type Alones<'c> = Caller<'c, Alone>;

impl Floor {
    pub(crate) fn new(instances: u32) -> Self {
        let capacity = Capacity::default();
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(instances)
            .total_memories(instances)
            .total_tables(instances)
            .total_stacks(instances)
            .max_memories_per_module(1)
            .max_tables_per_module(1)
            .max_core_instance_size(capacity.instance_bytes)
            .max_memory_size(capacity.memory_bytes as usize)
            .table_elements(capacity.table_elements as usize);
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .max_wasm_stack(512 * 1024)
            .async_stack_size(2560 * 1024)
            .async_stack_zeroing(true)
            .memory_init_cow(true)
            .native_unwind_info(false)
            .wasm_backtrace_max_frames(None)
            .generate_address_map(false)
            .relaxed_simd_deterministic(true)
            .allocation_strategy(pool);
        Self(Engine::new(&config).expect("an engine"))
    }

    pub(crate) fn compile(&self, binary: &[u8]) -> Module {
        Module::new(&self.0, binary).expect("a module")
    }

    pub(crate) fn link(&self, module: &Module) -> InstancePre<Alone> {
        let mut linker = Linker::new(&self.0);
        linker.allow_shadowing(true);
        for import in module.imports() {
            let ty = import.ty();
            let function = ty.func().expect("guests import functions alone").clone();
            let code = if import.name().starts_with("fd_") { BAD_DESCRIPTOR } else { 0 };
            let number = |ty: ValType| if ty.is_i64() { Val::I64(0) } else { Val::I32(code) };
            let answers: Vec<_> = function.results().map(number).collect();
            let answer = move |_: Alones<'_>, _: &[Val], results: &mut [Val]| {
                results.clone_from_slice(&answers);
                Ok(())
            };
            linker.func_new(import.module(), import.name(), function, answer).expect("defined");
        }
        define(&mut linker).expect("defined");
        linker.instantiate_pre(module).expect("linked")
    }

    /// Instantiates, calls `_start` and returns the result.
    pub(crate) async fn run(&self, guest: &InstancePre<Alone>, request: &[u8]) -> Vec<u8> {
        let argument = [b"wasi\0", base64::encode(request).as_bytes(), b"\0"].concat();
        let mut store = Store::new(&self.0, Alone { argument, result: Vec::new() });
        store.set_epoch_deadline(1);
        let instance = guest.instantiate_async(&mut store).await.expect("an instance");
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").expect("a start");
        if let Err(error) = start.call_async(&mut store, ()).await {
            assert!(error.is::<Exited>(), "{error}");
        }
        store.into_data().result
    }
}

/// What a guest cannot do without: its request, its environment, the time, and somebody for what it
/// writes and for its result.
fn define(linker: &mut Linker<Alone>) -> wasmtime::Result<()> {
    linker.func_wrap(WASI, "args_sizes_get", |mut caller: Alones<'_>, count: u32, size: u32| {
        let bytes = caller.data().argument.len() as u32;
        put(&mut caller, count, &2_u32.to_le_bytes());
        put(&mut caller, size, &bytes.to_le_bytes());
        0
    })?;
    linker.func_wrap(WASI, "args_get", |mut caller: Alones<'_>, argv: u32, buffer: u32| {
        let argument = std::mem::take(&mut caller.data_mut().argument);
        put(&mut caller, argv, &buffer.to_le_bytes());
        put(&mut caller, argv + 4, &(buffer + 5).to_le_bytes());
        put(&mut caller, buffer, &argument);
        0
    })?;
    linker.func_wrap(WASI, "environ_sizes_get", |mut caller: Alones<'_>, a: u32, b: u32| {
        put(&mut caller, a, &[0; 4]);
        put(&mut caller, b, &[0; 4]);
        0
    })?;
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |mut caller: Alones<'_>, _: i32, _: i64, out: u32| {
            put(&mut caller, out, &7_000_000_000_u64.to_le_bytes());
            0
        },
    )?;
    linker.func_wrap(WASI, "proc_exit", |_: Alones<'_>, _code: i32| -> wasmtime::Result<()> {
        Err(Exited.into())
    })?;
    linker.func_wrap("env", "log", |_: Alones<'_>, _line: u32, _bytes: u32| ())?;
    linker.func_wrap("env", "switch_modes", |_: Alones<'_>, _mode: i32| ())?;
    linker.func_wrap(
        "env",
        "send_response",
        |mut caller: Alones<'_>, result: u32, bytes: u32| {
            let (memory, alone) = memory(&mut caller).data_and_store_mut(&mut caller);
            alone.result = memory[result as usize..][..bytes as usize].to_vec();
            0
        },
    )?;
    files(linker)
}

/// The standard descriptors: a device each, an empty input, and outputs that nobody reads.
fn files(linker: &mut Linker<Alone>) -> wasmtime::Result<()> {
    linker.func_wrap(WASI, "fd_fdstat_get", |mut caller: Alones<'_>, fd: u32, out: u32| {
        if fd > 2 {
            return BAD_DESCRIPTOR;
        }
        put(&mut caller, out, &[2, 0, 0, 0, 0, 0, 0, 0]);
        put(&mut caller, out + 8, &[u8::MAX; 16]);
        0
    })?;
    linker.func_wrap(
        WASI,
        "fd_read",
        |mut caller: Alones<'_>, _fd: i32, _vectors: u32, _count: u32, out: u32| {
            put(&mut caller, out, &[0; 4]);
            0
        },
    )?;
    linker.func_wrap(
        WASI,
        "fd_write",
        |mut caller: Alones<'_>, _fd: i32, vectors: u32, count: u32, out: u32| {
            let bytes =
                &memory(&mut caller).data(&caller)[vectors as usize..][..8 * count as usize];
            let lengths = bytes.as_chunks::<8>().0.iter().map(|[_, _, _, _, length @ ..]| *length);
            let total: u32 = lengths.map(u32::from_le_bytes).sum();
            put(&mut caller, out, &total.to_le_bytes());
            0
        },
    )?;
    Ok(())
}

fn put(caller: &mut Alones<'_>, at: u32, bytes: &[u8]) {
    memory(caller).write(caller, at as usize, bytes).expect("within the memory");
}

fn memory(caller: &mut Alones<'_>) -> Memory {
    caller.get_export("memory").and_then(Extern::into_memory).expect("a memory")
}

const WASI: &str = "wasi_snapshot_preview1";

/// What the runtime answers for files, of which there are none.
const BAD_DESCRIPTOR: i32 = 8;
