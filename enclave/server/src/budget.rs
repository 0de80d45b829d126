//! How much may run at the same time: bytes, not a count, shared fairly among owners (W-15).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::ids::Owner;

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
    claim: Claim,
}

/// There is no room now. Later there will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BudgetError {
    /// All of it is in use.
    #[error("enclave at capacity: too many concurrent executions")]
    Full,
    /// The owner has its share, and others must find room too.
    #[error("enclave at capacity: too many concurrent executions of one owner")]
    Owner,
}

impl Budget {
    /// A budget of this many bytes. One execution runs even if it claims more.
    #[must_use]
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(Book { limit: bytes, taken: 0, owners: HashMap::new() })))
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
        let mut book = self.book();
        let taken = book.taken.saturating_add(claim.bytes);
        if book.taken > 0 && taken > book.limit {
            return Err(BudgetError::Full);
        }
        let share = book.limit.saturating_sub(book.limit / 4);
        let own = book.owners.get(&claim.owner).copied().unwrap_or(0);
        let own_taken = own.saturating_add(claim.bytes);
        if own > 0 && own_taken > share {
            return Err(BudgetError::Owner);
        }
        book.taken = taken;
        book.owners.insert(claim.owner, own_taken);
        drop(book);
        Ok(Permit { budget: self.clone(), claim })
    }

    /// How many executions of this size fit together; at least one.
    #[must_use]
    pub(crate) fn fits(&self, bytes: u64) -> u64 {
        self.book().limit.checked_div(bytes).unwrap_or(u64::MAX).max(1)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut book = self.budget.book();
        book.taken = book.taken.saturating_sub(self.claim.bytes);
        let own = book.owners.get(&self.claim.owner).copied().unwrap_or(0);
        match own.saturating_sub(self.claim.bytes) {
            0 => drop(book.owners.remove(&self.claim.owner)),
            rest => drop(book.owners.insert(self.claim.owner, rest)),
        }
    }
}

#[derive(Debug)]
struct Book {
    limit: u64,
    taken: u64,
    owners: HashMap<Owner, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(budget: &Budget, owner: &str, bytes: u64) -> Result<Permit, BudgetError> {
        let address = [owner.as_bytes()[0]; 20];
        budget.take(Claim { owner: crypto::address::Address::from(address).into(), bytes })
    }

    #[test]
    fn w15_no_more_is_let_in_than_fits() {
        let budget = Budget::new(100);
        let permits = [take(&budget, "a", 50).unwrap(), take(&budget, "b", 50).unwrap()];
        assert_eq!(take(&budget, "c", 1).unwrap_err(), BudgetError::Full);
        drop(permits);
        take(&budget, "c", 100).unwrap();
    }

    #[test]
    fn one_owner_never_takes_everything() {
        let budget = Budget::new(100);
        let _one = take(&budget, "a", 40).unwrap();
        assert_eq!(take(&budget, "a", 40).unwrap_err(), BudgetError::Owner);
        let _two = take(&budget, "a", 35).unwrap();
        take(&budget, "b", 25).unwrap();
    }

    #[test]
    fn one_execution_runs_whatever_it_claims() {
        let budget = Budget::new(10);
        let permit = take(&budget, "a", 500).unwrap();
        assert_eq!(take(&budget, "b", 1).unwrap_err(), BudgetError::Full);
        drop(permit);
        take(&budget, "b", 500).unwrap();
    }

    #[test]
    fn what_is_given_back_leaves_nothing_behind() {
        let budget = Budget::new(100);
        drop([take(&budget, "a", 10).unwrap(), take(&budget, "a", 20).unwrap()]);
        let book = budget.book();
        assert_eq!((book.taken, book.owners.len()), (0, 0));
    }

    #[test]
    fn an_impossible_sum_is_refused() {
        let budget = Budget::new(u64::MAX - 1);
        let _one = take(&budget, "a", 1).unwrap();
        assert_eq!(take(&budget, "b", u64::MAX).unwrap_err(), BudgetError::Full);
    }
}
