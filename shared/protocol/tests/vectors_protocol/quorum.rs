//! `quorum.json`: what is believed of a bundle, and what a workflow gets of a gateway's answer.

use std::convert::identity;

use protocol::{
    committee::{Committee, CommitteeError},
    config::EnclaveConfig,
    ids::{FaultBound, Owner},
    json::{self, Bytes},
    messages::{self, sdk::CapabilityRequest, sdk::GetSecretsRequest},
    quorum::{Grouping, canonical_payload, select},
    relay::{
        AnswerError, Bundle, Caller, CapabilityRequestParams, CapabilityResult,
        SecretsRequestParams, reconcile, requested,
    },
    rpc,
};
use serde_json::{Value, json};
use vectors::{Answer, Case, Text, model};

use crate::build::{Built, Model};

/// The configuration of a case; its keys are not looked at.
fn config(input: &Value) -> Built<EnclaveConfig> {
    EnclaveConfig::build(&input["config"])
}

fn committee(config: &EnclaveConfig) -> Result<Committee, CommitteeError> {
    let signers = config.signers.iter().flatten().map(Bytes::as_slice);
    Committee::parse(signers, FaultBound::new(config.f))
}

/// An error as the refusal of a case.
fn refused<E: std::error::Error>(error: E) -> Answer {
    Answer::refused(&error)
}

fn answer(case: &Case) -> Answer {
    let input = &case.input;
    let answer = match case.op.as_str() {
        "capability_bundle" => selected::<CapabilityRequestParams>(input, true),
        "secrets_bundle" => selected::<SecretsRequestParams>(input, false),
        "canonical_payload" => {
            let canonical = canonical_payload(input["payload"].as_str().unwrap());
            canonical.map_err(refused).map(|canonical| {
                let changed = canonical.is_some();
                Answer::Value(
                    json!({ "changed": changed, "canonical": canonical.unwrap_or_default() }),
                )
            })
        }
        "describe" => {
            let describe = |result| CapabilityRequestParams::describe(&result);
            let text = CapabilityResult::build(&input["result"]).map(describe);
            text.map(|text| Answer::Value(json!({ "text": text })))
        }
        _ => call(input),
    };
    answer.unwrap_or_else(identity)
}

fn selected<P: Grouping + Model>(input: &Value, with_result: bool) -> Built<Answer>
where
    P::Result: Model,
{
    let committee = committee(&config(input)?).map_err(refused)?;
    let params = P::build(&input["params"])?;
    let bundle = input["bundle"].as_str().unwrap().as_bytes();
    let bundle: Bundle<P::Result> = json::from_slice(bundle).map_err(refused)?;
    let agreed = select(&params, &bundle, &committee).map_err(|error| refused(*error))?;
    assert!(agreed.signers().len() >= committee.fault_bound().quorum());
    let selected = agreed.get();
    let mut value = json!({ "index": selected.index });
    if with_result {
        value["result"] = selected.result.show();
    }
    Ok(Answer::Value(value))
}

fn caller(call: &Value) -> Caller {
    let text = |name: &str| call[name].as_str().unwrap();
    Caller {
        workflow_id: text("workflow_id").into(),
        owner: Owner::normalised(text("owner")),
        execution_id: text("execution_id").into(),
        org_id: text("org_id").into(),
    }
}

/// Plays the enclave's side of one call to one gateway.
fn call(input: &Value) -> Built<Answer> {
    let request = model::hex(input["call"]["request_hex"].as_str().unwrap());
    let request: CapabilityRequest = messages::decode(&request).map_err(refused)?;
    let config = config(input)?;
    let committee = committee(&config).map_err(refused)?;
    let params = CapabilityRequestParams::new(&caller(&input["call"]), &request, &config);
    let status = u16::try_from(input["http_status"].as_u64().unwrap()).unwrap();
    let body = input["http_body"].as_str().unwrap().as_bytes();
    let result = rpc::interpret(status, body).map_err(|error| sending(&error))?;
    let response = params.read_answer(result.as_ref(), &committee).map_err(refused)?;
    let bytes = messages::encode(response.get());
    Ok(Answer::Value(json!({ "response_hex": hex::encode(bytes) })))
}

/// What the caller says when the attempt at the only gateway failed.
fn sending(error: &rpc::AttemptError) -> Answer {
    let Answer::Refused(mut refusal) = Answer::refused(error) else { unreachable!() };
    let tried = if error.is_retryable() {
        "all 1 gateways failed: gateway http://gateway.invalid/: "
    } else {
        ""
    };
    refusal.text = format!("sending capability request: {tried}{error}");
    Answer::Refused(refusal)
}

/// Texts are fixed, but for what our committees refuse before there is a bundle, and the JSON
/// library's own words.
fn text(case: &Case) -> Text {
    let error = case.error.as_deref().unwrap_or_default();
    let has_config = case.input.get("config").is_some();
    if has_config && config(&case.input).is_ok_and(|config| committee(&config).is_err()) {
        return Text::Any;
    }
    for library in ["json: ", "invalid character "] {
        if let Some(at) = error.find(library) {
            return Text::Prefix(at);
        }
    }
    Text::Exact
}

#[test]
fn bundles_and_answers_mean_what_they_mean_to_the_reference() {
    let ops =
        ["call_capability", "canonical_payload", "capability_bundle", "describe", "secrets_bundle"];
    let others = ["config_sequence", "enclave_batch", "get_secrets", "host_batch"];
    vectors::run("quorum.json", &ops, &others, text, answer);
}

/// The part of `get_secrets` that needs no key: which secrets come in which order, and what is said
/// about those that cannot be read.
#[test]
fn secrets_come_in_the_order_of_the_request() {
    let cases = vectors::cases("quorum.json");
    for case in cases.iter().filter(|case| case.op == "get_secrets") {
        let result = secrets(&case.input);
        match (&case.error, result) {
            (Some(theirs), Err(ours)) => assert_eq!(*theirs, ours.to_string(), "{}", case.name),
            (None, Ok(ours)) => {
                let theirs = case.output.as_ref().unwrap()["responses_hex"].as_array().unwrap();
                assert_eq!(theirs.len(), ours.len(), "{}", case.name);
                for (theirs, ours) in theirs.iter().zip(ours) {
                    compare(&model::hex(theirs.as_str().unwrap()), &ours, &case.name);
                }
            }
            (theirs, ours) => panic!("{}: {theirs:?}, {ours:?}", case.name),
        }
    }
}

/// The name of a secret, and why it cannot be read if it cannot.
type Read = (String, String, Option<String>);

fn secrets(input: &Value) -> Result<Vec<Read>, AnswerError> {
    let request = model::hex(input["call"]["request_hex"].as_str().unwrap());
    let request: GetSecretsRequest = messages::decode(&request).unwrap();
    let config = config(input).unwrap();
    let key = model::hex(input["enclave_secret_key"].as_str().unwrap()).try_into().unwrap();
    let key = crypto::seal::EphemeralKey::from_bytes(&key).public();
    let caller = caller(&input["call"]);
    let params = SecretsRequestParams::new(&caller, &request, &key, &config, &[]);
    let result = rpc::interpret(200, input["http_body"].as_str().unwrap().as_bytes()).unwrap();
    let agreed = params.read_answer(result.as_ref(), &committee(&config).unwrap())?;
    let requested = requested(&request);
    let entries = agreed.get().secrets.clone().unwrap_or_default();
    let reconciled = reconcile(&requested, &entries)?;
    let distinct: Vec<_> = reconciled.distinct().collect();
    let read = |position: usize| {
        let (id, entry) = distinct[position];
        let fault = match entry {
            None => Some("secret missing from relay response".to_owned()),
            Some(entry) => {
                let ciphertext = entry.ciphertext_bytes().err();
                let fault = ciphertext.or_else(|| entry.sealed_shares().find_map(Result::err));
                fault.map(|fault| fault.to_string())
            }
        };
        (id.key.clone(), id.namespace.clone(), fault)
    };
    // The reference answers a secret that is asked for twice once; we answer it twice (W-21).
    assert_eq!(reconciled.by_request().len(), requested.len());
    Ok((0..distinct.len()).map(read).collect())
}

fn compare(theirs: &[u8], (key, namespace, fault): &Read, name: &str) {
    use messages::sdk::{SecretOutcome, SecretResponse};
    let theirs: SecretResponse = messages::decode(theirs).unwrap();
    let (id, space, error) = match theirs.response.unwrap() {
        SecretOutcome::Secret(secret) => (secret.id.clone(), secret.namespace.clone(), None),
        SecretOutcome::Error(error) => (error.id, error.namespace, Some(error.error)),
    };
    assert_eq!((&id, &space), (key, namespace), "{name}");
    match (error.as_deref(), fault) {
        (theirs, Some(ours)) => assert_eq!(theirs, Some(ours.as_str()), "{name}"),
        // The rest is said by who opens the shares.
        (Some(error), None) => assert!(
            error.starts_with("decrypting share ") || error.starts_with("failed to aggregate "),
            "{name}: {error}"
        ),
        (None, None) => {}
    }
}
