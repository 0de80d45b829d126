//! How much may be done at the same time: bytes, not a count, shared fairly among owners (W-15).
//!
//! Whoever finds no room is told when there may be some: what holds room now is expected to hold it as
//! long as what held it lately.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::ids::Owner;
use tokio::time::Instant;

/// The bytes that executions may take together. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Mutex<Book>>);

/// What one execution will take at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who it is for; requests that name nobody are for the zero address.
    pub owner: Owner,
    /// Memory in bytes: the instance's, its input and output, its events.
    pub bytes: u64,
}

/// Room for one execution, given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: Budget,
    number: u64,
}

/// There is no room now. Later there will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BudgetError {
    /// All of it is in use.
    #[error("enclave at capacity: too many concurrent executions")]
    Full {
        /// When there may be room.
        retry_after: Duration,
    },
    /// The owner has its share, and others must find room too.
    #[error("enclave at capacity: too many concurrent executions of one owner")]
    Owner {
        /// When there may be room.
        retry_after: Duration,
    },
}

impl BudgetError {
    /// When there may be room.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::Full { retry_after } | Self::Owner { retry_after } => *retry_after,
        }
    }
}

impl Budget {
    /// A budget of this many bytes. One execution runs even if it claims more.
    #[must_use]
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(Book { limit: bytes, ..Book::default() })))
    }

    /// Takes room for one execution, at once or not at all.
    ///
    /// An owner that has some already gets no more than three quarters of the whole, so that one
    /// owner alone can use most of a machine and never shuts the others out.
    ///
    /// # Errors
    ///
    /// [`BudgetError`]; nothing is taken.
    pub(crate) fn take(&self, claim: Claim) -> Result<Permit, BudgetError> {
        self.enter(self.book(), claim, true)
    }

    /// The same for something that ends much sooner than an execution, and says nothing about when others
    /// may find room.
    ///
    /// # Errors
    ///
    /// [`BudgetError`]; nothing is taken.
    pub(crate) fn take_aside(&self, claim: Claim) -> Result<Permit, BudgetError> {
        self.enter(self.book(), claim, false)
    }

    /// The same for what can wait: only as long as half of the whole stays free.
    #[must_use]
    pub(crate) fn take_spare(&self, claim: Claim) -> Option<Permit> {
        let book = self.book();
        let is_spare = book.taken.saturating_add(claim.bytes) <= book.limit / 2;
        if is_spare { self.enter(book, claim, false).ok() } else { None }
    }

    fn enter(
        &self,
        mut book: MutexGuard<'_, Book>,
        claim: Claim,
        is_usual: bool,
    ) -> Result<Permit, BudgetError> {
        let Claim { owner, bytes } = claim;
        let since = Instant::now();
        let taken = book.taken.saturating_add(bytes);
        if book.taken > 0 && taken > book.limit {
            let retry_after = book.back(taken.saturating_sub(book.limit), None, since);
            return Err(BudgetError::Full { retry_after });
        }
        let share = book.limit.saturating_sub(book.limit / 4);
        let own = book.owners.get(&owner).copied().unwrap_or(0);
        let own_taken = own.saturating_add(bytes);
        if own > 0 && own_taken > share {
            let retry_after = book.back(own_taken.saturating_sub(share), Some(owner), since);
            return Err(BudgetError::Owner { retry_after });
        }
        book.taken = taken;
        book.owners.insert(owner, own_taken);
        book.number = book.number.saturating_add(1);
        let number = book.number;
        book.held.insert(number, Held { claim, since, is_usual });
        drop(book);
        Ok(Permit { budget: self.clone(), number })
    }

    /// How many executions of this size fit together; at least one.
    #[must_use]
    pub(crate) fn fits(&self, bytes: u64) -> u64 {
        self.book().limit.checked_div(bytes).unwrap_or(u64::MAX).max(1)
    }

    /// What one of so many would get if all got the same.
    #[must_use]
    pub(crate) fn share(&self, count: usize) -> u64 {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.book().limit.checked_div(count).unwrap_or(u64::MAX)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.book().give_back(self.number, Instant::now());
    }
}

#[derive(Debug, Default)]
struct Book {
    limit: u64,
    taken: u64,
    owners: HashMap<Owner, u64>,
    /// What is taken, oldest first.
    held: BTreeMap<u64, Held>,
    number: u64,
    /// For how long room was held lately.
    usual: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    claim: Claim,
    since: Instant,
    /// Whether others will hold room for about as long.
    is_usual: bool,
}

impl Book {
    fn give_back(&mut self, number: u64, now: Instant) {
        let Some(Held { claim, since, is_usual }) = self.held.remove(&number) else { return };
        self.taken = self.taken.saturating_sub(claim.bytes);
        let own = self.owners.get(&claim.owner).copied().unwrap_or(0);
        match own.saturating_sub(claim.bytes) {
            0 => drop(self.owners.remove(&claim.owner)),
            rest => drop(self.owners.insert(claim.owner, rest)),
        }
        if !is_usual {
            return;
        }
        let earlier = self.usual.saturating_mul(MEMORY.saturating_sub(1));
        let sum = earlier.saturating_add(now.saturating_duration_since(since));
        self.usual = sum.checked_div(MEMORY).unwrap_or_default();
    }

    /// In how much time so many bytes may be back, of this owner or of anybody.
    fn back(&self, missing: u64, owner: Option<Owner>, now: Instant) -> Duration {
        let mut back = 0_u64;
        let held = self.held.values();
        let mut held = held.filter(|held| owner.is_none_or(|owner| held.claim.owner == owner));
        let enough = held.find(|held| {
            back = back.saturating_add(held.claim.bytes);
            back >= missing
        });
        let age = enough.map_or(self.usual, |held| now.saturating_duration_since(held.since));
        retry_after(self.usual.saturating_sub(age))
    }
}

/// What is told of a time after which there may be room: `Retry-After` counts in seconds, and nobody knows
/// more than the next minute.
pub(crate) fn retry_after(expected: Duration) -> Duration {
    expected.clamp(SOON, LATE)
}

/// How many of those who held room lately count.
const MEMORY: u32 = 8;

const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn take(budget: &Budget, owner: &str, bytes: u64) -> Result<Permit, BudgetError> {
        let address = [owner.as_bytes()[0]; 20];
        budget.take(Claim { owner: crypto::address::Address::from(address).into(), bytes })
    }

    #[test]
    fn w15_no_more_is_let_in_than_fits() {
        let budget = Budget::new(100);
        let permits = [take(&budget, "a", 50).unwrap(), take(&budget, "b", 50).unwrap()];
        assert_eq!(take(&budget, "c", 1).unwrap_err(), BudgetError::Full { retry_after: SOON });
        drop(permits);
        take(&budget, "c", 100).unwrap();
    }

    #[test]
    fn one_owner_never_takes_everything() {
        let budget = Budget::new(100);
        let _one = take(&budget, "a", 40).unwrap();
        assert_eq!(take(&budget, "a", 40).unwrap_err(), BudgetError::Owner { retry_after: SOON });
        let _two = take(&budget, "a", 35).unwrap();
        take(&budget, "b", 25).unwrap();
    }

    #[test]
    fn one_execution_runs_whatever_it_claims() {
        let budget = Budget::new(10);
        let permit = take(&budget, "a", 500).unwrap();
        assert_eq!(take(&budget, "b", 1).unwrap_err(), BudgetError::Full { retry_after: SOON });
        drop(permit);
        take(&budget, "b", 500).unwrap();
    }

    #[test]
    fn what_can_wait_gets_no_more_than_half_of_what_is_free() {
        let budget = Budget::new(100);
        let owner = Owner::parse(&"0".repeat(40)).unwrap();
        let spare = |bytes| budget.take_spare(Claim { owner, bytes });
        assert!(spare(51).is_none());
        let half = spare(50);
        assert!(half.is_some() && spare(1).is_none());
        drop(half);
        let _run = take(&budget, "a", 30).unwrap();
        assert!(spare(21).is_none() && spare(20).is_some());
    }

    #[test]
    fn what_is_given_back_leaves_nothing_behind() {
        let budget = Budget::new(100);
        drop([take(&budget, "a", 10).unwrap(), take(&budget, "a", 20).unwrap()]);
        let book = budget.book();
        assert_eq!((book.taken, book.owners.len(), book.held.len()), (0, 0, 0));
    }

    #[test]
    fn an_impossible_sum_is_refused() {
        let budget = Budget::new(u64::MAX - 1);
        let _one = take(&budget, "a", 1).unwrap();
        assert_eq!(
            take(&budget, "b", u64::MAX).unwrap_err(),
            BudgetError::Full { retry_after: SOON }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_is_told_when_enough_of_it_may_be_back() {
        let budget = Budget::new(100);
        for _run in 0..100 {
            let permit = take(&budget, "a", 10).unwrap();
            advance(Duration::from_secs(20)).await;
            drop(permit);
        }
        let _older = take(&budget, "a", 50).unwrap();
        advance(Duration::from_secs(5)).await;
        let _newer = take(&budget, "b", 50).unwrap();
        advance(Duration::from_secs(5)).await;
        let told =
            |owner, bytes| take(&budget, owner, bytes).unwrap_err().retry_after().as_secs_f64();
        assert_eq!(told("c", 50).round(), 10.0, "when the older one ends");
        assert_eq!(told("c", 51).round(), 15.0, "when both have ended");
        advance(Duration::from_secs(600)).await;
        assert_eq!(told("c", 50), 1.0, "nobody knows of what takes longer than usual");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_is_at_most_a_minute() {
        let budget = Budget::new(100);
        let permit = take(&budget, "a", 100).unwrap();
        advance(Duration::from_secs(100_000)).await;
        drop(permit);
        let _whole = take(&budget, "a", 100).unwrap();
        assert_eq!(take(&budget, "b", 1).unwrap_err().retry_after(), LATE);
    }
}
