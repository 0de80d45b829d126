//! Our types from the value model of the files, and back.

use std::{collections::BTreeMap, sync::Arc};

use crypto::secret::SecretText;
use protocol::{
    answer::{
        ConfigRequest, EnclaveErrorResponse, ExecuteResponse, ListedEnclave,
        MemoryEstimateResponse, MetricEvent, PublicKeyResponse, SetConfigResponse,
        UpdateConfigRequest, UpdateConfigResponse,
    },
    compute::{ComputeRequest, ForwardedComputeRequest, SignedComputeRequest},
    config,
    ids::{RequestHash, RequestId},
    json::{Bytes, Number, RawJson, Tree},
    relay::{
        Bundle, CapabilityRequestParams, CapabilityResult, EnclaveConfig, ResponseSignature,
        SecretEntry, SecretIdentifier, SecretsRequestParams, SecretsResult, SignedResult,
    },
    rpc,
    settings::WorkflowSettings,
    time::{GoDuration, Rfc3339},
};
use serde_json::{Map, Value, json};
use vectors::{Answer, model};

/// A value that our types cannot hold, so it is refused before it could be written.
pub(crate) type Built<T> = Result<T, Answer>;

/// A type with a form in the value model.
pub(crate) trait Model: Sized {
    fn build(value: &Value) -> Built<Self>;
    fn show(&self) -> Value;
}

/// Declares the members of a struct.
macro_rules! model {
    ($($type:ident $(<$param:ident>)? $(, flat $flat:ident)? { $($field:ident $name:literal),* $(,)? })*) => {$(
        impl $(<$param: Model>)? Model for $type $(<$param>)? {
            fn build(value: &Value) -> Built<Self> {
                Ok(Self {
                    $($flat: Model::build(value)?,)?
                    $($field: Model::build(&value[$name])?,)*
                })
            }

            fn show(&self) -> Value {
                let mut object = Map::new();
                $(object.extend(self.$flat.show().as_object().unwrap().clone());)?
                $(object.insert($name.to_owned(), self.$field.show());)*
                Value::Object(object)
            }
        }
    )*};
}

type EnclaveApiConfig = config::EnclaveConfig;
type RpcRequest = rpc::Request;
type RpcResponse = rpc::Response;
type RpcError = rpc::ErrorObject;

model! {
    SecretIdentifier { key "key", namespace "namespace" }
    EnclaveConfig { signers "signers", master_public_key "master_public_key", t "t", f "f" }
    EnclaveApiConfig { signers "signers", master_public_key "masterPublicKey", t "t", f "f" }
    SecretsRequestParams {
        workflow_id "workflow_id", owner "owner", execution_id "execution_id", org_id "org_id",
        secrets "secrets", enclave_public_key "enclave_public_key",
        enclave_config "enclave_config", attestation "attestation",
        signed_compute_requests "signed_compute_requests",
    }
    CapabilityRequestParams {
        workflow_id "workflow_id", owner "owner", execution_id "execution_id", org_id "org_id",
        reference_id "reference_id", capability_id "capability_id", payload "payload",
        enclave_config "enclave_config", attestation "attestation",
    }
    ComputeRequest {
        request_id "requestID", application_request_id "applicationRequestID",
        public_data "publicData", ciphertexts "ciphertexts", ciphertext_names "CiphertextNames",
        encrypted_decryption_key_shares "encryptedDecryptionKeyShares",
        enclave_ephemeral_public_key "enclaveEphemeralPublicKey",
        master_public_key "masterPublicKey", app_id "appID", version "version",
    }
    SignedComputeRequest, flat request { signature "signature" }
    ForwardedComputeRequest, flat signed { per_node_data "perNodeData" }
    SecretEntry { id "id", ciphertext "ciphertext", encrypted_shares "encrypted_shares" }
    SecretsResult { secrets "secrets" }
    CapabilityResult { payload "payload", error "error" }
    ResponseSignature { signer "signer", signature "signature" }
    SignedResult<R> { result "result", signatures "signatures", signature "signature" }
    Bundle<R> { responses "responses" }
    ExecuteResponse {
        request_id "requestID", application_request_id "applicationRequestID",
        request_hash "requestHash", output "output", config "config", attestation "attestation",
        metrics "metrics", metric_events "metricEvents",
    }
    MetricEvent { event "event", details "details" }
    EnclaveErrorResponse { error "error", metrics "metrics", metric_events "metricEvents" }
    PublicKeyResponse {
        public_keys "publicKey", creation_times "creationTimes", ttls "ttls", config "config",
        attestation "attestation",
    }
    ConfigRequest { config "config" }
    SetConfigResponse { config "config", attestation "attestation" }
    UpdateConfigRequest { config "config", signature "signature" }
    UpdateConfigResponse {
        applied "applied", config "config", signers_collected "signersCollected",
        signers_required "signersRequired", attestation "attestation",
    }
    MemoryEstimateResponse { used_mib "usedMB", rss_mib "rssMB" }
    ListedEnclave {
        enclave_id "enclaveId", enclave_url "enclaveURL", trusted_values "trustedValues",
        enclave_type "enclaveType", enclave_auth_header "enclaveAuthHeader",
        enclave_extra_data "enclaveExtraData", region "region",
    }
    WorkflowSettings {
        storage_key "storageKey", storage_service_url "storageServiceUrl",
        storage_service_tls "storageServiceTls", gateway_url "gatewayUrl",
        max_binary_size "maxBinarySize", binary_fetch_timeout "binaryFetchTimeout",
        max_cache_bytes "maxCacheBytes", request_timeout "requestTimeout",
        gateway_request_timeout "gatewayRequestTimeout", execution_timeout "executionTimeout",
        workflow_grace_period "workflowGracePeriod",
    }
    RpcRequest { jsonrpc "jsonrpc", id "id", method "method", params "params", auth "auth" }
    RpcResponse { jsonrpc "jsonrpc", id "id", method "method", result "result", error "error" }
    RpcError { code "code", message "message", data "data" }
}

impl Model for String {
    fn build(value: &Value) -> Built<Self> {
        model::text(value).or_else(|bytes| Self::from_utf8(bytes).map_err(|e| Answer::refused(&e)))
    }

    fn show(&self) -> Value {
        json!(self)
    }
}

impl Model for Arc<SecretText> {
    fn build(value: &Value) -> Built<Self> {
        String::build(value).map(|text| Self::new(text.into()))
    }

    fn show(&self) -> Value {
        json!(self.expose())
    }
}

impl Model for bool {
    fn build(value: &Value) -> Built<Self> {
        Ok(value.as_bool().unwrap())
    }

    fn show(&self) -> Value {
        json!(self)
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Model for $type {
            fn build(value: &Value) -> Built<Self> {
                Ok(serde_json::from_value(value.clone()).unwrap())
            }

            fn show(&self) -> Value {
                json!(self)
            }
        }
    )*};
}

integers!(u32, u64, i64);

impl Model for GoDuration {
    fn build(value: &Value) -> Built<Self> {
        Ok(Self { nanos: i64::build(value)? })
    }

    fn show(&self) -> Value {
        json!(self.nanos)
    }
}

impl Model for Bytes {
    fn build(value: &Value) -> Built<Self> {
        Ok(model::bytes(value).into())
    }

    fn show(&self) -> Value {
        model::of_bytes((!self.is_nil()).then(|| self.as_slice()))
    }
}

impl Model for [u8; 32] {
    fn build(value: &Value) -> Built<Self> {
        Ok(model::bytes(value).unwrap().try_into().unwrap())
    }

    fn show(&self) -> Value {
        model::of_bytes(Some(self))
    }
}

impl Model for RequestId {
    fn build(value: &Value) -> Built<Self> {
        <[u8; 32]>::build(value).map(Into::into)
    }

    fn show(&self) -> Value {
        self.as_bytes().show()
    }
}

impl Model for RequestHash {
    fn build(value: &Value) -> Built<Self> {
        <[u8; 32]>::build(value).map(Into::into)
    }

    fn show(&self) -> Value {
        self.as_bytes().show()
    }
}

impl Model for Rfc3339 {
    fn build(value: &Value) -> Built<Self> {
        value["$time"]
            .as_str()
            .unwrap()
            .parse()
            .map_err(|e: protocol::time::ParseTimeError| Answer::refused(&e))
    }

    fn show(&self) -> Value {
        json!({ "$time": self.to_string() })
    }
}

impl Model for RawJson {
    fn build(value: &Value) -> Built<Self> {
        // An error's data that is nil behind a pointer is written as null.
        let text = model::raw(value).unwrap_or_else(|| "null".to_owned());
        Self::parse(text).map_err(|error| Answer::refused(&error))
    }

    fn show(&self) -> Value {
        json!({ "$raw": self.as_str() })
    }
}

impl Model for Tree {
    fn build(value: &Value) -> Built<Self> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::String(text) => Self::Text(text.clone()),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Self::from(number),
                (None, Some(number)) => Self::from(number),
                (None, None) => Self::build(&json!({ "$float": number.to_string() }))?,
            },
            Value::Array(items) => Self::List(items.iter().map(Self::build).collect::<Built<_>>()?),
            Value::Object(members) => {
                if let Some(float) = members.get("$float") {
                    let float = float.as_str().unwrap().replace("Inf", "inf");
                    let number = Number::try_from(float.parse::<f64>().unwrap());
                    return number.map(Self::from).map_err(|error| Answer::refused(&error));
                }
                // A struct of the reference keeps the order of its members.
                let is_struct = members.len() == 2 && members.contains_key("Error");
                let order: Vec<&str> = match is_struct {
                    true => vec!["Error", "Code"],
                    false => members.keys().map(String::as_str).collect(),
                };
                let member = |name: &str| Ok((name.to_owned(), Self::build(&members[name])?));
                Self::Object(order.into_iter().map(member).collect::<Built<_>>()?)
            }
        })
    }

    fn show(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => json!(truth),
            Self::Number(number) => json!({ "$float": go_float(&number.to_string()) }),
            Self::Text(text) => json!(text),
            Self::List(items) => items.iter().map(Self::show).collect(),
            Self::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), value.show())).collect()
            }
        }
    }
}

/// A number in the form that the files use: with an exponent from 21 digits on.
fn go_float(text: &str) -> String {
    if text.len() < 19 || text.contains('e') {
        return text.to_owned();
    }
    format!("{:e}", text.parse::<f64>().unwrap()).replace('e', "e+")
}

impl<T: Model> Model for Option<T> {
    fn build(value: &Value) -> Built<Self> {
        if value.is_null() { Ok(None) } else { T::build(value).map(Some) }
    }

    fn show(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::show)
    }
}

impl<T: Model> Model for Vec<T> {
    fn build(value: &Value) -> Built<Self> {
        value.as_array().unwrap().iter().map(T::build).collect()
    }

    fn show(&self) -> Value {
        self.iter().map(T::show).collect()
    }
}

impl<T: Model> Model for BTreeMap<String, T> {
    fn build(value: &Value) -> Built<Self> {
        let member = |(name, value): (&String, &Value)| Ok((name.clone(), T::build(value)?));
        value.as_object().unwrap().iter().map(member).collect()
    }

    fn show(&self) -> Value {
        self.iter().map(|(name, value)| (name.clone(), value.show())).collect()
    }
}
