//! Answers that are on their way.

use std::fmt;

use crate::WorkflowError;

/// An answer that is on its way: the call is started, the workflow goes on.
///
/// Start all calls first and wait afterwards, in any order; they run side by side meanwhile. A call
/// that could not be started says so when it is waited for.
#[must_use = "without `wait` nobody learns the answer"]
pub struct Promise<'r, T> {
    wait: Box<dyn FnOnce() -> Result<T, WorkflowError> + 'r>,
}

impl<'r, T: 'r> Promise<'r, T> {
    pub(crate) fn new(wait: impl FnOnce() -> Result<T, WorkflowError> + 'r) -> Self {
        Self { wait: Box::new(wait) }
    }

    /// Waits for the answer.
    ///
    /// # Errors
    ///
    /// Whatever kept the call from being started or answered.
    pub fn wait(self) -> Result<T, WorkflowError> {
        (self.wait)()
    }

    /// Turns the answer into something else when it is waited for.
    pub fn map<U: 'r>(
        self,
        then: impl FnOnce(T) -> Result<U, WorkflowError> + 'r,
    ) -> Promise<'r, U> {
        Promise::new(move || then(self.wait()?))
    }
}

impl<T> fmt::Debug for Promise<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Promise")
    }
}
