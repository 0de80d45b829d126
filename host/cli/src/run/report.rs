//! What a run prints: hops with their times, then what was answered.

use std::time::Duration;

use host_bridge::client::VerifiedAnswer;
use protocol::messages::confidential_workflow::WorkflowExecution;
use serde_json::{Map, Value as Json, json};

use super::{
    exchange::Answered,
    outcome::Outcome,
    telemetry::{Telemetry, server_timing},
};
use crate::{
    exit::{Exit, Failure},
    network::Network,
    output,
};

/// The steps of a run in order, each with its time.
#[derive(Clone, Debug, Default)]
pub(super) struct Hops(Vec<(String, Duration)>);

/// A run that was verified.
pub(super) struct Report {
    execution_id: String,
    request_hash: String,
    /// The image's registers, by name.
    pcrs: Map<String, Json>,
    module_id: String,
    /// How many members signed, of how many, and how many had to.
    signers: (usize, usize, usize),
    telemetry: Telemetry,
    hops: Hops,
    total: Duration,
}

impl Hops {
    /// Takes the time of a step that succeeds.
    pub(super) async fn time<T>(
        &mut self,
        name: &str,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let start = std::time::Instant::now();
        let value = step.await?;
        self.add(name, start.elapsed());
        Ok(value)
    }

    pub(super) fn add(&mut self, name: &str, spent: Duration) {
        self.0.push((name.to_owned(), spent));
    }
}

impl Report {
    pub(super) fn new(
        network: &Network,
        message: &WorkflowExecution,
        answered: &Answered,
        verified: &VerifiedAnswer,
        hops: Hops,
        total: Duration,
    ) -> Self {
        let events = [verified.attested_events(), verified.unattested_events()].concat();
        let telemetry = Telemetry::of(&events);
        let committee = network.committee();
        let registers = verified.pcrs().iter().filter(|(index, _)| **index <= 2);
        Self {
            execution_id: message.execution_id.clone(),
            request_hash: verified.request_hash().to_string(),
            pcrs: registers
                .map(|(index, pcr)| (format!("pcr{index}"), Json::from(pcr.to_string())))
                .collect(),
            module_id: verified.module_id().to_owned(),
            signers: (
                answered.requests.len(),
                committee.members().len(),
                committee.fault_bound().quorum(),
            ),
            hops: whole(hops, answered, &telemetry),
            telemetry,
            total,
        }
    }

    /// Prints everything; the exit code says whether the workflow's own answer is an error.
    ///
    /// # Errors
    ///
    /// [`Exit::Internal`] if nobody reads it.
    pub(super) fn print(&self, outcome: &Outcome, as_json: bool) -> Result<Exit, Failure> {
        if as_json {
            output::line(format_args!("{}", self.json(outcome)))?;
        } else {
            self.print_hops()?;
            output::line(format_args!("{outcome}"))?;
            output::line(format_args!("verified"))?;
        }
        Ok(outcome.exit())
    }

    fn print_hops(&self) -> Result<(), Failure> {
        let (signers, members, required) = self.signers;
        for (name, spent) in &self.hops.0 {
            let note = match name.as_str() {
                "sign" => format!("{signers} of {members} members, {required} needed"),
                _ => String::new(),
            };
            line(name, milliseconds(*spent), &note)?;
            if name == "run" {
                self.print_calls()?;
            }
        }
        line("total", milliseconds(self.total), &format!("execution {}", self.execution_id))?;
        self.telemetry.print_logs()
    }

    fn print_calls(&self) -> Result<(), Failure> {
        for call in &self.telemetry.relay_calls {
            let what = call.capability_id.as_deref().unwrap_or(&call.method);
            let (signers, required) = (call.signers, call.required);
            let note = format!("{what}, {signers} signers, {required} needed");
            line("  relay call", call.duration_ms, &note)?;
        }
        self.telemetry.print_http_actions()
    }

    fn json(&self, outcome: &Outcome) -> Json {
        let (signers, members, required) = self.signers;
        let times = self.hops.0.iter().map(|(name, spent)| (name.clone(), *spent));
        let times = times.chain([("total".to_owned(), self.total)]);
        let times: Map<_, _> =
            times.map(|(name, spent)| (name, Json::from(milliseconds(spent)))).collect();
        let mut enclave = self.pcrs.clone();
        enclave.insert("module_id".to_owned(), Json::from(self.module_id.as_str()));
        let rest = json!({
            "execution_id": self.execution_id,
            "request_hash": self.request_hash,
            "enclave": enclave,
            "signers": { "signed": signers, "members": members, "required": required },
            "relay_calls": self.telemetry.relay_calls,
            "http_actions": self.telemetry.http_actions,
            "timings_ms": times,
            "logs": self.telemetry.logs,
            "notes": self.telemetry.notes,
            "metering": self.telemetry.metering,
        });
        let mut object = Map::from_iter([("verified".to_owned(), Json::from(true))]);
        object.extend(outcome.members());
        object.extend(rest.as_object().cloned().unwrap_or_default());
        Json::Object(object)
    }
}

/// All hops in the order in which they happened: those the bridge and the enclave report lie between
/// signing and verifying.
fn whole(hops: Hops, answered: &Answered, telemetry: &Telemetry) -> Hops {
    let part = |name| answered.timing.as_deref().and_then(|header| server_timing(header, name));
    // A bridge that does not say took what the enclave's rooms did not.
    let batch = part("batch").unwrap_or(answered.elapsed.saturating_sub(telemetry.in_rooms()));
    let mut all = Vec::new();
    for (name, spent) in hops.0 {
        let is_sign = name == "sign";
        all.push((name, spent));
        if is_sign {
            all.push(("batch".to_owned(), batch));
            all.extend(telemetry.rooms.iter().map(|room| {
                let spent = Duration::try_from_secs_f64(room.duration_ms / 1000.0);
                (output::printable(&room.room), spent.unwrap_or_default())
            }));
        }
    }
    Hops(all)
}

/// Prints one step: its name, its time, and a note.
///
/// # Errors
///
/// [`Exit::Internal`] if nobody reads it.
pub(crate) fn line(name: &str, ms: f64, note: &str) -> Result<(), Failure> {
    let (ms, note) = (format!("{ms:.1} ms"), output::printable(note));
    output::line(format_args!("{}", format!("{name:<14}{ms:>12}  {note}").trim_end()))
}

/// With a microsecond's precision.
pub(crate) fn milliseconds(spent: Duration) -> f64 {
    (spent.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
mod tests;
