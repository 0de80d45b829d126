//! At most once: what became of each request hash (W-06, W-07, W-58).
//!
//! ```text
//! absent ──reserve──> in flight ──close──> done (with the stored outcome)
//!    ^                   │
//!    └──dropped before───┴──dropped after an effect──> done (without one)
//! ```
//!
//! Looking up and reserving are one operation. The slot that `reserve` gives is the only way to
//! change an entry, so a failure, an early return and a panic all end in one of the two arrows.
//! An entry outlives every key that was live when it was made; without its key no request can be
//! executed again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use protocol::ids::RequestHash;

use crate::{budget::retry_after, callers::Callers};

/// The record of all requests.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    book: Arc<Mutex<Book>>,
}

/// The right to execute one request. Dropping it gives the right back, unless an effect was marked.
#[derive(Debug)]
pub(crate) struct Slot {
    ledger: Ledger,
    hash: RequestHash,
    effects: Effects,
    closed: bool,
}

/// Where an effect on the outside is marked before it happens. Clones mark the same request.
#[derive(Clone, Debug, Default)]
pub struct Effects(Arc<AtomicBool>);

/// The answer a request ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: Bytes,
}

/// Why a request is not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReserveError {
    /// It was executed before.
    #[error("replay detected: request hash has already been executed")]
    Executed,
    /// The ledger forgets nothing that could be replayed, and is full.
    #[error("the ledger of executed requests is full")]
    Full {
        /// When it may have forgotten one.
        retry_after: Duration,
    },
    /// It is being executed now.
    #[error("request is already being processed")]
    InFlight,
}

/// What a ledger may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LedgerLimits {
    /// How long an entry is kept; the life of a key or more.
    pub life: Duration,
    /// Entries; a full ledger takes no request.
    pub entries: usize,
    /// Bytes of stored outcomes; the oldest are given up first, their entries stay.
    pub outcome_bytes: usize,
}

impl Ledger {
    /// An empty ledger.
    pub(crate) fn new(limits: LedgerLimits) -> Self {
        let book = Book {
            limits,
            entries: HashMap::new(),
            order: VecDeque::new(),
            outcomes: VecDeque::new(),
            outcome_bytes: 0,
            latest: SystemTime::UNIX_EPOCH,
        };
        Self { book: Arc::new(Mutex::new(book)) }
    }

    /// Takes the one slot for `hash`, whose outcome these callers wait for.
    ///
    /// # Errors
    ///
    /// [`ReserveError`]; the entry is left as it is, and the callers of a request in flight are one
    /// more for a moment.
    pub(crate) fn reserve(
        &self,
        hash: RequestHash,
        callers: &Callers,
        now: SystemTime,
    ) -> Result<Slot, ReserveError> {
        let mut book = self.book();
        book.forget(now);
        match book.entries.get(&hash) {
            Some(State::InFlight(callers)) => {
                callers.ask();
                return Err(ReserveError::InFlight);
            }
            Some(State::Done(_)) => return Err(ReserveError::Executed),
            None => {}
        }
        if book.entries.len() >= book.limits.entries {
            let first = book.order.front();
            let first = first.and_then(|(until, _hash)| until.duration_since(book.latest).ok());
            let retry_after = retry_after(first.unwrap_or(Duration::MAX));
            return Err(ReserveError::Full { retry_after });
        }
        book.entries.insert(hash, State::InFlight(callers.clone()));
        let slot = Slot { ledger: self.clone(), hash, effects: Effects::default(), closed: false };
        Ok(slot)
    }

    /// The outcome of a finished request, while it is kept. Who asks for one that is in flight is one
    /// more of its callers for a moment.
    pub(crate) fn outcome(&self, hash: &RequestHash, now: SystemTime) -> Option<Outcome> {
        let mut book = self.book();
        book.forget(now);
        match book.entries.get(hash) {
            Some(State::Done(outcome)) => outcome.clone(),
            Some(State::InFlight(callers)) => {
                callers.ask();
                None
            }
            None => None,
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Where the effects of this request are marked.
    pub(crate) fn effects(&self) -> &Effects {
        &self.effects
    }

    /// Ends the request for good. Call before the answer leaves the enclave.
    pub(crate) fn close(mut self, outcome: Outcome, now: SystemTime) {
        self.closed = true;
        self.ledger.book().finish(self.hash, Some(outcome), now);
    }

    /// Ends the request as failed: for good and with this answer if it had an effect, else it may
    /// be tried again.
    pub(crate) fn fail(self, outcome: Outcome, now: SystemTime) {
        if self.effects.happened() {
            self.close(outcome, now);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let mut book = self.ledger.book();
        if self.effects.happened() {
            let now = book.latest;
            book.finish(self.hash, None, now);
        } else {
            book.entries.remove(&self.hash);
        }
    }
}

impl Effects {
    /// Says that something outside is about to be changed. From here on a failure is final.
    pub fn mark(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether anything was marked.
    pub fn happened(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct Book {
    limits: LedgerLimits,
    entries: HashMap<RequestHash, State>,
    /// Finished requests and when they may be forgotten, in that order.
    order: VecDeque<(SystemTime, RequestHash)>,
    /// Requests with a stored outcome, oldest first.
    outcomes: VecDeque<RequestHash>,
    outcome_bytes: usize,
    /// The latest time anybody named: what was kept long enough once, was kept long enough.
    latest: SystemTime,
}

#[derive(Debug)]
enum State {
    InFlight(Callers),
    Done(Option<Outcome>),
}

impl Book {
    fn advance(&mut self, now: SystemTime) -> SystemTime {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn finish(&mut self, hash: RequestHash, outcome: Option<Outcome>, now: SystemTime) {
        let now = self.advance(now);
        let until = now.checked_add(self.limits.life).unwrap_or(now);
        self.order.push_back((until, hash));
        let bytes = outcome.as_ref().map_or(0, |outcome| outcome.body.len());
        let outcome = outcome.filter(|_outcome| bytes <= self.limits.outcome_bytes);
        if outcome.is_some() {
            self.outcomes.push_back(hash);
            self.outcome_bytes = self.outcome_bytes.saturating_add(bytes);
        }
        self.entries.insert(hash, State::Done(outcome));
        while self.outcome_bytes > self.limits.outcome_bytes {
            let Some(oldest) = self.outcomes.pop_front() else { break };
            self.drop_outcome(&oldest);
        }
    }

    fn forget(&mut self, now: SystemTime) {
        let now = self.advance(now);
        while self.order.front().is_some_and(|(until, _hash)| *until < now) {
            let Some((_until, hash)) = self.order.pop_front() else { break };
            self.drop_outcome(&hash);
            self.entries.remove(&hash);
            if self.outcomes.front() == Some(&hash) {
                self.outcomes.pop_front();
            }
        }
    }

    fn drop_outcome(&mut self, hash: &RequestHash) {
        if let Some(State::Done(outcome)) = self.entries.get_mut(hash) {
            let bytes = outcome.take().map_or(0, |outcome| outcome.body.len());
            self.outcome_bytes = self.outcome_bytes.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(100);
    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn ledger() -> Ledger {
        Ledger::new(LedgerLimits { life: LIFE, entries: 3, outcome_bytes: 10 })
    }

    fn hash(byte: u8) -> RequestHash {
        RequestHash::from([byte; 32])
    }

    fn outcome(body: &'static str) -> Outcome {
        Outcome { status: 200, body: Bytes::from_static(body.as_bytes()) }
    }

    fn refusal(ledger: &Ledger, byte: u8) -> ReserveError {
        ledger.reserve(hash(byte), &Callers::new(), START).unwrap_err()
    }

    #[test]
    fn w06_two_equal_requests_get_one_slot() {
        let ledger = ledger();
        let slot = ledger.reserve(hash(1), &Callers::new(), START).unwrap();
        assert_eq!(refusal(&ledger, 1), ReserveError::InFlight);
        slot.close(outcome("done"), START);
        assert_eq!(refusal(&ledger, 1), ReserveError::Executed);
        assert_eq!(ledger.outcome(&hash(1), START), Some(outcome("done")));
    }

    #[test]
    fn w06_of_many_threads_one_wins() {
        let ledger = ledger();
        let slots: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| ledger.reserve(hash(1), &Callers::new(), START).ok()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(slots.iter().flatten().count(), 1);
    }

    #[test]
    fn a_failure_before_any_effect_may_be_retried() {
        let ledger = ledger();
        drop(ledger.reserve(hash(1), &Callers::new(), START).unwrap());
        ledger.reserve(hash(1), &Callers::new(), START).unwrap().fail(outcome("no"), START);
        ledger.reserve(hash(1), &Callers::new(), START).unwrap();
        assert_eq!(ledger.outcome(&hash(1), START), None);
    }

    #[test]
    fn w07_a_failure_after_an_effect_is_final() {
        let ledger = ledger();
        let slot = ledger.reserve(hash(1), &Callers::new(), START).unwrap();
        slot.effects().clone().mark();
        slot.fail(outcome("no"), START);
        assert_eq!(refusal(&ledger, 1), ReserveError::Executed);
        assert_eq!(ledger.outcome(&hash(1), START), Some(outcome("no")));
    }

    #[test]
    fn w07_a_panic_after_an_effect_is_final() {
        let ledger = ledger();
        let slot = ledger.reserve(hash(1), &Callers::new(), START).unwrap();
        slot.effects().mark();
        drop(slot);
        assert_eq!(refusal(&ledger, 1), ReserveError::Executed);
        assert_eq!(ledger.outcome(&hash(1), START), None);
    }

    #[test]
    fn w58_an_entry_lives_as_long_as_it_was_told() {
        let ledger = ledger();
        ledger.reserve(hash(1), &Callers::new(), START).unwrap().close(outcome("a"), START);
        assert_eq!(
            ledger.reserve(hash(1), &Callers::new(), START + LIFE).unwrap_err(),
            ReserveError::Executed,
            "the end of its life belongs to it"
        );
        ledger.reserve(hash(1), &Callers::new(), START + LIFE + Duration::from_nanos(1)).unwrap();
    }

    #[test]
    fn a_clock_that_is_set_back_forgets_nothing_earlier() {
        let ledger = ledger();
        assert_eq!(ledger.outcome(&hash(9), START + LIFE), None);
        ledger.reserve(hash(1), &Callers::new(), START).unwrap().close(outcome("a"), START);
        assert_eq!(
            ledger.reserve(hash(1), &Callers::new(), START + LIFE * 2).unwrap_err(),
            ReserveError::Executed,
            "it was closed at the latest time seen, not at an earlier one"
        );
    }

    #[test]
    fn a_full_ledger_takes_nothing_rather_than_forget() {
        let ledger = ledger();
        for byte in 1..=3 {
            ledger.reserve(hash(byte), &Callers::new(), START).unwrap().close(outcome("a"), START);
        }
        let retry_after = Duration::from_secs(60);
        assert_eq!(refusal(&ledger, 4), ReserveError::Full { retry_after });
        assert_eq!(refusal(&ledger, 1), ReserveError::Executed);
    }

    #[test]
    fn the_oldest_outcomes_are_given_up_first_and_their_entries_stay() {
        let ledger = ledger();
        for (byte, body) in [(1, "four"), (2, "fours"), (3, "six...")] {
            ledger.reserve(hash(byte), &Callers::new(), START).unwrap().close(outcome(body), START);
        }
        assert_eq!(ledger.outcome(&hash(1), START), None);
        assert_eq!(ledger.outcome(&hash(2), START), None);
        assert_eq!(ledger.outcome(&hash(3), START), Some(outcome("six...")));
        assert_eq!(refusal(&ledger, 1), ReserveError::Executed);
    }

    #[test]
    fn an_outcome_larger_than_all_room_is_not_kept() {
        let ledger = ledger();
        ledger.reserve(hash(1), &Callers::new(), START).unwrap().close(outcome("a"), START);
        ledger
            .reserve(hash(2), &Callers::new(), START)
            .unwrap()
            .close(outcome("eleven bytes"), START);
        assert_eq!(ledger.outcome(&hash(2), START), None);
        assert_eq!(ledger.outcome(&hash(1), START), Some(outcome("a")));
    }

    #[test]
    fn forgotten_entries_leave_no_bytes_behind() {
        let ledger = ledger();
        ledger
            .reserve(hash(1), &Callers::new(), START)
            .unwrap()
            .close(outcome("ten bytes!"), START);
        let later = START + LIFE * 2;
        ledger
            .reserve(hash(2), &Callers::new(), later)
            .unwrap()
            .close(outcome("ten bytes?"), later);
        assert_eq!(ledger.outcome(&hash(2), later), Some(outcome("ten bytes?")));
        assert_eq!(ledger.book().outcome_bytes, 10);
        assert_eq!(ledger.book().outcomes.len(), 1);
    }
}
