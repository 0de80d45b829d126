//! `enclavectl inspect`: what can be said of a workflow's binary, and whether an enclave takes it.

use std::{path::PathBuf, time::Duration};

use enclave_server::LimitSet;
use enclave_workflow::{
    BinaryLimits, Capacity, EnclaveTee, Engine, Outcome as Raw,
    inspect::{Inspection, Span, unmet},
};
use protocol::messages::sdk::{Outcome as Answer, TeeType};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::{
    exit::{Exit, Failure, OrFail as _},
    files, output,
    run::{LONGEST_CONFIG_BYTES, binary::Binary, report::milliseconds, value},
    simulate::Workflow,
};

/// Say what a workflow's binary is, what it subscribes to, and whether an enclave would let it in.
///
/// Lists sizes, hashes, imports with their types, the interface's version, and every reason for which
/// an enclave would refuse the binary. One that is let in is compiled and asked for its triggers,
/// without secrets and capabilities. Exit code 0: it would run; 9: it would be refused; 5: it was let
/// in, and does not say its triggers.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Inspect {
    /// The workflow's configuration, handed to it when it is asked for its triggers.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object: delivered, brotli, module, sdk, call_capability_parameters,
    /// memory_pages, table_elements, functions, code_bytes, compile_ms, resident_bytes, imports,
    /// triggers, error, refused.
    #[arg(long)]
    json: bool,
    /// The workflow: a WebAssembly module for wasm32-wasip1, as it is or compressed with brotli.
    #[arg(value_name = "WORKFLOW")]
    workflow: PathBuf,
}

/// What is printed, as the members of one object.
struct Report {
    members: Map<String, Json>,
    refused: Vec<String>,
    /// Why the triggers are not known.
    error: Option<String>,
}

impl Inspect {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let binary = Binary::load(&self.workflow)?;
        let config = self.config.as_deref().map(|file| files::read(file, LONGEST_CONFIG_BYTES));
        let config = config.transpose()?.unwrap_or_default();
        let engine = Engine::new(Capacity { instances: 1, ..Capacity::default() });
        let engine = engine.or_fail(Exit::Internal, || "workflows cannot run on this machine")?;
        let (inspected, compiler) = (binary.delivered.to_vec(), engine.clone());
        let inspection = tokio::task::spawn_blocking(move || {
            let binary = enclave_workflow::Binary::new(inspected);
            Inspection::of(&compiler, &binary, &BinaryLimits::default())
        });
        let mut inspection = inspection.await.or_fail(Exit::Internal, || "it ended early")?;
        let mut report = Report::new(&binary, &inspection);
        if let Some(module) = inspection.module.take() {
            let workflow = Workflow::new(
                engine,
                module,
                &binary,
                &config,
                LimitSet::Reference,
                SUBSCRIBE_TIMEOUT,
            )?;
            report.triggers(workflow.subscribe().await?);
        }
        report.print(self.json)
    }
}

impl Report {
    fn new(binary: &Binary, inspection: &Inspection) -> Self {
        let span = |span: Span| json!({ "min": span.min, "max": span.max });
        let sized = |bytes: &[u8]| json!({ "bytes": bytes.len(), "sha256": hex::encode(Sha256::digest(bytes)) });
        let module = inspection.module_bytes.zip(inspection.module_hash);
        let module =
            module.map(|(bytes, hash)| json!({ "bytes": bytes, "sha256": hex::encode(hash.0) }));
        let facts = inspection.module.as_ref().map(|module| module.facts());
        let imports = inspection.imports.iter().map(ToString::to_string);
        let members = json!({
            "delivered": sized(&binary.delivered),
            "brotli": sized(&binary.compressed),
            "module": module,
            "sdk": inspection.markers.last(),
            "call_capability_parameters": inspection.call_parameters,
            "memory_pages": inspection.memory.map(span),
            "table_elements": inspection.table.map(span),
            "functions": inspection.survey.map(|survey| survey.functions),
            "code_bytes": inspection.survey.map(|survey| survey.code_bytes),
            "compile_ms": facts.map(|facts| milliseconds(facts.prepared_in)),
            "resident_bytes": facts.map(|facts| facts.resident_bytes),
            "imports": imports.collect::<Vec<_>>(),
        });
        let members = members.as_object().cloned().unwrap_or_default();
        let refused = inspection.refusals.iter().map(ToString::to_string).collect();
        Self { members, refused, error: None }
    }

    /// Adds what a subscribe run answered, and which of it an AWS Nitro enclave does not satisfy.
    fn triggers(&mut self, ended: Result<Raw, String>) {
        let answer = ended.and_then(|outcome| {
            let answer = outcome.decode().map_err(|error| error.to_string())?.result;
            Ok((outcome, answer))
        });
        let (outcome, subscriptions) = match answer {
            Ok((outcome, Some(Answer::TriggerSubscriptions(request)))) => {
                (outcome, request.subscriptions)
            }
            Ok((_, Some(Answer::Error(text)))) | Err(text) => return self.error = Some(text),
            Ok((_, Some(Answer::Value(_) | Answer::Restrictions(_)) | None)) => {
                return self.error = Some("it answers no subscriptions".to_owned());
            }
        };
        let listed = subscriptions.iter().enumerate();
        let listed = listed.map(|(index, one)| value::subscription(index, one)).collect();
        self.members.insert("triggers".to_owned(), Json::Array(listed));
        let nitro = EnclaveTee { tee_type: TeeType::AwsNitro.into() };
        match unmet(&outcome, &nitro) {
            Ok(unmet) => {
                self.refused.extend(unmet.into_iter().map(|index| {
                    format!("trigger {index} requires another enclave than AWS Nitro")
                }))
            }
            Err(error) => self.refused.push(error.to_string()),
        }
    }

    fn print(mut self, is_json: bool) -> Result<Exit, Failure> {
        let exit = match (self.refused.is_empty(), &self.error) {
            (false, _) => Exit::Refused,
            (true, Some(_)) => Exit::Workflow,
            (true, None) => Exit::Success,
        };
        if is_json {
            self.members.insert("error".to_owned(), Json::from(self.error));
            self.members.insert("refused".to_owned(), Json::from(self.refused));
            output::line(format_args!("{}", Json::Object(self.members)))?;
            return Ok(exit);
        }
        for (name, value) in &self.members {
            print_member(name, value)?;
        }
        if let Some(error) = &self.error {
            output::line(format_args!("no triggers: {}", output::printable(error)))?;
        }
        for reason in &self.refused {
            output::line(format_args!("refused: {}", output::printable(reason)))?;
        }
        Ok(exit)
    }
}

/// Prints a member in words; what is not known is left out.
fn print_member(name: &str, value: &Json) -> Result<(), Failure> {
    let name = name.replace('_', " ");
    match value {
        Json::Null => Ok(()),
        Json::Array(items) => {
            output::line(format_args!("{name}"))?;
            items.iter().try_for_each(|item| {
                let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
                output::line(format_args!("  {}", output::printable(&text)))
            })
        }
        Json::Object(members) => {
            let known = members.iter().filter(|(_, value)| !value.is_null());
            let parts: Vec<_> =
                known.map(|(name, value)| format!("{name} {}", plain(value))).collect();
            output::line(format_args!("{name:<28}{}", parts.join(", ")))
        }
        Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            output::line(format_args!("{name:<28}{}", output::printable(&plain(value))))
        }
    }
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What a node gives a workflow to say its triggers (wasm-abi 2.13).
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(15);

const EXAMPLE: &str = "\
Examples:
  enclavectl inspect workflow.wasm
  enclavectl inspect --config config.json --json workflow.wasm.br

`binary_hash` of a deployment is the hash of what is delivered: of the brotli stream where that is
delivered, as `enclavectl run` and the CRE command line do.";
