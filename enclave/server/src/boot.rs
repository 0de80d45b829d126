//! From a setup to a serving enclave.

use std::{io, sync::Arc, time::Duration};

use attestation::Attestor;
use enclave_workflow::EngineError;
use protocol::{clock::Clock, limits};
use rand_core::CryptoRngCore;
use tokio_util::sync::CancellationToken;
use transport::{
    Dial, Listen, ListenerFailed,
    http::{ServerLimits, serve},
};

use crate::{
    admit::Gate,
    app::App,
    binary::Loads,
    budget::Budget,
    config::ConfigStore,
    egress::{Egress, EgressPolicy, TlsSetupError},
    gateway::GatewayClient,
    keychain::Keychain,
    ledger::{Ledger, LedgerLimits},
    machine,
    notary::Notary,
    remote::Remote,
    serve::{Bodies, Core, router},
    workflow::Workflows,
};

/// How the enclave behaves: the flags, checked. They are part of the image, so they are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    rotation: Duration,
    expiration: Duration,
    allow_reconfig: bool,
    gateway_timeout: Duration,
    limits: LimitSet,
    memory_bytes: Option<u64>,
}

/// Which limits the runs of workflows have (W-18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LimitSet {
    /// Those of the reference's enclave, which are its host library's defaults.
    #[default]
    Reference,
    /// Those that the settings of a workflow DON grant by default.
    Don,
}

/// Why the enclave cannot behave so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Keys would expire before their successor is made.
    #[error(
        "keys must live at least as long as they are in turn: --keypair-expiration is shorter than --keypair-rotation"
    )]
    ExpirationBelowRotation,
    /// A span that must be longer than zero is not.
    #[error("{flag} must be longer than zero")]
    Zero {
        /// The flag at fault.
        flag: &'static str,
    },
}

impl Config {
    /// Checks how keys rotate (the age at which one replaces the other, and at which it opens
    /// nothing more), whether the host may replace the configuration at any time, and the time for
    /// one attempt at a gateway where the settings name none.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn new(
        rotation: Duration,
        expiration: Duration,
        allow_reconfig: bool,
        gateway_timeout: Duration,
    ) -> Result<Self, ConfigError> {
        let spans = [
            ("--keypair-rotation", rotation),
            ("--keypair-expiration", expiration),
            ("--gateway-timeout", gateway_timeout),
        ];
        if let Some((flag, _span)) = spans.into_iter().find(|(_flag, span)| span.is_zero()) {
            return Err(ConfigError::Zero { flag });
        }
        if expiration < rotation {
            return Err(ConfigError::ExpirationBelowRotation);
        }
        let config =
            Self { rotation, expiration, allow_reconfig, gateway_timeout, ..Self::default() };
        Ok(config)
    }

    /// The same with these limits for runs.
    #[must_use]
    pub fn with_limits(self, limits: LimitSet) -> Self {
        Self { limits, ..self }
    }

    /// The same for an enclave that shares out so much memory, in bytes, among what it does at the same
    /// time. By default it is what the machine has free at the start.
    #[must_use]
    pub fn with_memory(self, bytes: u64) -> Self {
        Self { memory_bytes: Some(bytes), ..self }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rotation: limits::KEY_ROTATION,
            expiration: limits::KEY_EXPIRY,
            allow_reconfig: false,
            gateway_timeout: limits::GATEWAY_ATTEMPT_TIMEOUT,
            limits: LimitSet::default(),
            memory_bytes: None,
        }
    }
}

/// Everything an enclave is made of that its program's `main` chooses.
pub struct Setup {
    /// How it behaves.
    pub config: Config,
    /// Where the host comes in.
    pub listener: Box<dyn Listen>,
    /// The way to the host's bridge, and the only way out.
    pub bridge: Arc<dyn Dial>,
    /// Makes attestation documents.
    pub attestor: Arc<dyn Attestor>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where keys come from.
    pub randomness: Box<dyn CryptoRngCore + Send>,
    /// What may be reached.
    pub egress: EgressPolicy,
}

/// Why the enclave does not serve, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The host cannot come in any more.
    #[error(transparent)]
    Serve(#[from] ListenerFailed),
    /// The roots of the egress policy are none.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// There is no thread for attestation documents.
    #[error("the thread for attestation documents cannot start")]
    Thread(#[source] io::Error),
    /// wasmtime cannot work on this machine.
    #[error(transparent)]
    Wasm(#[from] EngineError),
}

/// Serves workflows until `shutdown` is cancelled; requests under way then get some seconds.
///
/// # Errors
///
/// [`RunError`].
pub async fn run(mut setup: Setup, shutdown: CancellationToken) -> Result<(), RunError> {
    let memory = Memory::of(&setup.config);
    let notary = notary(&mut setup)?;
    let egress = Arc::new(Egress::new(Arc::clone(&setup.bridge), setup.egress.clone())?);
    let clock = Arc::clone(&setup.clock);
    let budget = Budget::new(memory.runs);
    let loads = Loads { arriving: Budget::new(memory.loads), kept_bytes: memory.modules };
    let Config { gateway_timeout, limits, .. } = setup.config;
    let remote = Remote {
        gateway: GatewayClient::new(Arc::clone(&egress)),
        notary: notary.clone(),
        attempt_timeout: gateway_timeout,
    };
    let workflows = Workflows::new(&budget, loads, egress, remote, clock, limits)?;
    start(setup, Arc::new(workflows), notary, budget, memory, shutdown).await
}

/// As [`run`], for another application.
///
/// # Errors
///
/// [`RunError`].
pub async fn run_app(
    mut setup: Setup,
    app: Arc<dyn App>,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let memory = Memory::of(&setup.config);
    let notary = notary(&mut setup)?;
    let budget = Budget::new(memory.runs);
    start(setup, app, notary, budget, memory, shutdown).await
}

/// What makes documents, which name this start of the enclave.
fn notary(setup: &mut Setup) -> Result<Notary, RunError> {
    let mut boot_id = [0; 16];
    setup.randomness.fill_bytes(&mut boot_id);
    Notary::start(Arc::clone(&setup.attestor), boot_id).map_err(RunError::Thread)
}

async fn start(
    setup: Setup,
    app: Arc<dyn App>,
    notary: Notary,
    budget: Budget,
    memory: Memory,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let Setup { config, listener, clock, mut randomness, .. } = setup;
    let keychain =
        Arc::new(Keychain::new(config.expiration, &mut randomness.as_mut(), clock.now()));
    let ledger = Ledger::new(LedgerLimits {
        life: config.expiration.saturating_add(LEDGER_MARGIN),
        entries: limits::LEDGER_ENTRIES,
        outcome_bytes: memory.outcomes,
    });
    let gate = Gate {
        ledger,
        budget,
        waiting: Budget::new(memory.waiting),
        keychain: Arc::clone(&keychain),
        shutdown: shutdown.clone(),
    };
    let core = Arc::new(Core {
        config: ConfigStore::new(config.allow_reconfig),
        keychain: Arc::clone(&keychain),
        gate,
        notary,
        app,
        clock: Arc::clone(&clock),
        bodies: Bodies::new(memory.bodies),
    });
    tracing::info!(endpoint = %listener.endpoint(), "serving");
    let serving = serve(listener, router(core), SERVER, shutdown);
    let rotating = rotate(&keychain, config.rotation, randomness, &*clock);
    tokio::select! {
        served = serving => Ok(served?),
        () = rotating => Ok(()),
    }
}

/// Makes keys in turn and wipes those that expired. Never ends.
async fn rotate(
    keychain: &Keychain,
    rotation: Duration,
    mut randomness: Box<dyn CryptoRngCore + Send>,
    clock: &dyn Clock,
) {
    let now = tokio::time::Instant::now();
    let first = now.checked_add(rotation).unwrap_or(now);
    let mut rotation = tokio::time::interval_at(first, rotation);
    let mut sweep = tokio::time::interval(limits::KEY_SWEEP);
    loop {
        tokio::select! {
            _at = rotation.tick() => keychain.rotate(&mut randomness.as_mut(), clock.now()),
            _at = sweep.tick() => keychain.sweep(clock.now()),
        }
    }
}

/// How memory is shared out. The rest is for what is compiled and in passing.
#[derive(Clone, Copy, Debug)]
struct Memory {
    runs: u64,
    loads: u64,
    waiting: u64,
    bodies: u64,
    outcomes: usize,
    modules: u64,
}

impl Memory {
    fn of(config: &Config) -> Self {
        let available = config.memory_bytes.or_else(machine::available_bytes);
        let sixteenth = available.unwrap_or(UNKNOWN_MEMORY_BYTES) / 16;
        Self {
            runs: sixteenth.saturating_mul(7),
            loads: sixteenth.saturating_mul(2),
            waiting: sixteenth,
            bodies: sixteenth.saturating_mul(2),
            outcomes: usize::try_from(sixteenth).unwrap_or(usize::MAX),
            modules: sixteenth.saturating_mul(2),
        }
    }
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { config, listener, bridge, .. } = self;
        f.debug_struct("Setup")
            .field("config", config)
            .field("listener", listener)
            .field("bridge", bridge)
            .finish_non_exhaustive()
    }
}

/// Connections of the bridge, each with one request under way.
pub(crate) const CONNECTIONS: usize = 1024;

/// What the server gives its one client, the bridge (W-20).
const SERVER: ServerLimits = ServerLimits {
    connections: CONNECTIONS,
    head_bytes: 64 * 1024,
    head_timeout: Duration::from_secs(30),
    write_stall: Duration::from_secs(60),
    drain: Duration::from_secs(10),
};

/// By how much a ledger entry outlives every key that was live when it was made: clocks may be set.
const LEDGER_MARGIN: Duration = Duration::from_secs(5 * 60);

/// The smallest enclave we support, for a machine that does not tell.
const UNKNOWN_MEMORY_BYTES: u64 = 512 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn config(rotation: Duration, expiration: Duration, timeout: Duration) -> Option<ConfigError> {
        Config::new(rotation, expiration, false, timeout).err()
    }

    #[test]
    fn keys_that_leave_gaps_are_refused() {
        assert_eq!(config(HOUR, HOUR, HOUR), None);
        assert_eq!(config(HOUR * 2, HOUR, HOUR), Some(ConfigError::ExpirationBelowRotation));
    }

    #[test]
    fn spans_of_zero_are_refused_by_name() {
        let zero = Duration::ZERO;
        let cases = [(zero, HOUR, HOUR), (HOUR, zero, HOUR), (HOUR, HOUR, zero)];
        let flags = ["--keypair-rotation", "--keypair-expiration", "--gateway-timeout"];
        for ((rotation, expiration, timeout), flag) in cases.into_iter().zip(flags) {
            let error = config(rotation, expiration, timeout);
            assert_eq!(error, Some(ConfigError::Zero { flag }));
        }
    }

    #[test]
    fn the_default_is_what_the_flags_default_to() {
        let made = Config::new(HOUR * 12, HOUR * 24, false, Duration::from_secs(30));
        assert_eq!(made, Ok(Config::default()));
    }
}
