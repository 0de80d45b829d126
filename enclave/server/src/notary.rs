//! Documents: asked for from any task, made by one thread.
//!
//! The device serves one request at a time and blocks while it does. A queue in front of one worker
//! thread keeps that away from the tasks that serve requests, and bounds how many wait.

use std::{collections::HashMap, sync::Arc, time::Duration};

use attestation::{AttestError, AttestationRequest, Attestor, UserData};
use protocol::{ids::UserDataHash, limits};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::Instant,
};

/// Has documents made. Clones share the one worker.
#[derive(Clone, Debug)]
pub(crate) struct Notary {
    queue: mpsc::Sender<Job>,
    recent: Arc<Mutex<Recent>>,
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
    /// The worker is gone: the attestor panicked.
    #[error("the attestor is gone")]
    Stopped,
}

impl Notary {
    /// Starts the worker.
    ///
    /// # Errors
    ///
    /// What the system reports if there can be no thread.
    pub(crate) fn start(attestor: Arc<dyn Attestor>) -> std::io::Result<Self> {
        let (queue, mut jobs) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new().name("attest".to_owned()).spawn(move || {
            while let Some(Job { request, reply }) = jobs.blocking_recv() {
                // Who asked may be gone; the next one is not.
                let _gone = reply.send(attestor.attest(&request));
            }
        })?;
        Ok(Self { queue, recent: Arc::default() })
    }

    /// Has a document made that binds `user_data`.
    pub(crate) async fn document(&self, user_data: UserDataHash) -> Result<Vec<u8>, NotaryError> {
        self.ask(UserData::from(*user_data.as_bytes()).into()).await
    }

    /// Has a document made that binds `user_data` and answers a challenge.
    pub(crate) async fn document_for(
        &self,
        user_data: UserDataHash,
        nonce: Option<&[u8]>,
    ) -> Result<Vec<u8>, NotaryError> {
        let request = AttestationRequest::from(UserData::from(*user_data.as_bytes()));
        let request = match nonce {
            None => request,
            Some(nonce) => request.with_nonce(nonce).map_err(|_long| NotaryError::Nonce)?,
        };
        self.ask(request).await
    }

    /// A document over `user_data` that is at most five seconds old (2.3).
    ///
    /// Those who ask meanwhile wait for the same document. Failures are not kept.
    pub(crate) async fn recent_document(
        &self,
        user_data: UserDataHash,
    ) -> Result<Arc<[u8]>, NotaryError> {
        let mut recent = self.recent.lock().await;
        recent.retain(|_hash, (made, _document)| made.elapsed() < RECENT);
        if let Some((_made, document)) = recent.get(&user_data) {
            return Ok(Arc::clone(document));
        }
        let document: Arc<[u8]> = self.document(user_data).await?.into();
        recent.insert(user_data, (Instant::now(), Arc::clone(&document)));
        Ok(document)
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

type Recent = HashMap<UserDataHash, (Instant, Arc<[u8]>)>;

/// Requests that wait for the device; more wait before the queue.
const QUEUE: usize = 64;

/// How long a document over unchanged keys is good for (2.3). There are as many user data as sets of
/// live keys, so the map stays small.
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
            Ok(format!("document-{number}-{}", request.nonce().is_some()).into_bytes())
        }
    }

    fn notary(refuses_first: bool) -> Notary {
        Notary::start(Arc::new(Counting { made: AtomicU32::new(0), refuses_first })).unwrap()
    }

    fn user_data(byte: u8) -> UserDataHash {
        UserDataHash::from([byte; 32])
    }

    #[tokio::test]
    async fn a_document_is_used_again_for_five_seconds() {
        let notary = notary(false);
        let first = notary.recent_document(user_data(1)).await.unwrap();
        assert_eq!(notary.recent_document(user_data(1)).await.unwrap(), first);
        assert_ne!(notary.recent_document(user_data(2)).await.unwrap(), first);
        tokio::time::pause();
        tokio::time::advance(RECENT).await;
        tokio::time::resume();
        assert_ne!(notary.recent_document(user_data(1)).await.unwrap(), first);
        assert_eq!(notary.recent.lock().await.len(), 1, "old ones are forgotten");
    }

    #[tokio::test]
    async fn those_who_ask_at_the_same_time_get_one_document() {
        let notary = notary(false);
        let (one, two) = tokio::join!(
            notary.recent_document(user_data(1)),
            notary.recent_document(user_data(1))
        );
        assert_eq!(one.unwrap(), two.unwrap());
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let notary = notary(true);
        let error = notary.recent_document(user_data(1)).await.unwrap_err();
        assert_eq!(error, NotaryError::Attest(AttestError::UnexpectedAnswer));
        notary.recent_document(user_data(1)).await.unwrap();
    }

    #[tokio::test]
    async fn a_challenge_is_passed_on_and_a_long_one_refused() {
        let notary = notary(false);
        let document = notary.document_for(user_data(1), Some(b"nonce")).await.unwrap();
        assert_eq!(document, b"document-0-true");
        let error = notary.document_for(user_data(1), Some(&[0; 513])).await.unwrap_err();
        assert_eq!(error, NotaryError::Nonce);
    }

    #[tokio::test]
    async fn an_attestor_that_panics_costs_documents_and_nothing_else() {
        let notary = notary(false);
        assert_eq!(notary.document(user_data(9)).await.unwrap_err(), NotaryError::Stopped);
        assert_eq!(notary.document(user_data(1)).await.unwrap_err(), NotaryError::Stopped);
    }
}
