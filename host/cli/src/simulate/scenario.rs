//! `enclavectl simulate --scenario`: recorded runs of another host, played in this runtime.

use std::path::Path;

use enclave_workflow::{
    Capacity, Engine, Tier,
    scenario::{Difference, Input, Player, Recording, Scenario},
};
use serde_json::json;

use crate::{
    exit::{Exit, Failure, OrFail as _},
    files, output,
    run::binary::Binary,
};

/// Plays every scenario of a file until one differs.
///
/// # Errors
///
/// [`Exit::Input`] if the file holds no scenarios.
pub(super) async fn play(
    file: &Path,
    binary: Binary,
    tier: Tier,
    is_json: bool,
) -> Result<Exit, Failure> {
    let text = files::read_text(file, LONGEST_FILE_BYTES)?;
    let recording = Recording::parse(&text);
    let recording = recording.or_fail(Exit::Input, || file.display().to_string())?;
    // With more memory than a workflow has, since scenarios set the limit themselves.
    let capacity = Capacity { instances: 4, memory_bytes: MEMORY_BYTES, ..Capacity::default() };
    let engine = Engine::new(capacity);
    let engine = engine.or_fail(Exit::Internal, || "workflows cannot run on this machine")?;
    let player = Player::new(engine, tier);

    let is_recorded = recording.binary.describes(&binary.delivered);
    if !is_json {
        let kind = if is_recorded { "the recorded binary" } else { "another binary than recorded" };
        output::line(format_args!("{}: {kind}", recording.workflow))?;
    }
    let mut played = 0_usize;
    let mut difference = None;
    for scenario in &recording.scenarios {
        played = played.saturating_add(1);
        if let Err(first) = player.play(scenario, given(scenario, &binary)).await {
            difference = Some(first);
            break;
        }
        if !is_json {
            output::line(format_args!("  {}: as recorded", output::printable(&scenario.name)))?;
        }
    }
    let total = recording.scenarios.len();
    if is_json {
        print_json(&recording, is_recorded, played, difference.as_ref())?;
    } else if let Some(difference) = &difference {
        let text = output::printable(&difference.to_string());
        output::line(format_args!("  {text}\nscenario {played} of {total} differs"))?;
    } else {
        output::line(format_args!("all {total} scenarios agree"))?;
    }
    Ok(if difference.is_none() { Exit::Success } else { Exit::Differs })
}

/// The binary in the form that the scenario asks for. The limit of compressed binaries says nothing
/// about one that is not.
fn given<'b>(scenario: &Scenario, binary: &'b Binary) -> &'b [u8] {
    match scenario.input {
        Input::Brotli => &binary.compressed,
        Input::Raw => &binary.delivered,
    }
}

fn print_json(
    recording: &Recording,
    is_recorded: bool,
    played: usize,
    difference: Option<&Difference>,
) -> Result<(), Failure> {
    let difference = difference.map(|Difference { scenario, step, mismatch }| {
        json!({ "scenario": scenario, "step": step, "mismatch": mismatch.to_string() })
    });
    let object = json!({
        "workflow": recording.workflow,
        "recorded_binary": is_recorded,
        "scenarios": recording.scenarios.len(),
        "played": played,
        "agree": difference.is_none(),
        "difference": difference,
    });
    output::line(format_args!("{object}"))
}

/// A file of a hundred scenarios has some megabytes.
const LONGEST_FILE_BYTES: u64 = 256 * 1024 * 1024;

const MEMORY_BYTES: u64 = 1 << 30;
