//! Seeds of what workflows are and say.

use std::{fs, path::PathBuf};

use fuzz::guest::{self, Call, IMPORTS};
use protocol::messages::{
    self,
    http::Request,
    sdk::{AwaitCapabilitiesRequest, CapabilityRequest, GetSecretsRequest, SecretRequest},
    telemetry::WorkflowUserMetric,
    well_known::Any,
};

use crate::{Corpus, all_cases, bytes, cases, chosen, piece, text};

pub fn all() -> Vec<Corpus> {
    vec![
        Corpus { target: "http_action", seeds: http_actions() },
        Corpus { target: "imports", seeds: imports() },
        Corpus { target: "module_admission", seeds: modules() },
        Corpus { target: "protobuf", seeds: protobuf() },
        Corpus { target: "scenario", seeds: scenarios() },
    ]
}

fn http_actions() -> Vec<Vec<u8>> {
    let request = |url: &str, method: &str| Request {
        url: url.to_owned(),
        method: method.to_owned(),
        ..Request::default()
    };
    let mut full = request("https://api.example.com:8443/v1?a=b#c", "post");
    full.body = b"body".to_vec();
    full.headers.insert("X-One".to_owned(), "1".to_owned());
    let raw = [request("https://example.com", "GET"), full, request("http://10.0.0.1/", "GET")];
    let mut seeds: Vec<_> =
        raw.iter().map(|request| chosen(&[0], messages::encode(request))).collect();
    // Scheme, authority, method, body, and headers with name, value and which list they are in.
    let header = |name: &str, list: u8| [piece(name), piece("value"), vec![list]].concat();
    for (authority, method) in
        [("api.example.com", 0), ("a.b:443/x y", 1), ("user@a.b", 2), ("127.0.0.1", 3)]
    {
        let parts = [vec![1, 0], piece(authority), vec![method], piece("body"), vec![2]];
        seeds.push([parts.concat(), header("X-One", 0), header("Host", 1)].concat());
    }
    seeds
}

fn imports() -> Vec<Vec<u8>> {
    let call = CapabilityRequest {
        id: "probe".to_owned(),
        payload: Some(Any::default()),
        method: "M".to_owned(),
        callback_id: 1,
    };
    let secret = SecretRequest { id: "KEY".to_owned(), namespace: "main".to_owned() };
    let secrets = GetSecretsRequest { requests: vec![secret], callback_id: 2 };
    let wait = AwaitCapabilitiesRequest { ids: vec![1] };
    let metric =
        WorkflowUserMetric { name: "m".to_owned(), value: 1.0, ..WorkflowUserMetric::default() };
    let of = |name: &str| IMPORTS.iter().position(|import| import.name == name).expect("an import");
    // A call of an import on the data, which begins at 1024, with a buffer at 8192.
    let on = |name: &str, length: usize, more: &[u16]| {
        let mut call = vec![of(name) as u8];
        for number in [guest::DATA, length as u16].iter().chain(more) {
            call.extend([&[0][..], &i64::from(*number).to_le_bytes()].concat());
        }
        call
    };
    let buffer = [8192, 256];
    let (call, secrets) = (messages::encode(&call), messages::encode(&secrets));
    let (wait, metric) = (messages::encode(&wait), messages::encode(&metric));
    let result = [0x0a, 0x02, 0x0a, 0x00];
    let called = on("call_capability", call.len(), &buffer);
    let mut seeds = vec![
        [piece(&call), called.clone(), called.clone(), called].concat(),
        [
            piece(&secrets),
            on("get_secrets", secrets.len(), &buffer),
            on("await_secrets", 3, &buffer),
        ]
        .concat(),
        [piece(&wait), on("await_capabilities", wait.len(), &buffer)].concat(),
        [piece(&metric), on("emit_metric", metric.len(), &[])].concat(),
        [piece(result), on("send_response", result.len(), &[])].concat(),
        [piece("a line"), on("log", 6, &[]), on("log", 6, &[])].concat(),
    ];
    // Each by itself with arguments from the list.
    for (index, import) in IMPORTS.iter().enumerate() {
        let arguments: Vec<u8> =
            (0..import.parameters.len()).map(|at| [12, 4, 16, 6][at % 4]).collect();
        seeds.push([piece([0; 64]), vec![index as u8], arguments].concat());
    }
    seeds
}

fn modules() -> Vec<Vec<u8>> {
    let calls = [Call { import: 5, arguments: vec![1024, 4] }];
    let module = guest::module(&calls, b"data");
    let mut seeds = vec![
        chosen(&[0], &module),
        chosen(&[0], b"\0asm\x01\0\0\0"),
        chosen(&[0], b"\0asm\x0d\0\x01\0"),
        chosen(&[0], stored(&module)),
        chosen(&[0], &module[..module.len() / 2]),
    ];
    // What a generator makes of bytes that follow no plan.
    for kind in [1, 2] {
        for seed in 0..8 {
            let mut bytes = vec![0; 600];
            rand_core::RngCore::fill_bytes(&mut fuzz::known::Repeated(seed), &mut bytes);
            seeds.push(chosen(&[kind], bytes));
        }
    }
    seeds
}

/// A brotli stream (RFC 7932 section 9.2) of one block that is stored as it is.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len() - 1).expect("a short module");
    // A window of 64 KiB (0), not the last block (0), four digits of length (00), stored (1).
    let header = (length << 4) | (1 << 20);
    [&header.to_le_bytes()[..3], bytes, &[3]].concat()
}

fn protobuf() -> Vec<Vec<u8>> {
    const NAMES: &[(&str, fn(&[u8]))] = fuzz::each_message!(named);
    let position = |name: &str| NAMES.iter().position(|(known, _)| *known == name);
    let mut seeds = Vec::new();
    for case in &all_cases("wasm-protocol.json") {
        let (input, output) = (&case["input"], &case["output"]);
        let (name, message) = match text(case, "op").as_str() {
            "message" => (text(input, "type"), bytes(output, "hex")),
            "decode" => (text(input, "type"), bytes(input, "hex")),
            "wrap" => ("values.v1.Value".to_owned(), bytes(output, "hex")),
            _ => continue,
        };
        if let Some(position) = position(&name) {
            seeds.push(chosen(&[position as u8], message));
        }
    }
    for (_, input) in cases("ocr-attestation.json", &["decode"]) {
        let name = position("capabilities.CapabilityResponse").expect("it is there");
        seeds.push(chosen(&[name as u8], bytes(&input, "response_hex")));
    }
    seeds
}

/// Stands for a check where only the names matter.
fn named<M>(_bytes: &[u8]) {}

fn scenarios() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/workflows/scenarios");
    let files = fs::read_dir(folder).expect("scenarios").map(|file| file.expect("a file").path());
    let mut files: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a scenario")).collect()
}
