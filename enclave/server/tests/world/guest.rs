//! Guests in the text format: what they send is given as bytes, what they hear is their result.

use protocol::messages::{
    self,
    sdk::{
        AwaitCapabilitiesResponse, AwaitSecretsResponse, CapabilityRequest, ExecutionResult,
        GetSecretsRequest, Outcome, SecretResponse,
    },
    values::{Kind, Value},
    well_known::Any,
};

use super::Reply;

/// A guest that does this instead of anything else. `$send` is `send_response`.
pub(crate) fn wat(body: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
          (import "env" "version_v2" (func))
          (import "env" "send_response" (func $send (param i32 i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 64) "\0a\04\0a\02hi")
          (func (export "_start") {body}))"#
    );
    wat::parse_str(module).unwrap()
}

/// Answers `hi`.
pub(crate) const SAY_HI: &str = "(drop (call $send (i32.const 64) (i32.const 6)))";

/// A guest that answers a string of so many bytes.
pub(crate) fn answering(bytes: usize) -> Vec<u8> {
    let value = Value { kind: Some(Kind::String("x".repeat(bytes))) };
    let result = ExecutionResult { result: Some(Outcome::Value(value)) };
    let result = messages::encode(&result);
    let (data, length) = (escaped(&result), result.len());
    let module = format!(
        r#"(module
          (import "env" "version_v2" (func))
          (import "env" "send_response" (func $send (param i32 i32) (result i32)))
          (memory (export "memory") 8)
          (data (i32.const 64) "{data}")
          (func (export "_start")
            (drop (call $send (i32.const 64) (i32.const {length})))))"#
    );
    wat::parse_str(module).unwrap()
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// A guest that makes one call and answers what it hears.
pub(crate) fn calling(id: &str, method: &str, payload: Option<Any>) -> Vec<u8> {
    let (id, method) = (id.to_owned(), method.to_owned());
    let request = CapabilityRequest { id, method, payload, callback_id: 1 };
    hearing(
        "call_capability",
        "(param i32 i32)",
        "",
        "await_capabilities",
        &messages::encode(&request),
    )
}

/// A guest that asks for secrets and answers what it hears.
pub(crate) fn asking(request: &GetSecretsRequest) -> Vec<u8> {
    let request = GetSecretsRequest { callback_id: 1, ..request.clone() };
    let room = "(i32.const 1048576) (i32.const 1000)";
    let params = "(param i32 i32 i32 i32)";
    hearing("get_secrets", params, room, "await_secrets", &messages::encode(&request))
}

/// What a guest of [`calling`] heard: an encoded `CapabilityResponse`.
pub(crate) fn heard(reply: &Reply) -> Vec<u8> {
    let response: AwaitCapabilitiesResponse = messages::decode(&bytes(reply)).unwrap();
    messages::encode(&response.responses[&1])
}

/// What a guest of [`asking`] heard.
pub(crate) fn secrets(reply: &Reply) -> Vec<SecretResponse> {
    let response: AwaitSecretsResponse = messages::decode(&bytes(reply)).unwrap();
    response.responses[&1].responses.clone()
}

fn bytes(reply: &Reply) -> Vec<u8> {
    match reply.result().result {
        Some(Outcome::Value(value)) => match value.kind {
            Some(Kind::Bytes(bytes)) => bytes,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Starts a call, awaits it, and answers a value of the bytes it heard. Lengths are written as four
/// bytes each, which every decoder reads.
fn hearing(start: &str, params: &str, more: &str, wait: &str, request: &[u8]) -> Vec<u8> {
    let data = escaped(request);
    let length = request.len();
    let put = |at: i32, value: &str| -> String {
        let byte = |index: i32, more: i32| {
            let shift = index * 7;
            format!(
                "(i32.store8 (i32.const {}) (i32.or (i32.const {more})
                   (i32.and (i32.const 127) (i32.shr_u {value} (i32.const {shift})))))",
                at + index
            )
        };
        [byte(0, 128), byte(1, 128), byte(2, 128), byte(3, 0)].concat()
    };
    let outer = put(524_279, "(i32.add (local.get $n) (i32.const 5))");
    let inner = put(524_284, "(local.get $n)");
    let module = format!(
        r#"(module
          (import "env" "version_v2" (func))
          (import "env" "send_response" (func $send (param i32 i32) (result i32)))
          (import "env" "switch_modes" (func $mode (param i32)))
          (import "env" "{start}" (func $start {params} (result i64)))
          (import "env" "{wait}" (func $wait (param i32 i32 i32 i32) (result i64)))
          (memory (export "memory") 32)
          (data (i32.const 1024) "{data}")
          (data (i32.const 512) "\0a\01\01")
          (data (i32.const 524278) "\0a")
          (data (i32.const 524283) "\1a")
          (func (export "_start") (local $n i32)
            (call $mode (i32.const 1))
            (drop (call $start (i32.const 1024) (i32.const {length}) {more}))
            (local.set $n (i32.wrap_i64
              (call $wait (i32.const 512) (i32.const 3) (i32.const 524288) (i32.const 500000))))
            {outer} {inner}
            (drop (call $send (i32.const 524278) (i32.add (local.get $n) (i32.const 10))))))"#
    );
    wat::parse_str(module).unwrap()
}
