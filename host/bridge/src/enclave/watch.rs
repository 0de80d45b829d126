//! Looks at the enclave again and again: verifies it, notices a restart, gives it what it lacks (W-08,
//! W-23).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use crypto::secret::Secret;
use http::{Method, StatusCode};
use protocol::{answer::ConfigRequest, clock::Clock, config::EnclaveConfig, json, limits};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use transport::http::ClientLimits;

use super::{
    Attested, Challenged, CheckError, Checker, Condition, Link, Seen, Settings, seen::Board,
};

/// What is known of the enclave, and a way to have it looked at. Clones share both.
#[derive(Clone, Debug)]
pub struct Watch {
    board: Arc<Board>,
    asks: mpsc::Sender<oneshot::Sender<()>>,
}

/// The task that looks.
pub struct Watcher {
    link: Link,
    checker: Arc<Checker>,
    clock: Arc<dyn Clock>,
    board: Arc<Board>,
    asks: mpsc::Receiver<oneshot::Sender<()>>,
    poll: Duration,
}

impl Watch {
    /// The latest that is known.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.board.seen.borrow().clone()
    }

    /// The latest that is known, each time it changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Seen> {
        self.board.seen.subscribe()
    }

    /// Has the enclave looked at now, and waits for that, but not for long.
    pub async fn refresh(&self) {
        let (done, looked) = oneshot::channel();
        if self.asks.send(done).await.is_ok() {
            // Late is as good as never: the next look comes by itself.
            let _ = tokio::time::timeout(REFRESH_LIMIT, looked).await;
        }
    }

    /// Remembers settings that the enclave took from the operator, for its next start.
    pub fn settings_applied(&self, settings: &[u8]) {
        self.board.want_settings(Arc::new(Secret::new(settings.to_vec())));
        self.board.seen.send_modify(|seen| seen.settings = Settings::Applied);
    }
}

impl Watcher {
    /// A watch and its task. `config` and `settings` are given to an enclave that has none.
    #[must_use]
    pub fn new(
        link: Link,
        checker: Arc<Checker>,
        clock: Arc<dyn Clock>,
        poll: Duration,
        config: Option<EnclaveConfig>,
        settings: Option<Arc<Secret>>,
    ) -> (Watch, Self) {
        let board = Arc::new(Board::new(config, settings));
        let (sender, asks) = mpsc::channel(ASKS);
        let watch = Watch { board: Arc::clone(&board), asks: sender };
        (watch, Self { link, checker, clock, board, asks, poll })
    }

    /// Looks, until dropped: at once when asked, soon while something is missing, else now and then.
    pub async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut waiting = Vec::new();
        loop {
            self.look().await;
            for done in waiting.drain(..) {
                // Whoever asked may have gone.
                let _: Result<(), ()> = oneshot::Sender::send(done, ());
            }
            let wait = if self.board.seen.borrow().is_ready() {
                pause = FIRST_PAUSE;
                self.poll
            } else {
                pause
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => pause = pause.saturating_mul(2).min(self.poll),
                asked = self.asks.recv() => match asked {
                    Some(done) => waiting.push(done),
                    // Nobody can ask any more; time alone goes on.
                    None => tokio::time::sleep(wait).await,
                },
            }
            while let Ok(done) = self.asks.try_recv() {
                waiting.push(done);
            }
        }
    }

    /// Looks once, and gives what is missing.
    async fn look(&self) {
        let mut condition = self.ask().await;
        if condition == Condition::Unconfigured && self.give_config().await {
            condition = self.ask().await;
        }
        if condition == Condition::Ready && self.board.seen.borrow().settings == Settings::Pending {
            self.give_settings().await;
        }
    }

    /// Asks for the keys and judges the answer.
    async fn ask(&self) -> Condition {
        let asked = self.link.send(Method::GET, "/publicKeys", Bytes::new(), &CALL).await;
        let (status, body) = match asked {
            Ok(response) => (response.status(), response.into_body()),
            Err(error) => {
                tracing::debug!(%error, "the enclave does not answer");
                self.set(Condition::Unreachable, |_seen| {});
                return Condition::Unreachable;
            }
        };
        match status {
            StatusCode::OK => {
                match self.checker.public_keys(&body, &Challenged::No, self.clock.now()) {
                    Ok(attested) => self.believe(attested),
                    Err(error) => self.refuse(&error),
                }
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                // An enclave that had a configuration and has none is another one.
                self.set(Condition::Unconfigured, |seen| self.forget(seen));
                Condition::Unconfigured
            }
            _ => {
                tracing::debug!(status = status.as_u16(), "the enclave has no keys yet");
                self.set(Condition::Starting, |_seen| {});
                Condition::Starting
            }
        }
    }

    fn believe(&self, attested: Attested) -> Condition {
        let attested = Arc::new(attested);
        self.board.want_config(attested.config.wire().clone());
        self.set(Condition::Ready, |seen| {
            let is_same =
                seen.attested.as_ref().is_some_and(|known| is_same_boot(known, &attested));
            if !is_same {
                self.forget(seen);
                seen.boots = seen.boots.wrapping_add(1);
                let (module, boots) = (&attested.module_id, seen.boots);
                tracing::info!(event = "enclave_verified", %module, boots);
            }
        });
        self.board.seen.send_modify(|seen| {
            seen.attested = Some(attested);
            seen.verified = Some(Instant::now());
        });
        Condition::Ready
    }

    fn refuse(&self, error: &CheckError) -> Condition {
        tracing::error!(event = "enclave_refused", error = %Chain(error));
        self.board.seen.send_modify(|seen| {
            self.forget(seen);
            seen.condition = Condition::Refused;
        });
        Condition::Refused
    }

    /// Posts the configuration; true if it may be there now.
    async fn give_config(&self) -> bool {
        let Some(config) = self.board.config() else { return false };
        let hash = config.hash();
        let request = ConfigRequest { config: json::to_vec(&config).into() };
        let body = Bytes::from(json::to_vec(&request));
        let Ok(response) = self.link.send(Method::POST, "/config", body, &CALL).await else {
            return false;
        };
        match response.status() {
            StatusCode::OK => {
                match self.checker.set_config(response.body(), hash, self.clock.now()) {
                    Ok(()) => {
                        tracing::info!(event = "config_given", config_hash = %hash);
                        true
                    }
                    Err(error) => {
                        self.refuse(&error);
                        false
                    }
                }
            }
            // Somebody else was faster; what is set will show.
            StatusCode::CONFLICT => true,
            status => {
                tracing::error!(event = "config_rejected", status = status.as_u16());
                false
            }
        }
    }

    /// Posts the settings, to an enclave that was verified.
    async fn give_settings(&self) {
        let Some(settings) = self.board.settings() else { return };
        let body = Bytes::copy_from_slice(settings.expose());
        let Ok(response) = self.link.send(Method::POST, "/settings", body, &CALL).await else {
            return;
        };
        let (status, text) = (response.status(), response.body());
        let outcome = if status.is_success() {
            tracing::info!(event = "settings_given");
            Settings::Applied
        } else if status.is_client_error()
            || status == StatusCode::NOT_IMPLEMENTED
            || text.starts_with(SETTINGS_REJECTED)
        {
            tracing::error!(event = "settings_rejected", status = status.as_u16());
            Settings::Rejected
        } else {
            return;
        };
        self.board.seen.send_modify(|seen| seen.settings = outcome);
    }

    /// Sets the condition, and tells of it when it changes.
    fn set(&self, condition: Condition, also: impl FnOnce(&mut Seen)) {
        self.board.seen.send_modify(|seen| {
            if seen.condition != condition {
                tracing::info!(event = "enclave_condition", condition = condition.name());
            }
            seen.condition = condition;
            also(seen);
        });
    }

    /// Forgets what an enclave proved that is no more.
    fn forget(&self, seen: &mut Seen) {
        seen.attested = None;
        seen.verified = None;
        let has_settings = self.board.settings().is_some();
        seen.settings = if has_settings { Settings::Pending } else { Settings::None };
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("link", &self.link).finish_non_exhaustive()
    }
}

/// An enclave states which start it is of. One of version 1 does not, but its keys live in its memory
/// only and overlap when they rotate: after a restart none is known.
fn is_same_boot(known: &Attested, now: &Attested) -> bool {
    let boot_id = |attested: &Attested| Some(attested.statement.as_ref()?.boot_id);
    let is_same = match (boot_id(known), boot_id(now)) {
        (Some(known), Some(now)) => known == now,
        (None, None) => known.shares_a_key_with(now),
        (Some(_), None) | (None, Some(_)) => false,
    };
    is_same && known.module_id == now.module_id
}

/// An error with its causes, for the log.
struct Chain<'e>(&'e dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Calls other than executions.
pub(crate) const CALL: ClientLimits = ClientLimits {
    head_bytes: 16 * 1024,
    body_bytes: limits::ENCLAVE_ANSWER_BYTES,
    timeout: limits::ENCLAVE_CALL_TIMEOUT,
};

/// How an enclave's text begins when its application refuses the settings (section 2.6).
const SETTINGS_REJECTED: &[u8] = b"injecting settings:";

/// The pause after the first look that found something missing; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How long a request waits for a look: longer than a look takes, shorter than a node waits.
const REFRESH_LIMIT: Duration = Duration::from_secs(4);

/// Requests that wait for a look at the same time.
const ASKS: usize = 64;
