//! Wycheproof's vectors against every primitive as it is used here.
//!
//! What is valid is accepted and what is invalid refused, by the paths that production takes. What is
//! acceptable is decided by its flags, each with a reason. Every set says how many vectors it walked
//! over, so that none passes empty.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

mod aes_gcm;
mod chacha20_poly1305;
mod ed25519;
mod p256;
#[path = "../../src/scripted.rs"]
mod scripted;
mod x25519;
