//! Which crate may depend on which, read from `cargo metadata`: `scripts/check-layers` runs this.
//!
//! The direction is the architecture: crypto, attestation and transport know nothing of each other;
//! protocol knows crypto; roles know the shared crates; `enclave/*` and `host/*` meet only in
//! `tests/e2e`, and in `enclavectl`, whose `simulate` and `inspect` are the enclave's own runtime; `testkit` is linked by the emulator alone.
#![cfg(test)]

use std::{collections::BTreeMap, path::Path, process::Command};

use serde::Deserialize;

/// First-party crates and the first-party crates each may link.
const EDGES: &[(&str, &[&str])] = &[
    ("crypto", &[]),
    ("attestation", &[]),
    ("transport", &[]),
    ("protocol", &["crypto"]),
    ("testkit", SHARED),
    ("enclave-workflow", &["crypto", "protocol"]),
    ("enclave-server", &["attestation", "crypto", "enclave-workflow", "protocol", "transport"]),
    ("enclave-emulator", &["attestation", "enclave-server", "protocol", "testkit", "transport"]),
    ("enclave-imports", &[]),
    ("enclave-sdk", &["enclave-imports", "protocol"]),
    ("host-config", &[]),
    ("host-bridge", ROLE),
    ("host-gateway", ROLE),
    ("host-relay", ROLE),
    (
        "host-cli",
        &[
            "attestation",
            "crypto",
            "enclave-server",
            "enclave-workflow",
            "host-bridge",
            "host-gateway",
            "host-relay",
            "protocol",
            "transport",
        ],
    ),
    ("e2e", &["crypto", "protocol"]),
    ("vectors", &[]),
];

const SHARED: &[&str] = &["attestation", "crypto", "protocol", "transport"];

const ROLE: &[&str] = &["attestation", "crypto", "host-config", "protocol", "transport"];

/// Crates that the test crates alone may use, and who may use `testkit` in its tests.
const TESTED_WITHOUT_TESTKIT: &[&str] = &["crypto", "attestation", "protocol", "transport"];

/// Third-party crates that only the named crates may link.
const OWNED: &[(&str, &[&str])] = &[
    ("anyhow", &["enclave-emulator", "enclave-server", "host-cli"]),
    ("aws-nitro-enclaves-nsm-api", &["enclave-server"]),
    ("clap", &["enclave-emulator", "enclave-server", "host-cli"]),
    ("ed25519-dalek", &["crypto"]),
    ("p256", &["crypto"]),
    ("rustls-webpki", &["attestation"]),
    ("serde_cbor", &["enclave-server", "testkit"]),
    ("tokio-vsock", &["transport"]),
    ("wasmtime", &["enclave-workflow"]),
];

/// The crates that do no I/O.
const PURE: &[&str] = &["attestation", "crypto", "protocol"];

/// What pure crates may not link.
const IMPURE: &[&str] = &["hyper", "reqwest", "tokio", "tracing"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

fn packages() -> Vec<Package> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Metadata>(&output.stdout).unwrap().packages
}

fn allowed(package: &str) -> &'static [&'static str] {
    let edge = EDGES.iter().find(|(name, _)| *name == package);
    edge.unwrap_or_else(|| panic!("{package} is not in the table of layers")).1
}

#[test]
fn crates_point_only_downwards() {
    for package in packages() {
        for dependency in package.dependencies.iter().filter(|d| d.path.is_some()) {
            let (from, to) = (package.name.as_str(), dependency.name.as_str());
            match dependency.kind.as_deref() {
                None => assert!(allowed(from).contains(&to), "{from} may not link {to}"),
                Some("dev") if to == "testkit" => {
                    assert!(!TESTED_WITHOUT_TESTKIT.contains(&from), "{from} is below testkit");
                }
                Some("dev") => assert!(to == "vectors" || from == "e2e" || from == "protocol"),
                Some(other) => panic!("{from} has a {other} dependency on {to}"),
            }
        }
    }
}

#[test]
fn third_party_crates_stay_with_their_owner() {
    for package in packages() {
        for dependency in package.dependencies.iter().filter(|d| d.kind.is_none()) {
            if let Some((name, owners)) = OWNED.iter().find(|(name, _)| *name == dependency.name) {
                assert!(owners.contains(&package.name.as_str()), "{} links {name}", package.name);
            }
            let impure = IMPURE.contains(&dependency.name.as_str());
            assert!(
                !(impure && PURE.contains(&package.name.as_str())),
                "{} is pure and links {}",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn crates_have_no_features_and_no_build_scripts() {
    for package in packages() {
        assert!(package.features.is_empty(), "{} has features", package.name);
        let scripted = package.targets.iter().any(|t| t.kind.iter().any(|k| k == "custom-build"));
        assert!(!scripted, "{} has a build script", package.name);
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in packages().iter().filter(|p| p.name != "enclave-imports") {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.name);
    }
}

#[test]
fn files_stop_at_five_hundred_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut long = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            let skipped = ["target", "built", ".git"].iter().any(|skip| name == *skip);
            if path.is_dir() && !skipped {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let lines = std::fs::read_to_string(&path).unwrap().lines().count();
                if lines > 500 {
                    long.push(format!("{} ({lines})", path.display()));
                }
            }
        }
    }
    assert!(long.is_empty(), "over 500 lines: {long:?}");
}
