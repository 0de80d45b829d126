//! The form of a scenario file, version 1. Members that are not known are refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use sha2::{Digest as _, Sha256};

/// A file of scenarios of one workflow.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// Always 1.
    pub schema: Version,
    /// The workflow's name.
    pub workflow: String,
    /// What the workflow is.
    pub about: String,
    /// What was recorded about the binary.
    pub binary: BinaryFacts,
    /// The host that was recorded.
    pub host: String,
    /// The scenarios, each on its own.
    pub scenarios: Vec<Scenario>,
}

/// The only version of the form there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version;

/// What was recorded about a workflow's binary.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryFacts {
    /// The file's name.
    pub file: String,
    /// SHA-256 of the file in hexadecimal: the `binary_hash` of a deployment.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the module in hexadecimal.
    pub wasm_sha256: String,
    /// Size of the module.
    pub wasm_bytes: u64,
    /// The version marker it imports.
    pub sdk_label: String,
    /// Pages of 64 KiB it declares.
    pub memory_min_pages: u64,
    /// Elements its table declares.
    pub table_min: u64,
    /// Its imports with their types.
    pub imports: Vec<String>,
    /// Its exports with their types.
    pub exports: Vec<String>,
}

/// One or more runs on one module, with the answers they get.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Unique in its file.
    pub name: String,
    /// What a reader should know.
    #[serde(default)]
    pub note: Option<String>,
    /// Whether the module runs by itself or behind a router.
    pub module: Route,
    /// Limits that differ from the defaults.
    pub limits: ScenarioLimits,
    /// Whether the binary is given compressed.
    pub input: Input,
    /// The execution id.
    pub execution_id: String,
    /// The DON seed that follows from it.
    #[serde(deserialize_with = "decimal")]
    pub don_seed: i64,
    /// What the node's clock shows.
    pub node_time: NodeClock,
    /// What the committee's clock shows, reading by reading; the last repeats. What is not a number
    /// of nanoseconds is an error.
    pub don_times: Vec<String>,
    /// The runs, in order.
    pub steps: Vec<Step>,
}

/// How a module is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// By itself.
    Direct,
    /// Behind a router whose only place satisfies every requirement for an enclave.
    Router,
}

/// The form in which a binary is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// A brotli stream.
    Brotli,
    /// The module itself.
    Raw,
}

/// The node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeClock {
    /// It moves.
    Real,
    /// It always shows this many nanoseconds since the epoch.
    Fixed(u64),
}

/// Limits that differ from the defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScenarioLimits {
    /// Of subscribe and trigger runs.
    pub timeout_ms: Option<u64>,
    /// Of pre-hook runs.
    pub prehook_timeout_ms: Option<u64>,
    /// Linear memory in 10^6 bytes.
    pub memory_mb: Option<u64>,
    /// The response size told to the guest, in bytes.
    pub max_response_size: Option<u64>,
    /// One log line, in bytes.
    pub max_log_len: Option<u32>,
    /// Log lines in DON mode.
    pub max_logs_don: Option<u32>,
    /// Log lines in node mode.
    pub max_logs_node: Option<u32>,
    /// Calls in flight.
    pub pending_calls: Option<u32>,
    /// Whether metrics are taken.
    pub metrics: bool,
    /// The binary as delivered, in bytes.
    pub max_compressed: Option<u64>,
    /// The module, in bytes.
    pub max_decompressed: Option<u64>,
    /// The caller's own deadline, from the start of the run.
    pub caller_deadline_ms: Option<u64>,
    /// When the caller cancels, from the start of the run.
    pub caller_cancel_ms: Option<u64>,
}

/// One run and what was seen of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The encoded `ExecuteRequest` without a response size.
    #[serde(deserialize_with = "hexadecimal")]
    pub request_hex: Vec<u8>,
    /// Its configuration, readable.
    #[serde(default)]
    #[serde(rename = "config")]
    _config: serde::de::IgnoredAny,
    /// The node seed of the run.
    #[serde(default, deserialize_with = "optional_decimal")]
    pub node_seed: Option<i64>,
    /// The node seed of the pre-hook before it.
    #[serde(default, deserialize_with = "optional_decimal")]
    pub prehook_node_seed: Option<i64>,
    /// What reached the embedder, and its answers.
    pub calls: Vec<Call>,
    /// Whether the calls always came in this order.
    pub calls_in_order: bool,
    /// Most calls at once.
    pub max_in_flight: usize,
    /// Log lines; `hex:` precedes one that is not UTF-8, and long ones are cut.
    pub logs: Vec<String>,
    /// Whether log lines are always the same.
    pub logs_exact: bool,
    /// Encoded metrics, in hexadecimal.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// How often the committee's clock was read.
    pub don_time_reads: usize,
    /// How often one run read the node's clock: a hint.
    #[serde(default)]
    #[serde(rename = "node_time_reads_seen")]
    _node_time_reads_seen: u64,
    /// What the reference wrote for itself: a hint.
    #[serde(default)]
    #[serde(rename = "host_log")]
    _host_log: Vec<String>,
    /// How the run ended.
    pub outcome: Expected,
    /// Members of the step that differed from run to run.
    #[serde(default)]
    pub unstable: Vec<String>,
}

/// One call that reached the embedder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// What was asked for.
    pub kind: CallKind,
    /// The id the guest gave it; 0 for secrets behind restrictions.
    pub callback_id: i32,
    /// The capability.
    #[serde(default)]
    pub id: Option<String>,
    /// Its method.
    #[serde(default)]
    pub method: Option<String>,
    /// The mode, by the sign of the callback id.
    #[serde(default)]
    #[serde(rename = "mode")]
    _mode: Option<String>,
    /// The type of the payload.
    #[serde(default)]
    #[serde(rename = "payload_type")]
    _payload_type: Option<String>,
    /// The encoded `CapabilityRequest` or `GetSecretsRequest`.
    pub request: Bytes,
    /// What it was answered.
    pub answer: Answer,
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// A capability.
    Capability,
    /// Secrets.
    Secrets,
}

/// How the embedder answers a call. An empty answer is an empty message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// An encoded `CapabilityResponse`.
    #[serde(deserialize_with = "optional_hexadecimal")]
    pub response_hex: Option<Vec<u8>>,
    /// Encoded `SecretResponse` messages, in hexadecimal.
    pub secrets_hex: Vec<String>,
    /// A failure with this text.
    pub error: Option<String>,
    /// A capability error in its wire form.
    pub typed_error: Option<String>,
    /// A payload of type `fake` with so many zero bytes.
    pub fill_bytes: Option<usize>,
    /// No answer at all.
    pub hang: bool,
    /// An answer only once a call with this id was seen.
    pub after_callback: Option<i32>,
    /// An answer only after this time.
    pub delay_ms: Option<u64>,
}

/// How a run ended in the reference.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The kind of end.
    pub class: Class,
    /// Whether more than the class is to be compared.
    pub exact: bool,
    /// The encoded `ExecutionResult`, deterministically.
    #[serde(default)]
    pub result: Option<Bytes>,
    /// The same as JSON, for readers.
    #[serde(default)]
    #[serde(rename = "result_json")]
    _result_json: serde::de::IgnoredAny,
    /// The text of the error.
    #[serde(default)]
    pub error_text: Option<String>,
    /// The guest's exit code.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// The run took at least this long.
    #[serde(default)]
    pub at_least_ms: Option<u64>,
    /// The run took at most this long.
    #[serde(default)]
    pub at_most_ms: Option<u64>,
}

/// The kind of end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The module was refused for its size, encoding or exports.
    Admission,
    /// The module could not be compiled.
    Compile,
    /// Time was up or the caller left.
    Deadline,
    /// A result without a member.
    Empty,
    /// A result that is an error.
    Error,
    /// A guest's exit code other than 0.
    Exit,
    /// A guest's exit code of 126 or more.
    ExitInvalid,
    /// Any other failure.
    Failed,
    /// The module could not be instantiated.
    Link,
    /// A good end without a result.
    Nothing,
    /// A result that is restrictions.
    Restrictions,
    /// A trap.
    Trap,
    /// A result that is subscriptions.
    #[serde(rename = "trigger_subscriptions")]
    TriggerSubscriptions,
    /// A result that is a value.
    Value,
}

/// A byte string, in full or, beyond 4 KiB, by size, digest and head.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// All bytes, in hexadecimal.
    #[serde(default)]
    pub hex: Option<String>,
    /// Their number.
    pub bytes: usize,
    /// Their SHA-256, in hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
    /// The first of them, in hexadecimal.
    #[serde(default)]
    #[serde(rename = "head_hex")]
    _head_hex: Option<String>,
}

/// The text is no scenario file of this form.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It is not JSON, or has unknown, missing or wrong members.
    #[error("not a scenario file")]
    Json(#[from] serde_json::Error),
    /// Two scenarios have one name.
    #[error("scenario {0} and an earlier one have the same name")]
    SameName(usize),
}

impl Recording {
    /// Parses a scenario file.
    ///
    /// # Errors
    ///
    /// [`ParseError`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let recording: Self = serde_json::from_str(text)?;
        let mut names = BTreeMap::new();
        for (index, scenario) in recording.scenarios.iter().enumerate() {
            if names.insert(&scenario.name, index).is_some() {
                return Err(ParseError::SameName(index));
            }
        }
        Ok(recording)
    }
}

impl BinaryFacts {
    /// Whether these are the bytes that were recorded, compressed or not.
    #[must_use]
    pub fn describes(&self, binary: &[u8]) -> bool {
        let digest = hex::encode(Sha256::digest(binary));
        digest == self.sha256 || digest == self.wasm_sha256
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(D::Error::custom(format_args!("schema {other} is not known"))),
        }
    }
}

impl<'de> Deserialize<'de> for NodeClock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "real" => Ok(Self::Real),
            nanos => nanos.parse().map(Self::Fixed).map_err(D::Error::custom),
        }
    }
}

fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn optional_decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    decimal(deserializer).map(Some)
}

fn hexadecimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn optional_hexadecimal<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<u8>>, D::Error> {
    hexadecimal(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(scenarios: &str, more: &str) -> String {
        let digest = "00".repeat(32);
        format!(
            r#"{{"schema":1,"workflow":"w","about":"a","host":"h",{more}"binary":{{"file":"f",
            "sha256":"{digest}","bytes":1,"wasm_sha256":"{digest}","wasm_bytes":1,
            "sdk_label":"version_v2","memory_min_pages":1,"table_min":0,"imports":[],
            "exports":[]}},"scenarios":[{scenarios}]}}"#
        )
    }

    const SCENARIO: &str = r#"{"name":"n","module":"direct","limits":{},"input":"raw",
        "execution_id":"id","don_seed":"-1","node_time":"5","don_times":[],"steps":[]}"#;

    #[test]
    fn a_file_of_the_known_form_is_read() {
        let recording = Recording::parse(&file(SCENARIO, "")).unwrap();
        assert_eq!(recording.scenarios[0].node_time, NodeClock::Fixed(5));
        assert_eq!(recording.scenarios[0].don_seed, -1);
    }

    #[test]
    fn members_that_are_not_known_are_refused() {
        for text in [
            file(SCENARIO, r#""extra":1,"#),
            file(&SCENARIO.replace(r#""limits":{}"#, r#""limits":{"fuel":1}"#), ""),
            file(&SCENARIO.replace("direct", "sideways"), ""),
        ] {
            assert!(matches!(Recording::parse(&text), Err(ParseError::Json(_))), "{text}");
        }
    }

    #[test]
    fn another_version_is_refused() {
        let text = file(SCENARIO, "").replace(r#""schema":1"#, r#""schema":2"#);
        assert!(Recording::parse(&text).is_err());
    }

    #[test]
    fn a_name_stands_once() {
        let twice = format!("{SCENARIO},{SCENARIO}");
        let error = Recording::parse(&file(&twice, "")).unwrap_err();
        assert!(matches!(error, ParseError::SameName(1)));
    }
}
