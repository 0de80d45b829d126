//! What the host provides (wasm-abi 2). The only module with unsafe code.
//!
//! Every import takes a pointer and a length of memory that outlives the call; the host copies what
//! it needs before it returns and keeps no pointer.
#![expect(
    unsafe_code,
    reason = "imports of a WebAssembly host are foreign functions that take pointers"
)]

use crate::error::Refusal;

mod env {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) safe fn version_v2_rust();
        pub(super) safe fn switch_modes(mode: i32);
        pub(super) safe fn random_seed(mode: i32) -> i64;
        pub(super) fn now(out: *mut u64) -> i32;
        pub(super) fn log(text: *const u8, len: usize);
        pub(super) fn send_response(result: *const u8, len: usize) -> i32;
        pub(super) fn call_capability(
            request: *const u8,
            len: usize,
            response: *mut u8,
            max: usize,
        ) -> i64;
        pub(super) fn await_capabilities(
            request: *const u8,
            len: usize,
            response: *mut u8,
            max: usize,
        ) -> i64;
        pub(super) fn get_secrets(
            request: *const u8,
            len: usize,
            response: *mut u8,
            max: usize,
        ) -> i64;
        pub(super) fn await_secrets(
            request: *const u8,
            len: usize,
            response: *mut u8,
            max: usize,
        ) -> i64;
    }
}

mod wasi {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) fn random_get(out: *mut u8, len: usize) -> i32;
    }
}

type Exchange = unsafe extern "C" fn(*const u8, usize, *mut u8, usize) -> i64;

/// Says which generation of the interface this is.
pub(crate) fn mark_version() {
    env::version_v2_rust();
}

pub(crate) fn switch_modes(mode: i32) {
    env::switch_modes(mode);
}

pub(crate) fn random_seed(mode: i32) -> i64 {
    env::random_seed(mode)
}

/// Nanoseconds since the epoch, by the clock of the current mode.
pub(crate) fn now() -> Option<u64> {
    let mut nanos = 0;
    // SAFETY: the host writes eight bytes through a pointer to eight.
    let code = unsafe { env::now(&raw mut nanos) };
    (code == 0).then_some(nanos)
}

pub(crate) fn log(text: &str) {
    // SAFETY: the host reads this many bytes.
    unsafe { env::log(text.as_ptr(), text.len()) }
}

/// Whether the host took the result.
pub(crate) fn send_response(result: &[u8]) -> bool {
    // SAFETY: the host reads this many bytes.
    unsafe { env::send_response(result.as_ptr(), result.len()) == 0 }
}

pub(crate) fn call_capability(request: &[u8]) -> Result<(), Refusal> {
    exchange(env::call_capability, request, &mut Vec::with_capacity(REFUSAL_BYTES))
}

/// Puts the answers into `response`, whose capacity is the room for them.
pub(crate) fn await_capabilities(request: &[u8], response: &mut Vec<u8>) -> Result<(), Refusal> {
    exchange(env::await_capabilities, request, response)
}

pub(crate) fn get_secrets(request: &[u8]) -> Result<(), Refusal> {
    exchange(env::get_secrets, request, &mut Vec::with_capacity(REFUSAL_BYTES))
}

/// Puts the answers into `response`, whose capacity is the room for them.
pub(crate) fn await_secrets(request: &[u8], response: &mut Vec<u8>) -> Result<(), Refusal> {
    exchange(env::await_secrets, request, response)
}

/// Fills a buffer from the host's cryptographic randomness; whether it could.
pub(crate) fn secure_random(out: &mut [u8]) -> bool {
    // SAFETY: the host writes this many bytes.
    unsafe { wasi::random_get(out.as_mut_ptr(), out.len()) == 0 }
}

/// Calls an import that answers with a count of bytes, or with the negative count of a refusal's.
fn exchange(import: Exchange, request: &[u8], response: &mut Vec<u8>) -> Result<(), Refusal> {
    response.clear();
    let room = response.capacity();
    // SAFETY: the host reads the request and writes at most `room` bytes, all within the buffer.
    let code = unsafe { import(request.as_ptr(), request.len(), response.as_mut_ptr(), room) };
    let written = usize::try_from(code.unsigned_abs()).unwrap_or(usize::MAX).min(room);
    // SAFETY: the host has written the first `written` bytes, and they are within the capacity.
    unsafe { response.set_len(written) };
    if code >= 0 { Ok(()) } else { Err(Refusal::new(response)) }
}

/// Room for the text of a refusal.
const REFUSAL_BYTES: usize = 1024;
