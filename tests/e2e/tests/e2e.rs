//! Whole paths over the real processes: what an author, an operator and an attacker would try.
//!
//! Every test starts a devnet of its own on ports that the system picks.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "an overflow has to stop the test")]

#[path = "e2e/faults.rs"]
mod faults;
#[path = "e2e/leaks.rs"]
mod leaks;
#[path = "e2e/once.rs"]
mod once;
#[path = "e2e/refusals.rs"]
mod refusals;
#[path = "e2e/restarts.rs"]
mod restarts;
#[path = "e2e/supervisor.rs"]
mod supervisor;
#[path = "e2e/workflows.rs"]
mod workflows;
