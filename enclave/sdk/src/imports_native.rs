//! What the host provides, where there is none: the double of [`crate::testing`], or refusals.

use crate::{error::Refusal, testing};

pub(crate) fn switch_modes(mode: i32) {
    testing::with_host(|host| host.switch_modes(mode));
}

pub(crate) fn random_seed(mode: i32) -> i64 {
    testing::with_host(|host| host.random_seed(mode)).unwrap_or(-1)
}

/// Nanoseconds since the epoch, by the clock of the current mode.
pub(crate) fn now() -> Option<u64> {
    testing::with_host(testing::Host::now).flatten()
}

pub(crate) fn log(text: &str) {
    testing::with_host(|host| host.log(text));
}

/// Hands over a metric; whether the host took it.
pub(crate) fn emit_metric(metric: &[u8]) -> bool {
    testing::with_host(|host| host.emit_metric(metric)).unwrap_or(false)
}

pub(crate) fn call_capability(request: &[u8]) -> Result<(), Refusal> {
    testing::with_host(|host| host.call_capability(request)).unwrap_or(Err(no_host()))
}

/// Puts the answers into `response`, whose capacity is the room for them.
pub(crate) fn await_capabilities(request: &[u8], response: &mut Vec<u8>) -> Result<(), Refusal> {
    testing::with_host(|host| host.await_capabilities(request, response)).unwrap_or(Err(no_host()))
}

pub(crate) fn get_secrets(request: &[u8]) -> Result<(), Refusal> {
    testing::with_host(|host| host.get_secrets(request)).unwrap_or(Err(no_host()))
}

/// Puts the answers into `response`, whose capacity is the room for them.
pub(crate) fn await_secrets(request: &[u8], response: &mut Vec<u8>) -> Result<(), Refusal> {
    testing::with_host(|host| host.await_secrets(request, response)).unwrap_or(Err(no_host()))
}

/// Fills a buffer from the double's numbers, which are the same in every test.
pub(crate) fn secure_random(out: &mut [u8]) -> bool {
    testing::with_host(|host| host.secure_random(out)).is_some()
}

fn no_host() -> Refusal {
    Refusal::new(b"there is no host")
}
