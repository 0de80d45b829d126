//! The requests that wait for answers, and the one way in which each of them ends.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::{
    json::RawJson,
    limits::NODE_ERROR_SAMPLES,
    rpc::{Request, Response},
};
use tokio::{sync::oneshot, time::Instant};

use super::{AdmitError, Counts, EndError, NodeId, collect::Collected};

/// How a request ends: the bundle, or why there is none.
pub(super) type Outcome = Result<RawJson, EndError>;

/// All requests that wait, by id. The methods share it.
#[derive(Debug)]
pub(super) struct ActiveRequests {
    by_id: Mutex<HashMap<String, Arc<ActiveRequest>>>,
    limit: usize,
}

/// One request that waits.
#[derive(Debug)]
pub(super) struct ActiveRequest {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) since: Instant,
    progress: Mutex<Progress>,
}

/// What has come in so far. Whoever holds it decides; nobody waits while holding it.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) answered: BTreeSet<NodeId>,
    /// `None` for a method that relay nodes do not know.
    pub(super) collected: Option<Collected>,
    pub(super) errors: usize,
    pub(super) undecodable: usize,
    /// The codes of the first errors, for the log.
    pub(super) error_codes: Vec<i64>,
    /// Set once, when a quorum stands; never moved.
    pub(super) grace_ends: Option<Instant>,
    /// Taken by the path that ends the request: there is one, so there is one end.
    waiter: Option<oneshot::Sender<Outcome>>,
}

impl ActiveRequests {
    pub(super) fn new(limit: usize) -> Self {
        Self { by_id: Mutex::default(), limit }
    }

    /// Takes a request. Looking up and inserting is one operation, so of two requests with one id
    /// exactly one is taken.
    pub(super) fn admit(
        &self,
        request: &Request,
        now: Instant,
    ) -> Result<(Arc<ActiveRequest>, oneshot::Receiver<Outcome>), AdmitError> {
        request.check_id()?;
        let Request { id, method, .. } = request;
        let mut by_id = self.lock();
        if by_id.contains_key(id) {
            return Err(AdmitError::Exists { id: id.clone() });
        }
        if by_id.len() >= self.limit {
            return Err(AdmitError::Full { limit: self.limit });
        }
        let (waiter, answer) = oneshot::channel();
        let request = Arc::new(ActiveRequest::new(id, method, now, waiter));
        by_id.insert(id.clone(), Arc::clone(&request));
        Ok((request, answer))
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<ActiveRequest>> {
        self.lock().get(id).cloned()
    }

    /// All of them as they are now.
    pub(super) fn all(&self) -> Vec<Arc<ActiveRequest>> {
        self.lock().values().cloned().collect()
    }

    /// Ends a request, once: the first to come takes it out and hands the outcome to whoever still
    /// waits. `false` if it had ended before.
    pub(super) fn end(
        &self,
        request: &ActiveRequest,
        progress: &mut Progress,
        outcome: Outcome,
    ) -> bool {
        let Some(waiter) = progress.waiter.take() else { return false };
        self.lock().remove(&request.id);
        // The one who asked may have left; the request is over all the same.
        waiter.send(outcome).ok();
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<ActiveRequest>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActiveRequest {
    fn new(id: &str, method: &str, since: Instant, waiter: oneshot::Sender<Outcome>) -> Self {
        let progress = Progress {
            answered: BTreeSet::new(),
            collected: Collected::of_method(method),
            errors: 0,
            undecodable: 0,
            error_codes: Vec::new(),
            grace_ends: None,
            waiter: Some(waiter),
        };
        Self { id: id.to_owned(), method: method.to_owned(), since, progress: Mutex::new(progress) }
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    pub(super) fn has_ended(&self) -> bool {
        self.waiter.is_none()
    }

    /// Counts one node's answer. A transport-level error never counts towards a quorum, nor does an
    /// answer with a result beside it.
    pub(super) fn count(&mut self, answer: Response) {
        match (answer.error, answer.result, &mut self.collected) {
            (Some(error), _, _) => {
                self.errors = self.errors.saturating_add(1);
                if self.error_codes.len() < NODE_ERROR_SAMPLES {
                    self.error_codes.push(error.code);
                }
            }
            (None, None, _) => self.errors = self.errors.saturating_add(1),
            (None, Some(result), Some(collected)) => {
                if collected.push(&result).is_err() {
                    self.undecodable = self.undecodable.saturating_add(1);
                }
            }
            (None, Some(_), None) => self.undecodable = self.undecodable.saturating_add(1),
        }
    }

    pub(super) fn counts(&self, nodes: usize, quorum: usize) -> Counts {
        Counts {
            signed: self.collected.as_ref().map_or(0, Collected::len),
            errors: self.errors,
            undecodable: self.undecodable,
            nodes,
            quorum,
        }
    }
}
