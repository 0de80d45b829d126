//! `enclavectl simulate` and `inspect` on built workflows, as an author uses them.
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "the folder of built workflows comes by environment"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

#[path = "../../../enclave/workflow/tests/support/built.rs"]
mod built;
#[path = "support/enclavectl.rs"]
mod program;

use program::{enclavectl, object, text};

/// A folder for one test.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, contents: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, contents).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        text(&path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn built(name: &str) -> Option<String> {
    let folder = built::workflows("simulate")?;
    Some(text(&folder.join(format!("{name}.wasm"))))
}

/// A server on loopback that answers every request with the SHA-256 of its header `X-Api-Key`.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut key, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                    break;
                }
                let (name, value) = line.split_once(':').unwrap_or_default();
                match name.to_ascii_lowercase().as_str() {
                    "x-api-key" => key = value.trim().to_owned(),
                    "content-length" => length = value.trim().parse().unwrap(),
                    _ => {}
                }
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let digest = hex::encode(Sha256::digest(key));
            let length = digest.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nX-A: b\r\nConnection: close\r\n\r\n"
            );
            let _gone = reader.into_inner().write_all(format!("{head}{digest}").as_bytes());
        }
    });
    address
}

#[test]
fn a_workflow_runs_and_everything_about_it_is_one_object() {
    let Some(hello) = built("hello") else { return };
    let arguments = [
        "simulate",
        &hello,
        "--time",
        "2026-01-31T12:00:00Z",
        "--execution-id",
        "e",
        "--seed",
        "-5",
    ];
    let (code, object) = object(&arguments);
    assert_eq!((code, &object["result"]), (0, &json!("hello, due at 1769860800 s")));
    assert_eq!(
        (&object["execution_id"], &object["logs"]),
        (&json!("e"), &json!(["hello from cron"]))
    );
    assert!(object["sdk"].as_str().unwrap().starts_with("version_v2"));
    let metering = &object["metering"];
    for member in ["wall_ms", "cpu_ms", "peak_memory_bytes", "host_calls", "bytes_in", "bytes_out"]
    {
        assert!(metering[member].as_f64().unwrap() > 0.0, "{member}: {metering}");
    }
    assert!(object["timings_ms"]["compile"].as_f64().unwrap() > 0.0);
    let (code, stdout, stderr) = enclavectl(arguments);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for part in
        ["compile ", "subscribe ", "run ", "log: hello from cron\nresult\n\"hello, due", "used "]
    {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
}

#[test]
fn what_is_said_of_a_run_repeats() {
    let Some(workflow) = built("std-random") else { return };
    let run = |seed: &str, id: &str| {
        let arguments = ["--trigger", "0", "--seed", seed, "--execution-id", id];
        let files = Files::new();
        let payload = files.write("outputs", b"\x0a\x04test");
        let payload = [
            "--payload",
            &payload,
            "--payload-type",
            "capabilities.internal.basictrigger.v1.Outputs",
        ];
        let answers = files.write("answers.toml", RANDOM_ANSWERS.as_bytes());
        let all = [&["simulate", &workflow, "--capabilities", &answers][..], &arguments, &payload];
        let (code, object) = object(&all.concat());
        assert_eq!(code, 0, "{object}");
        object["result"].clone()
    };
    assert_eq!(run("1", "a"), run("1", "a"));
    assert_ne!(run("1", "a"), run("1", "b"));
}

#[test]
fn secrets_capabilities_and_the_web_come_from_where_the_author_says() {
    let Some(workflow) = built("secret-and-capability") else { return };
    let (files, address) = (Files::new(), echo());
    let config = format!(r#"{{"url": "http://{address}/path?token=hunter3"}}"#);
    let config = files.write("config.json", config.as_bytes());
    let secrets = files.write("secrets.toml", b"API_KEY = \"hunter2\"\n");
    let (folder, allowed) = (text(&files.path("answers")), address.to_string());
    let base = ["simulate", &workflow, "--config", &config, "--secrets", &secrets];
    let live = ["--http", "live", "--dangerous-allow", &allowed, "--record", &folder];
    let (code, object) = object(&[&base[..], &live].concat());
    assert_eq!(code, 0, "{object}");
    let result = object["result"].clone();
    assert_eq!((&result["status"], &result["secret_arrived"]), (&json!(200), &json!(true)));
    assert_eq!((&result["price"], &result["symbol"]), (&json!("3456.78"), &json!("ETH-USD")));
    assert_eq!(object["http_actions"][0]["host"], "127.0.0.1");
    let calls: Vec<_> = object["calls"].as_array().unwrap().iter().map(|c| &c["call"]).collect();
    assert!(calls.contains(&&json!("secrets main/API_KEY")), "{calls:?}");
    assert!(calls.contains(&&json!("price-feed@1.0.0 Latest")), "{calls:?}");

    let replay = ["--http", "replay", &folder, "--dangerous-allow", &allowed];
    let (code, replayed) = program::object(&[&base[..], &replay].concat());
    assert_eq!((code, &replayed["result"]), (0, &result), "{replayed}");
    let recorded = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let recorded: Vec<_> = recorded.collect();
    let [file] = &recorded[..] else { panic!("{recorded:?}") };
    let all = format!("{object} {} {}", file.display(), std::fs::read_to_string(file).unwrap());
    assert!(!all.contains("hunter"), "{all}");
}

#[test]
fn a_recording_answers_without_a_network_and_a_missing_answer_is_an_error() {
    let Some(workflow) = built("secret-and-capability") else { return };
    let files = Files::new();
    let config = files.write("config.json", br#"{"url": "https://api.example/v1?key=hunter2"}"#);
    let secrets = files.write("secrets.json", br#"{"main/API_KEY": "hunter2"}"#);
    std::fs::create_dir(files.path("answers")).unwrap();
    let folder = text(&files.path("answers"));
    let arguments = ["simulate", "--http", "replay", &folder, &workflow, "--config", &config];
    let arguments = [&arguments[..], &["--secrets", &secrets]].concat();
    let (code, missing) = object(&arguments);
    let said = missing["error"].as_str().unwrap().to_owned();
    assert!(code == 5 && said.contains("no answer is recorded for POST to api.example"), "{said}");
    assert!(!missing.to_string().contains("hunter2"), "{missing}");
    // The error says which file is to be written.
    let file = said.split("there is no ").nth(1).unwrap().split(".json").next().unwrap();
    let digest = hex::encode(Sha256::digest("hunter2"));
    let answer = json!({ "status": 201, "headers": { "X-A": ["b"] }, "body": digest });
    let answers = json!({ "method": "POST", "host": "api.example", "answers": [answer] });
    std::fs::write(format!("{file}.json"), answers.to_string()).unwrap();
    let (code, object) = object(&arguments);
    assert_eq!((code, &object["result"]["status"]), (0, &json!(201)), "{object}");
    assert_eq!(object["result"]["secret_arrived"], true);

    // What a DON does not let in is not let in from a recording either.
    let answer = json!({ "status": 201, "headers": {}, "body": "x".repeat(100_001) });
    let answers = json!({ "method": "POST", "host": "api.example", "answers": [answer] });
    std::fs::write(format!("{file}.json"), answers.to_string()).unwrap();
    assert_eq!(program::object(&arguments).0, 0);
    let (code, refused) = program::object(&[&arguments[..], &["--limits", "don"]].concat());
    let said = refused["error"].as_str().unwrap_or_default();
    assert_eq!(code, 5, "{refused}");
    assert!(said.contains("response body exceeds limit 100000 bytes"), "{said}");
    assert_eq!(
        object["http_actions"][0],
        json!({ "host": "api.example", "status": 201,
        "duration_ms": object["http_actions"][0]["duration_ms"] })
    );
}

#[test]
fn the_web_is_denied_unless_asked_for_and_local_addresses_even_then() {
    let Some(workflow) = built("secret-and-capability") else { return };
    let (files, address) = (Files::new(), echo());
    let secrets = files.write("secrets.toml", b"API_KEY = \"hunter2\"");
    let run = |url: &str, more: &[&str]| {
        let config = files.write("config.json", json!({ "url": url }).to_string().as_bytes());
        let base = ["simulate", &workflow, "--config", &config, "--secrets", &secrets];
        object(&[&base[..], more].concat())
    };
    let (code, denied) = run("https://api.example/", &[]);
    let said = denied["error"].as_str().unwrap();
    assert!(code == 5 && said.contains("simulate sends no request to api.example"), "{said}");
    // What the enclave's policy blocks is blocked whatever was asked for.
    let local = format!("https://{address}/");
    for (url, mode) in
        [("http://api.example/", "deny"), (&*local, "live"), ("https://10.0.0.1/", "live")]
    {
        let (code, blocked) = run(url, &["--http", mode]);
        assert_eq!((code, &blocked["result"]["status"]), (0, &json!(400)), "{url}: {blocked}");
    }
}

#[test]
fn a_secret_that_is_not_there_is_the_workflows_error() {
    let Some(workflow) = built("secret-and-capability") else { return };
    let files = Files::new();
    let config = files.write("config.json", br#"{"url": "https://api.example/"}"#);
    let (code, object) = object(&["simulate", &workflow, "--config", &config]);
    let said = object["error"].as_str().unwrap();
    assert!(code == 5 && said.contains("no secret \"API_KEY\" in namespace \"main\""), "{said}");
}

#[test]
fn a_workflow_that_misbehaves_ends_with_a_reason_and_its_use() {
    let Some(workflow) = built("misbehave") else { return };
    let files = Files::new();
    for (mode, said) in [
        ("exit", "Exited with i32 exit status 9"),
        ("silent", "could not find response for execution"),
        ("recurse", "call stack exhausted"),
        ("panic", "unreachable"),
        (
            "unknown-capability",
            "simulate has no answer for nope@1.0.0 M; give one with --capabilities",
        ),
        ("unknown-secret", "no secret \"NO_SUCH_SECRET\""),
    ] {
        let config = files.write("config.json", json!({ "mode": mode }).to_string().as_bytes());
        let (code, object) = object(&["simulate", &workflow, "--config", &config]);
        assert!(code == 5 && object["error"].as_str().unwrap().contains(said), "{mode}: {object}");
        assert!(object["metering"]["host_calls"].as_u64().unwrap() > 0, "{mode}: {object}");
    }
    let many = json!({ "mode": "many-logs", "amount": 20_000 }).to_string();
    let config = files.write("config.json", many.as_bytes());
    let (code, object) = object(&["simulate", &workflow, "--config", &config]);
    assert_eq!((code, &object["result"]), (0, &json!("survived")));
    let notes = object["notes"].to_string();
    assert!(
        notes.contains("dropped") && object["logs"].as_array().unwrap().len() < 10_001,
        "{notes}"
    );
}

#[test]
fn triggers_are_told_apart_by_what_the_workflow_subscribes_to() {
    let Some(workflow) = built("std-tee-runtime") else { return };
    let (code, subscribed) = object(&["simulate", &workflow, "--subscribe"]);
    let first = &subscribed["result"][0];
    assert_eq!((code, &first["trigger"], &first["pre_hook"]), (0, &json!(0), &json!(false)));
    let nitro = json!({ "type": "AWS_NITRO", "regions": ["us-west-2"] });
    assert_eq!(first["requirements"]["tee"]["types"], json!([nitro]));
    for (more, said) in [
        (&["--trigger", "7"][..], "the workflow has 2 triggers and none of index 7"),
        (&[], "trigger 0 is basic-test-trigger@1.0.0: give its message with --payload and"),
    ] {
        let (code, _stdout, stderr) = enclavectl([&["simulate", &workflow], more].concat());
        assert!(code == 2 && stderr.contains(said), "{code} {stderr}");
    }
    let Some(hello) = built("hello") else { return };
    let payload = Files::new().write("p", b"{}");
    let (code, _stdout, stderr) = enclavectl(["simulate", &hello, "--payload", &payload]);
    assert!(code == 3 || (code == 2 && stderr.contains("it takes no --payload")), "{stderr}");
}

/// A core module of the bare interface, changed.
fn module(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn inspect_says_what_a_workflow_is_and_wants() {
    let Some(hello) = built("hello") else { return };
    let bytes = std::fs::read(&hello).unwrap();
    let (code, object) = object(&["inspect", &hello]);
    assert_eq!((code, &object["refused"], &object["error"]), (0, &json!([]), &Json::Null));
    assert_eq!(
        object["module"],
        json!({ "bytes": bytes.len(), "sha256": hex::encode(Sha256::digest(&bytes)) })
    );
    assert_eq!(object["delivered"], object["module"]);
    assert_ne!(object["brotli"]["sha256"], object["module"]["sha256"]);
    assert_eq!(object["triggers"][0]["payload"]["schedule"], "0 */5 * * * *");
    assert!(object["sdk"].as_str().unwrap().starts_with("version_v2"));
    assert!(object["memory_pages"]["min"].as_u64().unwrap() > 0);
    assert!(object["compile_ms"].as_f64().unwrap() > 0.0);
    let imports = object["imports"].to_string();
    assert!(imports.contains("env.send_response (i32 i32)->(i32)"), "{imports}");
    let (code, stdout, _stderr) = enclavectl(["inspect", &hello]);
    assert!(code == 0 && stdout.contains("\nimports\n  env."), "{stdout}");
}

#[test]
fn inspect_gives_every_reason_to_refuse_and_not_only_the_first() {
    let files = Files::new();
    let bad = module(
        r#"(module (import "env" "version_v3" (func)) (import "env" "log" (func (param i64)))
           (import "os" "open" (func)) (import "env" "memory" (memory 1))
           (memory 1) (memory i64 1) (global (export "memory") i32 (i32.const 0))
           (func (export "_start") (param i32)))"#,
    );
    let bad = files.write("bad.wasm", &bad);
    let (code, object) = object(&["inspect", &bad]);
    assert_eq!(code, 9, "{object}");
    let refused = object["refused"].to_string();
    for reason in [
        "multi_memory",
        "memory64",
        "is not a memory",
        "could not get start function",
        "cannot execute a legacy dag workflow",
        "env::log",
        "os::open",
        "env.memory",
    ] {
        assert!(refused.contains(reason), "{reason}: {refused}");
    }
    let (code, stdout, _stderr) = enclavectl(["inspect", &bad]);
    assert!(code == 9 && stdout.matches("refused: ").count() >= 8, "{stdout}");
    let (code, _stdout, stderr) = enclavectl(["simulate", &bad]);
    assert!(code == 9 && stderr.contains("would be refused by an enclave: "), "{stderr}");
}

#[test]
fn inspect_reports_a_workflow_that_does_not_say_its_triggers() {
    let files = Files::new();
    let silent = module(
        r#"(module (import "env" "version_v2" (func)) (memory (export "memory") 1)
           (func (export "_start")))"#,
    );
    let silent = files.write("silent.wasm", &silent);
    let (code, object) = object(&["inspect", &silent]);
    assert_eq!((code, &object["refused"]), (5, &json!([])));
    assert_eq!(object["error"], "could not find response for execution");
}

#[test]
fn inspect_names_the_trigger_that_requires_another_enclave() {
    let Some(workflow) = built("std-tee-runtime") else { return };
    let (code, object) = object(&["inspect", &workflow]);
    assert_eq!((code, object["triggers"].as_array().unwrap().len()), (0, 2));
    // The same subscriptions, but for a type of enclave that is not ours: the byte of the type is
    // changed in the answer of a module that says it.
    let files = Files::new();
    let answer = r"\1a\14\0a\12\0a\01a\22\0d\0a\0b\12\09\0a\07\08\09\1a\03us1";
    let text = format!(
        r#"(module (import "env" "version_v2" (func))
           (import "env" "send_response" (func $send (param i32 i32) (result i32)))
           (memory (export "memory") 1) (data (i32.const 0) "{answer}")
           (func (export "_start") (drop (call $send (i32.const 0) (i32.const 22)))))"#
    );
    let other = files.write("other.wasm", &module(&text));
    let (code, object) = program::object(&["inspect", &other]);
    assert_eq!((code, &object["error"]), (9, &Json::Null), "{object}");
    assert_eq!(object["refused"], json!(["trigger 0 requires another enclave than AWS Nitro"]));
    let (code, object) = program::object(&["simulate", &other]);
    let said = "cannot find a runner that can satisfy the requirements for trigger 0";
    assert_eq!((code, object["error"].as_str()), (5, Some(said)));
}

/// What the guest of the conformance tests calls in node mode.
const RANDOM_ANSWERS: &str = r#"
[[answer]]
id = "basic-test-node-action@1.0.0"
method = "PerformAction"
type = "capabilities.internal.nodeaction.v1.NodeOutputs"
hex = "089601"
"#;
