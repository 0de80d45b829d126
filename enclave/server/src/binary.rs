//! Room 7: a workflow's binary, fetched once, hashed, compiled once (enclave-and-host 9).
//!
//! The bytes are not trusted: what counts is that they hash to what the committee signed. Storage
//! serves them as base64 text or as they are, so both are tried.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use enclave_workflow::{
    AdmitError, Binary, BinaryHash, BinaryLimits, Engine, Module, ModuleCache, NoRoom, Room,
};
use http::{HeaderValue, Request, header};
use protocol::{base64, ids::Owner, limits};
use tokio::sync::watch;
use transport::http::{ClientLimits, ExchangeError, SendError};

use crate::{
    budget::{Budget, BudgetError, Claim, Permit},
    egress::{Egress, Holder, PolicyError, Url, UrlError},
    settings::Active,
};

/// Fetches and keeps workflow binaries, compiled. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    shared: Arc<Shared>,
}

/// The memory for binaries and modules that no run has taken into account.
#[derive(Debug)]
pub(crate) struct Loads {
    /// What is on its way takes room here, until it is compiled.
    pub(crate) arriving: Budget,
    /// What compiled modules may take that are kept for further runs, whatever the settings allow.
    pub(crate) kept_bytes: u64,
}

/// A module, and what it took to have it.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The module.
    pub(crate) module: Arc<Module>,
    /// The time for fetching, unless it was there.
    pub(crate) fetch: Option<Duration>,
    /// The time for compiling, unless it was there.
    pub(crate) compile: Option<Duration>,
}

/// A binary that came, and the time it took.
#[derive(Clone, Debug)]
struct Fetched {
    binary: Binary,
    spent: Duration,
}

/// Why there is no module.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// Too many binaries are being fetched.
    #[error("fetching binary: {0}")]
    Busy(#[from] BudgetError),
    /// The bytes did not come.
    #[error("fetching binary: {0}")]
    Fetch(#[from] FetchError),
    /// The bytes are no module that is let in.
    #[error("executing wasm: {phase}{0}", phase = phase(.0))]
    Module(#[from] AdmitError),
    /// The task that fetched them ended early. Trying again may help.
    #[error("fetching binary: the fetch was aborted")]
    Aborted,
}

/// Why a binary was not fetched. A URL is shown as scheme and host only (W-05).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// The bytes hash to something else.
    #[error("binary hash mismatch: expected {}, got {}", hex::encode(want.0), hex::encode(got.0))]
    Hash {
        /// What the committee signed.
        want: BinaryHash,
        /// What came.
        got: BinaryHash,
    },
    /// The other side answers with another status than 200.
    #[error("{url} answered with status {got}")]
    Status {
        /// Where it was asked.
        url: Url,
        /// The status.
        got: u16,
    },
    /// The URL leads where binaries may not come from.
    #[error("{url} is not allowed: {source}")]
    Policy {
        /// Where it leads.
        url: Url,
        /// The rule.
        source: PolicyError,
    },
    /// No settings say where storage is.
    #[error("storage credentials not yet provisioned")]
    NoSettings,
    /// It took too long.
    #[error("{url} did not answer in time")]
    TimedOut {
        /// Where it was asked.
        url: Url,
    },
    /// The binary is too large.
    #[error("binary exceeds max size of {limit_bytes} bytes")]
    TooLarge {
        /// The size allowed.
        limit_bytes: u64,
    },
    /// No answer came.
    #[error("{url} cannot be reached")]
    Unreachable {
        /// Where it was asked.
        url: Url,
    },
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] UrlError),
}

impl Binaries {
    /// Keeps nothing yet. What compiling takes comes out of the budget of `runs`.
    pub(crate) fn new(engine: Engine, egress: Arc<Egress>, loads: Loads, runs: Budget) -> Self {
        let room = Box::new(AmongRuns(runs));
        let modules = ModuleCache::within(engine, limits::BINARY_CACHE_BYTES, room);
        let shared = Shared { egress, modules, loads, flights: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// The module with this hash, fetched from `url` and compiled if it is not there.
    ///
    /// Those who ask meanwhile for the same from the same place wait for one fetch, which goes on when the
    /// first one leaves, and so does compiling. Owners take turns where several binaries are to be
    /// compiled.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; failures are not kept.
    pub(crate) async fn load(
        &self,
        owner: Owner,
        hash: BinaryHash,
        url: &str,
        settings: Option<Arc<Active>>,
    ) -> Result<Loaded, LoadError> {
        let settings = settings.ok_or(FetchError::NoSettings)?;
        let limit_bytes = settings.settings.max_binary_bytes;
        let limits = limits_of(limit_bytes);
        let kept_bytes = self.shared.loads.kept_bytes.min(settings.settings.max_cache_bytes);
        self.shared.modules.set_budget(kept_bytes);
        if let Some(module) = self.shared.modules.find(&hash, &limits) {
            return Ok(Loaded { module, fetch: None, compile: None });
        }
        let key = Key { hash, url: url.to_owned(), limit_bytes };
        let mut landed = self.shared.board(owner, key, settings)?;
        let fetched = match landed.wait_for(Option::is_some).await {
            Ok(fetched) => fetched.clone().unwrap_or(Err(LoadError::Aborted)),
            Err(_task_died) => Err(LoadError::Aborted),
        };
        let Fetched { binary, spent } = fetched?;
        let start = Instant::now();
        // Asked for in the own name: that another owner waits for too much is no failure of this one.
        let module = self.shared.modules.load(&owner.to_string(), binary, &limits).await?;
        Ok(Loaded { module, fetch: Some(spent), compile: Some(start.elapsed()) })
    }
}

/// The memory of the runs, for compiling.
struct AmongRuns(Budget);

impl Room for AmongRuns {
    fn take(&self, owner: &str, bytes: u64) -> Result<Box<dyn Send>, NoRoom> {
        let Ok(owner) = Owner::parse(owner) else { return Err(NoRoom::Ever) };
        if bytes > self.0.share(1) {
            return Err(NoRoom::Ever);
        }
        match self.0.take_aside(Claim { owner, bytes }) {
            Ok(permit) => Ok(Box::new(permit)),
            Err(busy) => Err(NoRoom::Now { retry_after: busy.retry_after() }),
        }
    }

    fn take_spare(&self, owner: &str, bytes: u64) -> Option<Box<dyn Send>> {
        let owner = Owner::parse(owner).ok()?;
        let permit = self.0.take_spare(Claim { owner, bytes })?;
        Some(Box::new(permit))
    }
}

#[derive(Debug)]
struct Shared {
    egress: Arc<Egress>,
    modules: ModuleCache,
    loads: Loads,
    flights: Mutex<HashMap<Key, Flight>>,
}

/// What is fetched, and what it may weigh. A place that does not answer is nobody's trouble who asks
/// elsewhere, and settings that allow less are not overcome by others who allowed more.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    hash: BinaryHash,
    url: String,
    limit_bytes: u64,
}

type Flight = watch::Receiver<Option<Result<Fetched, LoadError>>>;

/// The place of a flight, free when this is dropped.
struct Place {
    shared: Arc<Shared>,
    key: Key,
    _permit: Permit,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Shared {
    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the flight for this binary, or starts one on the owner's account; both in one operation.
    fn board(
        self: &Arc<Self>,
        owner: Owner,
        key: Key,
        settings: Arc<Active>,
    ) -> Result<Flight, BudgetError> {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(&key) {
            return Ok(flight.clone());
        }
        let bytes = flight_bytes(key.limit_bytes);
        let permit = self.loads.arriving.take(Claim { owner, bytes })?;
        let (landing, landed) = watch::channel(None);
        flights.insert(key.clone(), landed.clone());
        let place = Place { shared: Arc::clone(self), key, _permit: permit };
        drop(tokio::spawn(place.fly(owner, settings, landing)));
        Ok(landed)
    }

    async fn fetch(
        &self,
        hash: BinaryHash,
        url: &str,
        settings: &Active,
    ) -> Result<Binary, FetchError> {
        let url = Url::parse(url)?;
        let route = self.egress.policy().of_binary(&url, &settings.storage);
        let route = route.map_err(|source| FetchError::Policy { url: url.clone(), source })?;
        let limit_bytes = settings.settings.max_binary_bytes;
        let limits = ClientLimits {
            head_bytes: HEAD_BYTES,
            body_bytes: usize::try_from(base64_bytes(limit_bytes)).unwrap_or(usize::MAX),
            timeout: settings.settings.binary_fetch_timeout,
        };
        let request = get(&url).ok_or(UrlError::Host)?;
        let response = self.egress.send(Holder::Enclave, &route, request, &limits, None).await;
        let response = response.map_err(|error| match error {
            SendError::Exchange(ExchangeError::BodyTooLong { .. }) => {
                FetchError::TooLarge { limit_bytes }
            }
            SendError::Exchange(ExchangeError::TimedOut) => {
                FetchError::TimedOut { url: url.clone() }
            }
            SendError::Exchange(_) | SendError::Dial(_) => {
                FetchError::Unreachable { url: url.clone() }
            }
        })?;
        let got = response.status().as_u16();
        if got != 200 {
            return Err(FetchError::Status { url, got });
        }
        decode(hash, response.into_body(), limit_bytes)
    }
}

impl Place {
    /// Fetches the binary and has it compiled, whether or not anybody still waits for it.
    async fn fly(
        self,
        owner: Owner,
        settings: Arc<Active>,
        landing: watch::Sender<Option<Result<Fetched, LoadError>>>,
    ) {
        let (shared, start) = (Arc::clone(&self.shared), Instant::now());
        match shared.fetch(self.key.hash, &self.key.url, &settings).await {
            Ok(binary) => {
                let limits = limits_of(self.key.limit_bytes);
                let module = shared.modules.warm(&owner.to_string(), binary.clone(), &limits);
                landing.send_replace(Some(Ok(Fetched { binary, spent: start.elapsed() })));
                // Until it is there, others find it here instead of fetching it anew.
                drop(module.module().await);
            }
            Err(error) => {
                // The place is free before anybody hears of it, so that a retry starts anew.
                drop(self);
                landing.send_replace(Some(Err(error.into())));
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.flights().remove(&self.key);
    }
}

/// What a binary may weigh: as delivered what the settings say, and decompressed no less (W-60).
fn limits_of(max_binary_bytes: u64) -> BinaryLimits {
    let decompressed = BinaryLimits::default().decompressed_bytes;
    BinaryLimits {
        compressed_bytes: max_binary_bytes,
        decompressed_bytes: decompressed.max(max_binary_bytes),
        ..BinaryLimits::default()
    }
}

/// Takes the bytes that hash to `want`: what came, or what came decoded from base64.
fn decode(want: BinaryHash, body: Bytes, limit_bytes: u64) -> Result<Binary, FetchError> {
    let fits = |bytes: &[u8]| {
        let fits = u64::try_from(bytes.len()).is_ok_and(|bytes| bytes <= limit_bytes);
        if fits { Ok(()) } else { Err(FetchError::TooLarge { limit_bytes }) }
    };
    let body = Binary::new(body.into());
    let got = body.hash();
    if got == want {
        fits(body.bytes())?;
        return Ok(body);
    }
    let text = std::str::from_utf8(body.bytes()).ok().map(str::trim_ascii);
    let Some(binary) = text.and_then(|text| base64::decode(text).ok()) else {
        return Err(FetchError::Hash { want, got });
    };
    fits(&binary)?;
    let binary = Binary::new(binary);
    let got = binary.hash();
    if got == want { Ok(binary) } else { Err(FetchError::Hash { want, got }) }
}

fn get(url: &Url) -> Option<Request<Bytes>> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = url.path_and_query().parse().ok()?;
    let host = HeaderValue::try_from(url.authority()).ok()?;
    request.headers_mut().insert(header::HOST, host);
    Some(request)
}

/// What `bytes` take as base64 text, with what the reference adds to it.
fn base64_bytes(bytes: u64) -> u64 {
    bytes.saturating_mul(4).checked_div(3).unwrap_or(bytes).saturating_add(4)
}

/// What a binary takes until it is compiled: as it is delivered, and decoded.
fn flight_bytes(max_binary_bytes: u64) -> u64 {
    base64_bytes(max_binary_bytes).saturating_add(max_binary_bytes)
}

/// Which step the reference would have named.
fn phase(error: &AdmitError) -> &'static str {
    match error {
        AdmitError::Legacy | AdmitError::NoStart | AdmitError::Link(_) => "executing wasm: ",
        AdmitError::TooLarge(_)
        | AdmitError::TooComplex(_)
        | AdmitError::Decompress(_)
        | AdmitError::Feature(_)
        | AdmitError::Compile(_)
        | AdmitError::Memory(_)
        | AdmitError::Busy { .. }
        | AdmitError::Aborted => "creating wasm module: ",
    }
}

/// What the headers of storage may take.
const HEAD_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests;
