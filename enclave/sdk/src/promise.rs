//! Answers that are on their way.

use std::fmt;

use crate::WorkflowError;

/// An answer that is on its way: the call is started, the workflow goes on.
///
/// Start all calls first and wait afterwards, in any order; they run side by side meanwhile. A call
/// that could not be started says so when it is waited for.
///
/// ```
/// use enclave_sdk::{
///     Promise, Runtime, Setup, WorkflowError,
///     messages::devnet::price_feed::{CAPABILITY, LATEST, LatestRequest, LatestResponse},
///     testing::Double,
///     trigger,
/// };
///
/// /// Starts a call whose answer will be a number.
/// fn price<'s>(runtime: &Runtime<'s>, symbol: &str) -> Promise<'s, f64> {
///     let request = LatestRequest { symbol: symbol.to_owned() };
///     let latest = runtime.call::<LatestResponse>(CAPABILITY, LATEST, &request);
///     latest.map(|latest| latest.price.parse().map_err(WorkflowError::new))
/// }
///
/// fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
///     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
///         // All are started before the first one is waited for.
///         let started = ["A", "B", "C"].map(|symbol| price(runtime, symbol));
///         let prices: Result<Vec<_>, _> = started.into_iter().map(Promise::wait).collect();
///         Ok(prices?.iter().sum::<f64>())
///     });
///     Ok(())
/// }
///
/// let double = Double::new().capability(CAPABILITY, LATEST, |_: LatestRequest| {
///     Ok(LatestResponse { price: "1.5".to_owned(), ..Default::default() })
/// });
/// let run = double.trigger(init, 0, &trigger::Cron::default());
/// assert_eq!(run.value::<f64>().unwrap(), 4.5);
/// ```
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
