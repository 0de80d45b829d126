//! Arbitrary values of the types that have a JSON form. Members that are left out when empty are never
//! empty here, so that what is read equals what was written.

use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*};
use protocol::{
    answer::{
        ConfigRequest, EnclaveErrorResponse, EnclaveRefusal, ExecuteResponse, ListedEnclave,
        MemoryEstimateResponse, MetricEvent, PublicKeyResponse, SetConfigResponse,
        UpdateConfigRequest, UpdateConfigResponse,
    },
    compute::{ComputeRequest, ForwardedComputeRequest, SignedComputeRequest},
    config,
    json::{Bytes, Details, Number, RawJson, Tree},
    relay::{
        Bundle, CapabilityRequestParams, CapabilityResult, EnclaveConfig, ResponseSignature,
        SecretEntry, SecretIdentifier, SecretsRequestParams, SecretsResult, SignedResult,
    },
    rpc,
    settings::WorkflowSettings,
    time::{GoDuration, Rfc3339},
};

pub(crate) fn bytes() -> impl Strategy<Value = Bytes> {
    option::of(vec(any::<u8>(), 0..40)).prop_map(Bytes::from)
}

/// Bytes of a member that is left out when empty.
fn some_bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![Just(Bytes::nil()), vec(any::<u8>(), 1..40).prop_map(Bytes::from)]
}

pub(crate) fn list<T: std::fmt::Debug>(
    item: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Vec<T>>> {
    option::of(vec(item, 0..4))
}

/// A list of a member that is left out when empty.
fn some_list<T: std::fmt::Debug>(
    item: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Vec<T>>> {
    option::of(vec(item, 1..4))
}

fn raw() -> impl Strategy<Value = RawJson> {
    prop_oneof![
        any::<String>().prop_map(|text| RawJson::of(&text)),
        any::<i64>().prop_map(|number| RawJson::of(&number)),
        secrets_result().prop_map(|result| RawJson::of(&result)),
    ]
}

fn details() -> impl Strategy<Value = Option<Details>> {
    let finite = any::<f64>().prop_filter("JSON has no other", |number| number.is_finite());
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        finite.prop_map(|number| Number::try_from(number).unwrap().into()),
        any::<String>().prop_map(|text| Tree::from(text.as_str())),
    ];
    let tree = leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Tree::List),
            // What is read is in the order of its names.
            proptest::collection::btree_map(any::<String>(), inner, 0..3)
                .prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    });
    option::of(proptest::collection::btree_map(any::<String>(), tree, 1..3))
}

pub(crate) fn request() -> impl Strategy<Value = ComputeRequest> {
    let texts = [any::<String>(), any::<String>(), any::<String>()];
    let lists = (list(bytes()), list(any::<String>()), list(list(bytes())));
    (any::<[u8; 32]>(), texts, lists, [bytes(), bytes(), bytes()]).prop_map(
        |(id, [application_request_id, app_id, version], lists, [data, key, master])| {
            ComputeRequest {
                request_id: id.into(),
                application_request_id,
                public_data: data,
                ciphertexts: lists.0,
                ciphertext_names: lists.1,
                encrypted_decryption_key_shares: lists.2,
                enclave_ephemeral_public_key: key,
                master_public_key: master,
                app_id,
                version,
            }
        },
    )
}

pub(crate) fn signed() -> impl Strategy<Value = SignedComputeRequest> {
    (request(), bytes())
        .prop_map(|(request, signature)| SignedComputeRequest { request, signature })
}

pub(crate) fn forwarded() -> impl Strategy<Value = ForwardedComputeRequest> {
    let data = proptest::collection::btree_map(any::<String>(), any::<String>(), 1..3);
    (signed(), option::of(data))
        .prop_map(|(signed, per_node_data)| ForwardedComputeRequest { signed, per_node_data })
}

pub(crate) fn identifier() -> impl Strategy<Value = SecretIdentifier> {
    [any::<String>(), any::<String>()]
        .prop_map(|[key, namespace]| SecretIdentifier { key, namespace })
}

pub(crate) fn relay_config() -> impl Strategy<Value = EnclaveConfig> {
    (list(bytes()), bytes(), any::<u32>(), any::<u32>()).prop_map(
        |(signers, master_public_key, t, f)| EnclaveConfig { signers, master_public_key, t, f },
    )
}

pub(crate) fn enclave_config() -> impl Strategy<Value = config::EnclaveConfig> {
    (list(bytes()), bytes(), any::<u32>(), any::<u32>()).prop_map(
        |(signers, master_public_key, t, f)| config::EnclaveConfig {
            signers,
            master_public_key,
            t,
            f,
        },
    )
}

pub(crate) fn secrets_params() -> impl Strategy<Value = SecretsRequestParams> {
    let texts = proptest::array::uniform6(any::<String>());
    (texts, list(identifier()), option::of(relay_config()), some_list(forwarded())).prop_map(
        |(texts, secrets, enclave_config, signed_compute_requests)| {
            let [workflow_id, owner, execution_id, org_id, enclave_public_key, attestation] = texts;
            SecretsRequestParams {
                workflow_id,
                owner,
                execution_id,
                org_id,
                secrets,
                enclave_public_key,
                enclave_config,
                attestation,
                signed_compute_requests,
            }
        },
    )
}

pub(crate) fn capability_params() -> impl Strategy<Value = CapabilityRequestParams> {
    (proptest::array::uniform8(any::<String>()), option::of(relay_config())).prop_map(
        |(texts, enclave_config)| {
            let [
                workflow_id,
                owner,
                execution_id,
                org_id,
                reference_id,
                capability_id,
                payload,
                attestation,
            ] = texts;
            CapabilityRequestParams {
                workflow_id,
                owner,
                execution_id,
                org_id,
                reference_id,
                capability_id,
                payload,
                enclave_config,
                attestation,
            }
        },
    )
}

pub(crate) fn secrets_result() -> impl Strategy<Value = SecretsResult> {
    let entry = (identifier(), any::<String>(), list(any::<String>()));
    let entry = entry.prop_map(|(id, ciphertext, encrypted_shares)| SecretEntry {
        id,
        ciphertext,
        encrypted_shares,
    });
    list(entry).prop_map(|secrets| SecretsResult { secrets })
}

pub(crate) fn capability_result() -> impl Strategy<Value = CapabilityResult> {
    [any::<String>(), any::<String>()]
        .prop_map(|[payload, error]| CapabilityResult { payload, error })
}

fn signature() -> impl Strategy<Value = ResponseSignature> {
    [bytes(), bytes()].prop_map(|[signer, signature]| ResponseSignature { signer, signature })
}

pub(crate) fn bundle<R: std::fmt::Debug>(
    result: impl Strategy<Value = R>,
) -> impl Strategy<Value = Bundle<R>> {
    let entry = (result, some_list(signature()), signature());
    let entry = entry.prop_map(|(result, signatures, signature)| SignedResult {
        result,
        signatures,
        signature,
    });
    list(entry).prop_map(|responses| Bundle { responses })
}

pub(crate) fn rpc_request() -> impl Strategy<Value = rpc::Request> {
    let texts = proptest::array::uniform4(any::<String>());
    (texts, option::of(raw())).prop_map(|([jsonrpc, id, method, auth], params)| rpc::Request {
        jsonrpc,
        id,
        method,
        params,
        auth,
    })
}

pub(crate) fn rpc_response() -> impl Strategy<Value = rpc::Response> {
    let error = (any::<i64>(), any::<String>(), option::of(raw()));
    let error = error.prop_map(|(code, message, data)| rpc::ErrorObject { code, message, data });
    ([any::<String>(), any::<String>(), any::<String>()], option::of(raw()), option::of(error))
        .prop_map(|([jsonrpc, id, method], result, error)| rpc::Response {
            jsonrpc,
            id,
            method,
            result,
            error,
        })
}

fn events() -> impl Strategy<Value = Option<Vec<MetricEvent>>> {
    let event = (any::<String>(), details());
    some_list(event.prop_map(|(event, details)| MetricEvent { event, details }))
}

pub(crate) fn execute_response() -> impl Strategy<Value = ExecuteResponse> {
    let ids = (any::<[u8; 32]>(), any::<String>(), any::<[u8; 32]>());
    (ids, bytes(), enclave_config(), bytes(), details(), events()).prop_map(
        |((request, application, hash), output, config, attestation, metrics, metric_events)| {
            ExecuteResponse {
                request_id: request.into(),
                application_request_id: application,
                request_hash: hash.into(),
                output,
                config,
                attestation,
                metrics,
                metric_events,
            }
        },
    )
}

pub(crate) fn refusal() -> impl Strategy<Value = EnclaveRefusal> {
    ([any::<String>(), any::<String>()], details(), events(), any::<bool>()).prop_map(
        |([error, code], metrics, metric_events, retryable)| EnclaveRefusal {
            reason: EnclaveErrorResponse { error, metrics, metric_events },
            code,
            retryable,
        },
    )
}

pub(crate) fn time() -> impl Strategy<Value = Rfc3339> {
    // The years 1 to 9998, so that no zone leads out of the four digits.
    (-62_135_596_800_i64..253_370_764_800, 0..1_000_000_000_u32, -1439..1440_i32).prop_map(
        |(seconds, nanos, zone)| {
            let shift = std::time::Duration::from_secs(seconds.unsigned_abs());
            let epoch = std::time::SystemTime::UNIX_EPOCH;
            let time = if seconds < 0 { epoch - shift } else { epoch + shift };
            let time = Rfc3339::try_from(time + std::time::Duration::new(0, nanos)).unwrap();
            // The same numbers in another zone are another time, which is as good.
            let text = time.to_string();
            let (sign, minutes) = (if zone < 0 { '-' } else { '+' }, zone.abs());
            let zone = match minutes {
                0 => "Z".to_owned(),
                _ => format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60),
            };
            format!("{}{zone}", text.trim_end_matches('Z')).parse().unwrap()
        },
    )
}

pub(crate) fn public_keys() -> impl Strategy<Value = PublicKeyResponse> {
    (list(bytes()), list(time()), list(any::<i64>()), enclave_config(), bytes()).prop_map(
        |(public_keys, creation_times, ttls, config, attestation)| PublicKeyResponse {
            public_keys,
            creation_times,
            ttls,
            config,
            attestation,
        },
    )
}

pub(crate) fn config_exchange()
-> impl Strategy<Value = (ConfigRequest, SetConfigResponse, UpdateConfigRequest, UpdateConfigResponse)>
{
    let some = some_bytes();
    (enclave_config(), [bytes(), bytes()], some, any::<bool>(), [any::<i64>(), any::<i64>()])
        .prop_map(|(config, [first, second], attestation, applied, [collected, required])| {
            (
                ConfigRequest { config: first.clone() },
                SetConfigResponse { config: config.clone(), attestation: first.clone() },
                UpdateConfigRequest { config: first, signature: second },
                UpdateConfigResponse {
                    applied,
                    config,
                    signers_collected: collected,
                    signers_required: required,
                    attestation,
                },
            )
        })
}

pub(crate) fn memory() -> impl Strategy<Value = MemoryEstimateResponse> {
    [any::<u64>(), any::<u64>()]
        .prop_map(|[used_mib, rss_mib]| MemoryEstimateResponse { used_mib, rss_mib })
}

pub(crate) fn listed() -> impl Strategy<Value = ListedEnclave> {
    let texts = proptest::array::uniform4(any::<String>());
    (any::<[u8; 32]>(), texts, list(bytes()), bytes()).prop_map(
        |(enclave_id, texts, trusted_values, enclave_extra_data)| {
            let [enclave_url, enclave_type, enclave_auth_header, region] = texts;
            ListedEnclave {
                enclave_id,
                enclave_url,
                trusted_values,
                enclave_type,
                enclave_auth_header,
                enclave_extra_data,
                region,
            }
        },
    )
}

pub(crate) fn settings() -> impl Strategy<Value = WorkflowSettings> {
    // Go computes fractions in floating point; below 2^53 ns nothing is lost.
    let span = (-(1_i64 << 53)..1 << 53).prop_map(|nanos| GoDuration { nanos });
    let texts = [any::<String>(), any::<String>(), any::<String>()];
    (texts, any::<bool>(), [any::<i64>(), any::<i64>()], proptest::array::uniform5(span)).prop_map(
        |([key, storage, gateway], tls, [binary, cache], [fetch, request, attempt, run, grace])| {
            WorkflowSettings {
                storage_key: Arc::new(key.into()),
                storage_service_url: storage,
                storage_service_tls: tls,
                gateway_url: gateway,
                max_binary_size: binary,
                binary_fetch_timeout: fetch,
                max_cache_bytes: cache,
                request_timeout: request,
                gateway_request_timeout: attempt,
                execution_timeout: run,
                workflow_grace_period: grace,
            }
        },
    )
}
