use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    messages::{
        conformance::basic_trigger::Outputs,
        consensus::{
            AggregationType, ConsensusDescriptor, Descriptor, Observation, SimpleConsensusInputs,
        },
        sdk::{
            AwaitCapabilitiesRequest, AwaitCapabilitiesResponse, CapabilityOutcome,
            CapabilityRequest, CapabilityResponse, ExecuteRequest, ExecutionResult,
            GetSecretsRequest, Outcome, Phase, Secret, SecretOutcome, SecretRequest,
            SecretResponse, Trigger,
        },
        values::Value,
    },
    proto::{Kind, Label},
};

fn encoded<M: Message>(message: &M) -> String {
    hex::encode(encode(message))
}

/// The vectors of wasm-abi, Appendix A, as the Go host writes them.
#[test]
fn messages_have_the_bytes_of_the_specification() {
    let outputs = Outputs { cool_output: "test value".to_owned() };
    let trigger = Trigger { id: 0, payload: Some(pack(&outputs)) };
    let request = ExecuteRequest {
        config: b"config".to_vec(),
        max_response_size: 5_242_880,
        request: Some(Phase::Trigger(trigger)),
    };
    let argv = "0a06636f6e666967208080c0021a5312510a41747970652e676f6f676c65617069732e636f6d2f6361706162696c69746965732e696e7465726e616c2e6261736963747269676765722e76312e4f757470757473120c0a0a746573742076616c7565";
    assert_eq!(encoded(&request), argv);
    let call = CapabilityRequest { callback_id: -1, ..CapabilityRequest::default() };
    assert_eq!(encoded(&call), "20ffffffffffffffffff01");
    let ids = |ids| encoded(&AwaitCapabilitiesRequest { ids });
    assert_eq!([ids(vec![1]), ids(vec![0])], ["0a0101", "0a0100"]);
    assert_eq!(ids(vec![-1]), "0a0affffffffffffffffff01");
    let error = CapabilityOutcome::Error("Public:System:NotFound:NotFound error".to_owned());
    let responses = BTreeMap::from([(1, CapabilityResponse { response: Some(error) })]);
    let response = encoded(&AwaitCapabilitiesResponse { responses });
    assert_eq!(
        response,
        "0a2b0801122712255075626c69633a53797374656d3a4e6f74466f756e643a4e6f74466f756e64206572726f72"
    );
    let secret = SecretRequest { id: "Foo".to_owned(), namespace: "main".to_owned() };
    let secrets = GetSecretsRequest { requests: vec![secret], callback_id: 1 };
    assert_eq!(encoded(&secrets), "0a0b0a03466f6f12046d61696e1001");
    let ok = ExecutionResult { result: Some(Outcome::Value(Value::from("ok"))) };
    assert_eq!(encoded(&ok), "0a040a026f6b");
    let aggregation = Descriptor::Aggregation(AggregationType::Median.into());
    let inputs = SimpleConsensusInputs {
        descriptors: Some(ConsensusDescriptor { descriptor: Some(aggregation) }),
        default: Some(Value::default()),
        observation: Some(Observation::Error("status 500".to_owned())),
    };
    assert_eq!(encoded(&inputs), "1a0208012200120a73746174757320353030");
}

#[test]
fn a_payload_is_known_by_what_follows_the_last_slash() {
    let outputs = Outputs { cool_output: "x".to_owned() };
    let mut any = pack(&outputs);
    assert_eq!(any.type_url, "type.googleapis.com/capabilities.internal.basictrigger.v1.Outputs");
    for url in [Outputs::NAME, "host/a/capabilities.internal.basictrigger.v1.Outputs"] {
        any.type_url = url.to_owned();
        assert_eq!(unpack::<Outputs>(&any), Ok(outputs.clone()));
    }
    for url in [
        "",
        "x.capabilities.internal.basictrigger.v1.Outputs",
        "capabilities.internal.basictrigger.v1.Outputs/",
    ] {
        any.type_url = url.to_owned();
        let other = DecodeMessageError::OtherType { want: Outputs::NAME };
        assert_eq!(unpack::<Outputs>(&any), Err(other), "{url}");
    }
}

#[test]
fn malformed_payloads_are_refused_by_name() {
    let any = Any { type_url: type_url(Outputs::NAME), value: vec![0x0a, 5] };
    let error = unpack::<Outputs>(&any).unwrap_err();
    assert_eq!(error.to_string(), "malformed capabilities.internal.basictrigger.v1.Outputs");
    assert!(decode::<Outputs>(&[0x0a, 1, 0xff]).is_err());
}

#[test]
fn secrets_and_requests_are_not_printed() {
    let mut secret = Secret::default();
    secret.value.push_str("hunter2");
    let response = SecretResponse { response: Some(SecretOutcome::Secret(secret)) };
    assert!(!format!("{response:?}").contains("hunter2"));
    let request = http::Request { url: "https://h/?key=hunter2".to_owned(), ..Default::default() };
    assert_eq!(format!("{request:?}"), "Request");
}

/// Walks over a schema and all schemas inside it.
fn walk(schema: &'static Schema, seen: &mut BTreeSet<&'static str>) {
    if !seen.insert(schema.name) {
        return;
    }
    let numbers: BTreeSet<_> = schema.fields.iter().map(|field| field.number).collect();
    assert_eq!(numbers.len(), schema.fields.len(), "{}", schema.name);
    for field in schema.fields {
        if let Label::Map(key) = field.label {
            assert!(matches!(key, Kind::Text | Kind::Int32), "{}.{}", schema.name, field.name);
        }
        if let Kind::Message(inner) = field.kind {
            walk(inner(), seen);
        }
    }
}

#[test]
fn no_number_of_a_message_is_used_twice() {
    let mut seen = BTreeSet::new();
    walk(confidential_workflow::ConfidentialWorkflowRequest::schema(), &mut seen);
    walk(confidential_http::ConfidentialHttpRequest::schema(), &mut seen);
    walk(capabilities::CapabilityResponse::schema(), &mut seen);
    walk(telemetry::WorkflowUserMetric::schema(), &mut seen);
    walk(vault::GetSecretsResponse::schema(), &mut seen);
    walk(ExecutionResult::schema(), &mut seen);
    walk(SimpleConsensusInputs::schema(), &mut seen);
    assert!(seen.len() > 30, "{seen:?}");
}
