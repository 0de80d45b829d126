//! What a pre-hook allows the run that follows.
//!
//! ```
//! use enclave_sdk::{
//!     Setup, WorkflowError,
//!     messages::devnet::price_feed::{CAPABILITY, LATEST, LatestRequest, LatestResponse},
//!     restrictions::{Calls, Restrictions, Secrets},
//!     testing::Double,
//!     trigger,
//! };
//!
//! fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
//!     let trigger = trigger::cron("0 * * * * *");
//!     setup
//!         .on(trigger, |runtime, _event| {
//!             let request = LatestRequest { symbol: "ETH-USD".into() };
//!             let twice = [(); 2].map(|()| runtime.call(CAPABILITY, LATEST, &request));
//!             let [first, second] = twice.map(|call| call.wait());
//!             let first: LatestResponse = first?;
//!             second.map(|_: LatestResponse| first.price)
//!         })
//!         .prehook(|_runtime, _event| {
//!             Ok(Restrictions::new()
//!                 .calls(Calls::listed(10).method(CAPABILITY, LATEST, 1))
//!                 .secrets(Secrets::listed(3).exact("API_KEY").prefix("FEED_", 2)))
//!         });
//!     Ok(())
//! }
//!
//! let double = Double::new().capability(CAPABILITY, LATEST, |_: LatestRequest| {
//!     Ok(LatestResponse::default())
//! });
//! let restrictions = double.prehook(init, 0, &trigger::Cron::default()).unwrap();
//! let run = double.restricted(restrictions).trigger(init, 0, &trigger::Cron::default());
//! let refused = "[101]LimitExceeded: call denied by user pre-hook restrictions: \
//!                price-feed@1.0.0 Latest";
//! assert_eq!(run.error(), Some(refused));
//! ```

use protocol::messages::sdk::{
    self, CapabilityRestriction, CapabilityRestrictionType, CapabilityRestrictions, CapabilityRule,
    MethodRestriction, SecretPrefixRestriction, SecretRestriction, SecretRule, SecretsRestrictions,
};

use crate::SecretId;

/// What a run may call and read. The host counts; a budget is used whatever becomes of a call.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a pre-hook returns it"]
pub struct Restrictions(sdk::Restrictions);

/// The capabilities that a run may call.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "it is part of `Restrictions`"]
pub struct Calls(CapabilityRestrictions);

/// The secrets that a run may read.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "it is part of `Restrictions`"]
pub struct Secrets(SecretsRestrictions);

impl Restrictions {
    /// Restricts nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Restricts calls; before, all are allowed.
    pub fn calls(mut self, calls: Calls) -> Self {
        self.0.capabilities = Some(calls.0);
        self
    }

    /// Restricts secrets; before, all are allowed.
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.0.secrets = Some(secrets.0);
        self
    }
}

impl Calls {
    /// No call at all.
    pub fn none() -> Self {
        Self::listed(0)
    }

    /// At most so many calls in all, of the listed methods only.
    pub fn listed(most: u32) -> Self {
        Self::new(most, CapabilityRestrictionType::Closed)
    }

    /// At most so many calls in all; a listed method has a limit of its own besides.
    pub fn any(most: u32) -> Self {
        Self::new(most, CapabilityRestrictionType::Open)
    }

    /// Lists a method that may be called so often. Listed twice, the smaller number counts.
    pub fn method(
        mut self,
        capability: impl Into<String>,
        method: impl Into<String>,
        most: u32,
    ) -> Self {
        let rule =
            MethodRestriction { id: capability.into(), method: method.into(), max_calls: most };
        let restriction = Some(CapabilityRule::Method(rule));
        self.0.restrictions.push(CapabilityRestriction { restriction });
        self
    }

    fn new(most: u32, kind: CapabilityRestrictionType) -> Self {
        Self(CapabilityRestrictions {
            restrictions: Vec::new(),
            max_total_calls: most,
            r#type: kind.into(),
        })
    }
}

impl Secrets {
    /// No secret at all.
    pub fn none() -> Self {
        Self::listed(0)
    }

    /// At most so many secrets in all, of the listed ones only.
    pub fn listed(most: u32) -> Self {
        Self(SecretsRestrictions { restrictions: Vec::new(), max_secrets: most })
    }

    /// Lists one secret.
    pub fn exact(self, secret: impl Into<SecretId>) -> Self {
        let secret = secret.into().into_request();
        let mut exact = sdk::Secret::default();
        (exact.id, exact.namespace) = (secret.id, secret.namespace);
        self.rule(SecretRule::ExactSecret(exact))
    }

    /// Lists all secrets of a namespace whose names begin like this; so many of them may be read.
    ///
    /// A secret that is listed by its full name too is refused once this number is used up.
    pub fn prefix(self, prefix: impl Into<SecretId>, most: u32) -> Self {
        let sdk::SecretRequest { id: prefix, namespace } = prefix.into().into_request();
        self.rule(SecretRule::PrefixedSecret(SecretPrefixRestriction {
            prefix,
            namespace,
            max_secrets: most,
        }))
    }

    fn rule(mut self, rule: SecretRule) -> Self {
        self.0.restrictions.push(SecretRestriction { restriction: Some(rule) });
        self
    }
}

/// As a host reads it.
impl From<sdk::Restrictions> for Restrictions {
    fn from(restrictions: sdk::Restrictions) -> Self {
        Self(restrictions)
    }
}

/// As a host reads it.
impl From<Restrictions> for sdk::Restrictions {
    fn from(restrictions: Restrictions) -> Self {
        restrictions.0
    }
}
