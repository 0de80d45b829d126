//! Whole paths over the real processes: a devnet to try things on.
//!
//! | Target | Holds |
//! |---|---|
//! | test `e2e` | whole paths over the processes of a devnet |
//! | test `cli` | the exact words and exit codes of the tools |
//! | test `layers` | which crate may depend on which |
//! | test `documents` | the form of the documents |
//! | bench `executions` | what an execution costs, and how many there are in a second |
//!
//! Nothing here knows the inside of a role: what it looks at are exit codes, output, HTTP answers and
//! logs.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong here has to stop the test that it is part of"
)]

pub mod committee;
pub mod devnet;
pub mod programs;
pub mod proxy;
