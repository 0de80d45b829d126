//! Recorded scenarios, played by `enclavectl simulate --scenario`.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "folders of built workflows come by environment")]

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

#[path = "../../../enclave/workflow/tests/support/built.rs"]
mod built;
#[path = "support/enclavectl.rs"]
mod program;

use program::{enclavectl, object, text};

fn committed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/workflows/scenarios").join(file)
}

/// Plays all scenarios of a file; returns how many.
fn play(recording: &Path, binary: &Path) -> u64 {
    let (code, object) = object(&["simulate", "--scenario", &text(recording), &text(binary)]);
    assert_eq!((code, &object["difference"]), (0, &Json::Null), "{}", recording.display());
    assert_eq!((&object["agree"], &object["played"]), (&Json::from(true), &object["scenarios"]));
    object["played"].as_u64().unwrap()
}

#[test]
fn the_bare_interface_in_every_form_of_its_binary() {
    let (recording, stream) = (committed("raw-v2.json"), committed("raw-v2.wasm.br"));
    assert_eq!(play(&recording, &stream), 4);
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(&stream).unwrap();
    let encoded = folder.path().join("raw-v2.wasm.br.b64");
    std::fs::write(&encoded, protocol::base64::encode(&bytes)).unwrap();
    assert_eq!(play(&recording, &encoded), 4);
    let mut module = Vec::new();
    brotli::BrotliDecompress(&mut &bytes[..], &mut module).unwrap();
    let raw = folder.path().join("raw-v2.wasm");
    std::fs::write(&raw, module).unwrap();
    assert_eq!(play(&recording, &raw), 4);
}

#[test]
fn the_bare_interface_at_its_edges() {
    assert_eq!(play(&committed("raw-edge.json"), &committed("raw-edge.wasm.br")), 29);
}

#[test]
fn conformance_guests_of_our_sdk() {
    let Some(built) = built::workflows("std-raw scenarios through simulate") else { return };
    let mut played = 0;
    for (recording, guest) in STANDARD {
        let recording = committed(&format!("std-raw-{recording}.json"));
        played += play(&recording, &built.join(format!("{guest}.wasm")));
    }
    assert_eq!(played, 15);
}

#[test]
fn workflows_of_the_typescript_sdk() {
    let Some(built) = std::env::var_os("TS_WORKFLOWS_DIR").map(PathBuf::from) else {
        vectors::skip(
            "ts scenarios through simulate",
            "TS_WORKFLOWS_DIR does not name a folder of built TypeScript workflows",
        );
        return;
    };
    let recordings = std::env::var_os("TS_SCENARIOS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/workflows"),
        PathBuf::from,
    );
    let names = ["ts-hello", "ts-http", "ts-misc", "ts-secret", "ts-tee"];
    let played: u64 = names
        .iter()
        .map(|name| {
            let recording = recordings.join(format!("{name}.json"));
            play(&recording, &built.join(format!("{name}.wasm.br")))
        })
        .sum();
    assert_eq!(played, 107);
}

/// A recording whose scenario of this name says otherwise.
fn changed(name: &str, change: impl FnOnce(&mut Json)) -> (tempfile::TempDir, PathBuf) {
    let recording = std::fs::read_to_string(committed("raw-v2.json")).unwrap();
    let mut recording: Json = serde_json::from_str(&recording).unwrap();
    let scenarios = recording["scenarios"].as_array_mut().unwrap();
    let scenario = scenarios.iter_mut().find(|scenario| scenario["name"] == name).unwrap();
    change(&mut scenario["steps"][0]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.json");
    std::fs::write(&path, recording.to_string()).unwrap();
    (folder, path)
}

fn names() -> Vec<String> {
    let recording = std::fs::read_to_string(committed("raw-v2.json")).unwrap();
    let recording: Json = serde_json::from_str(&recording).unwrap();
    let scenarios = recording["scenarios"].as_array().unwrap();
    scenarios.iter().map(|scenario| scenario["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_first_difference_names_the_scenario_the_step_and_both_sides() {
    let second = &names()[1];
    let (_folder, path) = changed(second, |step| step["logs"] = serde_json::json!(["never said"]));
    let binary = text(&committed("raw-v2.wasm.br"));
    let (code, stdout, _stderr) = enclavectl(["simulate", &binary, "--scenario", &text(&path)]);
    assert_eq!(code, 8, "{stdout}");
    let said = format!("{second}, step 0: logs ");
    assert!(stdout.contains(&said) && stdout.contains("never said"), "{stdout}");
    assert!(stdout.ends_with("scenario 2 of 4 differs\n"), "{stdout}");
    let (code, object) = object(&["simulate", &binary, "--scenario", &text(&path)]);
    assert_eq!(
        (code, &object["agree"], &object["played"]),
        (8, &Json::from(false), &Json::from(2))
    );
    assert_eq!(object["difference"]["scenario"], second.as_str());
}

#[test]
fn a_scenario_of_another_outcome_or_another_call_differs() {
    let binary = text(&committed("raw-v2.wasm.br"));
    let outcome: fn(&mut Json) = |step| step["outcome"]["class"] = Json::from("trap");
    let calls: fn(&mut Json) = |step| step["calls"] = serde_json::json!([]);
    let with_calls = |name: &String| {
        let recording = std::fs::read_to_string(committed("raw-v2.json")).unwrap();
        let recording: Json = serde_json::from_str(&recording).unwrap();
        let scenarios = recording["scenarios"].as_array().unwrap();
        let scenario = scenarios.iter().find(|scenario| scenario["name"] == name.as_str()).unwrap();
        !scenario["steps"][0]["calls"].as_array().unwrap().is_empty()
    };
    let with_calls = names().into_iter().find(with_calls).unwrap();
    for (name, change, said) in
        [(&names()[0], outcome, "ended as "), (&with_calls, calls, "was not recorded")]
    {
        let (_folder, path) = changed(name, change);
        let (code, stdout, _stderr) = enclavectl(["simulate", &binary, "--scenario", &text(&path)]);
        assert!(code == 8 && stdout.contains(said), "{code} {stdout}");
    }
}

#[test]
fn a_file_that_holds_no_scenarios_is_refused() {
    let binary = text(&committed("raw-v2.wasm.br"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.json");
    for contents in ["", "{}", "{\"schema\": 2}"] {
        std::fs::write(&path, contents).unwrap();
        let (code, _stdout, stderr) = enclavectl(["simulate", &binary, "--scenario", &text(&path)]);
        assert!(code == 3 && stderr.contains("none.json"), "{code} {stderr}");
    }
}

/// Recording and guest of each conformance test.
const STANDARD: &[(&str, &str)] = &[
    ("capability_calls_are_async", "std-capability-calls-are-async"),
    ("capability_errors", "std-capability-errors"),
    ("config", "std-config"),
    ("errors", "std-errors"),
    ("host_wasm_write_errors_are_respected", "std-write-errors"),
    ("logging", "std-logging"),
    ("mode_switch-successful_mode_switch", "std-mode-switch"),
    ("random", "std-random"),
    ("secrets", "std-secrets"),
    ("tee_runtime", "std-tee-runtime"),
];
