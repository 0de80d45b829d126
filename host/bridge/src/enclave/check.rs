//! Believing an enclave, or not.

use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use attestation::{
    Document, Measurements, Nonce, Policy, TrustRoot, UserData, Verified, Verifier, VerifyError,
};
use bytes::Bytes;
use crypto::seal::EphemeralPublicKey;
use protocol::{
    answer::{PublicKeyResponse, SetConfigResponse},
    config::{Config, ConfigError, set_config_user_data},
    ids::{ConfigHash, UserDataHash},
    json::{self, DecodeError},
};
use tokio::time::Instant;

/// What a verified answer to `/publicKeys` says.
#[derive(Debug)]
pub struct Attested {
    /// The enclave's configuration.
    pub config: Config,
    /// The name of its module: instance and enclave.
    pub module_id: String,
    /// Its live keys, or the one of the request that was asked about. At least one.
    pub keys: Vec<AttestedKey>,
}

/// A key to which shares may be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestedKey {
    /// The key.
    pub public: EphemeralPublicKey,
    /// When it was made, in nanoseconds since 1970.
    pub created_unix_ns: i64,
    /// How long it lives in all, in nanoseconds.
    pub life_ns: i64,
}

impl Attested {
    /// The youngest key: what a request is made for (section 14.6, step 2).
    #[must_use]
    pub fn newest(&self) -> Option<&AttestedKey> {
        self.keys.iter().max_by_key(|key| key.created_unix_ns)
    }

    pub(super) fn shares_a_key_with(&self, other: &Self) -> bool {
        let others: BTreeSet<_> = other.keys.iter().map(|key| *key.public.as_bytes()).collect();
        self.keys.iter().any(|key| others.contains(key.public.as_bytes()))
    }
}

/// Why an enclave is not believed.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The answer is not the JSON it should be.
    #[error("the answer is not the JSON of its kind")]
    Json(#[from] DecodeError),
    /// The attestation document does not hold.
    #[error("the attestation document is refused: {}", .0.check())]
    Document(#[from] VerifyError),
    /// A key is none, or there is none (W-12).
    #[error("the keys are no keys")]
    Keys,
    /// The configuration cannot work (W-11).
    #[error("the configuration cannot work")]
    Config(#[from] ConfigError),
    /// The configuration set is not the one that was posted.
    #[error("another configuration was set than the one posted")]
    OtherConfig,
}

/// The images that are believed: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// One of them.
    pub first: Measurements,
    /// The others.
    pub others: Vec<Measurements>,
}

/// Verifies what the enclave says about itself.
pub struct Checker {
    root: TrustRoot,
    image: Measurements,
    other_images: Vec<Measurements>,
    verifier: Verifier,
    /// The last answer that was verified: nodes that ask for one request get equal bytes.
    last: Mutex<Option<(Bytes, Instant)>>,
}

impl Checker {
    /// Believes these images under this root.
    #[must_use]
    pub fn new(root: TrustRoot, images: Images) -> Self {
        let Images { first, others } = images;
        let (verifier, last) = (Verifier::new(CHAINS), Mutex::new(None));
        Self { root, image: first, other_images: others, verifier, last }
    }

    /// Verifies an answer to `/publicKeys`.
    ///
    /// # Errors
    ///
    /// [`CheckError`]; nothing the answer says is to be used then.
    pub fn public_keys(&self, body: &[u8], now: SystemTime) -> Result<Attested, CheckError> {
        let response: PublicKeyResponse = json::from_slice(body)?;
        let document = self.verify(response.attestation.as_slice(), response.user_data(), now)?;
        Ok(Attested {
            keys: keys(&response).ok_or(CheckError::Keys)?,
            config: Config::check(response.config)?,
            module_id: document.into_inner().module_id,
        })
    }

    /// Whether an answer to `/publicKeys` may be passed on. The same bytes are verified once a minute.
    ///
    /// # Errors
    ///
    /// [`CheckError`].
    pub fn relayed_public_keys(&self, body: &Bytes, now: SystemTime) -> Result<(), CheckError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            |(known, since): &(Bytes, Instant)| known == body && since.elapsed() < VERIFIED_AGE;
        if !last.as_ref().is_some_and(is_known) {
            self.public_keys(body, now)?;
            *last = Some((body.clone(), Instant::now()));
        }
        Ok(())
    }

    /// Verifies an answer to `POST /config` and that it speaks of the configuration posted.
    ///
    /// # Errors
    ///
    /// [`CheckError`].
    pub fn set_config(
        &self,
        body: &[u8],
        posted: ConfigHash,
        now: SystemTime,
    ) -> Result<(), CheckError> {
        let response: SetConfigResponse = json::from_slice(body)?;
        let hash = response.config.hash();
        if hash != posted {
            return Err(CheckError::OtherConfig);
        }
        self.verify(response.attestation.as_slice(), set_config_user_data(hash), now)?;
        Ok(())
    }

    /// Verifies a document that has to bind `user_data`.
    ///
    /// # Errors
    ///
    /// The first [`VerifyError`] met.
    pub fn verify(
        &self,
        document: &[u8],
        user_data: UserDataHash,
        now: SystemTime,
    ) -> Result<Verified<Document>, VerifyError> {
        let user_data = UserData::from(*user_data.as_bytes());
        let (root, image) = (self.root.clone(), self.image.clone());
        let policy = Policy::new(root, image, user_data, Nonce::NotUsed);
        let policy = self.other_images.iter().cloned().fold(policy, Policy::or_measurements);
        self.verifier.verify(document, &policy, now)
    }
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checker")
            .field("root", &self.root)
            .field("image", &self.image)
            .field("other_images", &self.other_images)
            .finish_non_exhaustive()
    }
}

/// The keys of an answer, if each is one and has its times.
fn keys(response: &PublicKeyResponse) -> Option<Vec<AttestedKey>> {
    let keys = response.public_keys.as_deref()?;
    let (times, lives) = (response.creation_times.as_deref()?, response.ttls.as_deref()?);
    if keys.is_empty() || keys.len() != times.len() || keys.len() != lives.len() {
        return None;
    }
    let keys = keys.iter().zip(times).zip(lives).map(|((key, time), life_ns)| {
        let public = EphemeralPublicKey::from_slice(key.as_slice()).ok()?;
        Some(AttestedKey { public, created_unix_ns: time.unix_nanos(), life_ns: *life_ns })
    });
    keys.collect()
}

/// One enclave's chain and its successor: leaves are renewed every three hours.
const CHAINS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// Well below the five minutes for which a document is fresh.
const VERIFIED_AGE: Duration = Duration::from_secs(60);
