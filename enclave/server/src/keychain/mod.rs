//! The enclave's short-lived keys: made in turn, pinned to requests, wiped when they expire
//! (enclave-and-host 4).
//!
//! ```text
//! rotate ──> key ──(rotation)──> next key ...        each lives for the expiration, then is dropped
//!              ^ pin: a request id keeps the key it was first given, for an hour
//! ```
//!
//! Pins make all nodes of a DON use one key for one request across a rotation, so that their request
//! hashes stay equal. Sealed boxes are opened only with a [`KeyPair`] that has not expired.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use crypto::{
    seal::{EphemeralKey, EphemeralPublicKey, OpenError},
    secret::Secret,
};
use protocol::{ids::RequestId, limits::KEY_PIN};
use rand_core::CryptoRngCore;

/// The keys that live now, and which request was given which.
#[derive(Debug)]
pub struct Keychain {
    life: Duration,
    book: Mutex<Book>,
}

/// A key with the time it was made. Wiped when the last request that uses it ends.
#[derive(Debug)]
pub struct KeyPair {
    key: EphemeralKey,
    public: EphemeralPublicKey,
    made: SystemTime,
    life: Duration,
}

/// Why there is no key for the public key in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindKeyError {
    /// It is no key at all.
    #[error("invalid public key length: expected 32 bytes, got {got} bytes")]
    Length {
        /// Its length in bytes.
        got: usize,
    },
    /// It was never made here, or has expired.
    #[error("keypair not found")]
    Unknown,
}

/// Why a request is given no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// The key it was given before is gone; the next attempt is given another.
    #[error("mapped keypair for request {_0} has expired")]
    Expired(RequestId),
    /// No key lives now.
    #[error("no keypairs available")]
    NoKeys,
}

/// Why a sealed share is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// The key outlived its time.
    #[error("keypair has expired: {age_ms}ms old, TTL: {ttl_ms}ms")]
    Expired {
        /// Age of the key in milliseconds.
        age_ms: u128,
        /// The age it may reach, in milliseconds.
        ttl_ms: u128,
    },
    /// The box is not one for this key.
    #[error(transparent)]
    Sealed(#[from] OpenError),
}

impl Keychain {
    /// A keychain whose first key exists already, so that no caller finds it empty (W-35).
    pub fn new(life: Duration, rng: &mut impl CryptoRngCore, now: SystemTime) -> Self {
        let book =
            Book { keys: Vec::new(), pins: HashMap::new(), order: VecDeque::new(), latest: now };
        let keychain = Self { life, book: Mutex::new(book) };
        keychain.rotate(rng, now);
        keychain
    }

    /// Adds a key, and forgets keys that expired and pins whose key is gone. Call once every
    /// rotation interval.
    pub fn rotate(&self, rng: &mut impl CryptoRngCore, now: SystemTime) {
        let mut book = self.book();
        let now = book.advance(now);
        let key = EphemeralKey::generate(rng);
        let public = key.public();
        book.keys.push(Arc::new(KeyPair { key, public, made: now, life: self.life }));
        book.drop_expired(now);
        let Book { keys, pins, .. } = &mut *book;
        pins.retain(|_id, pin| keys.iter().any(|key| key.public == pin.key));
    }

    /// Forgets keys that expired, so that they are wiped soon after, and not at the next rotation.
    pub fn sweep(&self, now: SystemTime) {
        let mut book = self.book();
        let now = book.advance(now);
        book.drop_expired(now);
    }

    /// The keys that live now, oldest first.
    pub fn live(&self, now: SystemTime) -> Vec<Arc<KeyPair>> {
        let mut book = self.book();
        let now = book.advance(now);
        book.keys.iter().filter(|key| key.is_live(now)).cloned().collect()
    }

    /// Finds the key that a request names.
    ///
    /// # Errors
    ///
    /// [`FindKeyError`], if it names none that lives.
    pub fn find(&self, public: &[u8], now: SystemTime) -> Result<Arc<KeyPair>, FindKeyError> {
        let got = public.len();
        let public: [u8; 32] = public.try_into().ok().ok_or(FindKeyError::Length { got })?;
        let mut book = self.book();
        let now = book.advance(now);
        let found = book.keys.iter().find(|key| *key.public.as_bytes() == public);
        found.filter(|key| key.is_live(now)).cloned().ok_or(FindKeyError::Unknown)
    }

    /// The key for a request: the one it was given within the last hour, else the newest.
    ///
    /// # Errors
    ///
    /// - [`PinError::Expired`] once, if the key it was given is gone.
    /// - [`PinError::NoKeys`] if none lives.
    pub fn pinned(&self, request: RequestId, now: SystemTime) -> Result<Arc<KeyPair>, PinError> {
        let mut book = self.book();
        let now = book.advance(now);
        if let Some(pin) = book.pins.get(&request).filter(|pin| age(pin.made, now) <= PIN_LIFE) {
            let key = book.keys.iter().find(|key| key.public == pin.key);
            if let Some(key) = key.filter(|key| key.is_live(now)) {
                return Ok(Arc::clone(key));
            }
            book.pins.remove(&request);
            return Err(PinError::Expired(request));
        }
        let newest = book.keys.iter().filter(|key| key.is_live(now)).max_by_key(|key| key.made);
        let newest = newest.cloned().ok_or(PinError::NoKeys)?;
        book.pin(request, Pin { key: newest.public, made: now });
        Ok(newest)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyPair {
    /// The key to which shares are sealed.
    pub fn public(&self) -> &EphemeralPublicKey {
        &self.public
    }

    /// When it was made.
    pub fn made(&self) -> SystemTime {
        self.made
    }

    /// The age it may reach.
    pub fn life(&self) -> Duration {
        self.life
    }

    /// Opens a sealed box.
    ///
    /// # Errors
    ///
    /// [`UnsealError`], which says nothing about the contents.
    pub fn open(&self, sealed: &[u8], now: SystemTime) -> Result<Secret, UnsealError> {
        if !self.is_live(now) {
            let age_ms = age(self.made, now).as_millis();
            return Err(UnsealError::Expired { age_ms, ttl_ms: self.life.as_millis() });
        }
        Ok(self.key.open(sealed)?)
    }

    fn is_live(&self, now: SystemTime) -> bool {
        age(self.made, now) <= self.life
    }
}

#[derive(Debug)]
struct Book {
    /// In the order in which they were made.
    keys: Vec<Arc<KeyPair>>,
    pins: HashMap<RequestId, Pin>,
    /// Pins in the order in which they were made; entries whose pin was replaced are passed over.
    order: VecDeque<(RequestId, SystemTime)>,
    /// The latest time anybody named. A clock that is set back brings no key back to life.
    latest: SystemTime,
}

#[derive(Clone, Copy, Debug)]
struct Pin {
    key: EphemeralPublicKey,
    made: SystemTime,
}

impl Book {
    fn advance(&mut self, now: SystemTime) -> SystemTime {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn drop_expired(&mut self, now: SystemTime) {
        self.keys.retain(|key| key.is_live(now));
    }

    fn pin(&mut self, request: RequestId, pin: Pin) {
        self.pins.insert(request, pin);
        self.order.push_back((request, pin.made));
        if self.order.len() <= PIN_LIMIT {
            return;
        }
        for (request, made) in self.order.drain(..PIN_LIMIT / 10) {
            if self.pins.get(&request).is_some_and(|pin| pin.made == made) {
                self.pins.remove(&request);
            }
        }
    }
}

fn age(made: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(made).unwrap_or_default()
}

/// How long a request keeps its key, and how many do. Anybody may ask for a pin, so the oldest go
/// when there are too many.
const PIN_LIFE: Duration = KEY_PIN.0;
const PIN_LIMIT: usize = KEY_PIN.1;

#[cfg(test)]
mod tests;
