//! A relay node: checks the enclave, serves secrets and capabilities, signs.
//!
//! ```text
//! enclave ── gateway ── connector ── handler ─┬─ attest         is it one of our enclaves that asks this?
//!                       one link,             ├─ enclave_config is it configured as the registry says?
//!                       one task              ├─ authorize      did the workflow DON ask for it?
//!                       a request             ├─ executions     does the execution run here?
//!                                             ├─ vault, capabilities
//!                                             └─ sign           with the node's own key
//! ```
//!
//! [`run()`] is the node as a program, [`vault::run`] the development vault beside it. A workflow node
//! that has its own runtime builds a [`handler::Handler`] over [`Executions::registered`] instead.
//!
//! What it refuses to do:
//!
//! - wait for, ask or sign anything before all checks passed;
//! - believe a root certificate, or anything else about trust, that comes from a request or from the
//!   registry; another root than AWS's comes from the command line ([`Dangerous`]);
//! - make a share for an enclave with another master public key, of a ciphertext whose proof does not
//!   hold, or for another owner than its label's; or let a share leave unsealed;
//! - tell a peer why its own parts failed: that is `internal error`, and the cause is in the log.
//!
//! Errors that peers hear and that differ from the reference on purpose are listed, with their
//! reasons, in `tests/vectors/deviations.toml`.

pub mod capabilities;
pub mod config;
pub mod handler;
pub mod registry;
pub mod secret_file;
pub mod vault;

mod attest;
mod authorize;
mod connector;
mod enclave_config;
mod execution;
mod executions;
mod fault;
mod payload;
mod run;
#[cfg(test)]
mod world;

pub use attest::AttestationError;
pub use authorize::{AuthorizeError, Denied, Quorum};
pub use config::Config;
pub use enclave_config::EnclaveConfigError;
pub use execution::{Execution, Facts, SecretsError};
pub use executions::{Executions, NotRunning, Registration};
pub use fault::{Fault, ParseFaultError};
pub use payload::{MessageError, PayloadError};
pub use run::{Dangerous, RunError, run};
