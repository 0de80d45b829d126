//! Configurations and their votes, step by step, with keys of our own.
//!
//! The recorded vault key is no TDH2 key, so we refuse every configuration with it; and the private
//! keys of the recorded signers are not in the file. So test keys stand in for both, everywhere:
//!
//! ```text
//! recorded body ── our keys, votes signed anew ──> enclave ── our answer ── recorded keys ──> compared
//! ```
//!
//! Statuses, texts and bodies are compared in full. What a document binds depends on the keys: it has to
//! be the protocol's function of our answer, and then that function of the translated answer is compared.

use std::sync::Arc;

use http::Method;
use protocol::{
    answer::{ConfigRequest, PublicKeyResponse, SetConfigResponse, UpdateConfigResponse},
    config::{Config, set_config_user_data},
    ids::UserDataHash,
    json,
};
use serde_json::{Value, json};
use vectors::{Answer, Case, Deviations};

use crate::{
    FILE, enclave,
    world::{World, echo::Numbering},
};

mod cast;

use cast::{Cast, config_in, is_vault_key_refused};

/// One request to the enclave.
#[derive(Clone)]
struct Step {
    method: Method,
    path: String,
    body: String,
}

/// Our answer to a sequence. After a configuration that only we refuse the reference talks about another
/// enclave; then we answer as one that never saw it.
pub(crate) async fn answer(case: &Case) -> Answer {
    hold_vault_keys_to_the_rule(case).await;
    let cast = Cast::of(case);
    let mut steps = recorded(case);
    steps.iter_mut().for_each(|step| step.body = cast.body(&step.body));
    let mut played = play(case, &steps, &cast).await;
    let theirs = case.output.as_ref().unwrap()["steps"].as_array().unwrap();
    let mut shown = played.clone();
    for (ours, theirs) in shown.iter_mut().zip(theirs) {
        take_foreign_words(ours, theirs, &case.op);
    }
    let is_set = |index: &usize| theirs[*index]["status"] == 200;
    let refused = |index| Some((index, refusal(&steps[index])?));
    let first = (0..steps.len()).filter(is_set).find_map(refused);
    let Some((index, (refusal, text))) = first else {
        return Answer::Value(json!({ "steps": shown }));
    };
    assert_eq!(shown[..index], theirs[..index], "{}: before the refusal", case.name);
    hold_to_refusal(&shown[index], &text, &case.name);
    steps.remove(index);
    played.remove(index);
    assert_eq!(played, play(case, &steps, &cast).await, "{}: without the refused step", case.name);
    refusal
}

fn recorded(case: &Case) -> Vec<Step> {
    let step = |step: &Value| {
        let text = |name: &str| step[name].as_str().unwrap().to_owned();
        Step { method: text("method").parse().unwrap(), path: text("path"), body: text("body") }
    };
    case.input["steps"].as_array().unwrap().iter().map(step).collect()
}

/// Sends the steps to a fresh enclave and shows its answers with the recorded keys.
async fn play(case: &Case, steps: &[Step], cast: &Cast) -> Vec<Value> {
    let (world, attestor) = enclave(&case.input, case.input["allow_reconfig"] == true).await;
    let mut shown = Vec::new();
    for step in steps {
        shown.push(ask(&world, &attestor, step, cast).await);
    }
    shown
}

async fn ask(world: &World, attestor: &Arc<Numbering>, step: &Step, cast: &Cast) -> Value {
    attestor.take();
    let reply = world.ask(step.method.clone(), &step.path, step.body.clone()).await;
    let (ours, theirs) = (reply.text(), cast.theirs(&reply.text()));
    let mut shown = json!({ "status": reply.status.as_u16(), "body": theirs });
    let bound = attestor.take();
    assert!(bound.len() <= 1, "one document answers one request");
    if let Some(bound) = bound.into_iter().next() {
        let is_right = bound == user_data(step, &ours).as_bytes();
        let bound = if is_right { user_data(step, &theirs).as_bytes().to_vec() } else { bound };
        shown["user_data"] = hex::encode(bound).into();
    }
    shown
}

/// What the document of an answer has to bind.
fn user_data(step: &Step, answer: &str) -> UserDataHash {
    let answer = answer.trim_end().as_bytes();
    if step.path.starts_with("/publicKeys") {
        return json::from_slice::<PublicKeyResponse>(answer).unwrap().user_data();
    }
    let config = match step.method {
        Method::PATCH => json::from_slice::<UpdateConfigResponse>(answer).unwrap().config,
        _ => json::from_slice::<SetConfigResponse>(answer).unwrap().config,
    };
    set_config_user_data(config.hash())
}

/// Takes over what Go's JSON library says behind a prefix of the protocol that is the same.
fn take_foreign_words(ours: &mut Value, theirs: &Value, op: &str) {
    let body = |shown: &Value| shown["body"].as_str().unwrap().to_owned();
    let (our_body, their_body) = (body(ours), body(theirs));
    let prefix = |body: &str| body.split_once(": ").map(|(prefix, _words)| prefix.to_owned());
    let is_same = prefix(&our_body).is_some() && prefix(&our_body) == prefix(&their_body);
    if is_same && Deviations::read().may_answer(FILE, op, &their_body) {
        ours["body"] = their_body.into();
    }
}

/// How a step that sets a configuration is refused, if it is, and the text.
fn refusal(step: &Step) -> Option<(Answer, String)> {
    if step.method != Method::POST {
        return None;
    }
    let request = json::from_slice::<ConfigRequest>(step.body.as_bytes());
    let config = match &request {
        Ok(request) => json::from_slice(request.config.as_slice()),
        Err(error) => return Some(refused("failed to parse config request", error)),
    };
    match config.map(Config::check) {
        Ok(Ok(_config)) => None,
        Ok(Err(error)) => Some(refused("invalid config", &error)),
        Err(error) => Some(refused("failed to parse new config", &error)),
    }
}

fn refused(prefix: &str, error: &impl std::error::Error) -> (Answer, String) {
    (Answer::refused(error), format!("{prefix}: {error}\n"))
}

/// Every recorded configuration that gets another vault key is refused for the one that it has.
async fn hold_vault_keys_to_the_rule(case: &Case) {
    let (world, attestor) = enclave(&case.input, false).await;
    for step in recorded(case).into_iter().filter(|step| step.method == Method::POST) {
        if config_in(&step.body).is_some_and(|config| is_vault_key_refused(&config)) {
            let shown = ask(&world, &attestor, &step, &Cast::nobody()).await;
            let (_refusal, text) = refusal(&step).unwrap();
            hold_to_refusal(&shown, &text, &case.name);
        }
    }
}

/// Nothing is attested for what is refused.
fn hold_to_refusal(shown: &Value, text: &str, name: &str) {
    assert_eq!(*shown, json!({ "status": 400, "body": text }), "{name}");
}
