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

use std::{sync::Arc, time::Duration};

use protocol::{
    compute,
    ids::Owner,
    messages::{
        consensus as agreement,
        sdk::{CapabilityOutcome, CapabilityRequest, CapabilityResponse},
        well_known::Any,
    },
};

use crate::{
    consensus,
    events::{Events, With},
    http_action::Action,
    ledger::Effects,
};

pub use crate::{
    egress::{Egress, TlsSetupError},
    http_action::HttpAction,
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
}

impl Local {
    /// Answers a call; `None` if it is for the relay nodes. What is refused or fails is an answer too.
    pub async fn answer(&self, request: &CapabilityRequest) -> Option<CapabilityResponse> {
        let none = Any::default();
        let payload = request.payload.as_ref().unwrap_or(&none);
        if HttpAction::is_asked_for_by(request) {
            return Some(self.action().send(payload).await);
        }
        match (request.id.as_str(), request.method.as_str()) {
            (compute::APP_ID, _) => Some(error(RECURSION)),
            (agreement::CAPABILITY, agreement::SIMPLE) => Some(self.agree(payload)),
            _ => None,
        }
    }

    fn action(&self) -> Action<'_> {
        Action {
            egress: &self.egress,
            owner: self.owner,
            default_timeout: self.default_timeout,
            events: &self.events,
            effects: &self.effects,
        }
    }

    fn agree(&self, payload: &Any) -> CapabilityResponse {
        let consensus::Agreed { response, misfit } = consensus::simple(payload);
        if let Some(consensus::Misfit { aggregation, value }) = misfit {
            let details = With::default().text("aggregation", aggregation).text("value", value);
            // Dropped and counted if the workflow has used up its share.
            let _kept = self.events.add_of_workflow("consensus_misfit", details);
        }
        response
    }
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
    use crate::{EgressPolicy, bridge::Bridge};

    fn local(bridge: &Bridge) -> Local {
        let egress = Egress::new(Arc::new(bridge.dialer.clone()), EgressPolicy::production());
        Local {
            egress: Arc::new(egress.unwrap()),
            owner: crypto::address::Address::from([1; 20]).into(),
            default_timeout: Duration::from_secs(1),
            events: Events::default(),
            effects: Effects::default(),
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
