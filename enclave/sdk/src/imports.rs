//! What the host provides (wasm-abi 2), in the types of this crate.

pub(crate) use enclave_imports::{
    emit_metric, mark_version, now, random_seed, secure_random, send_response, switch_modes,
};

use enclave_imports::Refused;

use crate::error::Refusal;

pub(crate) fn log(line: &str) {
    enclave_imports::log(line.as_bytes());
}

pub(crate) fn call_capability(request: &[u8]) -> Result<(), Refusal> {
    start(enclave_imports::call_capability, request)
}

/// Puts the answers into `response`, whose capacity is the room for them.
pub(crate) fn await_capabilities(request: &[u8], response: &mut Vec<u8>) -> Result<(), Refusal> {
    enclave_imports::await_capabilities(request, response).map_err(|Refused| Refusal::new(response))
}

pub(crate) fn get_secrets(request: &[u8]) -> Result<(), Refusal> {
    start(enclave_imports::get_secrets, request)
}

/// Puts the answers into `response`, whose capacity is the room for them.
pub(crate) fn await_secrets(request: &[u8], response: &mut Vec<u8>) -> Result<(), Refusal> {
    enclave_imports::await_secrets(request, response).map_err(|Refused| Refusal::new(response))
}

/// Calls an import that answers with nothing but a refusal.
fn start(
    import: fn(&[u8], &mut Vec<u8>) -> Result<(), Refused>,
    request: &[u8],
) -> Result<(), Refusal> {
    let mut refusal = Vec::with_capacity(REFUSAL_BYTES);
    import(request, &mut refusal).map_err(|Refused| Refusal::new(&refusal))
}

/// Room for the text of a refusal.
const REFUSAL_BYTES: usize = 1024;
