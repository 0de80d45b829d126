//! What a simulation prints.

use std::time::Duration;

use enclave_workflow::{Metering, RouteError};
use serde_json::{Map, Value as Json, json};

use super::{Asked, Workflow, services::Call};
use crate::{
    exit::{Exit, Failure},
    output,
    run::{
        binary::Binary,
        outcome::Outcome,
        report::{line, milliseconds},
        telemetry::Telemetry,
    },
};

/// The report of a simulation. Without `--json` each step is printed as soon as it is known.
pub(super) struct Report {
    is_json: bool,
    members: Map<String, Json>,
    times: Map<String, Json>,
}

impl Report {
    pub(super) fn new(
        is_json: bool,
        execution_id: &str,
        binary: &Binary,
        workflow: &Workflow,
    ) -> Result<Self, Failure> {
        let facts = workflow.facts();
        let members = json!({
            "execution_id": execution_id,
            "binary_sha256": hex::encode(binary.sha256),
            "sdk": facts.label,
        });
        let members = members.as_object().cloned().unwrap_or_default();
        let mut report = Self { is_json, members, times: Map::new() };
        let note = format!("{} bytes, {}", facts.module_bytes, facts.label);
        report.hop("compile", facts.prepared_in, &note)?;
        Ok(report)
    }

    /// Reports the subscribe run that precedes a trigger.
    pub(super) fn subscribed(&mut self, asked: &Asked, triggers: usize) -> Result<(), Failure> {
        let plural = if triggers == 1 { "" } else { "s" };
        self.hop("subscribe", asked.spent, &format!("{triggers} trigger{plural}"))
    }

    /// Reports the last run and how it ended.
    ///
    /// # Errors
    ///
    /// [`Exit::Internal`] if nobody reads it.
    pub(super) fn end(mut self, name: &str, note: &str, asked: Asked) -> Result<Exit, Failure> {
        let (calls, metering) = (asked.services.calls(), asked.ended.metering);
        let mut telemetry = Telemetry::of(&asked.services.events());
        if metering.dropped_events > 0 {
            let note = format!("{} log lines or metrics were dropped", metering.dropped_events);
            telemetry.notes.push(note);
        }
        self.hop(name, asked.spent, note)?;
        let outcome = outcome(asked.ended.result);
        if self.is_json {
            return self.print_json(&outcome, &calls, &telemetry, &metering);
        }
        for Call { what, spent, is_success } in &calls {
            let failed = if *is_success { "" } else { ", an error" };
            line("  call", milliseconds(*spent), &format!("{what}{failed}"))?;
        }
        telemetry.print_http_actions()?;
        telemetry.print_logs()?;
        match &outcome {
            Ok(outcome) => output::line(format_args!("{outcome}"))?,
            Err(text) => output::line(format_args!("no result\n{}", output::printable(text)))?,
        }
        output::line(format_args!("{}", used(&metering)))?;
        Ok(exit(&outcome))
    }

    fn hop(&mut self, name: &str, spent: Duration, note: &str) -> Result<(), Failure> {
        self.times.insert(name.to_owned(), Json::from(milliseconds(spent)));
        if self.is_json { Ok(()) } else { line(name, milliseconds(spent), note) }
    }

    fn print_json(
        self,
        outcome: &Result<Outcome, String>,
        calls: &[Call],
        telemetry: &Telemetry,
        metering: &Metering,
    ) -> Result<Exit, Failure> {
        let mut object = match outcome {
            Ok(outcome) => outcome.members(),
            Err(text) => Outcome::Error(text.clone()).members(),
        };
        let calls: Vec<_> = calls
            .iter()
            .map(|Call { what, spent, is_success }| {
                json!({ "call": what, "duration_ms": milliseconds(*spent), "success": is_success })
            })
            .collect();
        object.extend(self.members);
        let rest = json!({
            "calls": calls,
            "http_actions": telemetry.http_actions,
            "logs": telemetry.logs,
            "notes": telemetry.notes,
            "metering": metering_json(metering),
            "timings_ms": self.times,
        });
        object.extend(rest.as_object().cloned().unwrap_or_default());
        output::line(format_args!("{}", Json::Object(object)))?;
        Ok(exit(outcome))
    }
}

/// What the workflow answered, or why it did not.
fn outcome(result: Result<enclave_workflow::Outcome, RouteError>) -> Result<Outcome, String> {
    let result = result.map_err(|error| error.to_string())?;
    let result = result.decode().map_err(|error| error.to_string())?;
    Outcome::of(result).map_err(|error| error.to_string())
}

fn exit(outcome: &Result<Outcome, String>) -> Exit {
    outcome.as_ref().map_or(Exit::Workflow, Outcome::exit)
}

fn used(metering: &Metering) -> String {
    let Metering { cpu, peak_memory_bytes, host_calls, bytes_in, bytes_out, .. } = metering;
    let (cpu, memory) = (milliseconds(*cpu), *peak_memory_bytes);
    format!(
        "used {cpu} ms of processor time, {memory} bytes of memory, {host_calls} host calls, \
         {bytes_in} bytes in, {bytes_out} bytes out"
    )
}

fn metering_json(metering: &Metering) -> Json {
    json!({
        "wall_ms": milliseconds(metering.wall),
        "cpu_ms": milliseconds(metering.cpu),
        "peak_memory_bytes": metering.peak_memory_bytes,
        "host_calls": metering.host_calls,
        "bytes_in": metering.bytes_in,
        "bytes_out": metering.bytes_out,
        "dropped_events": metering.dropped_events,
    })
}
