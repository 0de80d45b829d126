//! A root of its own, a mock NSM that signs real documents under it, and forgers of bad ones.
//!
//! A double here is as strict as the real thing: a document of [`nsm::MockNsm`] passes the
//! production verifier, and a document of [`forge`] is one of those with a single fault.

pub mod chain;
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "only tests forge, and what cannot be forged as it should has to stop them"
)]
pub mod forge;
pub mod nsm;
