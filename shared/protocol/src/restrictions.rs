//! What a pre-hook allows the run that follows: counters and one admission rule (wasm-abi 7.1 to 7.4).
//!
//! The enclave asks before it dispatches a call, a relay node before it serves one of an execution
//! that carries restrictions. Whoever asks holds the lock; nothing here waits. A budget is used when
//! a call is admitted and never given back, whatever becomes of the call.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Bound,
};

use crate::{
    messages::{
        confidential_http::ConfidentialHttpRequest,
        names,
        sdk::{
            self, CapabilityRequest, CapabilityRestrictionType, CapabilityRule, SecretRequest,
            SecretRule,
        },
        unpack,
    },
    quote::quote,
};

/// The budgets of one execution, counting down.
///
/// A side without restrictions is unlimited; there is no other sign for "unlimited".
#[derive(Clone, Debug, Default)]
pub struct Restrictions {
    calls: Option<Calls>,
    secrets: Option<Secrets>,
}

/// A capability call was refused.
///
/// Displayed it is the message alone; peers see [`CallDenied::to_guest`] or [`CallDenied::to_peer`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("call denied by user pre-hook restrictions: {id} {method}")]
pub struct CallDenied {
    /// The capability that was called.
    pub id: String,
    /// The method that was called.
    pub method: String,
}

/// A secret was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "secret {} in namespace {} denied by user pre-hook restrictions",
    quote(.id.as_bytes()),
    quote(.namespace.as_bytes())
)]
pub struct SecretDenied {
    /// The secret that was asked.
    pub id: String,
    /// The namespace it was asked in.
    pub namespace: String,
}

/// The answers do not fit what was asked, so they cannot be put back into their places (W-21).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got} answers for {want} secrets")]
pub struct AnswerCountError {
    /// Answers that came.
    pub got: usize,
    /// Secrets that were asked.
    pub want: usize,
}

/// A request for secrets, split into what may be asked and what was refused.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Split {
    allowed: Vec<SecretRequest>,
    denied: Vec<Option<SecretDenied>>,
}

#[derive(Clone, Debug)]
struct Calls {
    remaining: u32,
    closed: bool,
    methods: HashMap<(String, String), u32>,
}

#[derive(Clone, Debug)]
struct Secrets {
    remaining: u32,
    namespaces: HashMap<String, Namespace>,
}

/// What may be asked in one namespace.
#[derive(Clone, Debug, Default)]
struct Namespace {
    exact: HashSet<String>,
    /// How many secrets may still be asked under each prefix.
    prefixes: BTreeMap<String, u32>,
}

impl Restrictions {
    /// Starts counting. Without restrictions everything is allowed.
    #[must_use]
    pub fn new(restrictions: Option<&sdk::Restrictions>) -> Self {
        let Some(sdk::Restrictions { secrets, capabilities }) = restrictions else {
            return Self::default();
        };
        Self {
            calls: capabilities.as_ref().map(Calls::new),
            secrets: secrets.as_ref().map(Secrets::new),
        }
    }

    /// Whether nothing is restricted, so that asking is a waste.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.calls.is_none() && self.secrets.is_none()
    }

    /// Admits one capability call and uses its budgets.
    ///
    /// Secrets named in a confidential-http payload are charged too, but only when calls are
    /// restricted; those charged before one is refused stay charged.
    ///
    /// # Errors
    ///
    /// [`CallDenied`]; then the capability must not be called.
    pub fn admit_call(&mut self, request: &CapabilityRequest) -> Result<(), CallDenied> {
        let Some(calls) = &mut self.calls else { return Ok(()) };
        let allowed = calls.remaining > 0
            && admits_payload(self.secrets.as_mut(), request)
            && calls.admits(&request.id, &request.method);
        if allowed {
            return Ok(());
        }
        Err(CallDenied { id: request.id.clone(), method: request.method.clone() })
    }

    /// Admits each secret in order and uses its budgets.
    ///
    /// Ask for [`Split::allowed`] only, and not at all when nothing is; then [`Split::place`] the
    /// answers.
    pub fn admit_secrets(&mut self, requests: Vec<SecretRequest>) -> Split {
        let mut split = Split { allowed: Vec::new(), denied: Vec::with_capacity(requests.len()) };
        for request in requests {
            if admits_secret(self.secrets.as_mut(), &request.id, &request.namespace) {
                split.allowed.push(request);
                split.denied.push(None);
            } else {
                let SecretRequest { id, namespace } = request;
                split.denied.push(Some(SecretDenied { id, namespace }));
            }
        }
        split
    }
}

impl CallDenied {
    /// The error member of the response that a guest reads (wasm-abi 4.6).
    #[must_use]
    pub fn to_guest(&self) -> String {
        format!("Public:User:LimitExceeded:{self}")
    }

    /// The text inside a relay node's signed result, and in a host's own errors.
    #[must_use]
    pub fn to_peer(&self) -> String {
        format!("[101]LimitExceeded: {self}")
    }
}

impl Split {
    /// What may be asked, in the order of the request.
    #[must_use]
    pub fn allowed(&self) -> &[SecretRequest] {
        &self.allowed
    }

    /// Puts answers to [`Split::allowed`] back into their places, refusals between them.
    ///
    /// # Errors
    ///
    /// [`AnswerCountError`] if there are more or fewer answers than were asked.
    pub fn place<T>(
        self,
        answers: Vec<T>,
        mut refusal: impl FnMut(SecretDenied) -> T,
    ) -> Result<Vec<T>, AnswerCountError> {
        let (got, want) = (answers.len(), self.allowed.len());
        if got != want {
            return Err(AnswerCountError { got, want });
        }
        let mut answers = answers.into_iter();
        let places = self.denied.into_iter().filter_map(|denied| match denied {
            Some(denied) => Some(refusal(denied)),
            None => answers.next(),
        });
        Ok(places.collect())
    }
}

impl Calls {
    fn new(calls: &sdk::CapabilityRestrictions) -> Self {
        let mut methods = HashMap::new();
        for rule in &calls.restrictions {
            let Some(CapabilityRule::Method(rule)) = &rule.restriction else { continue };
            methods
                .entry((rule.id.clone(), rule.method.clone()))
                .and_modify(|limit: &mut u32| *limit = rule.max_calls.min(*limit))
                .or_insert(rule.max_calls);
        }
        // A number that is neither type behaves as open, as in the reference.
        let closed = calls.r#type == i32::from(CapabilityRestrictionType::Closed);
        Self { remaining: calls.max_total_calls, closed, methods }
    }

    fn admits(&mut self, id: &str, method: &str) -> bool {
        let allowed = match self.methods.get_mut(&(id.to_owned(), method.to_owned())) {
            Some(remaining) => spend(remaining),
            None => !self.closed,
        };
        allowed && spend(&mut self.remaining)
    }
}

impl Secrets {
    fn new(secrets: &sdk::SecretsRestrictions) -> Self {
        let mut namespaces: HashMap<String, Namespace> = HashMap::new();
        for rule in &secrets.restrictions {
            match &rule.restriction {
                Some(SecretRule::ExactSecret(secret)) => {
                    let namespace = namespaces.entry(secret.namespace.clone()).or_default();
                    namespace.exact.insert(secret.id.clone());
                }
                Some(SecretRule::PrefixedSecret(rule)) => {
                    let namespace = namespaces.entry(rule.namespace.clone()).or_default();
                    // Rules for one prefix are used up together, so the smallest number counts.
                    namespace
                        .prefixes
                        .entry(rule.prefix.clone())
                        .and_modify(|limit| *limit = rule.max_secrets.min(*limit))
                        .or_insert(rule.max_secrets);
                }
                None => {}
            }
        }
        Self { remaining: secrets.max_secrets, namespaces }
    }

    fn admits(&mut self, id: &str, namespace: &str) -> bool {
        let Some(namespace) = self.namespaces.get_mut(namespace) else { return false };
        let covering = namespace.covering(id);
        // A used-up prefix refuses even what is listed by its full name.
        let is_used_up = |prefix: &&str| namespace.prefixes.get(*prefix) == Some(&0);
        let named = !covering.is_empty() || namespace.exact.contains(id);
        if covering.iter().any(is_used_up) || !named || !spend(&mut self.remaining) {
            return false;
        }
        for prefix in covering {
            if let Some(remaining) = namespace.prefixes.get_mut(prefix) {
                spend(remaining);
            }
        }
        true
    }
}

impl Namespace {
    /// The prefixes that a name begins with, longest first. Between two that it begins with, whole
    /// ranges of others are passed over, so that many rules and many secrets are not their product.
    fn covering<'i>(&self, id: &'i str) -> Vec<&'i str> {
        let (mut covering, mut bound) = (Vec::new(), Bound::Included(id));
        while let Some((prefix, _remaining)) =
            self.prefixes.range::<str, _>((Bound::Unbounded, bound)).next_back()
        {
            let shared = shared_prefix(id, prefix);
            // What is left begins like the prefix, or it would stand behind it.
            bound = if shared.len() == prefix.len() {
                covering.push(shared);
                Bound::Excluded(shared)
            } else {
                Bound::Included(shared)
            };
        }
        covering
    }
}

/// The beginning of `text` that both texts share, in whole characters.
fn shared_prefix<'t>(text: &'t str, other: &str) -> &'t str {
    let same = text.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let end = (0..=same).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// Charges the secrets that a confidential-http payload names; other payloads name none.
fn admits_payload(mut secrets: Option<&mut Secrets>, request: &CapabilityRequest) -> bool {
    let Some(payload) = &request.payload else { return true };
    if !names(payload, <ConfidentialHttpRequest as crate::messages::Message>::NAME) {
        return true;
    }
    let Ok(http) = unpack::<ConfidentialHttpRequest>(payload) else { return false };
    let mut named = http.vault_don_secrets.iter();
    named.all(|secret| admits_secret(secrets.as_deref_mut(), &secret.key, &secret.namespace))
}

fn admits_secret(secrets: Option<&mut Secrets>, id: &str, namespace: &str) -> bool {
    secrets.is_none_or(|secrets| secrets.admits(id, namespace))
}

/// Takes one from a counter, unless it is used up.
fn spend(remaining: &mut u32) -> bool {
    let less = remaining.checked_sub(1);
    *remaining = less.unwrap_or_default();
    less.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str) -> SecretRequest {
        SecretRequest { id: id.to_owned(), namespace: "main".to_owned() }
    }

    fn only_a() -> Restrictions {
        let mut secret = sdk::Secret::default();
        "a".clone_into(&mut secret.id);
        "main".clone_into(&mut secret.namespace);
        let rule = sdk::SecretRestriction { restriction: Some(SecretRule::ExactSecret(secret)) };
        let secrets = sdk::SecretsRestrictions { restrictions: vec![rule], max_secrets: 1 };
        Restrictions::new(Some(&sdk::Restrictions { secrets: Some(secrets), capabilities: None }))
    }

    #[test]
    fn answers_return_to_their_places() {
        let split = only_a().admit_secrets(vec![request("x"), request("a"), request("a")]);
        assert_eq!(split.allowed(), [request("a")]);
        let placed = split.place(vec!["value".to_owned()], |denied| denied.id).unwrap();
        assert_eq!(placed, ["x", "value", "a"]);
    }

    #[test]
    fn w_21_answers_that_do_not_fit_are_refused() {
        for answers in [vec![], vec!["1", "2"]] {
            let split = only_a().admit_secrets(vec![request("a")]);
            let got = answers.len();
            let error = split.place(answers, |_denied| "").unwrap_err();
            assert_eq!(error, AnswerCountError { got, want: 1 });
        }
    }

    fn prefixes(rules: &[(&str, u32)]) -> Restrictions {
        let rule = |(prefix, max_secrets): &(&str, u32)| {
            let rule = sdk::SecretPrefixRestriction {
                prefix: (*prefix).to_owned(),
                namespace: "main".to_owned(),
                max_secrets: *max_secrets,
            };
            sdk::SecretRestriction { restriction: Some(SecretRule::PrefixedSecret(rule)) }
        };
        let restrictions = rules.iter().map(rule).collect();
        let secrets = sdk::SecretsRestrictions { restrictions, max_secrets: u32::MAX };
        Restrictions::new(Some(&sdk::Restrictions { secrets: Some(secrets), capabilities: None }))
    }

    fn admitted(restrictions: &mut Restrictions, id: &str) -> bool {
        !restrictions.admit_secrets(vec![request(id)]).allowed().is_empty()
    }

    #[test]
    fn each_prefix_of_a_name_pays_for_it() {
        let mut rules =
            prefixes(&[("a", 3), ("ab", 2), ("ab", 5), ("abc", 1), ("abb", 9), ("b", 1)]);
        assert!(admitted(&mut rules, "abcd"));
        assert!(!admitted(&mut rules, "abce"), "abc is used up");
        assert!(admitted(&mut rules, "abd"));
        assert!(!admitted(&mut rules, "abb"), "ab is used up");
        assert!(admitted(&mut rules, "ac"));
        assert!(!admitted(&mut rules, "ad"), "a is used up");
        assert!(!admitted(&mut rules, "c"), "nothing covers it");
        assert!(admitted(&mut rules, "b") && !admitted(&mut rules, "b"));
        // The empty prefix covers everything, also what ends inside a character of another rule.
        let mut rules = prefixes(&[("", 1), ("ä", 0)]);
        assert!(!admitted(&mut rules, "äx") && admitted(&mut rules, "ö"));
    }

    #[test]
    fn many_rules_and_many_secrets_are_not_their_product() {
        let names: Vec<_> = (0..50_000).map(|number| format!("prefix-{number:05}-")).collect();
        let rules: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let mut rules = prefixes(&rules);
        let asked = names.iter().chain(&names).map(|name| request(&format!("{name}x"))).collect();
        assert_eq!(rules.admit_secrets(asked).allowed().len(), names.len());
    }

    proptest::proptest! {
        #[test]
        fn the_prefixes_of_a_name_are_those_that_it_begins_with(
            rules in proptest::collection::vec("[aäb]{0,4}", 0..12), id in "[aäb]{0,6}",
        ) {
            let rules: Vec<_> = rules.iter().map(|rule| (rule.as_str(), 1)).collect();
            let restrictions = prefixes(&rules);
            let namespaces = restrictions.secrets.unwrap().namespaces;
            let found = namespaces.get("main").map(|main| main.covering(&id)).unwrap_or_default();
            let mut want: Vec<_> =
                rules.iter().map(|(rule, _)| *rule).filter(|rule| id.starts_with(rule)).collect();
            want.sort_unstable_by_key(|rule| std::cmp::Reverse(rule.len()));
            want.dedup();
            proptest::prop_assert_eq!(found, want);
        }
    }

    #[test]
    fn a_refused_method_leaves_the_total_alone() {
        let rule = sdk::MethodRestriction { id: "c".into(), method: "m".into(), max_calls: 0 };
        let rule = sdk::CapabilityRestriction { restriction: Some(CapabilityRule::Method(rule)) };
        let calls = sdk::CapabilityRestrictions {
            restrictions: vec![rule],
            max_total_calls: 1,
            r#type: CapabilityRestrictionType::Open.into(),
        };
        let restrictions = sdk::Restrictions { capabilities: Some(calls), secrets: None };
        let mut restrictions = Restrictions::new(Some(&restrictions));
        let call = |method: &str| CapabilityRequest {
            id: "c".into(),
            method: method.into(),
            ..Default::default()
        };
        assert!(restrictions.admit_call(&call("m")).is_err());
        assert!(restrictions.admit_call(&call("other")).is_ok());
        assert!(restrictions.admit_call(&call("other")).is_err());
    }
}
