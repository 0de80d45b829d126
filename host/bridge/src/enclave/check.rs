//! Believing an enclave, or not.

use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use attestation::{
    Challenge, Document, Measurements, Nonce, Policy, TrustRoot, UserData, Verified, Verifier,
    VerifyError,
    statement::{ExpectedStatement, Statement, StatementError, StatementMismatch},
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
    /// What it states about itself; an enclave of version 1 states nothing.
    pub statement: Option<Statement>,
}

/// Whether a document was asked for with a challenge, and what that means.
///
/// A nonce in a document is always the challenge of whoever had it made. The enclave puts it there, but
/// hosts of version 1 do not hand it on and enclaves of version 1 do not look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenged {
    /// There was none.
    No,
    /// There was this one, by way of a host that may be of version 1: what is there has to be it.
    Offered(Challenge),
    /// There was this one, and it has to be there.
    Demanded(Challenge),
}

impl Challenged {
    /// What the document is held to. What is read of it here is verified with the rest.
    fn nonce(&self, document: &[u8]) -> Nonce {
        let carries_one =
            || Document::decode_unverified(document).is_ok_and(|document| document.nonce.is_some());
        match self {
            Self::No => Nonce::NotUsed,
            Self::Offered(_) if !carries_one() => Nonce::NotUsed,
            Self::Offered(challenge) | Self::Demanded(challenge) => {
                Nonce::Expected(challenge.clone())
            }
        }
    }
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
    /// What the enclave states about itself is no statement.
    #[error("the enclave's statement is none")]
    Statement(#[from] StatementError),
    /// What the enclave states about itself contradicts its answer.
    #[error("the enclave's statement contradicts its answer: {0}")]
    Stated(#[from] StatementMismatch),
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
    pub fn public_keys(
        &self,
        body: &[u8],
        challenged: &Challenged,
        now: SystemTime,
    ) -> Result<Attested, CheckError> {
        let response: PublicKeyResponse = json::from_slice(body)?;
        let document = response.attestation.as_slice();
        let document = self.verify(document, response.user_data(), challenged, now)?;
        let statement = statement(&document, response.config.hash())?;
        Ok(Attested {
            keys: keys(&response).ok_or(CheckError::Keys)?,
            config: Config::check(response.config)?,
            module_id: document.into_inner().module_id,
            statement,
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
            // A challenge is for whoever sent it to look for.
            self.public_keys(body, &Challenged::No, now)?;
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
        let document = response.attestation.as_slice();
        let document = self.verify(document, set_config_user_data(hash), &Challenged::No, now)?;
        statement(&document, hash)?;
        Ok(())
    }

    /// Verifies a document that has to bind `user_data`, and its nonce.
    ///
    /// # Errors
    ///
    /// The first [`VerifyError`] met.
    pub fn verify(
        &self,
        document: &[u8],
        user_data: UserDataHash,
        challenged: &Challenged,
        now: SystemTime,
    ) -> Result<Verified<Document>, VerifyError> {
        let user_data = UserData::from(*user_data.as_bytes());
        let (root, image) = (self.root.clone(), self.image.clone());
        let policy = Policy::new(root, image, user_data, challenged.nonce(document));
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

/// The statement of a document over this configuration, if it has one.
fn statement(
    document: &Verified<Document>,
    config: ConfigHash,
) -> Result<Option<Statement>, CheckError> {
    let Some(statement) = document.statement()? else { return Ok(None) };
    let config_hash = Some(config.as_bytes());
    statement.check(&ExpectedStatement { config_hash, ..ExpectedStatement::default() })?;
    Ok(Some(statement))
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
