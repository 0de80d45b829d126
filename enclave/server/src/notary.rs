//! Documents: asked for from any task, made by one thread.
//!
//! The device serves one request at a time and blocks while it does. A queue in front of one worker
//! thread keeps that away from the tasks that serve requests, and bounds how many wait.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use attestation::{
    AttestError, AttestationRequest, Attestor, UserData,
    attestor::AttestationRequestError,
    statement::{AnswerStatement, Statement, settings_hash},
};
use protocol::{
    ids::{ConfigHash, UserDataHash},
    limits,
};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::Instant,
};

/// Has documents made. Clones share the one worker.
///
/// Every document carries a statement about the enclave (profile v2), which validators of version 1
/// do not look at.
#[derive(Clone, Debug)]
pub(crate) struct Notary {
    queue: mpsc::Sender<Job>,
    recent: Arc<Mutex<Recent>>,
    boot_id: [u8; 16],
    settings: Arc<std::sync::Mutex<Option<[u8; 32]>>>,
}

/// What a document is to say.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'w> {
    /// What it binds.
    pub(crate) user_data: UserDataHash,
    /// The configuration that it speaks of.
    pub(crate) config: ConfigHash,
    /// The challenge that it answers.
    pub(crate) nonce: Option<&'w [u8]>,
    /// What it says of an answer.
    pub(crate) answer: Option<AnswerStatement>,
}

/// Why there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotaryError {
    /// The attestor made none.
    #[error(transparent)]
    Attest(#[from] AttestError),
    /// The nonce is longer than a document can carry.
    #[error("the nonce is too long")]
    Nonce,
    /// The statement is longer than a document can carry; no statement is.
    #[error("the statement is too long")]
    Statement,
    /// The worker is gone: the attestor panicked.
    #[error("the attestor is gone")]
    Stopped,
}

impl Notary {
    /// Starts the worker of an enclave with this boot id.
    ///
    /// # Errors
    ///
    /// What the system reports if there can be no thread.
    pub(crate) fn start(attestor: Arc<dyn Attestor>, boot_id: [u8; 16]) -> std::io::Result<Self> {
        let (queue, mut jobs) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new().name("attest".to_owned()).spawn(move || {
            while let Some(Job { request, reply }) = jobs.blocking_recv() {
                // Who asked may be gone; the next one is not.
                let _gone = reply.send(attestor.attest(&request));
            }
        })?;
        let settings = Arc::default();
        Ok(Self { queue, recent: Arc::default(), boot_id, settings })
    }

    /// Puts settings in force by `inject` and states their hash from then on, in one step: a document
    /// names the settings that are in force when it is made.
    ///
    /// # Errors
    ///
    /// What `inject` returns; the settings before stay in force and are stated.
    pub(crate) fn settings<E>(
        &self,
        body: &[u8],
        inject: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        inject(body)?;
        *settings = Some(settings_hash(body));
        Ok(())
    }

    /// Has a document made.
    pub(crate) async fn document(&self, wanted: Wanted<'_>) -> Result<Vec<u8>, NotaryError> {
        let Wanted { user_data, config, nonce, answer } = wanted;
        let statement = self.statement(config, answer);
        self.ask(request(user_data, nonce, &statement.encode())?).await
    }

    /// A document over `user_data` and the same statement that is at most five seconds old (2.3).
    ///
    /// Those who ask meanwhile wait for the same document. Failures are not kept.
    pub(crate) async fn recent_document(
        &self,
        user_data: UserDataHash,
        config: ConfigHash,
    ) -> Result<Arc<[u8]>, NotaryError> {
        let mut recent = self.recent.lock().await;
        let statement = self.statement(config, None).encode();
        recent.retain(|_said, (made, _document)| made.elapsed() < RECENT);
        let key = (user_data, statement);
        if let Some((_made, document)) = recent.get(&key) {
            return Ok(Arc::clone(document));
        }
        let document: Arc<[u8]> = self.ask(request(user_data, None, &key.1)?).await?.into();
        recent.insert(key, (Instant::now(), Arc::clone(&document)));
        Ok(document)
    }

    /// Configurations have no epoch yet, and the enclave has no HPKE key.
    fn statement(&self, config: ConfigHash, answer: Option<AnswerStatement>) -> Statement {
        Statement {
            boot_id: self.boot_id,
            config_hash: *config.as_bytes(),
            config_epoch: 0,
            settings_hash: *self.settings.lock().unwrap_or_else(PoisonError::into_inner),
            hpke_public_key: None,
            answer,
        }
    }

    async fn ask(&self, request: AttestationRequest) -> Result<Vec<u8>, NotaryError> {
        let (reply, answer) = oneshot::channel();
        let job = Job { request, reply };
        self.queue.send(job).await.map_err(|_closed| NotaryError::Stopped)?;
        Ok(answer.await.map_err(|_gone| NotaryError::Stopped)??)
    }
}

#[derive(Debug)]
struct Job {
    request: AttestationRequest,
    reply: oneshot::Sender<Result<Vec<u8>, AttestError>>,
}

fn request(
    user_data: UserDataHash,
    nonce: Option<&[u8]>,
    statement: &[u8],
) -> Result<AttestationRequest, AttestationRequestError> {
    let request = AttestationRequest::from(UserData::from(*user_data.as_bytes()));
    let request = request.with_public_key(statement)?;
    match nonce {
        None => Ok(request),
        Some(nonce) => request.with_nonce(nonce),
    }
}

impl Wanted<'_> {
    /// A document of the enclave itself, for nobody's challenge.
    pub(crate) const fn new(user_data: UserDataHash, config: ConfigHash) -> Self {
        Self { user_data, config, nonce: None, answer: None }
    }
}

impl From<AttestationRequestError> for NotaryError {
    fn from(error: AttestationRequestError) -> Self {
        match error {
            AttestationRequestError::Nonce { .. } => Self::Nonce,
            AttestationRequestError::PublicKey { .. }
            | AttestationRequestError::UserData { .. } => Self::Statement,
        }
    }
}

/// By what a document says: user data and statement.
type Recent = HashMap<(UserDataHash, Vec<u8>), (Instant, Arc<[u8]>)>;

/// Requests that wait for the device; more wait before the queue.
const QUEUE: usize = 64;

/// How long a document over unchanged keys is good for (2.3). There are as many user data as sets of
/// live keys and as many statements as changes of settings, so the map stays small.
const RECENT: Duration = limits::KEY_DOCUMENT_AGE;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Counts its documents; refuses the first of them if told to, panics on user data 9.
    struct Counting {
        made: AtomicU32,
        refuses_first: bool,
    }

    impl Attestor for Counting {
        fn attest(&self, request: &AttestationRequest) -> Result<Vec<u8>, AttestError> {
            assert_ne!(request.user_data()[0], 9, "told to");
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            if number == 0 && self.refuses_first {
                return Err(AttestError::UnexpectedAnswer);
            }
            let statement = Statement::decode(request.public_key().unwrap()).unwrap();
            assert_eq!(statement.boot_id, BOOT_ID);
            let hashes = [Some(statement.config_hash), statement.settings_hash];
            let [config, settings] = hashes.map(|hash| hash.map(|hash| hash[0]));
            let nonce = request.nonce().is_some();
            Ok(format!("document-{number}-{nonce}-{config:?}-{settings:?}").into_bytes())
        }
    }

    fn notary(refuses_first: bool) -> Notary {
        let attestor = Counting { made: AtomicU32::new(0), refuses_first };
        Notary::start(Arc::new(attestor), BOOT_ID).unwrap()
    }

    const BOOT_ID: [u8; 16] = [0xb0; 16];

    fn config() -> ConfigHash {
        [0xc0; 32].into()
    }

    fn user_data(byte: u8) -> UserDataHash {
        UserDataHash::from([byte; 32])
    }

    #[tokio::test]
    async fn a_document_is_used_again_for_five_seconds() {
        let notary = notary(false);
        let first = notary.recent_document(user_data(1), config()).await.unwrap();
        assert_eq!(notary.recent_document(user_data(1), config()).await.unwrap(), first);
        assert_ne!(notary.recent_document(user_data(2), config()).await.unwrap(), first);
        tokio::time::pause();
        tokio::time::advance(RECENT).await;
        tokio::time::resume();
        assert_ne!(notary.recent_document(user_data(1), config()).await.unwrap(), first);
        assert_eq!(notary.recent.lock().await.len(), 1, "old ones are forgotten");
    }

    #[tokio::test]
    async fn those_who_ask_at_the_same_time_get_one_document() {
        let notary = notary(false);
        let (one, two) = tokio::join!(
            notary.recent_document(user_data(1), config()),
            notary.recent_document(user_data(1), config())
        );
        assert_eq!(one.unwrap(), two.unwrap());
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let notary = notary(true);
        let error = notary.recent_document(user_data(1), config()).await.unwrap_err();
        assert_eq!(error, NotaryError::Attest(AttestError::UnexpectedAnswer));
        notary.recent_document(user_data(1), config()).await.unwrap();
    }

    #[tokio::test]
    async fn a_challenge_is_passed_on_and_a_long_one_refused() {
        let notary = notary(false);
        let wanted = Wanted::new(user_data(1), config());
        let wanted = |nonce| Wanted { nonce: Some(nonce), ..wanted.clone() };
        let document = notary.document(wanted(b"nonce")).await.unwrap();
        assert_eq!(document, b"document-0-true-Some(192)-None");
        let error = notary.document(wanted(&[0; 513])).await.unwrap_err();
        assert_eq!(error, NotaryError::Nonce);
    }

    #[tokio::test]
    async fn settings_are_stated_once_they_are_in_force() {
        let notary = notary(false);
        let stated = async || notary.statement(config(), None).settings_hash;
        assert_eq!(stated().await, None);
        notary.settings(b"first", |_body| Err(())).unwrap_err();
        assert_eq!(stated().await, None, "what was refused is not stated");
        let before = notary.recent_document(user_data(1), config()).await.unwrap();
        notary.settings(b"first", |_body| Ok::<_, ()>(())).unwrap();
        assert_eq!(stated().await, Some(settings_hash(b"first")));
        let after = notary.recent_document(user_data(1), config()).await.unwrap();
        assert_ne!(before, after, "a document from before says something else");
        notary.settings(b"second", |_body| Err(())).unwrap_err();
        assert_eq!(stated().await, Some(settings_hash(b"first")));
    }

    #[tokio::test]
    async fn documents_of_two_configurations_are_two() {
        let notary = notary(false);
        let one = notary.recent_document(user_data(1), config()).await.unwrap();
        let other = notary.recent_document(user_data(1), [0xc1; 32].into()).await.unwrap();
        assert_ne!(one, other);
        assert_eq!(&*other, b"document-1-false-Some(193)-None");
    }

    #[tokio::test]
    async fn an_attestor_that_panics_costs_documents_and_nothing_else() {
        let notary = notary(false);
        let document = async |byte| notary.document(Wanted::new(user_data(byte), config())).await;
        assert_eq!(document(9).await.unwrap_err(), NotaryError::Stopped);
        assert_eq!(document(1).await.unwrap_err(), NotaryError::Stopped);
    }
}
