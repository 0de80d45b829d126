//! The guests that are measured.

use std::path::{Path, PathBuf};

use protocol::messages::{
    self, cron, pack,
    sdk::{ExecuteRequest, Phase, Trigger},
};

/// The smallest workflow of the Rust SDK, or why it is not there.
pub(crate) fn hello() -> Result<Vec<u8>, &'static str> {
    let folder = std::env::var_os("WORKFLOWS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/workflows/built"),
        PathBuf::from,
    );
    let missing = "workflows are not built: run scripts/build-workflows";
    std::fs::read(folder.join("hello.wasm")).map_err(|_error| missing)
}

/// The smallest workflow of the TypeScript SDK, or why it is not there.
pub(crate) fn typescript() -> Result<Vec<u8>, &'static str> {
    let missing = "TS_WORKFLOWS_DIR does not name a folder of built TypeScript workflows";
    let folder = std::env::var_os("TS_WORKFLOWS_DIR").map(PathBuf::from).ok_or(missing)?;
    std::fs::read(folder.join("ts-hello.wasm")).map_err(|_error| missing)
}

/// An event for a workflow's first handler.
pub(crate) fn event(max_response_size: u64) -> Vec<u8> {
    let event = Trigger { id: 0, payload: Some(pack(&cron::Payload::default())) };
    // The TypeScript workflows take no other configuration.
    let config =
        br#"{"schedule":"* * * * * *","apiUrl":"https://a.test/","secretId":"A"}"#.to_vec();
    messages::encode(&ExecuteRequest {
        config,
        max_response_size,
        request: Some(Phase::Trigger(event)),
    })
}

/// Calls a capability and waits for it, so often, with a buffer of so many bytes. Before that it
/// writes to [`TOUCHED_BYTES`] of its memory.
pub(crate) fn awaiting(times: u32, buffer_bytes: u32) -> Vec<u8> {
    let pages = 2 + (TOUCHED_BYTES + buffer_bytes) / 65_536;
    let buffer = 65_536 + TOUCHED_BYTES;
    module(&format!(
        r#"(import "env" "call_capability" (func $call (param i32 i32 i32 i32) (result i64)))
        (import "env" "await_capabilities" (func $await (param i32 i32 i32 i32) (result i64)))
        (memory (export "memory") {pages})
        (data (i32.const 1000) "\0a\05probe\1a\01M\20\01")
        (data (i32.const 1100) "\0a\01\01")
        (func $work (local $id i32)
            (memory.fill (i32.const 65536) (i32.const 90) (i32.const {TOUCHED_BYTES}))
            (loop $again
                (local.set $id (i32.add (local.get $id) (i32.const 1)))
                (i32.store8 (i32.const 1011) (local.get $id))
                (i32.store8 (i32.const 1102) (local.get $id))
                (drop (call $call (i32.const 1000) (i32.const 12) (i32.const 2000) (i32.const 1000)))
                (drop (call $await (i32.const 1100) (i32.const 3) (i32.const {buffer}) (i32.const {buffer_bytes})))
                (br_if $again (i32.lt_u (local.get $id) (i32.const {times})))))"#
    ))
}

/// A small module; another number gives another one.
pub(crate) fn small(number: u32) -> Vec<u8> {
    module(&format!(
        r#"(memory (export "memory") 1)
        (func $work (i32.store (i32.const 4) (i32.const {number})))"#
    ))
}

/// A module with `$work`, which then answers.
fn module(text: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "env" "version_v2" (func))
        (import "env" "send_response" (func $send (param i32 i32) (result i32)))
        {text}
        (data (i32.const 0) "\0a\42\1a\40")
        (func (export "_start")
            (call $work)
            (drop (call $send (i32.const 0) (i32.const 68)))))"#
    );
    wat::parse_str(text).expect("a module")
}

/// What a waiting guest has written to, beside its first page.
pub(crate) const TOUCHED_BYTES: u32 = 256 * 1024;
