//! Recorded scenarios of the reference host, played against this one.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test that stops has failed"
)]

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use enclave_workflow::{
    Capacity, Engine, Tier,
    scenario::{Player, Recording},
};

#[path = "support/built.rs"]
mod built;

/// One for each tier, with more room than the default, because scenarios set the limit themselves.
static PLAYERS: LazyLock<[(Tier, Player); 2]> = LazyLock::new(|| {
    let capacity = Capacity { memory_bytes: 1 << 30, ..Capacity::default() };
    let engine = Engine::new(capacity).unwrap();
    [Tier::Baseline, Tier::Optimized].map(|tier| (tier, Player::new(engine.clone(), tier)))
});

fn read(recording: &Path) -> Recording {
    Recording::parse(&std::fs::read_to_string(recording).unwrap()).unwrap()
}

/// Plays all scenarios of a file against the binary that was recorded.
async fn replay(recording: &Path, binary: &Path) -> usize {
    let recorded = read(recording).binary;
    assert!(recorded.describes(&std::fs::read(binary).unwrap()), "{}", binary.display());
    play(recording, binary).await
}

/// Plays all scenarios of a file in both tiers and reports every difference; returns how many there are.
async fn play(recording: &Path, binary: &Path) -> usize {
    let recording = read(recording);
    let binary = std::fs::read(binary).unwrap();
    let mut differences = Vec::new();
    for scenario in &recording.scenarios {
        for (tier, player) in &*PLAYERS {
            if let Err(difference) = player.play(scenario, &binary).await {
                differences.push(format!("{tier:?}: {difference}"));
            }
        }
    }
    let name = recording.workflow;
    assert!(differences.is_empty(), "{name}: {}:\n{}", differences.len(), differences.join("\n"));
    recording.scenarios.len()
}

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/workflows/scenarios")
}

#[tokio::test]
async fn the_bare_interface_at_its_edges() {
    let folder = committed();
    let played = replay(&folder.join("raw-edge.json"), &folder.join("raw-edge.wasm.br")).await;
    assert_eq!(played, 29);
}

#[tokio::test]
async fn the_bare_interface_with_a_response_buffer() {
    let folder = committed();
    let played = replay(&folder.join("raw-v2.json"), &folder.join("raw-v2.wasm.br")).await;
    assert_eq!(played, 4);
}

/// The conformance guests of the interface's own test suite, rebuilt with our SDK, as recorded.
#[tokio::test]
async fn conformance_guests_of_our_sdk() {
    let Some(played) = standard("std-raw", RECORDED).await else { return };
    assert_eq!(played, 15);
}

/// Those that were not recorded, as the test suite describes them.
#[tokio::test]
async fn conformance_guests_that_nobody_recorded() {
    let Some(played) = standard("std-made", MADE).await else { return };
    assert_eq!(played, 13);
}

/// Plays the scenarios of conformance guests; `None` where they are not built.
async fn standard(prefix: &str, guests: &[(&str, &str)]) -> Option<usize> {
    let built = built::workflows(&format!("{prefix} scenarios"))?;
    let mut played = 0;
    for (scenarios, guest) in guests {
        let scenarios = committed().join(format!("{prefix}-{scenarios}.json"));
        played += play(&scenarios, &built.join(format!("{guest}.wasm"))).await;
    }
    Some(played)
}

/// Workflows of the published TypeScript SDK, whose binaries cannot be committed.
#[tokio::test]
async fn workflows_of_the_typescript_sdk() {
    let Some(built) = std::env::var_os("TS_WORKFLOWS_DIR").map(PathBuf::from) else {
        vectors::skip(
            "ts scenarios",
            "TS_WORKFLOWS_DIR does not name a folder of built TypeScript workflows; \
             build them with ../shared/workflows/ts/build.sh FOLDER",
        );
        return;
    };
    let recordings = std::env::var_os("TS_SCENARIOS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/workflows"),
        PathBuf::from,
    );
    let mut played = 0;
    for name in ["ts-hello", "ts-http", "ts-misc", "ts-secret", "ts-tee"] {
        let recording = recordings.join(format!("{name}.json"));
        played += replay(&recording, &built.join(format!("{name}.wasm.br"))).await;
    }
    assert_eq!(played, 107);
}

/// Recording and guest of each conformance test.
const RECORDED: &[(&str, &str)] = &[
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

/// Scenarios and guest of each conformance test that is made from the test suite's description.
const MADE: &[(&str, &str)] = &[
    ("frequency_list", "std-frequency-list"),
    ("mode_switch-don_runtime_in_node_mode", "std-don-runtime-in-node-mode"),
    ("mode_switch-node_runtime_in_don_mode", "std-node-runtime-in-don-mode"),
    ("multiple_triggers", "std-multiple-triggers"),
    ("restrictions", "std-restrictions"),
    ("secrets_fail_in_node_mode", "std-secrets-fail-in-node-mode"),
    ("time_interpretation", "std-time-interpretation"),
];
