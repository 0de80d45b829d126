//! `json-canonical.json`: what Go's encoder writes and what its decoder makes of a text.

use attestation::Measurements;
use protocol::{
    answer::{
        ConfigRequest, EnclaveErrorResponse, ExecuteResponse, MemoryEstimateResponse,
        PublicKeyResponse, SetConfigResponse, UpdateConfigRequest, UpdateConfigResponse,
    },
    compute::{ForwardedComputeRequest, SignedComputeRequest},
    config,
    json::{self, RawJson, Wire},
    relay::{
        Bundle, CapabilityRequestParams, CapabilityResult, EnclaveConfig, Params, SecretIdentifier,
        SecretsRequestParams, SecretsResult, SignedResult,
    },
    rpc,
    settings::WorkflowSettings,
};
use serde_json::{Value, json};
use vectors::{Answer, Case, Text, model};

use crate::build::Model;

fn answer(case: &Case) -> Answer {
    let input = &case.input;
    match case.op.as_str() {
        "string" => {
            let bytes = model::hex(input["bytes"].as_str().unwrap());
            Answer::Value(json!({ "json": json::text_token(&bytes) }))
        }
        "decode_request" => {
            let token = input["header_token"].as_str().unwrap();
            match rpc::Request::decode(&text(input), token) {
                Ok(request) => Answer::Value(json!({ "reencoded": encoded(&request) })),
                Err(error) => Answer::refused(&error),
            }
        }
        _ => by_type(case),
    }
}

fn by_type(case: &Case) -> Answer {
    match case.input["type"].as_str().unwrap() {
        "enclave.Batch" => of::<Option<Vec<SignedComputeRequest>>>(case),
        "enclave.ConfigRequest" => of::<ConfigRequest>(case),
        "enclave.EnclaveConfig" => of::<config::EnclaveConfig>(case),
        "enclave.EnclaveErrorResponse" => of::<EnclaveErrorResponse>(case),
        "enclave.ExecuteResponse" => of::<ExecuteResponse>(case),
        "enclave.MemoryEstimateResponse" => of::<MemoryEstimateResponse>(case),
        "enclave.PublicKeyResponse" => of::<PublicKeyResponse>(case),
        "enclave.SetConfigResponse" => of::<SetConfigResponse>(case),
        "enclave.SignedComputeRequest" => of::<SignedComputeRequest>(case),
        "enclave.UpdateConfigRequest" => of::<UpdateConfigRequest>(case),
        "enclave.UpdateConfigResponse" => of::<UpdateConfigResponse>(case),
        "enclave.WorkflowSettings" => of::<WorkflowSettings>(case),
        "jsonrpc.Request" => of::<rpc::Request>(case),
        "jsonrpc.Response" if case.op == "encode" => encode_response(case),
        "jsonrpc.Response" => of::<rpc::Response>(case),
        "nitro.PCRs" => measurements(case),
        "relay.CapabilityRequestParams" if case.op == "strip_attestation" => {
            strip::<CapabilityRequestParams>(case)
        }
        "relay.CapabilityRequestParams" => of::<CapabilityRequestParams>(case),
        "relay.CapabilityResponseResult" => of::<CapabilityResult>(case),
        "relay.EnclaveConfig" => of::<EnclaveConfig>(case),
        "relay.SecretIdentifier" => of::<SecretIdentifier>(case),
        "relay.SecretsRequestParams" if case.op == "strip_attestation" => {
            strip::<SecretsRequestParams>(case)
        }
        "relay.SecretsRequestParams" => of::<SecretsRequestParams>(case),
        "relay.SecretsResponseResult" => of::<SecretsResult>(case),
        "relay.SignedCapabilityResponseBundle" => of::<Bundle<CapabilityResult>>(case),
        "relay.SignedCapabilityResponseResult" => of::<SignedResult<CapabilityResult>>(case),
        "relay.SignedComputeRequest" => of::<ForwardedComputeRequest>(case),
        "relay.SignedSecretsResponseBundle" => of::<Bundle<SecretsResult>>(case),
        "relay.SignedSecretsResponseResult" => of::<SignedResult<SecretsResult>>(case),
        other => panic!("{}: unknown type {other}", case.name),
    }
}

fn of<T: Wire + Model>(case: &Case) -> Answer {
    if case.op == "encode" {
        return match T::build(&case.input["value"]) {
            Ok(value) => Answer::Value(json!({ "json": encoded(&value) })),
            Err(refused) => refused,
        };
    }
    match json::from_slice::<T>(&text(&case.input)) {
        Ok(value) => {
            let reencoded = encoded(&value);
            let again: T = json::from_slice(reencoded.as_bytes()).unwrap();
            assert_eq!(encoded(&again), reencoded, "{}", case.name);
            Answer::Value(json!({ "reencoded": reencoded, "value": value.show() }))
        }
        Err(error) => Answer::refused(&error),
    }
}

/// The encoder is given errors whose data is a pointer to nothing, which is written as `null`; what is
/// read has no such pointer.
fn encode_response(case: &Case) -> Answer {
    let mut response = match rpc::Response::build(&case.input["value"]) {
        Ok(response) => response,
        Err(refused) => return refused,
    };
    if let Some(error) = &mut response.error {
        error.data.get_or_insert_with(RawJson::null);
    }
    Answer::Value(json!({ "json": encoded(&response) }))
}

fn strip<P: Params>(case: &Case) -> Answer {
    let input = text(&case.input);
    let params: P = match json::from_slice(&input) {
        Ok(params) => params,
        Err(error) => return Answer::refused(&error),
    };
    let attested = String::from_utf8(params.attested_bytes()).unwrap();
    let input = String::from_utf8(input).unwrap();
    let member = format!(",\"attestation\":\"{}\"", params.attestation());
    let same = input.replacen(&member, "", 1) == attested;
    Answer::Value(json!({ "json": attested, "same_as_input_without_attestation_member": same }))
}

fn measurements(case: &Case) -> Answer {
    let text = match case.op.as_str() {
        "encode" => {
            let value = &case.input["value"];
            let register = |name: &str| hex::encode(model::bytes(&value[name]).unwrap_or_default());
            json!({ "pcr0": register("pcr0"), "pcr1": register("pcr1"), "pcr2": register("pcr2") })
                .to_string()
                .into_bytes()
        }
        _ => text(&case.input),
    };
    match Measurements::parse(&text) {
        Ok(measurements) => {
            let registry = measurements.to_registry_json();
            let value: Value = serde_json::from_str(&registry).unwrap();
            let value: Value = value
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), json!({ "$hex": value })))
                .collect();
            match case.op.as_str() {
                "encode" => Answer::Value(json!({ "json": registry })),
                _ => Answer::Value(json!({ "reencoded": registry, "value": value })),
            }
        }
        Err(error) => Answer::refused(&error),
    }
}

fn text(input: &Value) -> Vec<u8> {
    match input.get("json_hex") {
        Some(hex) => model::hex(hex.as_str().unwrap()),
        None => input["json"].as_str().unwrap().as_bytes().to_vec(),
    }
}

fn encoded<T: Wire>(value: &T) -> String {
    String::from_utf8(json::to_vec(value)).unwrap()
}

#[test]
fn json_is_the_json_of_the_reference() {
    let ops = ["decode", "decode_request", "encode", "string", "strip_attestation"];
    // What the gateway says about an envelope is fixed; the rest are the library's own texts.
    let text = |case: &Case| match case.error.as_deref() {
        Some("incorrect jsonrpc version" | "empty method field" | "invalid params") => Text::Exact,
        _ => Text::Any,
    };
    vectors::run("json-canonical.json", &ops, &[], text, answer);
}
