//! `enclavectl simulate`: one workflow in the enclave's own runtime, without a network of roles.
//!
//! ```text
//! WORKFLOW ── admit, compile ── subscribe ── trigger N ── result
//!                                   │            │ pre-hook and restrictions, if it has them
//!                                   └─ services ─┘ secrets, capabilities and time from here
//! ```
//!
//! The engine, its limits, http-actions and the consensus of one are the enclave's own code. What the
//! enclave has relay nodes answer is answered from files.

mod answers;
mod recording;
mod report;
mod scenario;
mod secrets;
mod services;
mod web;
mod workflow;

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use enclave_server::LimitSet;
use enclave_workflow::Tier;
use protocol::{
    clock::{Clock as _, SystemClock},
    messages::{self, cron, http, sdk::TriggerSubscription},
};
use rand_core::OsRng;
use serde_json::json;

pub(crate) use self::workflow::{Asked, Workflow};
use self::{
    answers::Answers,
    report::Report,
    secrets::Secrets,
    services::{Clock, World},
    web::{Web, WebArgs},
};
use crate::{
    exit::{Exit, Failure, OrFail as _},
    files, output,
    run::{
        LONGEST_CONFIG_BYTES, LONGEST_PAYLOAD_BYTES,
        binary::Binary,
        request::{Ask, Payload, execution_id},
    },
    verify::parse_time,
};

/// Run a workflow on this machine in the enclave's own runtime, without a network.
///
/// The workflow is let in, compiled and limited as in an enclave. It subscribes first, as on a node,
/// then the trigger fires; a pre-hook and its restrictions come before it, and a handler that
/// requires an AWS Nitro enclave finds one. What an enclave has relay nodes answer comes from files:
/// secrets from --secrets, capabilities from --capabilities, beside the price feed and the echo of a
/// devnet. Nothing is attested here.
///
/// Prints every step with its time, the log, the result, and what the run used.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, override_usage = USAGE)]
pub(crate) struct Simulate {
    /// The workflow's configuration, handed to it as it is.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the trigger says: the JSON input of an http trigger. A cron trigger needs none.
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// For other triggers: the full name of the protobuf message that the payload file holds.
    #[arg(long, value_name = "MESSAGE", requires = "payload")]
    payload_type: Option<String>,
    /// Which trigger fires: its index among the workflow's subscriptions.
    #[arg(long, value_name = "N", default_value_t = 0)]
    trigger: u64,
    /// Ask the workflow which triggers it wants, and print them.
    #[arg(long, conflicts_with_all = ["payload", "trigger"])]
    subscribe: bool,
    /// Secrets by NAME or NAMESPACE/NAME: JSON, or TOML with lines such as `API_KEY = "..."`. Nobody
    /// but its owner may read the file: mode 0600.
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// What capabilities answer: JSON, or TOML with an `[[answer]]` for each call. See below.
    #[arg(long, value_name = "FILE")]
    capabilities: Option<PathBuf>,
    #[command(flatten)]
    web: WebArgs,
    /// The execution id, from which the DON's random numbers follow. Without it, a new one.
    #[arg(long, value_name = "ID")]
    execution_id: Option<String>,
    /// What a node's random numbers follow from. Random bytes of the system stay random.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<i64>,
    /// The DON's time, which then stands still, and where a node's time starts, which goes on.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    time: Option<SystemTime>,
    /// What it may use: as in an enclave, or what a DON grants.
    #[arg(long, value_name = "SET", value_enum, default_value_t)]
    limits: LimitSet,
    /// Run optimized code, as later runs in an enclave do; without it, what a first run gets.
    #[arg(long)]
    optimized: bool,
    /// Play the scenarios of this file instead, and compare every call, log line and result with
    /// what was recorded.
    #[arg(long, value_name = "FILE", conflicts_with_all = NOT_WITH_A_SCENARIO)]
    scenario: Option<PathBuf>,
    /// Print one JSON object: result, execution_id, binary_sha256, sdk, calls, http_actions, logs,
    /// notes, metering, timings_ms; with --scenario: workflow, scenarios, agree, difference.
    #[arg(long)]
    json: bool,
    /// The workflow: a WebAssembly module for wasm32-wasip1, as it is or compressed with brotli.
    #[arg(value_name = "WORKFLOW")]
    workflow: Option<PathBuf>,
}

impl Simulate {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let is_json = self.json;
        let ended = self.execute().await;
        if let (true, Err(failure)) = (is_json, &ended) {
            let (error, code) = (failure.to_string(), failure.exit.code());
            output::line(format_args!("{}", json!({ "error": error, "exit_code": code })))?;
        }
        ended
    }

    async fn execute(mut self) -> Result<Exit, Failure> {
        let file = self.web.workflow(self.workflow.take())?;
        let binary = Binary::load(&file)?;
        if let Some(scenario) = &self.scenario {
            return scenario::play(scenario, binary, self.tier(), self.json).await;
        }
        let config = self.config.as_deref().map(|file| files::read(file, LONGEST_CONFIG_BYTES));
        let config = config.transpose()?.unwrap_or_default();
        let world = Arc::new(self.world()?);
        let workflow = Workflow::admit(&file, &binary, &config, self.tier(), self.limits).await?;
        let mut report = Report::new(self.json, &world.execution_id, &binary, &workflow)?;

        let asked = workflow.ask(Ask::Subscribe, None, &world).await?;
        let subscriptions = match asked.subscriptions() {
            Some(subscriptions) if !self.subscribe => subscriptions,
            Some(_) | None => return report.end("subscribe", "", asked),
        };
        report.subscribed(&asked, subscriptions.len())?;
        let subscription = self.subscription(&subscriptions)?;
        let ask = Ask::Fire { trigger: self.trigger, payload: self.payload(subscription)? };
        let asked = workflow.ask(ask, self.seed, &world).await?;
        world.web.finish()?;
        report.end("run", &format!("trigger {}: {}", self.trigger, subscription.id), asked)
    }

    fn tier(&self) -> Tier {
        if self.optimized { Tier::Optimized } else { Tier::Baseline }
    }

    fn world(&self) -> Result<World, Failure> {
        let id = self.execution_id.clone();
        Ok(World {
            execution_id: id.unwrap_or_else(|| execution_id(&mut OsRng)),
            clock: Clock::new(self.time),
            web: Web::new(&self.web)?,
            secrets: self.secrets.as_deref().map(Secrets::load).transpose()?.unwrap_or_default(),
            answers: Answers::load(self.capabilities.as_deref())?,
        })
    }

    /// The subscription whose trigger fires.
    fn subscription<'s>(
        &self,
        subscriptions: &'s [TriggerSubscription],
    ) -> Result<&'s TriggerSubscription, Failure> {
        let found = usize::try_from(self.trigger).ok().and_then(|index| subscriptions.get(index));
        found.ok_or_else(|| {
            let (index, count) = (self.trigger, subscriptions.len());
            let text = format!(
                "the workflow has {count} triggers and none of index {index}; see --subscribe"
            );
            Failure::new(Exit::Usage, text)
        })
    }

    /// What the trigger says, by the kind of trigger it is.
    fn payload(
        &self,
        subscription: &TriggerSubscription,
    ) -> Result<messages::well_known::Any, Failure> {
        let read = |file| files::read(file, LONGEST_PAYLOAD_BYTES);
        let is_of = |id| subscription.id == id && subscription.method == messages::sdk::TRIGGER;
        let payload = match (&self.payload, &self.payload_type) {
            (Some(file), Some(name)) => Payload::Message { name: name.clone(), bytes: read(file)? },
            (Some(file), None) if is_of(http::TRIGGERS) => Payload::Http(read(file)?),
            (None, _) if is_of(cron::CAPABILITY) => {
                Payload::Cron(self.time.unwrap_or_else(|| SystemClock.now()))
            }
            (payload, _) => {
                let wanted = if is_of(cron::CAPABILITY) && payload.is_some() {
                    "it takes no --payload"
                } else if is_of(http::TRIGGERS) {
                    "give its JSON input with --payload"
                } else {
                    "give its message with --payload and --payload-type"
                };
                let text = format!("trigger {} is {}: {wanted}", self.trigger, subscription.id);
                return Err(Failure::new(Exit::Usage, output::printable(&text)));
            }
        };
        let file = self.payload.as_ref().map(|file| file.display().to_string());
        payload.pack().or_fail(Exit::Input, || file.unwrap_or_default())
    }
}

/// A scenario says everything itself.
const NOT_WITH_A_SCENARIO: [&str; 13] = [
    "config",
    "payload",
    "payload_type",
    "trigger",
    "subscribe",
    "secrets",
    "capabilities",
    "http",
    "record",
    "dangerous_allow",
    "execution_id",
    "seed",
    "time",
];

const USAGE: &str = "enclavectl simulate [OPTIONS] <WORKFLOW>
       enclavectl simulate --scenario <FILE> [--json] <WORKFLOW>";

const EXAMPLE: &str = "\
Examples:
  enclavectl simulate workflow.wasm
  enclavectl simulate workflow.wasm --config config.json --secrets secrets.toml --http live
  enclavectl simulate workflow.wasm --http live --record answers
  enclavectl simulate workflow.wasm --http replay answers
  enclavectl simulate workflow.wasm --subscribe
  enclavectl simulate workflow.wasm.br --scenario scenario.json

The answers of --capabilities, in TOML; several for one method are given in turn, the last one again:
  [[answer]]
  id = \"write_ethereum@1.0.0\"
  method = \"Write\"
  type = \"example.v1.Written\"     # the message, and its bytes
  hex = \"0a0412340000\"

  [[answer]]
  id = \"oracle@1.0.0\"
  method = \"Read\"
  value = { price = \"1.5\" }       # a value of values.v1

  [[answer]]
  id = \"oracle@1.0.0\"
  method = \"Write\"
  error = \"read only\"             # what the workflow reads as the capability's error";
