//! A guest that calls imports with numbers of an input's choice.

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, ImportSection, MemorySection, MemoryType, Module, TypeSection, ValType,
};

use crate::Input;

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its position in [`IMPORTS`].
    pub import: usize,
    /// As many as the import has parameters.
    pub arguments: Vec<i64>,
}

impl Call {
    /// Takes a call from an input: which import, then each argument by its choice or in full.
    pub fn choose(input: &mut Input<'_>) -> Self {
        let import = input.below(IMPORTS.len());
        let number = |input: &mut Input<'_>| match input.below(NUMBERS.len() + 1).checked_sub(1) {
            Some(known) => NUMBERS[known],
            None => i64::from_le_bytes(input.array()),
        };
        let arguments = IMPORTS[import].parameters.chars().map(|_| number(input)).collect();
        Self { import, arguments }
    }
}

/// A function that a guest can import.
#[derive(Clone, Copy, Debug)]
pub struct Import {
    pub module: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// `i` for 32 bits, `I` for 64.
    pub parameters: &'static str,
    /// The same, or nothing.
    pub result: &'static str,
}

const fn env(name: &'static str, parameters: &'static str, result: &'static str) -> Import {
    Import { module: "env", name, parameters, result }
}

const fn wasi(name: &'static str, parameters: &'static str) -> Import {
    Import { module: "wasi_snapshot_preview1", name, parameters, result: "i" }
}

/// What a guest imports: all of `env`, and of WASI all that does more than refuse.
pub const IMPORTS: &[Import] = &[
    env("call_capability", "iiii", "I"),
    env("await_capabilities", "iiii", "I"),
    env("get_secrets", "iiii", "I"),
    env("await_secrets", "iiii", "I"),
    env("send_response", "ii", "i"),
    env("log", "ii", ""),
    env("emit_metric", "ii", "i"),
    env("switch_modes", "i", ""),
    env("random_seed", "i", "I"),
    env("now", "i", "i"),
    wasi("args_get", "ii"),
    wasi("args_sizes_get", "ii"),
    wasi("environ_get", "ii"),
    wasi("environ_sizes_get", "ii"),
    wasi("clock_res_get", "ii"),
    wasi("clock_time_get", "iIi"),
    wasi("fd_fdstat_get", "ii"),
    wasi("fd_fdstat_set_flags", "ii"),
    wasi("fd_read", "iiii"),
    wasi("fd_write", "iiii"),
    wasi("sched_yield", ""),
    wasi("random_get", "ii"),
    wasi("poll_oneoff", "iiii"),
    wasi("path_open", "iiiiiIIii"),
    Import { module: "wasi_snapshot_preview1", name: "proc_exit", parameters: "i", result: "" },
];

/// Where the data begins in the guest's memory, which has one page.
pub const DATA: u16 = 1024;

/// Numbers that say more than others: ends of the memory and of the types, the places where data,
/// buffers and their lengths are.
const NUMBERS: [i64; 22] = [
    0,
    1,
    2,
    3,
    4,
    8,
    16,
    24,
    48,
    64,
    255,
    DATA as i64,
    DATA as i64 + 32,
    DATA as i64 + 64,
    DATA as i64 + 128,
    8192,
    65_535,
    65_536,
    -1,
    -4,
    i32::MAX as i64,
    i32::MIN as i64,
];

/// A module whose `_start` makes these calls and drops what they return, with data in its memory.
#[must_use]
pub fn module(calls: &[Call], data: &[u8]) -> Vec<u8> {
    let values = |letters: &str| {
        let value = |letter| if letter == 'I' { ValType::I64 } else { ValType::I32 };
        letters.chars().map(value).collect::<Vec<_>>()
    };
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    types.ty().function([], []);
    imports.import("env", "version_v2", EntityType::Function(0));
    for import in IMPORTS {
        let index = types.len();
        types.ty().function(values(import.parameters), values(import.result));
        imports.import(import.module, import.name, EntityType::Function(index));
    }
    let (mut functions, mut memories) = (FunctionSection::new(), MemorySection::new());
    functions.function(0);
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("_start", ExportKind::Func, imports.len());
    let mut code = CodeSection::new();
    code.function(&start(calls));
    let mut segments = DataSection::new();
    segments.active(0, &ConstExpr::i32_const(DATA.into()), data.iter().copied());
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&memories);
    module.section(&exports).section(&code).section(&segments);
    module.finish()
}

fn start(calls: &[Call]) -> Function {
    let mut function = Function::new([]);
    let mut body = function.instructions();
    for call in calls {
        let import = IMPORTS[call.import];
        for (letter, argument) in import.parameters.chars().zip(&call.arguments) {
            if letter == 'I' {
                body.i64_const(*argument);
            } else {
                body.i32_const(*argument as i32);
            }
        }
        // The version marker comes before them.
        body.call(call.import as u32 + 1);
        if !import.result.is_empty() {
            body.drop();
        }
    }
    body.end();
    function
}
