//! Whole paths over the real processes: what an author, an operator and an attacker would try.
//!
//! Every test starts a devnet of its own on ports that the system picks. Nothing here knows the
//! inside of a role; what it looks at are exit codes, output, HTTP answers and logs.

#[path = "support/mod.rs"]
mod support;

#[path = "e2e/committee.rs"]
mod committee;
#[path = "e2e/devnet.rs"]
mod devnet;
#[path = "e2e/proxy.rs"]
mod proxy;

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
