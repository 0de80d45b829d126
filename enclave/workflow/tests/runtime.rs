//! The runtime as its embedder sees it. One engine serves all tests; `runtime_baseline.rs` has those
//! that run guests once more, in the other tier.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

#[path = "runtime/admission.rs"]
mod admission;
#[path = "support/built.rs"]
mod built;
#[path = "runtime/cache.rs"]
mod cache;
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

const TIER: Tier = Tier::Optimized;
