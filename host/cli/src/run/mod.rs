//! `enclavectl run`.

pub(crate) mod binary;
mod exchange;
pub(crate) mod outcome;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod telemetry;
pub(crate) mod value;

use std::{
    path::PathBuf,
    time::{Instant, SystemTime},
};

use host_bridge::client::VerifiedAnswer;
use protocol::{
    answer::ExecuteResponse,
    clock::{Clock as _, SystemClock},
    ids::Owner,
    messages::confidential_workflow::WorkflowExecution,
};
use rand_core::OsRng;
use serde_json::json;

use self::{
    binary::Binary,
    exchange::Exchange,
    outcome::Outcome,
    report::{Hops, Report},
    request::{Ask, Execution, Payload},
};
use crate::{
    exit::{Exit, Failure, OrFail as _},
    files,
    http::Peer,
    network::Network,
    output,
    receipt::Receipt,
    secret::{DEFAULT_OWNER, parse_owner},
};

/// Run a workflow in the enclave of a devnet, and believe its answer only after every check.
///
/// The binary is published, the execution is signed by 2F + 1 members of the committee, the bridge
/// hands their requests to the enclave, and the answer's attestation is verified: chain, signature,
/// image, time, and that it binds the request, the configuration and the output.
///
/// Prints every hop with its time, then the result and `verified`. The times inside the enclave are
/// its own word; the attestation shows that they are as it sent them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Run {
    /// The devnet.json of a running devnet.
    #[arg(long, value_name = "FILE")]
    network: PathBuf,
    /// The workflow's configuration, handed to it as it is.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the trigger says: the JSON input of an http trigger. Without it a cron trigger fires.
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// For other triggers: the full name of the protobuf message that the payload file holds.
    #[arg(long, value_name = "MESSAGE", requires = "payload")]
    payload_type: Option<String>,
    /// Which trigger fires: its index among the workflow's subscriptions.
    #[arg(long, value_name = "N", default_value_t = 0)]
    trigger: u64,
    /// Who owns the workflow, and the secrets it may read: an address of 40 hexadecimal digits.
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_OWNER, value_parser = parse_owner)]
    owner: Owner,
    /// Ask the workflow which triggers it wants, and print them.
    #[arg(long, conflicts_with_all = ["payload", "trigger"])]
    subscribe: bool,
    /// Print one JSON object: verified, result, execution_id, request_hash, enclave, signers,
    /// relay_calls, http_actions, timings_ms, logs, notes, metering.
    #[arg(long)]
    json: bool,
    /// Write what `enclavectl verify` needs to check the answer again.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// The workflow: a WebAssembly module for wasm32-wasip1, as it is or compressed with brotli.
    #[arg(value_name = "WORKFLOW")]
    workflow: PathBuf,
}

impl Run {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let is_json = self.json;
        let ended = self.execute().await;
        if let (true, Err(failure)) = (is_json, &ended) {
            let object = json!({
                "verified": false,
                "error": failure.to_string(),
                "exit_code": failure.exit.code(),
            });
            output::line(format_args!("{object}"))?;
        }
        ended
    }

    async fn execute(self) -> Result<Exit, Failure> {
        let network = Network::load(&self.network)?;
        let binary = Binary::load(&self.workflow)?;
        let config = self.config.as_deref().map(|file| files::read(file, LONGEST_CONFIG_BYTES));
        let config = config.transpose()?.unwrap_or_default();
        let ask = self.ask()?;

        let start = Instant::now();
        let mut hops = Hops::default();
        let server = Peer { name: "the workflow server", address: network.addresses.workflows };
        let binary_url = hops.time("publish", binary.publish(&server)).await?;
        let execution = Execution {
            binary_url,
            binary_sha256: binary.sha256,
            config: &config,
            owner: self.owner,
            ask,
        };
        let message: WorkflowExecution = execution.message(&mut OsRng);
        let exchange = Exchange::new(&network)?;
        let answered = exchange.run(&message, &mut hops).await?;
        let at = SystemClock.now();
        let verified = exchange.verify(&answered, at, &mut hops)?;
        let outcome = Outcome::decode(verified.output())
            .or_fail(Exit::Workflow, || "the workflow's answer cannot be read");
        if let Some(path) = &self.receipt {
            store_receipt(path, at, &answered, &verified)?;
        }
        let report = Report::new(&network, &message, &answered, &verified, hops, start.elapsed());
        report.print(&outcome?, self.json)
    }

    fn ask(&self) -> Result<Ask, Failure> {
        if self.subscribe {
            return Ok(Ask::Subscribe);
        }
        let payload = match (&self.payload, &self.payload_type) {
            (None, _) => Payload::Cron(SystemClock.now()),
            (Some(file), None) => Payload::Http(files::read(file, LONGEST_PAYLOAD_BYTES)?),
            (Some(file), Some(name)) => {
                let bytes = files::read(file, LONGEST_PAYLOAD_BYTES)?;
                Payload::Message { name: name.clone(), bytes }
            }
        };
        let file = self.payload.as_ref().map(|file| file.display().to_string());
        let payload = payload.pack().or_fail(Exit::Input, || file.unwrap_or_default())?;
        Ok(Ask::Fire { trigger: self.trigger, payload })
    }
}

fn store_receipt(
    path: &std::path::Path,
    at: SystemTime,
    answered: &exchange::Answered,
    verified: &VerifiedAnswer,
) -> Result<(), Failure> {
    let response: ExecuteResponse = protocol::json::from_slice(&answered.body)
        .or_fail(Exit::Internal, || "the answer cannot be read again")?;
    let events = Some(verified.attested_events().to_vec()).filter(|events| !events.is_empty());
    let response = ExecuteResponse { metrics: None, metric_events: events, ..response };
    Receipt::store(path, at, &answered.requests, &response, Some(&answered.challenge))
        .or_fail(Exit::Input, || format!("{} cannot be written", path.display()))
}

/// What one request can carry beside the rest, at most.
pub(crate) const LONGEST_CONFIG_BYTES: u64 = 1024 * 1024;
pub(crate) const LONGEST_PAYLOAD_BYTES: u64 = 1024 * 1024;

const EXAMPLE: &str = "\
Examples:
  enclavectl run --network /tmp/devnet/devnet.json workflow.wasm
  enclavectl run --network /tmp/devnet/devnet.json --config config.json --receipt receipt.json \\
    workflow.wasm
  enclavectl run --network /tmp/devnet/devnet.json --subscribe workflow.wasm.br

A result of bytes is shown as {\"base64\": ..}, with \"text\" if it is UTF-8; integers of any size and
decimals as text; times as RFC 3339.";
