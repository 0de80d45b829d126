//! What the reference decided about restrictions and requirements.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use enclave_workflow::{
    EnclaveTee, GuestText, NoDonTime, NodeTime, NotEmitted, Restricted, ServiceFuture, Services,
    TeeOffer, TeeProvider, satisfies,
};
use protocol::{
    messages::{
        decode,
        sdk::{
            CapabilityRequest, CapabilityResponse, CapabilityRestriction, CapabilityRestrictions,
            CapabilityRule, GetSecretsRequest, MethodRestriction, Restrictions, Secret,
            SecretOutcome, SecretPrefixRestriction, SecretRequest, SecretResponse,
            SecretRestriction, SecretRule, SecretsRestrictions, Tee,
        },
        telemetry::WorkflowUserMetric,
        well_known::Any,
    },
    restrictions,
};
use serde_json::{Value, json};
use vectors::{Answer, Case, Text};

#[test]
fn restrictions_and_requirements_are_the_references() {
    let ops = ["sequence", "requirements", "tee_provider", "tee_selection", "enclave_tee"];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    vectors::run(
        "restrictions.json",
        &ops,
        &[],
        |_case| Text::Exact,
        |case| {
            Answer::Value(match case.op.as_str() {
                "sequence" => runtime.block_on(sequence(case)),
                "requirements" => requirements(case),
                "tee_provider" => {
                    let offer = offer(&case.input);
                    json!({ "provides": TeeOffer::new([offer]).provides(tee(case).as_ref()) })
                }
                "tee_selection" => {
                    let selection = case.input["selection"].as_array().unwrap();
                    let offers = TeeOffer::new(selection.iter().map(offer));
                    json!({ "provides": offers.provides(tee(case).as_ref()) })
                }
                "enclave_tee" => {
                    let enclave = EnclaveTee { tee_type: number(&case.input["type"]) };
                    json!({ "accepts": enclave.provides(tee(case).as_ref()) })
                }
                other => panic!("{other}"),
            })
        },
    );
}

fn number(value: &Value) -> i32 {
    value.as_i64().unwrap().try_into().unwrap()
}

fn count(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

/// What the recorder leaves out is empty.
fn text(value: &Value) -> String {
    assert!(value.is_string() || value.is_null(), "{value}");
    value.as_str().unwrap_or_default().to_owned()
}

fn encoded(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(vectors::model::hex)
}

fn tee(case: &Case) -> Option<Tee> {
    encoded(&case.input["tee_hex"]).map(|bytes| decode(&bytes).unwrap())
}

fn offer(value: &Value) -> (i32, Vec<String>) {
    let regions = value["regions"].as_array().into_iter().flatten();
    (number(&value["type"]), regions.map(text).collect())
}

/// A handler that always says the same.
struct Always(bool);

impl TeeProvider for Always {
    fn provides(&self, _tee: Option<&Tee>) -> bool {
        self.0
    }
}

fn requirements(case: &Case) -> Value {
    let handler = match case.input["tee_handler"].as_str().unwrap() {
        "absent" => None,
        "accepts" => Some(Always(true)),
        "refuses" => Some(Always(false)),
        other => panic!("{other}"),
    };
    let handler = handler.as_ref().map(|handler| handler as &dyn TeeProvider);
    let requirements = encoded(&case.input["requirements_hex"]);
    json!({ "satisfied": satisfies(requirements.as_deref(), handler).unwrap() })
}

/// Counts what reaches it.
#[derive(Default)]
struct Inner {
    fails: bool,
    calls: Mutex<usize>,
    secrets: Mutex<Vec<Vec<String>>>,
}

impl Inner {
    fn answer<T>(&self, answer: T) -> Result<T, GuestText> {
        if self.fails { Err(GuestText::new("inner failure")) } else { Ok(answer) }
    }
}

impl Services for Inner {
    fn call_capability(
        &self,
        _request: CapabilityRequest,
    ) -> ServiceFuture<'_, Result<CapabilityResponse, GuestText>> {
        *self.calls.lock().unwrap() += 1;
        Box::pin(async { self.answer(CapabilityResponse::default()) })
    }

    fn secrets(
        &self,
        request: GetSecretsRequest,
    ) -> ServiceFuture<'_, Result<Vec<SecretResponse>, GuestText>> {
        assert_eq!(request.callback_id, 0);
        let name = |request: &SecretRequest| format!("{}/{}", request.namespace, request.id);
        self.secrets.lock().unwrap().push(request.requests.iter().map(name).collect());
        let answers = request.requests.iter().map(|request| {
            let mut secret = Secret::default();
            secret.value = format!("value of {}", request.id);
            SecretResponse { response: Some(SecretOutcome::Secret(secret)) }
        });
        let answers = answers.collect();
        Box::pin(async { self.answer(answers) })
    }

    fn execution_id(&self) -> String {
        String::new()
    }

    fn node_time(&self) -> NodeTime {
        NodeTime { wall: UNIX_EPOCH, monotonic: Duration::ZERO }
    }

    fn don_time(&self) -> ServiceFuture<'_, Result<SystemTime, NoDonTime>> {
        Box::pin(async { Err(NoDonTime) })
    }

    fn emit_log(&self, _line: &[u8]) -> Result<(), NotEmitted> {
        Err(NotEmitted)
    }

    fn emit_metric(&self, _metric: WorkflowUserMetric) -> Result<(), NotEmitted> {
        Err(NotEmitted)
    }
}

async fn sequence(case: &Case) -> Value {
    let inner = Arc::new(Inner { fails: case.input["inner_fails"] == true, ..Inner::default() });
    let allowed = restrictions_of(&case.input["restrictions"]);
    let services: Arc<dyn Services> = match &allowed {
        Some(allowed) => Arc::new(Restricted::new(Arc::clone(&inner) as _, allowed)),
        None => Arc::clone(&inner) as _,
    };
    // Raw secrets stay with the embedder: it uses the same budget and names the owner itself.
    let mut raw = restrictions::Restrictions::new(allowed.as_ref());
    let mut results = Vec::new();
    for call in case.input["calls"].as_array().into_iter().flatten() {
        results.push(if call["raw"] == true {
            raw_secrets(&mut raw, &inner, call)
        } else if call["secrets"].is_array() {
            secrets(&*services, call).await
        } else {
            capability(&*services, &inner, call).await
        });
    }
    json!({
        "inner_capability_calls": *inner.calls.lock().unwrap(),
        "inner_secret_requests": *inner.secrets.lock().unwrap(),
        "results": results,
    })
}

async fn capability(services: &dyn Services, inner: &Inner, call: &Value) -> Value {
    let payload = encoded(&call["payload_hex"]);
    let request = CapabilityRequest {
        id: text(&call["capability"]),
        payload: payload.map(|bytes| decode::<Any>(&bytes).unwrap()),
        method: text(&call["method"]),
        callback_id: 1,
    };
    let before = *inner.calls.lock().unwrap();
    let (id, method) = (request.id.clone(), request.method.clone());
    let answer = services.call_capability(request).await;
    let is_allowed = *inner.calls.lock().unwrap() > before;
    match answer {
        Ok(_response) => json!({ "allowed": is_allowed }),
        Err(error) if is_allowed => json!({ "allowed": true, "error": error.as_str() }),
        Err(error) => {
            let denied = restrictions::CallDenied { id, method };
            json!({ "allowed": false, "error": denied.to_peer(), "guest_error": error.as_str() })
        }
    }
}

fn requests(call: &Value) -> Vec<SecretRequest> {
    let names = call["secrets"].as_array().unwrap().iter();
    names
        .map(|name| {
            let (namespace, id) = name.as_str().unwrap().split_once('/').unwrap();
            SecretRequest { id: id.to_owned(), namespace: namespace.to_owned() }
        })
        .collect()
}

async fn secrets(services: &dyn Services, call: &Value) -> Value {
    let request = GetSecretsRequest { requests: requests(call), callback_id: 0 };
    let wanted = request.requests.clone();
    match services.secrets(request).await {
        Err(error) => json!({ "error": error.as_str() }),
        Ok(answers) => answers
            .into_iter()
            .zip(wanted)
            .map(|(answer, wanted)| match answer.response.unwrap() {
                SecretOutcome::Secret(secret) => {
                    assert_eq!(secret.value, format!("value of {}", wanted.id));
                    json!({ "allowed": true })
                }
                SecretOutcome::Error(error) => json!({
                    "allowed": false,
                    "error": error.error,
                    "id": error.id,
                    "namespace": error.namespace,
                    "owner": error.owner,
                }),
            })
            .collect(),
    }
}

fn raw_secrets(budget: &mut restrictions::Restrictions, inner: &Inner, call: &Value) -> Value {
    let split = budget.admit_secrets(requests(call));
    let allowed = split.allowed().iter();
    let names: Vec<_> = allowed.map(|one| format!("{}/{}", one.namespace, one.id)).collect();
    let answers = names.iter().map(|_name| json!({ "allowed": true })).collect();
    if !names.is_empty() {
        inner.secrets.lock().unwrap().push(names);
    }
    let refusal = |denied: restrictions::SecretDenied| json!({ "allowed": false, "error": denied.to_string(), "owner": "owner-1" });
    Value::Array(split.place(answers, refusal).unwrap())
}

fn restrictions_of(value: &Value) -> Option<Restrictions> {
    if value.is_null() {
        return None;
    }
    let capabilities = Some(&value["capabilities"]).filter(|value| !value.is_null());
    let secrets = Some(&value["secrets"]).filter(|value| !value.is_null());
    Some(Restrictions {
        capabilities: capabilities.map(|value| CapabilityRestrictions {
            restrictions: value["methods"].as_array().into_iter().flatten().map(method).collect(),
            max_total_calls: count(&value["max_total_calls"]),
            r#type: number(&value["type"]),
        }),
        secrets: secrets.map(|value| SecretsRestrictions {
            restrictions: value["entries"].as_array().into_iter().flatten().map(entry).collect(),
            max_secrets: count(&value["max_secrets"]),
        }),
    })
}

/// A null rule is one of a kind that is not known.
fn method(value: &Value) -> CapabilityRestriction {
    if value.is_null() {
        return CapabilityRestriction::default();
    }
    let rule = MethodRestriction {
        id: text(&value["id"]),
        method: text(&value["method"]),
        max_calls: count(&value["max_calls"]),
    };
    CapabilityRestriction { restriction: Some(CapabilityRule::Method(rule)) }
}

fn entry(value: &Value) -> SecretRestriction {
    if value.is_null() {
        return SecretRestriction::default();
    }
    let rule = if let Some(exact) = value.get("exact") {
        let mut secret = Secret::default();
        secret.id = text(&exact["id"]);
        secret.namespace = text(&exact["namespace"]);
        SecretRule::ExactSecret(secret)
    } else {
        let prefixed = &value["prefix"];
        SecretRule::PrefixedSecret(SecretPrefixRestriction {
            prefix: text(&prefixed["prefix"]),
            namespace: text(&prefixed["namespace"]),
            max_secrets: count(&prefixed["max_secrets"]),
        })
    };
    SecretRestriction { restriction: Some(rule) }
}
