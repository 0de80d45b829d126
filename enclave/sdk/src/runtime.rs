//! What a handler can do in DON mode.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::messages::{
    Message, consensus as wire,
    sdk::{Mode, ReportResponse},
    values::Value,
};
use serde::de::DeserializeOwned;

use crate::{
    Consensus, FromValue, NodeRuntime, Promise, Random, Secret, SecretId, ToValue, WorkflowError,
    imports,
    log::{Level, telling},
    report::{self, Report},
    secret,
    session::Session,
};

/// What a handler can do in DON mode: everything here is the same on every node.
///
/// Calls are started at once and waited for later, in any order, so that they run side by side:
///
/// ```
/// use enclave_sdk::{
///     Setup, WorkflowError,
///     messages::devnet::price_feed::{CAPABILITY, LATEST, LatestRequest, LatestResponse},
///     testing::Double,
///     trigger,
/// };
///
/// fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
///     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
///         let price = |symbol: &str| {
///             let request = LatestRequest { symbol: symbol.to_owned() };
///             runtime.call::<LatestResponse>(CAPABILITY, LATEST, &request)
///         };
///         let (eth, btc) = (price("ETH-USD"), price("BTC-USD"));
///         let btc = btc.wait()?.price;
///         Ok(format!("{} {btc}", eth.wait()?.price))
///     });
///     Ok(())
/// }
///
/// let double = Double::new().capability(CAPABILITY, LATEST, |request: LatestRequest| {
///     Ok(LatestResponse { price: format!("{}!", request.symbol), ..Default::default() })
/// });
/// let run = double.trigger(init, 0, &trigger::Cron::default());
/// assert_eq!(run.value::<String>().unwrap(), "ETH-USD! BTC-USD!");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Runtime<'s> {
    session: &'s Session,
}

telling!(Runtime);

impl<'s> Runtime<'s> {
    pub(crate) fn new(session: &'s Session) -> Self {
        Self { session }
    }

    pub(crate) fn log_from(&self, level: Level) {
        self.session.log_from(level);
    }

    /// The workflow's configuration. In a pre-hook it is empty.
    #[must_use]
    pub fn config(&self) -> &'s [u8] {
        self.session.config()
    }

    /// The workflow's configuration, as JSON.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Config`] if it is not JSON of this form.
    pub fn config_json<T: DeserializeOwned>(&self) -> Result<T, WorkflowError> {
        serde_json::from_slice(self.config()).map_err(WorkflowError::Config)
    }

    /// The workflow's configuration, as JSON, or the default where it is empty, as in a pre-hook.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Config`] if it is neither empty nor JSON of this form.
    pub fn config_json_or_default<T: DeserializeOwned + Default>(
        &self,
    ) -> Result<T, WorkflowError> {
        if self.config().is_empty() { Ok(T::default()) } else { self.config_json() }
    }

    /// The time all nodes agree on. Each reading may cost a round of consensus.
    ///
    /// # Errors
    ///
    /// - [`WorkflowError::Mode`] inside a node section.
    /// - [`WorkflowError::Failed`] if the nodes have no time.
    pub fn now(&self) -> Result<SystemTime, WorkflowError> {
        self.session.in_don_mode()?;
        now()
    }

    /// Random numbers that all nodes draw alike, from the start each time this is called.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Mode`] inside a node section.
    pub fn random(&self) -> Result<Random, WorkflowError> {
        Ok(Random::new(self.random_seed()?))
    }

    /// The seed behind [`Runtime::random`], for a generator of one's own.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Mode`] inside a node section.
    pub fn random_seed(&self) -> Result<u64, WorkflowError> {
        self.session.in_don_mode()?;
        Ok(seed(Mode::Don))
    }

    /// Reads one secret, in the namespace `main` unless its name says otherwise.
    ///
    /// # Errors
    ///
    /// - [`WorkflowError::Secret`] if it is not there.
    /// - [`WorkflowError::Mode`] inside a node section.
    /// - [`WorkflowError::Refused`] if the host has no secrets at all.
    pub fn secret(&self, id: impl Into<SecretId>) -> Result<Secret, WorkflowError> {
        let mut secrets = self.secrets([id.into()]).wait()?;
        secrets.pop().unwrap_or_else(|| Err(WorkflowError::new("no answer for the secret")))
    }

    /// Asks for several secrets at once; each has a result of its own, in the order of the names.
    pub fn secrets<I: Into<SecretId>>(
        &self,
        ids: impl IntoIterator<Item = I>,
    ) -> Promise<'s, Vec<Result<Secret, WorkflowError>>> {
        let requests: Vec<_> = ids.into_iter().map(|id| id.into().into_request()).collect();
        let names: Vec<_> = requests.iter().map(|request| request.id.clone()).collect();
        let session = self.session;
        let started = session.in_don_mode().and_then(|()| session.ask_secrets(requests));
        Promise::new(move || {
            let answers = session.secrets(started?)?;
            if answers.len() != names.len() {
                return Err(WorkflowError::new("the host answered for another number of secrets"));
            }
            let answers = names.into_iter().zip(answers);
            Ok(answers.map(|(name, answer)| secret::read(name, Some(answer))).collect())
        })
    }

    /// Asks for several secrets at once, of which none may be missing. Those that are missing are
    /// all named in the error.
    pub fn all_secrets<const N: usize>(
        &self,
        ids: [impl Into<SecretId>; N],
    ) -> Promise<'s, [Secret; N]> {
        self.secrets(ids).map(secret::all)
    }

    /// Calls a capability.
    pub fn call<M: Message + 's>(
        &self,
        capability: &str,
        method: &str,
        request: &impl Message,
    ) -> Promise<'s, M> {
        let session = self.session;
        let started = session.in_don_mode();
        let started = started.and_then(|()| session.call(capability, method, request));
        Promise::new(move || session.answer(started?))
    }

    /// Has the nodes sign a report. Waiting fails with [`WorkflowError::Report`] if the header of
    /// what they signed cannot be read.
    pub fn report(&self, request: report::Request) -> Promise<'s, Report> {
        let signed = self.call(wire::CAPABILITY, wire::REPORT, &request.into_message());
        signed.map(|response: ReportResponse| Ok(Report::read(response)?))
    }

    /// Lets each node observe something by itself, then has all nodes agree on one value.
    ///
    /// An error in the section becomes this node's observation; if a default is set, the nodes may
    /// still agree on that.
    pub fn in_node_mode<T: ToValue, A: FromValue + 's>(
        &self,
        consensus: Consensus<T, A>,
        section: impl FnOnce(&NodeRuntime<'s>) -> Result<T, WorkflowError>,
    ) -> Promise<'s, A> {
        let session = self.session;
        let observed = session.node_section(|| section(&NodeRuntime::new(session)));
        let agreed: Promise<'s, Value> = match observed {
            Ok(observed) => self.call(wire::CAPABILITY, wire::SIMPLE, &consensus.inputs(observed)),
            Err(error) => Promise::new(move || Err(error)),
        };
        agreed.map(A::from_value)
    }
}

/// Fills a buffer with random bytes that nobody else knows, fit for keys and nonces. Every node and
/// every run draws others.
///
/// # Errors
///
/// [`WorkflowError::Failed`] if the host has no randomness.
pub fn secure_random(out: &mut [u8]) -> Result<(), WorkflowError> {
    if imports::secure_random(out) { Ok(()) } else { Err(WorkflowError::new("no randomness")) }
}

/// The time by the clock of the current mode.
pub(crate) fn now() -> Result<SystemTime, WorkflowError> {
    let nanos = imports::now().ok_or_else(|| WorkflowError::new("the host has no time"))?;
    let time = UNIX_EPOCH.checked_add(Duration::from_nanos(nanos));
    time.ok_or_else(|| WorkflowError::new("the host's time is out of range"))
}

pub(crate) fn seed(mode: Mode) -> u64 {
    u64::from_le_bytes(imports::random_seed(mode.into()).to_le_bytes())
}
