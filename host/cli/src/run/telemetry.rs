//! What the enclave reports about a run: how long each room took, who stood behind each relay call, and
//! what the workflow logged.
//!
//! No attestation covers it (W-16): it is shown and decides nothing.

use std::time::Duration;

use protocol::{
    answer::MetricEvent,
    json::{self, Details},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::report::line;
use crate::{exit::Failure, output};

/// The events of one run that are shown, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Telemetry {
    /// The rooms a request went through.
    pub(crate) rooms: Vec<Room>,
    /// Calls to relay nodes.
    pub(crate) relay_calls: Vec<RelayCall>,
    /// Requests to the web.
    pub(crate) http_actions: Vec<HttpAction>,
    /// What the workflow logged.
    pub(crate) logs: Vec<String>,
    /// What its author should know, whatever it answered.
    pub(crate) notes: Vec<String>,
    /// What the run used.
    pub(crate) metering: Option<Metering>,
}

/// One room of the enclave.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Room {
    /// Its name.
    pub(crate) room: String,
    /// The time in it, in milliseconds.
    pub(crate) duration_ms: f64,
}

/// One call to the relay nodes.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct RelayCall {
    /// The JSON-RPC method.
    pub(crate) method: String,
    /// The capability, unless secrets were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capability_id: Option<String>,
    /// Distinct members that signed the result that was taken.
    pub(crate) signers: u64,
    /// F + 1.
    pub(crate) required: u64,
    /// The time until the result, in milliseconds.
    pub(crate) duration_ms: f64,
}

/// One request to the web.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct HttpAction {
    /// Whom it went to.
    pub(crate) host: String,
    /// The status of the answer.
    pub(crate) status: u16,
    /// The time until the answer, in milliseconds.
    pub(crate) duration_ms: f64,
}

/// What a run used, as its enclave counted it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Metering {
    /// From its beginning to its end, in milliseconds.
    pub(crate) wall_ms: f64,
    /// Processor time, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// The largest size of its memory.
    pub(crate) peak_memory_bytes: u64,
    /// Imports called.
    pub(crate) host_calls: u64,
    /// Bytes given to the workflow.
    pub(crate) bytes_in: u64,
    /// Bytes taken from it.
    pub(crate) bytes_out: u64,
}

#[derive(Deserialize)]
struct Log {
    message: String,
}

/// A descriptor of a consensus that does not fit what it describes.
#[derive(Deserialize)]
struct Misfit {
    aggregation: String,
    value: String,
}

#[derive(Deserialize)]
struct Dropped {
    count: u64,
}

impl Telemetry {
    /// Takes what is shown out of the events of an answer; what is not in its form is left out.
    pub(crate) fn of(events: &[MetricEvent]) -> Self {
        let mut telemetry = Self::default();
        for MetricEvent { event, details } in events {
            let Some(details) = details else { continue };
            match event.as_str() {
                "room_completed" => telemetry.rooms.extend(read(details)),
                "relay_call" => telemetry.relay_calls.extend(read(details)),
                "http_action" => telemetry.http_actions.extend(read(details)),
                "user_log" => telemetry.logs.extend(read(details).map(|Log { message }| message)),
                "consensus_misfit" => telemetry.notes.extend(read(details).map(misfit)),
                "workflow_metering" => telemetry.metering = read(details),
                "events_dropped" => telemetry.notes.extend(read(details).map(dropped)),
                _ => {}
            }
        }
        telemetry
    }

    /// Prints a line for each request to the web.
    ///
    /// # Errors
    ///
    /// [`Exit::Internal`](crate::exit::Exit::Internal) if nobody reads it.
    pub(crate) fn print_http_actions(&self) -> Result<(), Failure> {
        for HttpAction { host, status, duration_ms } in &self.http_actions {
            line("  http action", *duration_ms, &format!("{host}, status {status}"))?;
        }
        Ok(())
    }

    /// Prints what the workflow logged, and the notes.
    ///
    /// # Errors
    ///
    /// [`Exit::Internal`](crate::exit::Exit::Internal) if nobody reads it.
    pub(crate) fn print_logs(&self) -> Result<(), Failure> {
        for log in &self.logs {
            output::line(format_args!("log: {}", output::printable(log)))?;
        }
        for note in &self.notes {
            output::line(format_args!("note: {}", output::printable(note)))?;
        }
        Ok(())
    }

    /// The time in all rooms.
    pub(crate) fn in_rooms(&self) -> Duration {
        let sum: f64 = self.rooms.iter().map(|room| room.duration_ms).sum();
        Duration::try_from_secs_f64(sum / 1000.0).unwrap_or_default()
    }
}

fn misfit(Misfit { aggregation, value }: Misfit) -> String {
    format!("consensus: {aggregation} of {value}, which a DON would refuse")
}

fn dropped(Dropped { count }: Dropped) -> String {
    format!("{count} events were dropped")
}

fn read<T: DeserializeOwned>(details: &Details) -> Option<T> {
    serde_json::from_slice(&json::to_vec(details)).ok()
}

/// The time of one part in a `Server-Timing` header: `batch;dur=1.5, enclave;dur=30`.
pub(crate) fn server_timing(header: &str, part: &str) -> Option<Duration> {
    let metric = header
        .split(',')
        .map(str::trim)
        .find(|metric| metric.split(';').next().is_some_and(|name| name.trim() == part))?;
    let ms = metric.split(';').find_map(|parameter| parameter.trim().strip_prefix("dur="))?;
    Duration::try_from_secs_f64(ms.parse::<f64>().ok()? / 1000.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(json: &str) -> Vec<MetricEvent> {
        json::from_slice(json.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_shown_is_taken_in_order() {
        let events = events(
            r#"[
            {"event":"request_started","details":{"endpoint":"execute"}},
            {"event":"room_completed","details":{"room":"admit","duration_ms":0.25}},
            {"event":"user_log","details":{"message":"one","workflow_id":"x"}},
            {"event":"relay_call","details":{"method":"confidential.secrets.get","signers":4,"required":2,"duration_ms":3}},
            {"event":"relay_call","details":{"method":"m","capability_id":"c@1","signers":2,"required":2,"duration_ms":1.5}},
            {"event":"http_action","details":{"host":"h","status":200,"duration_ms":7}},
            {"event":"user_log","details":{"message":"two"}},
            {"event":"consensus_misfit","details":{"aggregation":"MEDIAN","value":"string"}},
            {"event":"events_dropped","details":{"count":3}},
            {"event":"workflow_metering","details":{"wall_ms":9.5,"cpu_ms":3,"peak_memory_bytes":65536,"host_calls":7,"bytes_in":10,"bytes_out":20,"dropped_events":0}},
            {"event":"room_completed","details":{"room":"run","duration_ms":10}}
        ]"#,
        );
        let telemetry = Telemetry::of(&events);
        let used = telemetry.metering.as_ref().unwrap();
        assert_eq!((used.cpu_ms, used.peak_memory_bytes, used.host_calls), (3.0, 65_536, 7));
        assert_eq!(telemetry.logs, ["one", "two"]);
        let misfit = "consensus: MEDIAN of string, which a DON would refuse";
        assert_eq!(telemetry.notes, [misfit, "3 events were dropped"]);
        let rooms: Vec<_> = telemetry.rooms.iter().map(|room| room.room.as_str()).collect();
        assert_eq!(rooms, ["admit", "run"]);
        assert_eq!(telemetry.in_rooms(), Duration::from_micros(10_250));
        let [secrets, capability] = &telemetry.relay_calls[..] else { panic!() };
        assert_eq!((secrets.signers, secrets.capability_id.as_deref()), (4, None));
        assert_eq!(capability.capability_id.as_deref(), Some("c@1"));
        assert_eq!(telemetry.http_actions[0].status, 200);
    }

    #[test]
    fn events_of_another_form_are_left_out() {
        let events = events(
            r#"[
            {"event":"room_completed","details":{"room":5}},
            {"event":"room_completed","details":null},
            {"event":"relay_call","details":{"signers":-1}},
            {"event":"user_log","details":{}},
            {"event":"workflow_metering","details":{"wall_ms":1}}
        ]"#,
        );
        assert_eq!(Telemetry::of(&events), Telemetry::default());
        let absurd = Room { room: "run".to_owned(), duration_ms: -1.0 };
        let telemetry = Telemetry { rooms: vec![absurd], ..Telemetry::default() };
        assert_eq!(telemetry.in_rooms(), Duration::ZERO);
    }

    #[test]
    fn a_part_of_server_timing_is_found_by_its_name() {
        let header = "batch;dur=1.5, enclave;desc=x;dur=30";
        assert_eq!(server_timing(header, "batch"), Some(Duration::from_micros(1_500)));
        assert_eq!(server_timing(header, "enclave"), Some(Duration::from_millis(30)));
        for (header, part) in
            [(header, "bat"), ("batch;dur=-1", "batch"), ("batch", "batch"), ("", "")]
        {
            assert_eq!(server_timing(header, part), None, "{header}");
        }
    }
}
