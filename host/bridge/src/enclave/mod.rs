//! The enclave, as its host sees it: hostile until verified, verified again and again.
//!
//! The bridge holds no configuration of its own: committee and fault bound are what the enclave proves
//! to have (W-08).

mod check;
mod link;
mod seen;
mod watch;

pub use check::{Attested, AttestedKey, Challenged, CheckError, Checker, Images};
pub use link::{Link, LinkError};
pub use seen::{Condition, Seen, Settings};
pub(crate) use watch::CALL;
pub use watch::{Watch, Watcher};
