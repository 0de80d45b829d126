//! What a workflow's host provides, as safe functions (wasm-abi 2): the only crate with unsafe code.
//!
//! ```text
//! mark_version, switch_modes(1), then any of the others, then send_response
//! ```
//!
//! Every import takes a pointer and a length of memory that outlives the call; the host copies what
//! it needs before it returns and keeps no pointer. Arguments are bytes: what they hold is the
//! host's to check, so a test can also hand it what no SDK would.
//!
//! Elsewhere than in WebAssembly this crate is empty.
#![cfg(target_arch = "wasm32")]

mod host;

pub use host::{
    Refused, await_capabilities, await_secrets, call_capability, emit_metric, get_secrets, log,
    mark_version, now, random_seed, secure_random, send_response, switch_modes,
};
