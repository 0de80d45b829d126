//! Secrets and capability calls that relay nodes answer (enclave-and-host 8.11, relay-protocol 7, 8).
//!
//! ```text
//! params ── document over them ── gateway ── bundle ── F + 1 equal ── capability's answer
//!                                                              └───── shares, opened as in room 8
//! ```
//!
//! The bundle comes through hands nobody trusts. What counts is that F + 1 members of the committee
//! signed the same result for these very params; the document is what makes them answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use protocol::{
    base64,
    committee::Committee,
    config::Config,
    json::{self, RawJson},
    messages::sdk::{CapabilityRequest, CapabilityResponse},
    quorum::{Agreed, Batch},
    relay::{AnswerError, Caller, CapabilityRequestParams, Params},
    rpc,
};
use transport::http::LargeBodies;

use crate::{
    events::{Events, With},
    gateway::{GatewayClient, GatewayError},
    keychain::KeyPair,
    notary::{Notary, NotaryError, Wanted},
    settings::Active,
};

mod secrets;

/// The way to the relay nodes; one for all executions.
#[derive(Debug)]
pub(crate) struct Remote {
    /// Sends calls.
    pub(crate) gateway: GatewayClient,
    /// Makes the documents that come with them.
    pub(crate) notary: Notary,
    /// The time for one attempt at a gateway where the settings name none.
    pub(crate) attempt_timeout: Duration,
}

/// One execution on its way to the relay nodes. All of it is of one moment: who asks, under which
/// configuration, with which key (W-25).
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    /// The way.
    pub(crate) remote: Arc<Remote>,
    /// Where the gateways are.
    pub(crate) settings: Arc<Active>,
    /// Whose answers count.
    pub(crate) config: Arc<Config>,
    /// Who asks.
    pub(crate) caller: Caller,
    /// What made the enclave execute.
    pub(crate) batch: Arc<Agreed<Batch>>,
    /// The key to which shares are sealed.
    pub(crate) key: Arc<KeyPair>,
    /// Where calls are reported.
    pub(crate) events: Events,
    /// The turns of large answers, one at a time for an execution.
    pub(crate) turns: LargeBodies,
}

/// Why a call has no answer. The text is the guest's; peers look for its parts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// The answer is not believed or not understood.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// There is no document, so nothing was sent.
    #[error("creating attestation: {0}")]
    Attest(#[from] NotaryError),
    /// Nobody sent an answer.
    #[error("sending {kind} request: {reason}")]
    Send {
        /// The kind of call.
        kind: &'static str,
        /// What the gateways said.
        reason: GatewayError,
    },
}

impl Relay {
    /// Has relay nodes call a capability. An error of the capability is an answer.
    ///
    /// # Errors
    ///
    /// [`RemoteError`]. Unless there was no document, the call may have had its effect.
    pub(crate) async fn capability(
        &self,
        request: &CapabilityRequest,
    ) -> Result<CapabilityResponse, RemoteError> {
        let params = CapabilityRequestParams::new(&self.caller, request, self.config.wire());
        let agreed = self.ask(params, Some(&request.id), CapabilityRequestParams::read_answer);
        Ok(agreed.await?.into_inner())
    }

    /// Asks, and reads the answer that a quorum stands behind.
    async fn ask<P: Params, T>(
        &self,
        params: P,
        capability: Option<&str>,
        read: impl FnOnce(&P, Option<&RawJson>, &Committee) -> Result<Agreed<T>, AnswerError>,
    ) -> Result<Agreed<T>, RemoteError> {
        let start = Instant::now();
        let committee = self.config.committee();
        let sent = self.send(params).await;
        let answered =
            sent.and_then(|(params, result)| Ok(read(&params, result.as_ref(), committee)?));
        let details = With::default()
            .text("method", P::METHOD)
            .count("signers", signers(&answered))
            .count("required", committee.fault_bound().quorum())
            .milliseconds("duration_ms", start.elapsed());
        let details = match capability {
            Some(id) => details.text("capability_id", id),
            None => details,
        };
        // Dropped and counted if the workflow has used up its share.
        let _kept = self.events.add_of_workflow("relay_call", details);
        answered
    }

    /// Has a document made over the params and sends both. The header in which the reference sends a
    /// second document is left out: no relay node looks at it.
    async fn send<P: Params>(&self, mut params: P) -> Result<(P, Option<RawJson>), RemoteError> {
        let wanted = Wanted::new(params.user_data(), self.config.hash());
        let document = self.remote.notary.document(wanted).await?;
        params.set_attestation(base64::encode(&document));
        let id = uuid::Uuid::new_v4().to_string();
        let body = Bytes::from(json::to_vec(&rpc::Request::new(id, P::METHOD, &params)));
        let Active { settings, gateways, .. } = &*self.settings;
        let timeout = settings.gateway_request_timeout.unwrap_or(self.remote.attempt_timeout);
        let sent = self.remote.gateway.call(gateways, body, timeout, &self.turns).await;
        let result = sent.map_err(|reason| RemoteError::Send { kind: P::KIND, reason })?;
        Ok((params, result))
    }
}

impl RemoteError {
    /// A stable word for events, which leave the enclave in the clear (W-05).
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Answer(AnswerError::Quorum { .. }) => "no quorum",
            Self::Answer(AnswerError::NoResult { .. } | AnswerError::Bundle { .. }) => "no bundle",
            Self::Answer(AnswerError::Secrets(_)) => "unfitting answer",
            Self::Answer(AnswerError::Payload(_) | AnswerError::Response(_)) => {
                "undecodable answer"
            }
            Self::Attest(_) => "no document",
            Self::Send { .. } => "no answer",
        }
    }
}

/// How many distinct members stand behind an answer, or behind the best of those that failed.
fn signers<T>(answered: &Result<Agreed<T>, RemoteError>) -> usize {
    match answered {
        Ok(agreed) => agreed.signers().len(),
        Err(RemoteError::Answer(AnswerError::Quorum { reason, .. })) => reason.best(),
        Err(RemoteError::Answer(_) | RemoteError::Attest(_) | RemoteError::Send { .. }) => 0,
    }
}

#[cfg(test)]
mod tests;
