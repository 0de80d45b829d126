//! The imports and their safe faces.
#![expect(
    unsafe_code,
    reason = "imports of a WebAssembly host are foreign functions that take pointers"
)]

mod env {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) safe fn version_v2_rust();
        pub(super) safe fn switch_modes(mode: i32);
        pub(super) safe fn random_seed(mode: i32) -> i64;
        pub(super) fn now(out: *mut u64) -> i32;
        pub(super) fn log(text: *const u8, len: usize);
        pub(super) fn emit_metric(metric: *const u8, len: usize) -> i32;
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

/// The host refused. Its reason, as far as it fitted, is in the buffer for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

type Exchange = unsafe extern "C" fn(*const u8, usize, *mut u8, usize) -> i64;

/// Says which generation of the interface this is.
pub fn mark_version() {
    env::version_v2_rust();
}

/// Enters a mode: 1 is DON mode, 2 node mode.
pub fn switch_modes(mode: i32) {
    env::switch_modes(mode);
}

/// The seed of a mode, or -1 if it has none.
#[must_use]
pub fn random_seed(mode: i32) -> i64 {
    env::random_seed(mode)
}

/// Nanoseconds since the epoch, by the clock of the current mode, if it has one.
#[must_use]
pub fn now() -> Option<u64> {
    let mut nanos = 0;
    // SAFETY: the host writes eight bytes through a pointer to eight.
    let code = unsafe { env::now(&raw mut nanos) };
    (code == 0).then_some(nanos)
}

/// Writes a line to the workflow's log.
pub fn log(line: &[u8]) {
    // SAFETY: the host reads this many bytes.
    unsafe { env::log(line.as_ptr(), line.len()) }
}

/// Hands over a metric; whether the host took it.
#[must_use]
pub fn emit_metric(metric: &[u8]) -> bool {
    // SAFETY: the host reads this many bytes.
    unsafe { env::emit_metric(metric.as_ptr(), metric.len()) == 0 }
}

/// Hands over the result; whether the host took it. The last one counts.
#[must_use]
pub fn send_response(result: &[u8]) -> bool {
    // SAFETY: the host reads this many bytes.
    unsafe { env::send_response(result.as_ptr(), result.len()) == 0 }
}

/// Starts a call. The capacity of `refusal` is the room for a reason.
///
/// # Errors
///
/// [`Refused`] if the host does not start it.
pub fn call_capability(request: &[u8], refusal: &mut Vec<u8>) -> Result<(), Refused> {
    exchange(env::call_capability, request, refusal)
}

/// Waits for calls. The capacity of `response` is the room for the answers.
///
/// # Errors
///
/// [`Refused`] if a call is not there, or the answers do not fit.
pub fn await_capabilities(request: &[u8], response: &mut Vec<u8>) -> Result<(), Refused> {
    exchange(env::await_capabilities, request, response)
}

/// Starts a request for secrets. The capacity of `refusal` is the room for a reason.
///
/// # Errors
///
/// [`Refused`] if the host does not start it.
pub fn get_secrets(request: &[u8], refusal: &mut Vec<u8>) -> Result<(), Refused> {
    exchange(env::get_secrets, request, refusal)
}

/// Waits for requests for secrets. The capacity of `response` is the room for the answers.
///
/// # Errors
///
/// [`Refused`] if a request is not there or failed, or the answers do not fit.
pub fn await_secrets(request: &[u8], response: &mut Vec<u8>) -> Result<(), Refused> {
    exchange(env::await_secrets, request, response)
}

/// Fills a buffer from the host's cryptographic randomness; whether it could.
#[must_use]
pub fn secure_random(out: &mut [u8]) -> bool {
    // SAFETY: the host writes this many bytes.
    unsafe { wasi::random_get(out.as_mut_ptr(), out.len()) == 0 }
}

/// Calls an import that answers with a count of bytes, or with the negative count of a refusal's.
fn exchange(import: Exchange, request: &[u8], response: &mut Vec<u8>) -> Result<(), Refused> {
    response.clear();
    let room = response.capacity();
    // SAFETY: the host reads the request and writes at most `room` bytes, all within the buffer.
    let code = unsafe { import(request.as_ptr(), request.len(), response.as_mut_ptr(), room) };
    let written = usize::try_from(code.unsigned_abs()).unwrap_or(usize::MAX).min(room);
    // SAFETY: the host has written the first `written` bytes, and they are within the capacity.
    unsafe { response.set_len(written) };
    if code >= 0 { Ok(()) } else { Err(Refused) }
}
