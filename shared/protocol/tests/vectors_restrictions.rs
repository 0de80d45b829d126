//! The admission rule for calls and secrets, held to the reference's answers.
#![cfg(test)]

use protocol::{
    messages::{decode, sdk, sdk::SecretRequest, well_known::Any},
    restrictions::Restrictions,
};
use serde_json::{Value, json};
use vectors::{Answer, Case, Text, model};

#[test]
fn restrictions() {
    let others = ["requirements", "tee_provider", "tee_selection", "enclave_tee"];
    vectors::run("restrictions.json", &["sequence"], &others, |_| Text::Exact, sequence);
}

fn sequence(case: &Case) -> Answer {
    let input = &case.input;
    let given: Option<Given> = serde_json::from_value(input["restrictions"].clone()).unwrap();
    let mut helper = Helper {
        restrictions: Restrictions::new(given.map(Given::into_message).as_ref()),
        fails: input["inner_fails"].as_bool().unwrap(),
        calls: 0,
        asked: Vec::new(),
    };
    let calls: Vec<Call> = serde_json::from_value(input["calls"].clone()).unwrap();
    let results: Vec<Value> = calls.into_iter().map(|call| helper.call(call)).collect();
    Answer::Value(json!({
        "inner_capability_calls": helper.calls,
        "inner_secret_requests": helper.asked,
        "results": results,
    }))
}

/// The inner helper of the recordings behind our restrictions.
struct Helper {
    restrictions: Restrictions,
    fails: bool,
    calls: u32,
    asked: Vec<Vec<String>>,
}

impl Helper {
    fn call(&mut self, call: Call) -> Value {
        match call.secrets {
            Some(names) => self.secrets(&names, call.raw),
            None => self.capability(call),
        }
    }

    fn capability(&mut self, call: Call) -> Value {
        let payload = call.payload_hex.map(|hex| decode::<Any>(&model::hex(&hex)).unwrap());
        let request = sdk::CapabilityRequest {
            id: call.capability,
            payload,
            method: call.method,
            callback_id: 0,
        };
        if let Err(denied) = self.restrictions.admit_call(&request) {
            let (error, guest) = (denied.to_peer(), denied.to_guest());
            return json!({ "allowed": false, "error": error, "guest_error": guest });
        }
        self.calls = self.calls.saturating_add(1);
        if self.fails {
            return json!({ "allowed": true, "error": "inner failure" });
        }
        json!({ "allowed": true })
    }

    fn secrets(&mut self, names: &[String], raw: bool) -> Value {
        let requests = names.iter().map(|name| {
            let (namespace, id) = name.split_once('/').unwrap();
            SecretRequest { id: id.to_owned(), namespace: namespace.to_owned() }
        });
        let split = self.restrictions.admit_secrets(requests.collect());
        if !split.allowed().is_empty() {
            let asked = split.allowed().iter().map(|r| format!("{}/{}", r.namespace, r.id));
            self.asked.push(asked.collect());
            if self.fails {
                return json!({ "error": "inner failure" });
            }
        }
        let answers = vec![json!({ "allowed": true }); split.allowed().len()];
        let placed = split.place(answers, |denied| {
            let error = denied.to_string();
            if raw {
                return json!({ "allowed": false, "error": error, "owner": "owner-1" });
            }
            let (id, namespace) = (denied.id, denied.namespace);
            json!({ "allowed": false, "error": error, "id": id, "namespace": namespace, "owner": "" })
        });
        placed.unwrap().into()
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    #[serde(default)]
    capability: String,
    #[serde(default)]
    method: String,
    payload_hex: Option<String>,
    secrets: Option<Vec<String>>,
    #[serde(default)]
    raw: bool,
    /// The readable form of what `payload_hex` names.
    #[serde(rename = "vault_secrets")]
    _vault_secrets: Option<Vec<String>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    capabilities: Option<GivenCalls>,
    secrets: Option<GivenSecrets>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenCalls {
    max_total_calls: u32,
    methods: Vec<Option<GivenMethod>>,
    r#type: i32,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenMethod {
    id: String,
    method: String,
    max_calls: u32,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenSecrets {
    max_secrets: u32,
    entries: Vec<Option<GivenEntry>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum GivenEntry {
    Exact { id: String, namespace: String },
    Prefix { prefix: String, namespace: String, max_secrets: u32 },
}

impl Given {
    fn into_message(self) -> sdk::Restrictions {
        sdk::Restrictions {
            secrets: self.secrets.map(|secrets| sdk::SecretsRestrictions {
                restrictions: secrets.entries.into_iter().map(GivenEntry::into_rule).collect(),
                max_secrets: secrets.max_secrets,
            }),
            capabilities: self.capabilities.map(|calls| sdk::CapabilityRestrictions {
                restrictions: calls.methods.into_iter().map(GivenMethod::into_rule).collect(),
                max_total_calls: calls.max_total_calls,
                r#type: calls.r#type,
            }),
        }
    }
}

impl GivenMethod {
    fn into_rule(rule: Option<Self>) -> sdk::CapabilityRestriction {
        let rule = rule.map(|Self { id, method, max_calls }| {
            sdk::CapabilityRule::Method(sdk::MethodRestriction { id, method, max_calls })
        });
        sdk::CapabilityRestriction { restriction: rule }
    }
}

impl GivenEntry {
    fn into_rule(rule: Option<Self>) -> sdk::SecretRestriction {
        let rule = rule.map(|rule| match rule {
            Self::Exact { id, namespace } => {
                let mut secret = sdk::Secret::default();
                (secret.id, secret.namespace) = (id, namespace);
                sdk::SecretRule::ExactSecret(secret)
            }
            Self::Prefix { prefix, namespace, max_secrets } => {
                sdk::SecretRule::PrefixedSecret(sdk::SecretPrefixRestriction {
                    prefix,
                    namespace,
                    max_secrets,
                })
            }
        });
        sdk::SecretRestriction { restriction: rule }
    }
}
