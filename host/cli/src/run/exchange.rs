//! Asking the enclave as the committee does: keys, signatures, batch, verification.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use attestation::Challenge;
use bytes::Bytes;
use host_bridge::client::{
    Address, Asked, Challenged, Client, Delivered, ExecuteError, KeysError, RequestError, Trust,
    VerifiedAnswer,
};
use protocol::{
    answer::{EnclaveErrorResponse, EnclaveRefusal},
    clock::SystemClock,
    compute::{ComputeRequest, SignedComputeRequest},
    ids::{ExecutionId, RequestId},
    json, limits,
    messages::confidential_workflow::WorkflowExecution,
};
use rand_core::{OsRng, RngCore as _};
use tokio::task::JoinSet;

use super::{report::Hops, telemetry};
use crate::{
    exit::{Exit, Failure, OrFail as _},
    network::Network,
    output,
    verify::{Believed, reason},
};

/// The committee of a network, about to ask its enclave.
pub(super) struct Exchange<'n> {
    network: &'n Network,
    client: Arc<Client>,
    bridge: Arc<Address>,
    trust: Trust,
}

/// An answer that nobody has verified, with the requests it answers.
pub(super) struct Answered {
    /// What was asked, once for each signer.
    pub(super) requests: Vec<SignedComputeRequest>,
    /// The challenge that the document has to answer.
    pub(super) challenge: Challenge,
    /// Which start of the enclave the request's key is of, if it states one.
    pub(super) boot_id: Option<[u8; 16]>,
    /// What came back.
    pub(super) body: Bytes,
    /// How long the batch waited and the enclave took, if the bridge says so.
    pub(super) timing: Option<String>,
    /// The time from the first request sent until the answer.
    pub(super) elapsed: Duration,
}

impl<'n> Exchange<'n> {
    pub(super) fn new(network: &'n Network) -> Result<Self, Failure> {
        let client =
            Client::new(EXECUTION_LIMIT).or_fail(Exit::Internal, || "no request can be sent")?;
        let bridge = format!("http://{}", network.addresses.bridge);
        let bridge = bridge.parse::<Address>().or_fail(Exit::Input, || "addresses.bridge")?;
        let trust = Believed::of(network).trust(network.config.wire().clone());
        Ok(Self { network, client: Arc::new(client), bridge: Arc::new(bridge), trust })
    }

    /// Gets the enclave's key, signs the execution with 2F + 1 keys, and sends all of them.
    ///
    /// # Errors
    ///
    /// [`Exit::Peer`] if there is no answer, [`Exit::NotVerified`] if the enclave's key is not
    /// believed, [`Exit::Workflow`] if the workflow did not come to an end.
    pub(super) async fn run(
        &self,
        message: &WorkflowExecution,
        hops: &mut Hops,
    ) -> Result<Answered, Failure> {
        let (request, boot_id) = hops.time("keys", self.request(message)).await?;
        let signers = self.network.committee().fault_bound().bft();
        let sign = Instant::now();
        let keys = self.network.keys.iter().take(signers);
        let requests: Vec<_> = keys.map(|key| request.clone().sign(key)).collect();
        hops.add("sign", sign.elapsed());
        let start = Instant::now();
        // One caller sends the requests of all signers, so they can have one challenge.
        let challenge = challenge();
        let sent = Challenged::Demanded(challenge.clone());
        let Delivered { body, timing } = self.answer(&requests, &sent).await?;
        Ok(Answered { requests, challenge, boot_id, body, timing, elapsed: start.elapsed() })
    }

    /// Verifies an answer fully.
    ///
    /// # Errors
    ///
    /// [`Exit::NotVerified`], naming the check that failed.
    pub(super) fn verify(
        &self,
        answered: &Answered,
        now: SystemTime,
        hops: &mut Hops,
    ) -> Result<VerifiedAnswer, Failure> {
        let start = Instant::now();
        let request = answered.requests.first().map(|signed| signed.request.clone());
        let request = request.unwrap_or_default();
        let challenged = Challenged::Demanded(answered.challenge.clone());
        let asked = Asked { request: &request, challenged, boot_id: answered.boot_id };
        let verification = self.trust.answer(&answered.body, &asked, now);
        hops.add("verify", start.elapsed());
        verification.result.map_err(|error| {
            let (step, reason) = (error.step(), reason(&error));
            let text = format!("the answer is not verified and not shown: {step}: {reason}");
            Failure::new(Exit::NotVerified, text)
        })
    }

    /// The request for the enclave's youngest key, and which start of it the key is of.
    async fn request(
        &self,
        message: &WorkflowExecution,
    ) -> Result<(ComputeRequest, Option<[u8; 16]>), Failure> {
        let execution_id = ExecutionId::from(message.execution_id.as_str());
        let request_id = RequestId::of_execution(&execution_id);
        let challenged = Challenged::Demanded(challenge());
        let (client, request) = (&self.client, Some(request_id));
        let keys =
            client.public_keys(&self.bridge, request, &challenged, &self.trust, &SystemClock);
        let (attested, _session) = keys.await.map_err(|error| {
            let (exit, what) = match &error {
                KeysError::Check(_) => (Exit::NotVerified, "the enclave's keys are not believed"),
                KeysError::Request(RequestError::Status { .. }) => {
                    (Exit::Peer, "the enclave is not ready, or its attestation is refused")
                }
                KeysError::Request(_) => {
                    (Exit::Peer, "the bridge gives no keys of the enclave; is the devnet running?")
                }
            };
            Failure { exit, error: anyhow::Error::new(error).context(what) }
        })?;
        let none = || Failure::new(Exit::Peer, "the enclave has no key");
        let key = attested.newest().ok_or_else(none)?;
        let boot_id = attested.statement.as_ref().map(|statement| statement.boot_id);
        Ok((ComputeRequest::for_execution(message, &key.public), boot_id))
    }

    /// Sends every request, again if the bridge goes away meanwhile (section 14.6). The enclave runs
    /// a request once, however often it is sent.
    async fn answer(
        &self,
        requests: &[SignedComputeRequest],
        challenged: &Challenged,
    ) -> Result<Delivered, Failure> {
        let (attempts, mut pause) = limits::ENCLAVE_ATTEMPTS;
        let mut attempt = 1;
        loop {
            match self.first_answer(requests, challenged).await? {
                Ok(delivered) => return Ok(delivered),
                Err(error) if attempt < attempts && may_pass(&error) => {
                    let seconds = pause.as_secs();
                    output::note(format_args!("{error}; sending the same again in {seconds} s"));
                    tokio::time::sleep(pause).await;
                    (attempt, pause) = (attempt.saturating_add(1), pause.saturating_mul(2));
                }
                Err(error) => return Err(failure(error)),
            }
        }
    }

    /// Sends every request once; all of one batch get the same answer, so the first one counts.
    async fn first_answer(
        &self,
        requests: &[SignedComputeRequest],
        challenged: &Challenged,
    ) -> Result<Result<Delivered, ExecuteError>, Failure> {
        let mut sent = JoinSet::new();
        for request in requests {
            let (client, bridge) = (Arc::clone(&self.client), Arc::clone(&self.bridge));
            let (request, challenged) = (request.clone(), challenged.clone());
            sent.spawn(async move { client.execute(&bridge, &request, &challenged, None).await });
        }
        let mut refused = None;
        while let Some(answer) = sent.join_next().await {
            match answer.or_fail(Exit::Internal, || "a request was cut off")? {
                Ok(delivered) => return Ok(Ok(delivered)),
                // What the enclave says says more than what the bridge does.
                Err(error @ ExecuteError::Enclave { .. }) => refused = Some(error),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let none = || Failure::new(Exit::Internal, "there is no key to sign with");
        refused.map(Err).ok_or_else(none)
    }
}

/// A challenge that nobody can know before it is sent.
fn challenge() -> Challenge {
    let mut random = [0; 32];
    OsRng.fill_bytes(&mut random);
    random.into()
}

/// Whether the same requests may get an answer a moment later.
fn may_pass(error: &ExecuteError) -> bool {
    match error {
        ExecuteError::Busy | ExecuteError::Request(RequestError::Unreachable) => true,
        ExecuteError::Enclave { .. }
        | ExecuteError::QuorumTimeout
        | ExecuteError::Replay
        | ExecuteError::Request(
            RequestError::Status { .. } | RequestError::TimedOut | RequestError::TooLong { .. },
        ) => false,
    }
}

/// What the enclave or the bridge said instead of an answer. No attestation covers it.
fn failure(error: ExecuteError) -> Failure {
    let ExecuteError::Enclave { status, body } = error else {
        let error = anyhow::Error::new(error).context("the execution got no answer");
        return Failure { exit: Exit::Peer, error };
    };
    let EnclaveRefusal { reason, code, .. } = json::from_slice(&body).unwrap_or_default();
    let EnclaveErrorResponse { error, metric_events, .. } = reason;
    if error.is_empty() {
        return Failure::new(Exit::Peer, format!("the enclave answered with status {status}"));
    }
    for line in telemetry::Telemetry::of(&metric_events.unwrap_or_default()).logs {
        output::note(format_args!("log: {}", output::printable(&line)));
    }
    let (exit, what) = match code.as_str() {
        "binary_refused" | "deadline_exceeded" | "workflow_failed" => {
            (Exit::Workflow, "the workflow failed")
        }
        _ => (Exit::Peer, "the enclave refused"),
    };
    let text = output::printable(words(&error)).replace('\n', " ");
    let text: String = text.chars().take(ERROR_CHARS).collect();
    Failure::new(exit, format!("{what} (not verified: no attestation covers a failure): {text}"))
}

/// The words of an application in v1's wrapping: `error executing enclave app request: &{words 500}`.
fn words(error: &str) -> &str {
    let inner = error.strip_prefix("error executing enclave app request: &{");
    let inner = inner.and_then(|inner| inner.strip_suffix('}'));
    inner.and_then(|inner| inner.rsplit_once(' ')).map_or(error, |(words, _status)| words)
}

/// The longest execution and all that belongs to it.
const EXECUTION_LIMIT: Duration =
    Duration::from_secs(limits::EXECUTION_TIMEOUT.as_secs().saturating_add(120));

const ERROR_CHARS: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Failure {
        failure(ExecuteError::Enclave { status, body: Bytes::copy_from_slice(body.as_bytes()) })
    }

    #[test]
    fn a_workflow_that_fails_is_told_from_an_enclave_that_refuses() {
        let error = "error executing enclave app request: &{executing wasm: a trap 500}";
        let failed = of(500, &format!(r#"{{"error":"{error}","code":"workflow_failed"}}"#));
        assert_eq!(failed.exit, Exit::Workflow);
        assert!(failed.to_string().ends_with(": executing wasm: a trap"), "{failed}");
        let refused = of(502, r#"{"error":"no","code":"binary_unavailable","retryable":true}"#);
        assert_eq!(refused.exit, Exit::Peer);
        assert!(refused.to_string().starts_with("the enclave refused (not verified"), "{refused}");
        for body in ["", "<html>", "{}"] {
            assert_eq!(of(500, body).to_string(), "the enclave answered with status 500");
        }
    }

    #[test]
    fn the_words_of_an_application_are_taken_out_of_their_wrapping() {
        assert_eq!(words("error executing enclave app request: &{a b 400}"), "a b");
        for text in ["a b 400", "error executing enclave app request: &{a", ""] {
            assert_eq!(words(text), text);
        }
    }

    #[test]
    fn an_error_is_one_bounded_line() {
        let long = format!("a\\u001b\\nb{}", "x".repeat(10_000));
        let text = of(400, &format!(r#"{{"error":"{long}"}}"#)).to_string();
        assert!(text.contains(": a  bxxx") && text.len() < 2_200, "{text}");
    }
}
