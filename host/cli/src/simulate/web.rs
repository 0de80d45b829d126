//! Where http-actions go: nowhere, into the web, or to answers recorded earlier.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Instant};

use enclave_server::{
    Destination, EgressPolicy, With,
    capabilities::{Egress, HttpAction, Local},
};
use host_bridge::egress;
use protocol::messages::{
    self, http,
    sdk::{CapabilityOutcome, CapabilityRequest, CapabilityResponse},
    well_known::Any,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use transport::memory;

use super::recording::Recording;
use crate::exit::{Exit, Failure, OrFail as _};

/// The part of the command line that is about http-actions.
#[derive(Debug, clap::Args)]
pub(crate) struct WebArgs {
    /// What http-actions reach: `deny` nothing, `live` the web within the enclave's policy, `replay
    /// DIR` the answers that --record wrote into a folder.
    #[arg(
        long,
        num_args = 1..=2,
        value_names = ["live|deny|replay", "DIR"],
        default_value = "deny",
        hide_default_value = true
    )]
    http: Vec<PathBuf>,
    /// With --http live: write what is answered into this folder, for --http replay.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// With --http live or replay: let workflows reach this address although it is local, with TLS or
    /// without. Repeatable.
    #[arg(long, value_name = "ADDRESS")]
    dangerous_allow: Vec<SocketAddr>,
}

/// The web of a simulation.
pub(crate) struct Web {
    mode: Mode,
    egress: Arc<Egress>,
    /// The other half of the way out; it ends with the simulation.
    _bridge: Option<AbortOnDropHandle<()>>,
}

enum Mode {
    Deny,
    Live,
    Record(Recording),
    Replay(Recording),
}

impl WebArgs {
    /// The workflow's file. Behind `--http live` it is taken for a second value.
    ///
    /// # Errors
    ///
    /// [`Exit::Usage`].
    pub(super) fn workflow(&mut self, given: Option<PathBuf>) -> Result<PathBuf, Failure> {
        let is_replay = self.http.first().is_some_and(|mode| mode.as_os_str() == "replay");
        let taken = if is_replay || given.is_some() { None } else { self.http.get(1).cloned() };
        if taken.is_some() {
            self.http.truncate(1);
        }
        given.or(taken).ok_or_else(|| Failure::new(Exit::Usage, "name the WORKFLOW"))
    }
}

impl Web {
    /// No way at all.
    ///
    /// # Errors
    ///
    /// [`Exit::Internal`].
    pub(super) fn denied() -> Result<Self, Failure> {
        Self::over(Mode::Deny, &[])
    }

    /// Opens the way that the command line asks for.
    ///
    /// # Errors
    ///
    /// [`Exit::Usage`] or [`Exit::Input`].
    pub(super) fn new(args: &WebArgs) -> Result<Self, Failure> {
        let mode = mode(args)?;
        let wrong = match &mode {
            Mode::Deny => args.record.is_some() || !args.dangerous_allow.is_empty(),
            Mode::Replay(_) => args.record.is_some(),
            Mode::Live | Mode::Record(_) => false,
        };
        if wrong {
            let text = "--record goes with --http live, --dangerous-allow with live and replay";
            return Err(Failure::new(Exit::Usage, text));
        }
        Self::over(mode, &args.dangerous_allow)
    }

    fn over(mode: Mode, allowed: &[SocketAddr]) -> Result<Self, Failure> {
        let (dialer, listener) = memory::pair();
        let is_live = matches!(mode, Mode::Live | Mode::Record(_));
        let bridge = is_live.then(|| serve(listener, allowed)).transpose()?;
        let allowed = allowed
            .iter()
            .map(|address| Destination { host: address.ip().to_string(), port: address.port() });
        let policy = EgressPolicy::dangerous_with_test_allowances(allowed.collect(), Vec::new());
        let egress = Egress::new(Arc::new(dialer), policy);
        let egress = egress.or_fail(Exit::Internal, || "no requests can be sent")?;
        Ok(Self { mode, egress: Arc::new(egress), _bridge: bridge })
    }

    /// The way out.
    pub(super) fn egress(&self) -> &Arc<Egress> {
        &self.egress
    }

    /// Answers an http-action. What the enclave refuses is refused in every mode.
    pub(super) async fn answer(
        &self,
        local: &Local,
        request: &CapabilityRequest,
    ) -> CapabilityResponse {
        if let Mode::Live = self.mode {
            return live(local, request).await;
        }
        if let Mode::Replay(_) = self.mode
            && let Err(refusal) = local.admit_http_action()
        {
            return refusal;
        }
        let none = Any::default();
        let payload = request.payload.as_ref().unwrap_or(&none);
        let (policy, limits) = (local.egress.policy(), &local.limits.http);
        let prepared = HttpAction::prepare(payload, policy, local.default_timeout, limits);
        let action = match prepared {
            Ok(action) => action,
            Err(refusal) => return refusal,
        };
        match &self.mode {
            Mode::Deny | Mode::Live => error(format!(
                "http-actions: simulate sends no request to {}; see --http live and --http replay",
                action.host()
            )),
            Mode::Record(recording) => {
                let response = live(local, request).await;
                recording.add(&action, &response);
                response
            }
            Mode::Replay(recording) => {
                let start = Instant::now();
                let answer = recording.next(&action);
                let response = answer.unwrap_or_else(|missing| error(missing.to_string()));
                let refusal = answered(&response).and_then(|http| limits.refusal(http.body.len()));
                let response = refusal.unwrap_or(response);
                report(local, &action, &response, start);
                response
            }
        }
    }

    /// Says whether everything was recorded.
    ///
    /// # Errors
    ///
    /// [`Exit::Input`] if a file could not be written.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        match &self.mode {
            Mode::Record(recording) => recording.finish(),
            Mode::Deny | Mode::Live | Mode::Replay(_) => Ok(()),
        }
    }
}

fn mode(args: &WebArgs) -> Result<Mode, Failure> {
    let wrong = || {
        let text = "--http takes live, deny, or replay with the folder of a recording";
        Failure::new(Exit::Usage, text)
    };
    let (name, folder) = match args.http.as_slice() {
        [name] => (name.to_str(), None),
        [name, folder] => (name.to_str(), Some(folder)),
        _ => return Err(wrong()),
    };
    Ok(match (name, folder, &args.record) {
        (Some("deny"), None, _) => Mode::Deny,
        (Some("live"), None, None) => Mode::Live,
        (Some("live"), None, Some(folder)) => Mode::Record(Recording::create(folder)?),
        (Some("replay"), Some(folder), _) => Mode::Replay(Recording::open(folder)?),
        _ => return Err(wrong()),
    })
}

/// The bridge's half of the way out: it resolves names once, judges addresses and dials.
fn serve(
    listener: memory::MemoryListen,
    allowed: &[SocketAddr],
) -> Result<AbortOnDropHandle<()>, Failure> {
    let policy = egress::EgressPolicy::default().dangerous_allow(allowed.iter().copied());
    let bridge = egress::Egress::new(policy, egress::EgressLimits::default(), NO_CID);
    let bridge = bridge.or_fail(Exit::Input, || "the web cannot be reached safely")?;
    let serving = bridge.serve(Box::new(listener), CancellationToken::new());
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::warn!(%error, "the way out is closed");
        }
    })))
}

async fn live(local: &Local, request: &CapabilityRequest) -> CapabilityResponse {
    let answer = local.answer(request).await;
    answer.unwrap_or_else(|| error("http-actions: not answered".to_owned()))
}

/// As the enclave reports a request that was sent.
fn report(local: &Local, action: &HttpAction, response: &CapabilityResponse, start: Instant) {
    let details = With::default()
        .text("host", action.host())
        .count("status", answered(response).map_or(0, |response| response.status_code))
        .milliseconds("duration_ms", start.elapsed());
    // Dropped and counted if the workflow has used up its share.
    let _kept = local.events.add_of_workflow("http_action", details);
}

/// What a server answered, if one did.
fn answered(response: &CapabilityResponse) -> Option<http::Response> {
    match &response.response {
        Some(CapabilityOutcome::Payload(payload)) => messages::unpack(payload).ok(),
        Some(CapabilityOutcome::Error(_)) | None => None,
    }
}

fn error(text: String) -> CapabilityResponse {
    CapabilityResponse { response: Some(CapabilityOutcome::Error(text)) }
}

/// Tunnels through memory come from no machine.
const NO_CID: u32 = 0;
