//! `hashes.json`: every hash of the protocol.

use std::convert::identity;

use crypto::seal::EphemeralPublicKey;
use protocol::{
    answer::{ExecuteResponse, ListedEnclave, PublicKeyResponse, enclaves_list_hash},
    compute::ComputeRequest,
    config::{EnclaveConfig, set_config_user_data},
    hash::{domain_hash, gateway_request},
    ids::Owner,
    json,
    messages::{self, sdk::CapabilityRequest, sdk::GetSecretsRequest},
    relay::{Caller, CapabilityRequestParams, Params, SecretsRequestParams},
    rpc,
};
use serde_json::{Value, json};
use vectors::{Answer, Case, Text, model};

use crate::build::{Built, Model};

fn answer(case: &Case) -> Answer {
    let input = &case.input;
    match case.op.as_str() {
        "same_hash" => {
            let kind = input["kind"].as_str().unwrap();
            match (hash_of(kind, &input["a"]), hash_of(kind, &input["b"])) {
                (Ok(a), Ok(b)) => {
                    Answer::Value(json!({ "equal": a == b, "hash_a": a, "hash_b": b }))
                }
                (Err(refused), _) | (_, Err(refused)) => refused,
            }
        }
        "enclave_call" => call(input),
        "rpc_request_digest" => digest(input, rpc::digest_request),
        "rpc_response_digest" => digest(input, rpc::digest_response),
        kind => {
            let name = match kind {
                "execute_response" | "set_config_response" => "user_data",
                _ => "hash",
            };
            hash_of(kind, input).map_or_else(identity, |hash| Answer::Value(json!({ name: hash })))
        }
    }
}

fn digest<T: json::Wire>(
    input: &Value,
    digest: fn(&T) -> Result<String, rpc::DigestError>,
) -> Answer {
    let message: T = match read(&input["json"]) {
        Ok(message) => message,
        Err(error) => return Answer::refused(&error),
    };
    match digest(&message) {
        Ok(digest) => Answer::Value(json!({ "digest": digest })),
        Err(error) => Answer::refused(&error),
    }
}

fn read<T: json::Wire>(text: &Value) -> Result<T, json::DecodeError> {
    json::from_slice(text.as_str().unwrap().as_bytes())
}

fn hash_of(kind: &str, input: &Value) -> Built<String> {
    Ok(match kind {
        "compute_request" => ComputeRequest::build(&input["request"])?.hash().to_string(),
        "enclave_config" => EnclaveConfig::build(&input["config"])?.hash().to_string(),
        "set_config_response" => {
            set_config_user_data(EnclaveConfig::build(&input["config"])?.hash()).to_string()
        }
        "execute_response" => {
            let response = ExecuteResponse::build(&input["response"])?;
            response.user_data(input["request_version"].as_str().unwrap()).to_string()
        }
        "public_key_response" => {
            PublicKeyResponse::build(&input["response"])?.user_data().to_string()
        }
        "enclaves_list" => {
            let enclaves = Option::<Vec<ListedEnclave>>::build(&input["enclaves"])?;
            enclaves_list_hash(&enclaves.unwrap_or_default()).to_string()
        }
        "domain_hash" => {
            let data = model::hex(input["data_hex"].as_str().unwrap());
            hex::encode(domain_hash(input["tag"].as_str().unwrap(), &data))
        }
        "capability_response" => result_hash::<CapabilityRequestParams>(input)?,
        "secrets_response" => result_hash::<SecretsRequestParams>(input)?,
        other => panic!("unknown hash {other}"),
    })
}

fn result_hash<P: Params + Model>(input: &Value) -> Built<String>
where
    P::Result: Model,
{
    let (params, result) = (P::build(&input["params"])?, Model::build(&input["result"])?);
    let hash = params.hash_result(&result);
    hash.map(|hash| hash.to_string()).map_err(|error| Answer::refused(&error))
}

fn call(input: &Value) -> Answer {
    let call = &input["call"];
    let text = |name: &str| call[name].as_str().unwrap();
    let caller = Caller {
        workflow_id: text("workflow_id").into(),
        owner: Owner::normalised(text("owner")),
        execution_id: text("execution_id").into(),
        org_id: text("org_id").into(),
    };
    let config = match EnclaveConfig::build(&input["config"]) {
        Ok(config) => config,
        Err(refused) => return refused,
    };
    let request = model::hex(text("request_hex"));
    if input["method"] == CapabilityRequestParams::METHOD {
        return match messages::decode::<CapabilityRequest>(&request) {
            Ok(request) => sent(CapabilityRequestParams::new(&caller, &request, &config)),
            Err(error) => Answer::refused(&error),
        };
    }
    let request: GetSecretsRequest = match messages::decode(&request) {
        Ok(request) => request,
        Err(error) => return Answer::refused(&error),
    };
    let batch = match Option::<Vec<_>>::build(&input["signed_requests"]) {
        Ok(batch) => batch.unwrap_or_default(),
        Err(refused) => return refused,
    };
    let key = model::hex(input["enclave_public_key"].as_str().unwrap());
    match EphemeralPublicKey::from_slice(&key) {
        Ok(key) => sent(SecretsRequestParams::new(&caller, &request, &key, &config, &batch)),
        Err(error) => Answer::refused(&error),
    }
}

/// Attests and sends params as the enclave does; the documents are named by their order.
fn sent<P: Params>(mut params: P) -> Answer {
    let (attested, user_data) = (params.attested_bytes(), params.user_data());
    params.set_attestation(protocol::base64::encode(b"document-1"));
    let request = rpc::Request::new(ID.to_owned(), P::METHOD, &params);
    let body = json::to_vec(&request);
    Answer::Value(json!({
        "attestation_header": protocol::base64::encode(b"document-2"),
        "body": String::from_utf8(body).unwrap(),
        "params": String::from_utf8(attested).unwrap(),
        "params_user_data": user_data.to_string(),
    }))
}

const ID: &str = "00000000-0000-4000-8000-000000000000";

/// The id of a call is random; with the recorded one put back, the rest must be equal.
fn with_recorded_id(case: &Case) -> Answer {
    let answer = answer(case);
    let (Answer::Value(mut value), "enclave_call") = (answer.clone(), case.op.as_str()) else {
        return answer;
    };
    let recorded: rpc::Request = read(&case.output.as_ref().unwrap()["body"]).unwrap();
    assert_eq!(recorded.id.len(), ID.len());
    let body = value["body"].as_str().unwrap().replacen(ID, &recorded.id, 1);
    value["body_user_data"] = json!(gateway_request(body.as_bytes()).to_string());
    value["body"] = json!(body);
    Answer::Value(value)
}

#[test]
fn hashes_are_the_hashes_of_the_reference() {
    let ops = [
        "capability_response",
        "compute_request",
        "domain_hash",
        "enclave_call",
        "enclave_config",
        "enclaves_list",
        "execute_response",
        "public_key_response",
        "rpc_request_digest",
        "rpc_response_digest",
        "same_hash",
        "secrets_response",
        "set_config_response",
    ];
    let text = |case: &Case| if case.op.starts_with("rpc") { Text::Any } else { Text::Exact };
    vectors::run("hashes.json", &ops, &[], text, with_recorded_id);
}
