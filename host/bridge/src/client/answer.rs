//! Believing an answer: step by step, cheapest first.

use std::{collections::BTreeMap, fmt, time::SystemTime};

use attestation::{
    Check, Outcome, Pcr, VerifyError,
    statement::{
        ExpectedAnswer, ExpectedStatement, Statement, StatementError, StatementMismatch,
        TelemetryHash,
    },
};
use protocol::{
    answer::{ExecuteResponse, MetricEvent},
    compute::ComputeRequest,
    ids::{ConfigHash, RequestHash},
    json::{self, DecodeError},
    limits,
};

use super::{Challenged, ConfigMismatch, Trust};

/// What was asked, and what is known of who has to answer.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The request.
    pub request: &'a ComputeRequest,
    /// Whether it was sent with a challenge.
    pub challenged: Challenged,
    /// Which start of an enclave the request's key is of: what it stated with its keys.
    pub boot_id: Option<[u8; 16]>,
}

impl<'a> Asked<'a> {
    /// The request alone.
    #[must_use]
    pub const fn of(request: &'a ComputeRequest) -> Self {
        Self { request, challenged: Challenged::No, boot_id: None }
    }
}

/// An answer for which an enclave of a trusted image vouches.
///
/// Only [`Trust::answer`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedAnswer {
    output: Vec<u8>,
    request_hash: RequestHash,
    config_hash: ConfigHash,
    module_id: String,
    pcrs: BTreeMap<u8, Pcr>,
    attested_at: SystemTime,
    statement: Option<Statement>,
    events: Vec<MetricEvent>,
    attested_events: usize,
}

impl VerifiedAnswer {
    /// What the application answered.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// The request it answers.
    #[must_use]
    pub const fn request_hash(&self) -> RequestHash {
        self.request_hash
    }

    /// The configuration under which it ran.
    #[must_use]
    pub const fn config_hash(&self) -> ConfigHash {
        self.config_hash
    }

    /// The enclave, as the document names it: instance and enclave.
    #[must_use]
    pub fn module_id(&self) -> &str {
        &self.module_id
    }

    /// The enclave's registers.
    #[must_use]
    pub const fn pcrs(&self) -> &BTreeMap<u8, Pcr> {
        &self.pcrs
    }

    /// When the enclave vouched for it.
    #[must_use]
    pub const fn attested_at(&self) -> SystemTime {
        self.attested_at
    }

    /// What the enclave states about itself; one of version 1 states nothing.
    #[must_use]
    pub const fn statement(&self) -> Option<&Statement> {
        self.statement.as_ref()
    }

    /// What happened until the enclave vouched for the answer, if it states its telemetry.
    #[must_use]
    pub fn attested_events(&self) -> &[MetricEvent] {
        self.events.get(..self.attested_events).unwrap_or_default()
    }

    /// What happened besides. **Nothing vouches for it** (W-16): good for showing, not for deciding.
    #[must_use]
    pub fn unattested_events(&self) -> &[MetricEvent] {
        self.events.get(self.attested_events..).unwrap_or_default()
    }
}

/// Why an answer is not believed: the first [`Step`] that failed.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It is longer than what an enclave answers.
    #[error("the answer is longer than {} bytes", limits::ENCLAVE_ANSWER_BYTES)]
    TooLong,
    /// It is not the JSON of an answer.
    #[error("the answer is not the JSON of one")]
    Json(#[source] DecodeError),
    /// It answers another request.
    #[error("the answer is for a request with another hash")]
    RequestHash,
    /// It names another request.
    #[error("the answer names another request id")]
    RequestId,
    /// It names another execution.
    #[error("the answer names another application request id")]
    ApplicationRequestId,
    /// The enclave is configured otherwise.
    #[error(transparent)]
    Config(#[from] ConfigMismatch),
    /// The attestation document does not hold.
    #[error("the attestation document is refused: {}", .0.check())]
    Document(#[source] VerifyError),
    /// What the enclave states about itself is no statement.
    #[error("the enclave's statement is none")]
    Statement(#[from] StatementError),
    /// The enclave states something else than its answer says, or than is known of it.
    #[error(transparent)]
    Stated(#[from] StatementMismatch),
    /// The enclave stated something with its keys, and states nothing with its answer.
    #[error("the enclave states nothing about itself, and did before")]
    Unstated,
}

/// One step of the verification of an answer, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It is the JSON of an answer, and no longer than one.
    Json,
    /// Its request hash is that of the request.
    RequestHash,
    /// So is its request id.
    RequestId,
    /// So is its application request id.
    ApplicationRequestId,
    /// The enclave takes requests of the expected signers.
    Signers,
    /// Its fault bound is the expected.
    FaultBound,
    /// Its threshold is the expected.
    Threshold,
    /// Its master public key is the expected.
    MasterPublicKey,
    /// One check of the attestation document, which binds request, configuration and output.
    Document(Check),
    /// What the enclave states about itself agrees with its answer and with what is known of it. One of
    /// version 1 states nothing.
    Statement,
}

/// A verification: how far it came, and what it found.
#[derive(Debug)]
pub struct Verification {
    /// The answer, or the step that failed.
    pub result: Result<VerifiedAnswer, AnswerError>,
}

impl Trust {
    /// Verifies the answer to a request.
    ///
    /// `now` is the verifier's clock or, for an answer from an archive, a moment when it was fresh.
    #[must_use]
    pub fn answer(&self, body: &[u8], asked: &Asked<'_>, now: SystemTime) -> Verification {
        Verification { result: self.check_answer(body, asked, now) }
    }

    fn check_answer(
        &self,
        body: &[u8],
        asked: &Asked<'_>,
        now: SystemTime,
    ) -> Result<VerifiedAnswer, AnswerError> {
        let Asked { request, challenged, .. } = asked;
        if body.len() > limits::ENCLAVE_ANSWER_BYTES {
            return Err(AnswerError::TooLong);
        }
        let answer: ExecuteResponse = json::from_slice(body).map_err(AnswerError::Json)?;
        let request_hash = request.hash();
        if answer.request_hash != request_hash {
            return Err(AnswerError::RequestHash);
        }
        if answer.request_id != request.request_id {
            return Err(AnswerError::RequestId);
        }
        if answer.application_request_id != request.application_request_id {
            return Err(AnswerError::ApplicationRequestId);
        }
        self.check_config(&answer.config)?;
        let user_data = answer.user_data(&request.version);
        let document = answer.attestation.as_slice();
        let verified = self.checker.verify(document, user_data, challenged, now);
        let verified = verified.map_err(AnswerError::Document)?;
        let statement = verified.statement()?;
        let attested_events = check_statement(statement.as_ref(), &answer, asked)?;
        let document = verified.into_inner();
        Ok(VerifiedAnswer {
            config_hash: answer.config.hash(),
            output: answer.output.into_vec(),
            request_hash,
            module_id: document.module_id,
            pcrs: document.pcrs,
            attested_at: document.timestamp,
            statement,
            events: answer.metric_events.unwrap_or_default(),
            attested_events,
        })
    }
}

/// Holds a statement to the answer and to what is known of the enclave; says how many events it covers.
fn check_statement(
    statement: Option<&Statement>,
    answer: &ExecuteResponse,
    asked: &Asked<'_>,
) -> Result<usize, AnswerError> {
    let Some(statement) = statement else {
        return if asked.boot_id.is_some() { Err(AnswerError::Unstated) } else { Ok(0) };
    };
    let expected = ExpectedAnswer {
        application_request_id: Some(&asked.request.application_request_id),
        request_version: Some(&asked.request.version),
        ..ExpectedAnswer::default()
    };
    statement.check(&ExpectedStatement {
        boot_id: asked.boot_id.as_ref(),
        config_hash: Some(answer.config.hash().as_bytes()),
        answer: Some(expected),
        ..ExpectedStatement::default()
    })?;
    let stated = statement.answer.as_ref().map(|stated| stated.telemetry_hash);
    let events = answer.metric_events.as_deref().unwrap_or_default();
    let covered = stated.and_then(|hash| covered(events, &hash));
    Ok(covered.ok_or(StatementMismatch::TelemetryHash)?)
}

/// How many events from the first on have this hash. The last ones happened after it was stated.
fn covered(events: &[MetricEvent], hash: &[u8; 32]) -> Option<usize> {
    let mut telemetry = TelemetryHash::new();
    let mut count = 0_usize;
    let mut events = events.iter();
    while telemetry.value() != *hash {
        telemetry.add(&json::to_vec(events.next()?));
        count = count.saturating_add(1);
    }
    Some(count)
}

impl Verification {
    /// Every step and what became of it.
    pub fn steps(&self) -> impl Iterator<Item = (Step, Outcome)> {
        let failed = self.result.as_ref().err().map(AnswerError::step);
        Step::all().map(move |step| {
            let outcome = match failed {
                Some(failed) if step == failed => Outcome::Failed,
                Some(failed) if step > failed => Outcome::NotReached,
                Some(_) | None => Outcome::Passed,
            };
            (step, outcome)
        })
    }
}

impl AnswerError {
    /// The step that failed. All before it were taken and passed.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            Self::TooLong | Self::Json(_) => Step::Json,
            Self::RequestHash => Step::RequestHash,
            Self::RequestId => Step::RequestId,
            Self::ApplicationRequestId => Step::ApplicationRequestId,
            Self::Config(ConfigMismatch::Signers) => Step::Signers,
            Self::Config(ConfigMismatch::FaultBound { .. }) => Step::FaultBound,
            Self::Config(ConfigMismatch::Threshold { .. }) => Step::Threshold,
            Self::Config(ConfigMismatch::MasterPublicKey) => Step::MasterPublicKey,
            Self::Document(error) => Step::Document(error.check()),
            Self::Statement(_) | Self::Stated(_) | Self::Unstated => Step::Statement,
        }
    }
}

impl Step {
    /// All steps, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        let own = [
            Self::Json,
            Self::RequestHash,
            Self::RequestId,
            Self::ApplicationRequestId,
            Self::Signers,
            Self::FaultBound,
            Self::Threshold,
            Self::MasterPublicKey,
        ];
        own.into_iter().chain(Check::ALL.map(Self::Document)).chain([Self::Statement])
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json => f.write_str("answer format"),
            Self::RequestHash => f.write_str("request hash"),
            Self::RequestId => f.write_str("request id"),
            Self::ApplicationRequestId => f.write_str("application request id"),
            Self::Signers => f.write_str("committee signers"),
            Self::FaultBound => f.write_str("committee fault bound"),
            Self::Threshold => f.write_str("vault threshold"),
            Self::MasterPublicKey => f.write_str("vault master public key"),
            Self::Document(check) => write!(f, "attestation: {check}"),
            Self::Statement => f.write_str("enclave statement"),
        }
    }
}
