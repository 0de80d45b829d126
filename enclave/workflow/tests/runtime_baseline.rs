//! The runtime as its embedder sees it, in the baseline tier: code that was compiled fast.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

#[path = "support/built.rs"]
mod built;
#[path = "runtime/endings.rs"]
mod endings;
#[path = "runtime/exchange.rs"]
mod exchange;
#[path = "runtime/hostile.rs"]
mod hostile;
#[path = "runtime/routing.rs"]
mod routing;
#[path = "runtime/sharing.rs"]
mod sharing;
#[path = "runtime/support.rs"]
mod support;
#[path = "runtime/wasi.rs"]
mod wasi;
#[path = "runtime/workflows.rs"]
mod workflows;

use enclave_workflow::Tier;

const TIER: Tier = Tier::Baseline;
