//! `enclavectl verify`.

mod document;

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use attestation::{
    Challenge, MEASUREMENTS_LIMIT_BYTES, Measurements, Outcome as Passing, TrustRoot, UserData,
};
use host_bridge::{
    client::{AnswerError, Asked, Challenged, Step, Trust, Verification, VerifiedAnswer},
    enclave::Images,
};
use protocol::{
    answer::ExecuteResponse,
    config::{Config, EnclaveConfig},
    json,
    quorum::unanimous,
    time::Rfc3339,
};

use crate::{
    exit::{Exit, Failure, OrFail as _},
    files,
    network::Network,
    output,
    receipt::{Receipt, parse_challenge},
    role::{read_root, warn_of_root},
    run::outcome::Outcome,
};

/// Check the receipt of a run, or one attestation document, and print every step.
///
/// No network is needed. An attestation document is believed for a few minutes after it was made. A
/// receipt is therefore checked as of the time that it names, and a document as of now; --at asks about
/// another.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Verify {
    /// The receipt that `enclavectl run --receipt` wrote.
    #[arg(value_name = "RECEIPT", required_unless_present = "document")]
    receipt: Option<PathBuf>,
    /// Check this attestation document instead: the bytes that the Nitro Secure Module returned.
    #[arg(long, value_name = "FILE", conflicts_with = "receipt")]
    document: Option<PathBuf>,
    /// Believe the enclave, and expect the committee, of this devnet.json.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["root", "measurements"])]
    network: Option<PathBuf>,
    /// Believe documents under this root (DER) instead of AWS's; for a document, there may be several.
    #[arg(long, value_name = "FILE", requires = "measurements")]
    root: Vec<PathBuf>,
    /// Believe this image: its registers as nitro-cli or a registry writes them, JSON. The committee is
    /// not compared with anything then.
    #[arg(long, value_name = "FILE")]
    measurements: Option<PathBuf>,
    /// What the document has to bind: 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", requires = "document", value_parser = document::user_data)]
    user_data: Option<UserData>,
    /// The challenge that the document has to answer, in hexadecimal digits.
    #[arg(long, value_name = "HEX", requires = "document", value_parser = parse_challenge)]
    nonce: Option<Challenge>,
    /// Refuse every path of the document with this certificate (DER); there may be several.
    #[arg(long, value_name = "FILE", requires = "document")]
    revoked: Vec<PathBuf>,
    /// Check as of this time, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<SystemTime>,
}

/// What is believed: an image under a root, and the committee if it is known.
pub(crate) struct Believed {
    root: TrustRoot,
    other_roots: Vec<TrustRoot>,
    measurements: Measurements,
    config: Option<EnclaveConfig>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Passed,
    Failed,
    NotReached,
    /// Nothing is known to compare it with, for this reason.
    NotChecked(&'static str),
}

/// A receipt with all steps of its check.
struct Verdict {
    steps: Vec<(String, Mark)>,
    result: Result<VerifiedAnswer, NotVerified>,
    /// As of which time it was checked.
    at: Option<SystemTime>,
}

/// The step that failed, and why.
#[derive(Debug, PartialEq, Eq)]
struct NotVerified {
    step: String,
    reason: String,
}

impl Verify {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let believed = self.believed()?;
        match (&self.receipt, &self.document) {
            (_, Some(document)) => self.document(document, &believed),
            (Some(receipt), None) => self.receipt(receipt, &believed),
            (None, None) => Err(Failure::new(Exit::Usage, "name a receipt or --document")),
        }
    }

    fn receipt(&self, receipt: &Path, believed: &Believed) -> Result<Exit, Failure> {
        if !believed.other_roots.is_empty() {
            return Err(Failure::new(Exit::Usage, "a receipt is checked under one --root"));
        }
        let text = files::read(receipt, LONGEST_RECEIPT_BYTES)?;
        let Verdict { steps, result, at } = check(&text, believed, self.at);
        print(&steps)?;
        let answer = result.map_err(NotVerified::failure)?;
        let outcome = Outcome::decode(answer.output())
            .or_fail(Exit::Workflow, || "the workflow's answer cannot be read")?;
        output::line(format_args!("{outcome}"))?;
        verified_as_of(at)
    }

    fn believed(&self) -> Result<Believed, Failure> {
        if let Some(network) = &self.network {
            return Ok(Believed::of(&Network::load(network)?));
        }
        let Some(measurements) = &self.measurements else {
            let text = "name --network, or --measurements (and --root, if it is not AWS's)";
            return Err(Failure::new(Exit::Usage, text));
        };
        let mut roots = Vec::new();
        for path in &self.root {
            let root = read_root(path)?;
            warn_of_root(path, &root);
            roots.push(root);
        }
        let mut roots = roots.into_iter();
        let root = roots.next().unwrap_or_else(TrustRoot::aws);
        let json = files::read(measurements, MEASUREMENTS_LIMIT_BYTES as u64)?;
        let parsed = Measurements::parse(&json)
            .or_fail(Exit::Input, || measurements.display().to_string())?;
        Ok(Believed { root, other_roots: roots.collect(), measurements: parsed, config: None })
    }
}

impl Believed {
    /// The enclave and the committee of a network.
    pub(crate) fn of(network: &Network) -> Self {
        Self {
            root: network.root.clone(),
            other_roots: Vec::new(),
            measurements: network.measurements.clone(),
            config: Some(network.config.wire().clone()),
        }
    }

    /// The verifier of answers of enclaves that are configured like this, unless it is known how they
    /// must be.
    pub(crate) fn trust(&self, otherwise: EnclaveConfig) -> Trust {
        let images = Images { first: self.measurements.clone(), others: Vec::new() };
        let config = self.config.clone().unwrap_or(otherwise);
        Trust::dangerous_under(self.root.clone(), images, config)
    }
}

/// Takes every step of the check.
fn check(text: &[u8], believed: &Believed, at: Option<SystemTime>) -> Verdict {
    let receipt = match Receipt::parse(text) {
        Ok(receipt) => receipt,
        Err(error) => {
            let failed = NotVerified { step: FORMAT.to_owned(), reason: error.to_string() };
            let rest = Step::all().map(|step| step.to_string());
            let rest = rest.chain([SIGNATURES.to_owned(), DIGEST.to_owned()]);
            let rest = rest.map(|step| (step, Mark::NotReached));
            let steps = std::iter::once((FORMAT.to_owned(), Mark::Failed)).chain(rest).collect();
            return Verdict { steps, result: Err(failed), at };
        }
    };
    let at = at.unwrap_or(receipt.at);
    let response: Option<ExecuteResponse> = json::from_slice(&receipt.response).ok();
    let said = response.map(|response| response.config).unwrap_or_default();
    let trust = believed.trust(said.clone());
    let requests = &receipt.requests;
    let request = requests.first().map(|signed| signed.request.clone()).unwrap_or_default();
    let challenged = receipt.nonce.clone().map_or(Challenged::No, Challenged::Demanded);
    let asked = Asked { challenged, ..Asked::of(&request) };
    let verification = trust.answer(&receipt.response, &asked, at);
    let mut steps = vec![(FORMAT.to_owned(), Mark::Passed)];
    steps.extend(marks(&verification, believed));
    let result = verification
        .result
        .map_err(|error| NotVerified { step: error.step().to_string(), reason: reason(&error) });
    let result = then(result, &mut steps, SIGNATURES, || {
        let config = Config::check(said).map_err(|error| error.to_string())?;
        unanimous(receipt.requests.clone(), config.committee()).map_err(|error| error.to_string())
    });
    let result = then(result, &mut steps, DIGEST, || match receipt.is_intact {
        true => Ok(()),
        false => Err("the receipt is not as it was written".to_owned()),
    });
    Verdict { steps, result, at: Some(at) }
}

/// The steps of the answer's verification. What a configuration is compared with is not known without
/// a network, and an enclave of version 1 states nothing.
fn marks(verification: &Verification, believed: &Believed) -> Vec<(String, Mark)> {
    let answer = verification.result.as_ref().ok();
    let states_nothing = answer.is_some_and(|answer| answer.statement().is_none());
    let marks = verification.steps().map(|(step, outcome)| {
        let unknown = match step {
            Step::Signers | Step::FaultBound | Step::Threshold | Step::MasterPublicKey => {
                believed.config.is_none().then_some("no network is named")
            }
            Step::Statement => states_nothing.then_some("the enclave states nothing"),
            Step::Json
            | Step::RequestHash
            | Step::RequestId
            | Step::ApplicationRequestId
            | Step::Document(_) => None,
        };
        let mark = match outcome {
            Passing::Passed => unknown.map_or(Mark::Passed, Mark::NotChecked),
            Passing::Failed => Mark::Failed,
            Passing::NotReached => Mark::NotReached,
        };
        (step.to_string(), mark)
    });
    marks.collect()
}

/// Takes one more step, if all before it passed.
fn then<T, U>(
    result: Result<T, NotVerified>,
    steps: &mut Vec<(String, Mark)>,
    step: &str,
    take: impl FnOnce() -> Result<U, String>,
) -> Result<T, NotVerified> {
    let (mark, result) = match result {
        Err(failed) => (Mark::NotReached, Err(failed)),
        Ok(value) => match take() {
            Ok(_) => (Mark::Passed, Ok(value)),
            Err(reason) => (Mark::Failed, Err(NotVerified { step: step.to_owned(), reason })),
        },
    };
    steps.push((step.to_owned(), mark));
    result
}

/// An error with its causes; of a document only these, because the step names the check.
pub(crate) fn reason(error: &AnswerError) -> String {
    if let AnswerError::Document(error) = error { causes(error) } else { causes(error) }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed => f.write_str("FAILED"),
            Self::NotReached => f.write_str("not reached"),
            Self::NotChecked(reason) => write!(f, "not checked ({reason})"),
        }
    }
}

impl NotVerified {
    fn failure(self) -> Failure {
        let Self { step, reason } = self;
        Failure::new(Exit::NotVerified, format!("not verified: {step}: {reason}"))
    }
}

fn print(steps: &[(String, Mark)]) -> Result<(), Failure> {
    steps.iter().try_for_each(|(step, mark)| output::line(format_args!("{step:<38} {mark}")))
}

fn verified_as_of(at: Option<SystemTime>) -> Result<Exit, Failure> {
    let at = at.and_then(|at| Rfc3339::try_from(at).ok());
    let at = at.map(|at| at.to_string()).unwrap_or_default();
    output::line(format_args!("verified as of {at}"))?;
    Ok(Exit::Success)
}

pub(crate) fn parse_time(text: &str) -> Result<SystemTime, String> {
    let time = text.parse::<Rfc3339>().and_then(SystemTime::try_from);
    time.map_err(|error| error.to_string())
}

const FORMAT: &str = "receipt format";
const SIGNATURES: &str = "committee signatures";
const DIGEST: &str = "receipt digest";

/// An answer and a batch of requests that each carry it, and nothing more.
const LONGEST_RECEIPT_BYTES: u64 = 128 * 1024 * 1024;

const EXAMPLE: &str = "\
Examples:
  enclavectl verify receipt.json --network /tmp/devnet/devnet.json
  enclavectl verify receipt.json --root root.der --measurements measurements.json
  enclavectl verify --document document.cose --measurements measurements.json \\
    --at 2026-01-31T12:00:00Z";

#[cfg(test)]
mod tests;
