//! Capabilities: what a relay node calls for an execution.

use std::fmt;

use futures_util::future::BoxFuture;
use protocol::messages::sdk::CapabilityRequest;

mod devnet;

pub use devnet::{Devnet, PricesError};

/// Calls capabilities on behalf of a running execution.
///
/// What a call answers has to be the same on every honest node, since relay nodes sign it.
pub trait Capabilities: Send + Sync {
    /// Answers one call with the bytes of a `CapabilityResponse`; none at all is an empty response.
    ///
    /// The caller holds the deadline and drops the future when it passes.
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Vec<u8>, Failure>>;
}

/// One call of a capability.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// For whom, when limits are looked up.
    pub tenant: Tenant,
    /// The call itself.
    pub request: CapabilityRequest,
    /// The call in its deterministic encoding, with fields this program does not know.
    pub encoded: Vec<u8>,
}

/// Whose limits hold for a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenant {
    /// The organization, as the enclave named it.
    pub org: String,
    /// The owner, in lower case without `0x`.
    pub owner: String,
    /// The workflow, in lower case without `0x`.
    pub workflow: String,
}

/// Why a call failed, in the words that the workflow will read.
///
/// It is signed and sent as it is, so whoever makes one puts nothing confidential into it. It is not
/// printed by `Debug`, so it enters no log by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Tenant {
    /// The tenant of params that were verified.
    #[must_use]
    pub fn new(org: &str, owner: &str, workflow: &str) -> Self {
        let plain = |text: &str| text.strip_prefix("0x").unwrap_or(text).to_lowercase();
        Self { org: org.to_owned(), owner: plain(owner), workflow: plain(workflow) }
    }
}

impl Failure {
    /// Wraps a text for the workflow.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The deadline of the request passed first.
    #[must_use]
    pub fn deadline() -> Self {
        Self::new("context deadline exceeded")
    }

    /// The text, to be signed.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failure")
    }
}
