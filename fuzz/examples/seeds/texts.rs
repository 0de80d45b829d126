//! Seeds of JSON, TOML and other texts, and of the tunnel's messages.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use fuzz::known::{COMMITTEE, SIGNERS, VAULT};
use protocol::{
    base64,
    link::{self, Challenge},
};
use serde_json::{Value, json};

use crate::{Corpus, cases, chosen, text};

pub fn all() -> Vec<Corpus> {
    vec![
        Corpus { target: "answers", seeds: answers() },
        Corpus { target: "host_config", seeds: host_config() },
        Corpus { target: "params", seeds: params() },
        Corpus { target: "rpc_request", seeds: requests() },
        Corpus { target: "rpc_response", seeds: responses() },
        Corpus { target: "socks5", seeds: socks5() },
        Corpus { target: "texts", seeds: texts() },
    ]
}

/// Texts of a type in the vectors about JSON.
fn of_type(name: &str) -> Vec<String> {
    let of_cases = cases("json-canonical.json", &["decode"]).into_iter();
    of_cases
        .filter(|(_, input)| input["type"] == name)
        .map(|(_, input)| text(&input, "json"))
        .collect()
}

fn answers() -> Vec<Vec<u8>> {
    let kinds = [
        (0, "enclave.ExecuteResponse"),
        (1, "enclave.PublicKeyResponse"),
        (4, "enclave.ConfigRequest"),
        (6, "enclave.UpdateConfigRequest"),
    ];
    let mut seeds = Vec::new();
    for (kind, name) in kinds {
        seeds.extend(of_type(name).into_iter().map(|text| chosen(&[kind], text)));
    }
    let config = config();
    let zeros = vec![0; 32];
    let enclave = json!({ "enclaveId": zeros, "trustedValues": ["e30="], "region": "r" });
    let event = json!({ "event": "e", "details": { "n": 1.5, "t": "x", "l": [null, true] } });
    let others = [
        (2, json!([enclave])),
        (3, json!({ "error": "no", "metricEvents": [event] })),
        (5, json!({ "config": config, "attestation": "AA==" })),
        (7, json!({ "applied": true, "config": config, "signersCollected": 2 })),
        (8, json!({ "usedMB": 1, "rssMB": 18_446_744_073_709_551_615_u64 })),
    ];
    seeds.extend(others.map(|(kind, value)| chosen(&[kind], value.to_string())));
    seeds
}

/// A configuration of an enclave that works.
fn config() -> Value {
    let members = COMMITTEE.members().iter();
    let signers: Vec<_> = members.map(|member| base64::encode(member.as_bytes())).collect();
    let key = base64::encode(VAULT.public_key.as_bytes());
    json!({ "signers": signers, "masterPublicKey": key, "t": 2, "f": 1 })
}

/// The examples of the documentation with keys in them, and files with faults.
fn host_config() -> Vec<Vec<u8>> {
    let documented = [
        (0, "gateway/src/config/mod.rs"),
        (1, "bridge/src/config/mod.rs"),
        (2, "relay/src/config/mod.rs"),
        (3, "relay/src/vault/service/config.rs"),
    ];
    let mut seeds: Vec<_> = documented.map(|(kind, file)| chosen(&[kind], example(file))).into();
    let faulty = [
        "",
        "extra = 1\n[users]\nlisten = 7",
        "[nodes]\nlisten = \n",
        "[a]\n[a]",
        "a.b.c = [[{}]]",
    ];
    for kind in 0..4 {
        seeds.extend(faulty.map(|text| chosen(&[kind], text)));
    }
    let members: Vec<_> = COMMITTEE.members().iter().map(ToString::to_string).collect();
    let image: Value =
        serde_json::from_str(&testkit::nsm::measurements_of("seed").to_registry_json())
            .expect("it is JSON");
    let registry = json!({
        "version": 1,
        "workflow_don": { "f": 1, "members": members },
        "enclaves": [{ "trustedValues": [image] }],
        "master_public_key": hex::encode(VAULT.public_key.as_bytes()),
        "threshold": 2,
    });
    seeds.push(chosen(&[4], registry.to_string()));
    seeds.push(chosen(&[4], r#"{"version":2}"#));
    seeds
}

/// The file that a module's documentation shows.
fn example(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../host").join(file);
    let source = fs::read_to_string(path).expect("a source file");
    let lines = source.lines().filter_map(|line| line.strip_prefix("//!"));
    let lines = lines.skip_while(|line| !line.contains("```toml")).skip(1);
    let shown: Vec<_> = lines.take_while(|line| !line.contains("```")).collect();
    let mut example = shown.join("\n");
    for member in COMMITTEE.members() {
        example = example.replacen("<64 hex digits>", &member.to_string(), 1);
    }
    example.replace("<96 hex digits>", &"ab".repeat(48))
}

fn params() -> Vec<Vec<u8>> {
    let kinds = [(0, "relay.SecretsRequestParams"), (1, "relay.CapabilityRequestParams")];
    let mut seeds = Vec::new();
    for (kind, name) in kinds {
        seeds.extend(of_type(name).into_iter().map(|text| chosen(&[kind], text)));
    }
    for (_, input) in cases("json-canonical.json", &["strip_attestation"]) {
        let text = text(&input, "json");
        let kind = u8::from(text.contains("capability_id"));
        seeds.push(chosen(&[kind], text));
    }
    seeds
}

fn requests() -> Vec<Vec<u8>> {
    let of_cases = cases("json-canonical.json", &["decode_request"]);
    let digests = cases("hashes.json", &["rpc_request_digest"]);
    let members = of_cases.iter().chain(&digests);
    members.map(|(_, input)| text(input, "json").into_bytes()).collect()
}

fn responses() -> Vec<Vec<u8>> {
    let mut texts = of_type("jsonrpc.Response");
    let digests = cases("hashes.json", &["rpc_response_digest"]);
    texts.extend(digests.iter().map(|(_, input)| text(input, "json")));
    let seeds = texts.iter().map(|text| chosen(&[0], text));
    let others = [
        &[2][..],
        b"\x03Request timed out",
        b"\x01{\"error\":{\"code\":-32000,\"message\":\"slow\"}}",
    ];
    seeds.chain(others.map(<[u8]>::to_vec)).collect()
}

fn socks5() -> Vec<Vec<u8>> {
    let credentials = b"\x01\x06public\x06public";
    let asks =
        |target: &[u8]| [&[0, 5, 2, 0, 2][..], credentials, &[5, 1, 0], target, b"tunnel"].concat();
    let answers = |reply: &[u8]| [&[1, 5, 2, 1, 0, 5][..], reply, b"tunnel"].concat();
    vec![
        asks(&[1, 192, 0, 2, 1, 1, 187]),
        asks(b"\x03\x0bexample.com\x01\xbb"),
        asks(&[&[4][..], &[0x20; 16], &[0, 80]].concat()),
        asks(b"\x03\x03a b\x00\x50"),
        asks(&[9, 0, 0]),
        vec![0, 5, 1, 0],
        vec![0, 4, 1, 0],
        [&[0, 5, 1, 2][..], b"\x01\x04user\x08password"].concat(),
        answers(&[0, 0, 1, 127, 0, 0, 1, 0, 80]),
        answers(b"\x00\x00\x03\x01a\x00\x50"),
        answers(&[2, 0, 1, 0, 0, 0, 0, 0, 0]),
        vec![1, 5, 0xff],
        vec![1, 5, 2, 1, 1],
        [&[2, 0, 187, 1][..], b"api.example.com"].concat(),
        [&[2, 1, 80, 0][..], b"[2001:db8::1]"].concat(),
        [&[2, 2, 80, 0][..], b"192.0.2.7"].concat(),
    ]
}

fn texts() -> Vec<Vec<u8>> {
    let now = UNIX_EPOCH + Duration::from_secs(1_787_140_800);
    let frame = |nonce| Challenge::new("gateway", nonce, now).frame();
    let proof =
        |key| link::answer(frame([8; 32]).as_bytes(), "gateway", key).expect("a challenge").frame;
    let mut seeds = vec![
        chosen(&[0], frame([9; 32])),
        chosen(&[1], proof(&SIGNERS[2])),
        chosen(&[1], proof(&SIGNERS[4])),
        chosen(&[2], config().to_string()),
        chosen(&[4], r#"{"a":[1,-2.5e3,"\u00e9\ud83d\ude00",null,true],"b":{}}"#),
        chosen(&[5], "a\u{7}\"\\\u{e9}\u{200b}"),
        chosen(&[6], "1h2m3.5s"),
        chosen(&[6], "-100\u{3bc}s"),
        chosen(&[7], "2023-11-15T00:13:20.123456789+02:00"),
        chosen(&[7], "0001-01-01T00:00:00Z"),
        chosen(&[8], "-12.340e-5"),
        chosen(&[9], "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        chosen(&[9], "AQI="),
    ];
    let configs = of_type("enclave.EnclaveConfig").into_iter();
    seeds.extend(configs.map(|text| chosen(&[2], text)));
    let seed = "01".repeat(32);
    let settings = json!({
        "storageKey": seed, "storageServiceUrl": "storage:443", "gatewayUrl": "http://a,https://b",
        "maxBinarySize": 7, "executionTimeout": "80s", "workflowGracePeriod": -1,
    });
    seeds.push(chosen(&[3], settings.to_string()));
    let settings = of_type("enclave.WorkflowSettings").into_iter().step_by(3);
    seeds.extend(settings.map(|text| chosen(&[3], text)));
    seeds
}
