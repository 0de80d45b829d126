//! What is said in these tests: a committee, requests, configurations, answers.

use attestation::Measurements;
use bytes::Bytes;
use crypto::sign::SigningKey;
use http::{HeaderMap, StatusCode};
use protocol::{compute::ComputeRequest, config::EnclaveConfig, ids::RequestId, json};
use testkit::nsm::measurements_of;

/// The member whose seed ends in this byte.
pub fn member(number: u8) -> SigningKey {
    let mut seed = [0; 32];
    seed[31] = number;
    SigningKey::from_seed(&seed)
}

/// A committee of four with F = 1, and the vault key of a vector.
pub fn enclave_config() -> EnclaveConfig {
    let signers = (1..=4).map(|number| member(number).public().as_bytes().as_slice().into());
    EnclaveConfig {
        signers: Some(signers.collect()),
        master_public_key: MASTER_PUBLIC_KEY.as_bytes().into(),
        t: 2,
        f: 1,
    }
}

/// A request that differs by its number.
pub fn request(number: u8) -> ComputeRequest {
    ComputeRequest {
        request_id: RequestId::from([number; 32]),
        application_request_id: "execution".to_owned(),
        public_data: b"public".as_slice().into(),
        app_id: "app".to_owned(),
        version: "0.0.6".to_owned(),
        ..ComputeRequest::default()
    }
}

pub fn image() -> Measurements {
    measurements_of("workflows")
}

/// `measurements` of a configuration file.
pub fn measurements_toml() -> String {
    let pcrs =
        image().pcrs().map(|(index, pcr)| format!("pcr{index} = \"{pcr}\"")).collect::<Vec<_>>();
    format!("measurements = [{{ {} }}]", pcrs.join(", "))
}

/// `[enclave.config]` of a configuration file, as [`enclave_config`].
pub fn config_toml() -> String {
    let signers = (1..=4).map(|number| format!("\"{}\"", member(number).public()));
    let signers = signers.collect::<Vec<_>>().join(", ");
    let key = MASTER_PUBLIC_KEY;
    format!("[enclave.config]\nsigners = [{signers}]\nmaster_public_key = '{key}'\nt = 2\nf = 1\n")
}

pub fn answer(value: &impl json::Wire) -> (StatusCode, HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    (StatusCode::OK, headers, json::to_vec(value).into())
}

pub fn plain(status: u16, text: &str) -> (StatusCode, HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "text/plain; charset=utf-8".parse().unwrap());
    headers.insert("x-content-type-options", "nosniff".parse().unwrap());
    (StatusCode::from_u16(status).unwrap(), headers, text.to_owned().into())
}

/// The key of the specification's appendix A.6.
pub const MASTER_PUBLIC_KEY: &str = r#"{"Group":"P256","G_bar":"BLkrWNU9+cFS7m6tt/u1YSeOu3YDmDHPRcPg/cqhDCuH68hPvl92pDK5fLuPKDJymRSyArv4TQm/WboSiJy6aCs=","H":"BFc5KlSEiKQMki3Fj/tBISjXONlrqKFZo7sxlS0kmliw5euRVMT+mhRZX4MsSuWKWjn1Q7Przl1hR/Tqv4FMnng=","HArray":["BEMN/tHkTRYqFGQrnhw63RxxTicemK3TpVmhWhOw6ZRFroKEgQUl/tDq1N3gLXM7CsFHUuzEyKC2Z2OtWNTlm7g=","BF8v6e+px/omNTDolioi6lmDKblyiwjDxlqT7PTXeATsk2OLY4kt0nJmKKgJ/gbYu3EOQjI3be9JRGQw70LY0KU=","BCrkc50D3yIbONi/1J55XYbJQNB+H2/CivcIQmeUbIEemXWeT9qnoUKFG0vQmhnliMge2xe/0svyMHf1EXn23hI="]}"#;
