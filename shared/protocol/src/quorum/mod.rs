//! The one rule by which signed things are believed: F + 1 distinct members stand behind them.
//!
//! ```text
//! compute requests ── unanimous ──> Agreed<Batch>      all valid, all equal: the enclave, its host
//! forwarded requests ── forwarded ──> Agreed<&..>      strangers ignored: the relay node
//! bundle of results ── select ──> Agreed<Selected>     a minority may differ: the enclave
//! ```
//!
//! Members are counted by the key that verifies, never by the key that is claimed, and never twice:
//! [`Voices`] counts them for whoever collects, [`Quorum`] says how many are enough. Only this module
//! makes an [`Agreed`], so a function that takes one has nothing left to check.
//! The cost of noise is bounded: hashing is linear in its size, and a bundle pays for a fixed number
//! of signature checks for each member.

use crypto::sign::SignerKey;

mod batch;
mod checks;
mod diagnostics;
mod forwarded;
mod report;
mod select;
mod voices;

pub use batch::{Batch, BatchError, unanimous};
pub use diagnostics::NoQuorum;
pub use forwarded::{ForwardedError, forwarded};
pub use report::{CanonicalError, Grouping, canonical_payload};
pub use select::{Selected, select};
pub use voices::{Quorum, Voices};

/// A value that enough distinct members of a committee signed.
#[derive(Clone, Debug)]
pub struct Agreed<T> {
    value: T,
    signers: Vec<SignerKey>,
}

impl<T> Agreed<T> {
    /// The value.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The value by itself.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// What follows from the value alone, with the same signers.
    pub(crate) fn try_map<U, E>(self, map: impl FnOnce(T) -> Result<U, E>) -> Result<Agreed<U>, E> {
        Ok(Agreed { value: map(self.value)?, signers: self.signers })
    }

    /// Who signed it, as far as that was looked at: at least a quorum, each member once.
    #[must_use]
    pub fn signers(&self) -> &[SignerKey] {
        &self.signers
    }
}

#[cfg(test)]
mod tests;
