//! What the enclave answers itself, of all that a workflow may call (enclave-and-host 8.7).
//!
//! | Tier | Calls | Answered by |
//! |---|---|---|
//! | 1 | of the enclave's own capability | [`Local`]: refused |
//! | 2 | `http-actions` `SendRequest`, `consensus` `Simple` | [`Local`] |
//! | 3 | everything else, `consensus` `Report` among it | the relay nodes |
//!
//! The enclave and the simulator of workflow authors own one [`Local`] each: what is answered here is
//! answered by the same code in both.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use protocol::{
    compute,
    ids::Owner,
    messages::{
        consensus as agreement,
        sdk::{CapabilityOutcome, CapabilityRequest, CapabilityResponse},
        well_known::Any,
    },
};
use transport::http::LargeBodies;

use crate::{
    boot::LimitSet,
    consensus,
    events::{Events, With},
    http_action::Action,
    ledger::Effects,
    turn,
};

pub use crate::{
    egress::{Egress, TlsSetupError},
    http_action::{HttpAction, HttpLimits},
};

/// Answers the first two tiers for one execution.
#[derive(Clone, Debug)]
pub struct Local {
    /// The way out for http-actions.
    pub egress: Arc<Egress>,
    /// Whose workflow it is. Owners never share a connection.
    pub owner: Owner,
    /// The time for an http-action that names none.
    pub default_timeout: Duration,
    /// Where the execution reports.
    pub events: Events,
    /// Where it is marked, before, that something outside may change.
    pub effects: Effects,
    /// The turns of large responses, one at a time for an execution.
    pub turns: LargeBodies,
    /// What it may use.
    pub limits: LocalLimits,
    /// How much of it is used.
    pub calls: Arc<LocalCalls>,
}

/// What one execution may have the enclave answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalLimits {
    /// http-actions.
    pub http_actions: u32,
    /// Each http-action.
    pub http: HttpLimits,
    /// Values agreed upon.
    pub consensus: u32,
    /// The inputs of each agreement, in bytes.
    pub consensus_bytes: usize,
}

/// How often one execution has called what the enclave answers.
#[derive(Debug, Default)]
pub struct LocalCalls {
    http_actions: AtomicU32,
    consensus: AtomicU32,
}

/// An execution asks for more than it may. The text is the guest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Excess {
    #[error("http-actions: limit of {limit} calls per execution reached")]
    HttpActions { limit: u32 },
    #[error("consensus.Simple: limit of {limit} calls per execution reached")]
    Consensus { limit: u32 },
    #[error("consensus.Simple: inputs exceed limit {limit_bytes} bytes")]
    Inputs { limit_bytes: usize },
}

impl LocalLimits {
    /// As they are in an enclave with this set of limits (W-18).
    #[must_use]
    pub fn of(set: LimitSet) -> Self {
        match set {
            LimitSet::Reference => Self {
                http_actions: u32::MAX,
                http: HttpLimits::default(),
                consensus: u32::MAX,
                consensus_bytes: usize::MAX,
            },
            LimitSet::Don => Self {
                http_actions: 5,
                http: HttpLimits {
                    request_bytes: 10_000,
                    response_bytes: 100_000,
                    timeout: Duration::from_secs(10),
                },
                consensus: 20,
                consensus_bytes: 100_000,
            },
        }
    }
}

impl Local {
    /// Answers a call; `None` if it is for the relay nodes. What is refused or fails is an answer too.
    pub async fn answer(&self, request: &CapabilityRequest) -> Option<CapabilityResponse> {
        let none = Any::default();
        let payload = request.payload.as_ref().unwrap_or(&none);
        if HttpAction::is_asked_for_by(request) {
            return Some(match self.admit_http_action() {
                Ok(()) => self.action().send(payload).await,
                Err(refusal) => refusal,
            });
        }
        match (request.id.as_str(), request.method.as_str()) {
            (compute::APP_ID, _) => Some(error(RECURSION)),
            (agreement::CAPABILITY, agreement::SIMPLE) => {
                Some(match self.admit_consensus(payload) {
                    Ok(()) => self.agree(payload).await,
                    Err(excess) => error(&excess.to_string()),
                })
            }
            _ => None,
        }
    }

    /// Counts an http-action, which is then answered here or elsewhere.
    ///
    /// # Errors
    ///
    /// What the workflow is answered if it is one too many.
    pub fn admit_http_action(&self) -> Result<(), CapabilityResponse> {
        let limit = self.limits.http_actions;
        if is_within(&self.calls.http_actions, limit) {
            return Ok(());
        }
        Err(error(&Excess::HttpActions { limit }.to_string()))
    }

    fn admit_consensus(&self, inputs: &Any) -> Result<(), Excess> {
        let LocalLimits { consensus: limit, consensus_bytes: limit_bytes, .. } = self.limits;
        if !is_within(&self.calls.consensus, limit) {
            return Err(Excess::Consensus { limit });
        }
        if inputs.value.len() > limit_bytes {
            return Err(Excess::Inputs { limit_bytes });
        }
        Ok(())
    }

    fn action(&self) -> Action<'_> {
        Action {
            egress: &self.egress,
            owner: self.owner,
            default_timeout: self.default_timeout,
            events: &self.events,
            effects: &self.effects,
            turns: &self.turns,
            limits: self.limits.http,
        }
    }

    async fn agree(&self, payload: &Any) -> CapabilityResponse {
        let _turn = turn::of_message(payload.value.len()).await;
        let consensus::Agreed { response, misfit } = consensus::simple(payload);
        if let Some(consensus::Misfit { aggregation, value }) = misfit {
            let details = With::default().text("aggregation", aggregation).text("value", value);
            // Dropped and counted if the workflow has used up its share.
            let _kept = self.events.add_of_workflow("consensus_misfit", details);
        }
        response
    }
}

/// Whether this call is one of so many.
fn is_within(calls: &AtomicU32, limit: u32) -> bool {
    let next = |calls: u32| (calls < limit).then(|| calls.saturating_add(1));
    calls.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
}

fn error(text: &str) -> CapabilityResponse {
    CapabilityResponse { response: Some(CapabilityOutcome::Error(text.to_owned())) }
}

const RECURSION: &str = "confidential-workflows cannot be called from within a workflow";

#[cfg(test)]
mod tests {
    use protocol::messages::{
        self,
        consensus::{Observation, SimpleConsensusInputs},
        http,
        values::{Kind, Value},
    };

    use super::*;
    use crate::{Destination, EgressPolicy, bridge::Bridge};

    fn local(bridge: &Bridge) -> Local {
        let allowed = vec![Destination { host: "api.test".to_owned(), port: 80 }];
        let policy = EgressPolicy::dangerous_with_test_allowances(allowed, Vec::new());
        let egress = Egress::new(Arc::new(bridge.dialer.clone()), policy);
        Local {
            egress: Arc::new(egress.unwrap()),
            owner: crypto::address::Address::from([1; 20]).into(),
            default_timeout: Duration::from_secs(1),
            events: Events::default(),
            effects: Effects::default(),
            turns: LargeBodies::one_at_a_time(),
            limits: LocalLimits::of(LimitSet::Reference),
            calls: Arc::default(),
        }
    }

    fn call(id: &str, method: &str, payload: Option<Any>) -> CapabilityRequest {
        CapabilityRequest { id: id.to_owned(), method: method.to_owned(), payload, callback_id: 1 }
    }

    fn error_of(response: Option<CapabilityResponse>) -> String {
        match response.unwrap().response.unwrap() {
            CapabilityOutcome::Error(text) => text,
            CapabilityOutcome::Payload(_) => panic!("not an error"),
        }
    }

    #[tokio::test]
    async fn a_workflow_that_calls_its_own_enclave_is_refused_whatever_the_method() {
        let local = local(&Bridge::new([]));
        for method in ["Execute", "ProvidedTees", ""] {
            let answer = local.answer(&call(compute::APP_ID, method, None)).await;
            assert_eq!(error_of(answer), RECURSION);
        }
        assert!(!local.effects.happened());
    }

    #[tokio::test]
    async fn what_the_enclave_cannot_answer_is_for_the_relay_nodes() {
        let bridge = Bridge::new([]);
        let local = local(&bridge);
        for (id, method) in [
            (agreement::CAPABILITY, agreement::REPORT),
            (agreement::CAPABILITY, "simple"),
            (http::ACTIONS, "Other"),
            ("http-actions@1.0.0", http::SEND_REQUEST),
            ("write_ethereum@1.0.0", "Write"),
            ("", ""),
        ] {
            assert_eq!(local.answer(&call(id, method, None)).await, None, "{id} {method}");
        }
        assert!(bridge.asked().is_empty() && !local.effects.happened());
    }

    #[tokio::test]
    async fn w18_a_don_grants_few_http_actions_and_small_ones() {
        let bridge = Bridge::serving(|request| {
            let bytes = if request.body().len() == 1 { 100_001 } else { 100_000 };
            ::http::Response::new(vec![0; bytes].into())
        });
        let local = Local { limits: LocalLimits::of(LimitSet::Don), ..local(&bridge) };
        let (mut answers, mut refusals) = (0, Vec::new());
        for bytes in [10_001, 10_000, 1, 10_000, 10_000, 10_000] {
            let request = http::Request {
                url: "http://api.test/".to_owned(),
                method: "POST".to_owned(),
                body: vec![0; bytes],
                ..http::Request::default()
            };
            let payload = Some(messages::pack(&request));
            let answer = local.answer(&call(http::ACTIONS, http::SEND_REQUEST, payload)).await;
            match answer.unwrap().response.unwrap() {
                CapabilityOutcome::Payload(_) => answers += 1,
                CapabilityOutcome::Error(text) => refusals.push(text),
            }
        }
        assert_eq!(answers, 3);
        let texts = [
            "http-actions: request body exceeds limit 10000 bytes",
            "http-actions: response body exceeds limit 100000 bytes",
            "http-actions: limit of 5 calls per execution reached",
        ];
        assert_eq!(refusals, texts);
    }

    #[tokio::test]
    async fn w18_a_don_grants_few_agreements_and_small_ones() {
        let local = Local { limits: LocalLimits::of(LimitSet::Don), ..local(&Bridge::new([])) };
        let agree = |bytes| {
            let value = Value { kind: Some(Kind::Bytes(vec![0; bytes])) };
            let observation = Some(Observation::Value(value));
            let inputs = SimpleConsensusInputs { observation, ..SimpleConsensusInputs::default() };
            call(agreement::CAPABILITY, agreement::SIMPLE, Some(messages::pack(&inputs)))
        };
        let answer = local.answer(&agree(100_000)).await;
        assert_eq!(error_of(answer), "consensus.Simple: inputs exceed limit 100000 bytes");
        for _call in 1..20 {
            let answer = local.answer(&agree(1)).await.unwrap().response;
            assert!(matches!(answer, Some(CapabilityOutcome::Payload(_))));
        }
        let answer = local.answer(&agree(1)).await;
        assert_eq!(error_of(answer), "consensus.Simple: limit of 20 calls per execution reached");
    }

    #[tokio::test]
    async fn a_call_without_a_payload_is_answered_with_an_error() {
        let local = local(&Bridge::new([]));
        let answer = local.answer(&call(http::ACTIONS, http::SEND_REQUEST, None)).await;
        assert!(error_of(answer).starts_with("http-actions: unmarshalling request: "));
        let answer = local.answer(&call(agreement::CAPABILITY, agreement::SIMPLE, None)).await;
        assert!(error_of(answer).starts_with("consensus.Simple: unmarshalling inputs: "));
    }

    #[tokio::test]
    async fn a_descriptor_that_does_not_fit_is_reported_without_the_value() {
        let local = local(&Bridge::new([]));
        let value = Value { kind: Some(Kind::String("hunter2".to_owned())) };
        let observation = Some(Observation::Value(value));
        let inputs = SimpleConsensusInputs { observation, ..SimpleConsensusInputs::default() };
        let request = call(agreement::CAPABILITY, agreement::SIMPLE, Some(messages::pack(&inputs)));
        let answer = local.answer(&request).await.unwrap().response;
        assert!(matches!(answer, Some(CapabilityOutcome::Payload(_))));
        let events = format!("{:?}", local.events.snapshot());
        assert!(events.contains("consensus_misfit") && events.contains("UNSPECIFIED"), "{events}");
        assert!(!events.contains("hunter2"), "{events}");
    }
}
