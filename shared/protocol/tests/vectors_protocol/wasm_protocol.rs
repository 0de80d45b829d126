//! `wasm-protocol.json`: messages of the guest protocol and values against the reference's bytes.

use std::{collections::BTreeMap, time::SystemTime};

use protocol::{
    messages::{
        self, DecodeMessageError, Described as _, Message, confidential_http,
        confidential_workflow, consensus, cron, http, sdk, well_known,
    },
    messages::{
        values::{BigInt, Decimal, Kind, Value},
        well_known::Timestamp,
    },
    proto::{self, Schema},
    time::Rfc3339,
    values::NumberTextError,
};
use serde_json::json;
use vectors::{Answer, Case, Refusal, Text, model};

use crate::proto_json;

/// A message type: its schema, and what its struct makes of bytes.
pub(crate) struct Type {
    pub(crate) schema: &'static Schema,
    through_struct: fn(&[u8]) -> Result<Vec<u8>, DecodeMessageError>,
}

fn of<M: Message>() -> Type {
    Type {
        schema: M::schema(),
        through_struct: |bytes| {
            messages::decode::<M>(bytes).map(|message| messages::encode(&message))
        },
    }
}

fn types() -> Vec<Type> {
    vec![
        of::<confidential_http::ConfidentialHttpRequest>(),
        of::<confidential_workflow::ConfidentialWorkflowRequest>(),
        of::<confidential_workflow::ConfidentialWorkflowResponse>(),
        of::<confidential_workflow::WorkflowExecution>(),
        of::<consensus::SimpleConsensusInputs>(),
        of::<cron::Config>(),
        of::<cron::Payload>(),
        of::<http::Request>(),
        of::<sdk::AwaitCapabilitiesRequest>(),
        of::<sdk::AwaitCapabilitiesResponse>(),
        of::<sdk::AwaitSecretsRequest>(),
        of::<sdk::AwaitSecretsResponse>(),
        of::<sdk::CapabilityRequest>(),
        of::<sdk::CapabilityResponse>(),
        of::<sdk::ExecuteRequest>(),
        of::<sdk::ExecutionResult>(),
        of::<sdk::GetSecretsRequest>(),
        of::<sdk::MethodRestriction>(),
        of::<sdk::ReportRequest>(),
        of::<sdk::ReportResponse>(),
        of::<sdk::Requirements>(),
        of::<sdk::TeeTypeAndRegions>(),
        of::<sdk::TriggerSubscription>(),
        of::<Value>(),
        of::<well_known::Duration>(),
        of::<Timestamp>(),
        Type { schema: &proto_json::BOOL_VALUE, through_struct: |bytes| Ok(bytes.to_vec()) },
    ]
}

pub(crate) fn named(name: &str) -> Type {
    let found = types().into_iter().find(|candidate| candidate.schema.name == name);
    found.unwrap_or_else(|| panic!("no message {name}"))
}

fn answer(case: &Case) -> Answer {
    match case.op.as_str() {
        "message" => message(case),
        "decode" => decode(case),
        "unwrap" => unwrap(case),
        _ => wrap(case),
    }
}

fn message(case: &Case) -> Answer {
    let kind = named(case.input["type"].as_str().unwrap());
    let bytes = proto_json::to_bytes(kind.schema, &case.input["json"]);
    match (kind.through_struct)(&bytes) {
        Ok(bytes) => Answer::Value(json!({ "hex": hex::encode(bytes) })),
        Err(error) => Answer::refused(&error),
    }
}

fn decode(case: &Case) -> Answer {
    let kind = named(case.input["type"].as_str().unwrap());
    let bytes = model::hex(case.input["hex"].as_str().unwrap());
    match proto::canonical(kind.schema, &bytes) {
        Ok(canonical) => {
            assert_eq!(proto::canonical(kind.schema, &canonical), Ok(canonical.clone()));
            let theirs = &case.output.as_ref().unwrap()["json"];
            let ours = proto_json::from_bytes(kind.schema, &canonical);
            let json = if theirs.get("$none").is_some() { theirs.clone() } else { ours };
            Answer::Value(json!({ "json": json, "reencoded": hex::encode(canonical) }))
        }
        Err(error) => {
            assert!((kind.through_struct)(&bytes).is_err(), "the struct takes what is malformed");
            Answer::refused(&error)
        }
    }
}

fn unwrap(case: &Case) -> Answer {
    let bytes = model::hex(case.input["hex"].as_str().unwrap());
    let value: Value = match messages::decode(&bytes) {
        Ok(value) => value,
        Err(error) => return Answer::refused(&error),
    };
    match printed(&value) {
        Ok(text) => Answer::Value(json!({ "text": text })),
        Err(error) => Answer::refused(&error),
    }
}

/// A value the way the recorder prints it.
fn printed(value: &Value) -> Result<String, NumberTextError> {
    Ok(match &value.kind {
        None => "<nil>".to_owned(),
        Some(Kind::String(text)) => format!("{text:?}"),
        Some(Kind::Bool(truth)) => truth.to_string(),
        Some(Kind::Bytes(bytes)) => hex::encode(bytes),
        Some(Kind::BigInt(number)) => number.to_text()?,
        Some(Kind::Decimal(number)) => format!("{:?}", number.to_text()?),
        Some(Kind::Int64(number)) => number.to_string(),
        Some(Kind::Uint64(number)) => number.to_string(),
        Some(Kind::Float64(number)) => number.to_string(),
        Some(Kind::Time(time)) => {
            Rfc3339::try_from(SystemTime::try_from(*time).unwrap()).unwrap().to_string()
        }
        Some(Kind::Map(_) | Kind::List(_)) => panic!("no case prints these"),
    })
}

fn wrap(case: &Case) -> Answer {
    let recorded = case.output.as_ref().map(|output| &output["json"]);
    match from_go(case.input["go"].as_str().unwrap(), recorded) {
        Some(value) => {
            let bytes = messages::encode(&value);
            let json = proto_json::from_bytes(Value::schema(), &bytes);
            Answer::Value(json!({ "hex": hex::encode(bytes), "json": json }))
        }
        None => Answer::Refused(Refusal {
            variant: "no conversion".to_owned(),
            text: "could not wrap into value".to_owned(),
        }),
    }
}

/// Rust has no value of a Go channel or function; what stands for them has no conversion, which is
/// looked at here, because a conversion that is missing is a compiler error anywhere else.
#[test]
fn what_the_reference_refuses_to_wrap_has_no_conversion() {
    struct Probe<T>(std::marker::PhantomData<T>);
    trait Refused {
        const WRAPS: bool = false;
    }
    impl<T> Refused for Probe<T> {}
    impl<T: Into<Value>> Probe<T> {
        const WRAPS: bool = true;
    }
    type Channel = std::sync::mpsc::Receiver<i64>;
    const WRAPPED: [bool; 6] = [
        Probe::<Channel>::WRAPS,
        Probe::<fn()>::WRAPS,
        Probe::<Vec<Channel>>::WRAPS,
        Probe::<i64>::WRAPS,
        Probe::<Vec<Value>>::WRAPS,
        Probe::<Option<bool>>::WRAPS,
    ];
    assert_eq!(WRAPPED, [false, false, false, true, true, true]);
}

/// The value that a description of a Go value stands for.
fn from_go(go: &str, recorded: Option<&serde_json::Value>) -> Option<Value> {
    let (kind, rest) = go.split_once(' ').unwrap_or((go, ""));
    let word = rest.split(' ').next().unwrap_or_default();
    let text = || word.trim_matches('"').to_owned();
    Some(match kind {
        "string" => text().into(),
        "bool" => word.parse::<bool>().unwrap().into(),
        "[]byte{0,255}" => vec![0, 255].into(),
        "[]byte{}" => Vec::<u8>::new().into(),
        "int64" => word.parse::<i64>().unwrap().into(),
        "uint32" => word.parse::<u32>().unwrap().into(),
        "uint64" => word.parse::<u64>().unwrap().into(),
        "float32" => word.parse::<f32>().unwrap().into(),
        "float64" => word.replace("Inf", "inf").parse::<f64>().unwrap().into(),
        "*big.Int" => BigInt::from(word.parse::<i128>().unwrap()).into(),
        "decimal" => decimal(rest).into(),
        "time" => {
            let time: Rfc3339 = word.parse().unwrap();
            Timestamp::try_from(SystemTime::try_from(time).unwrap()).unwrap().into()
        }
        "map" | "list" | "see" | "[]string{a,b}" | "struct{A" => from_json(recorded.unwrap()),
        // For these there is no `From`, see the test above.
        "chan" | "func()" | "[]any{chan}" => return None,
        other => panic!("no case wraps a {other}"),
    })
}

fn decimal(text: &str) -> Decimal {
    match text.strip_prefix("coefficient ").and_then(|rest| rest.split_once(", exponent ")) {
        Some((coefficient, exponent)) => Decimal {
            coefficient: Some(coefficient.parse::<i128>().unwrap().into()),
            exponent: exponent.parse().unwrap(),
        },
        // The library's own zero has the exponent one.
        None if text == "0" => Decimal { coefficient: Some(BigInt::default()), exponent: 1 },
        None => text.trim_matches('"').parse().unwrap(),
    }
}

/// The value that the recorded JSON form describes, through the conversions of Rust's own types.
fn from_json(json: &serde_json::Value) -> Value {
    let Some((kind, value)) = json.as_object().unwrap().iter().next() else {
        return Value::from(None::<bool>);
    };
    match kind.as_str() {
        "string_value" => value.as_str().unwrap().into(),
        "bool_value" => value.as_bool().unwrap().into(),
        "int64_value" => value.as_str().unwrap().parse::<i64>().unwrap().into(),
        "list_value" => {
            let items = value.get("fields").and_then(|fields| fields.as_array());
            items.into_iter().flatten().map(from_json).collect::<Vec<_>>().into()
        }
        "map_value" => {
            let fields = value.get("fields").and_then(|fields| fields.as_object());
            let field = |(name, value): (&String, _)| (name.clone(), from_json(value));
            fields.into_iter().flatten().map(field).collect::<BTreeMap<_, _>>().into()
        }
        other => panic!("no case has a {other}"),
    }
}

#[test]
fn messages_and_values_have_the_bytes_of_the_reference() {
    let text = |case: &Case| if case.op == "wrap" { Text::Exact } else { Text::Any };
    vectors::run("wasm-protocol.json", &["decode", "message", "unwrap", "wrap"], &[], text, answer);
}
