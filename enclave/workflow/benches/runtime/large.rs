//! A guest as large as one of the Go SDK: its functions, its table, its memory and its data.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, ImportSection, InstructionSink, MemArg,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

/// Makes the module; another `seed` gives another one of the same size.
pub(crate) fn guest(functions: u32, seed: u64) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::I32, ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I32, ValType::I64], [ValType::I64]);
    let mut imports = ImportSection::new();
    imports.import("env", "version_v2_go", EntityType::Function(NOTHING));
    imports.import("env", "send_response", EntityType::Function(SEND));
    let mut declared = FunctionSection::new();
    let mut code = CodeSection::new();
    declared.function(NOTHING);
    code.function(&start(functions.min(TABLE)));
    for _ in 0..functions {
        declared.function(WORK);
        code.function(&work(&mut random));
    }
    let mut tables = TableSection::new();
    let element_type = RefType::FUNCREF;
    let (minimum, maximum) = (u64::from(TABLE), None);
    tables.table(TableType { element_type, minimum, maximum, table64: false, shared: false });
    let mut memories = MemorySection::new();
    let (minimum, maximum) = (PAGES, None);
    let memory =
        MemoryType { minimum, maximum, memory64: false, shared: false, page_size_log2: None };
    memories.memory(memory);
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("_start", ExportKind::Func, IMPORTS);
    let mut elements = ElementSection::new();
    let all: Vec<_> = (0..functions.min(TABLE)).map(|index| IMPORTS + 1 + index).collect();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(all.into()));
    let mut data = DataSection::new();
    // A result with 64 bytes, and behind it what a Go module carries.
    data.active(0, &ConstExpr::i32_const(0), *b"\x0a\x42\x1a\x40");
    let bytes: Vec<u8> = (0..DATA_BYTES / 8).flat_map(|_| random.next().to_le_bytes()).collect();
    data.active(0, &ConstExpr::i32_const(0x10_0000), bytes);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&declared).section(&tables);
    module.section(&memories).section(&exports).section(&elements).section(&code).section(&data);
    module.finish()
}

/// Calls every tenth function of the table, then answers.
fn start(functions: u32) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut body = function.instructions();
    body.loop_(BlockType::Empty);
    body.local_get(0).i64_const(7).local_get(0).call_indirect(0, WORK).drop();
    body.local_get(0).i32_const(10).i32_add().local_tee(0);
    body.i32_const(functions.cast_signed()).i32_lt_u().br_if(0);
    body.end();
    body.i32_const(0).i32_const(68).call(1).drop();
    body.end();
    function
}

/// A function in the manner of Go's compiler: blocks in a loop, loads and stores, few locals.
fn work(random: &mut Random) -> Function {
    let mut function = Function::new([(5, ValType::I32), (4, ValType::I64)]);
    let mut body = function.instructions();
    let blocks = 3 + random.below(12);
    body.local_get(0).i32_const(0xf_fff8).i32_and().local_set(2);
    for _ in 0..blocks {
        body.block(BlockType::Empty);
        step(&mut body, random);
        body.local_get(3)
            .i32_const(1 + random.below(64).cast_signed())
            .i32_and()
            .i32_eqz()
            .br_if(0);
        step(&mut body, random);
        body.end();
    }
    body.local_get(7).local_get(1).i64_add();
    body.end();
    function
}

fn step(body: &mut InstructionSink<'_>, random: &mut Random) {
    let at = |random: &mut Random| MemArg {
        offset: u64::from(random.below(4_000)) * 8,
        align: 3,
        memory_index: 0,
    };
    let (a, b) = (7 + random.below(4), 7 + random.below(4));
    body.local_get(2).i64_load(at(random)).i64_const(random.next().cast_signed() >> 40).i64_add();
    body.local_get(b).i64_xor().local_tee(a).i32_wrap_i64();
    body.local_get(4).i32_add().local_set(3 + random.below(3));
    body.local_get(2).local_get(a).local_get(1).i64_mul().i64_store(at(random));
}

/// Numbers that look random and are always the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() >> 33).unwrap_or(0) % limit
    }
}

const NOTHING: u32 = 0;
const SEND: u32 = 1;
const WORK: u32 = 2;
const IMPORTS: u32 = 2;
const TABLE: u32 = 14_000;
const PAGES: u64 = 135;
const DATA_BYTES: u64 = 4_000_000;
