//! Times as texts.
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//!
//! use enclave_sdk::{Setup, WorkflowError, testing::Double, time, trigger};
//!
//! fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
//!     setup.on(trigger::cron("0 * * * * *"), |runtime, _event| {
//!         // What all nodes agree on; `NodeRuntime::now` is a node's own clock.
//!         let now = runtime.now()?;
//!         let start = time::parse("2020-01-01T00:00:00Z")?;
//!         let since = now.duration_since(start).map_err(WorkflowError::new)?;
//!         Ok(format!("{}, {} s later", time::rfc3339(now)?, since.as_secs()))
//!     });
//!     Ok(())
//! }
//!
//! let double = Double::new().time(UNIX_EPOCH + Duration::from_secs(1_577_836_805));
//! let run = double.trigger(init, 0, &trigger::Cron::default());
//! assert_eq!(run.value::<String>().unwrap(), "2020-01-01T00:00:05Z, 5 s later");
//! ```

use std::time::SystemTime;

use protocol::time::Rfc3339;

use crate::WorkflowError;

/// A time in UTC as RFC 3339 writes it, to the nanosecond: `2020-01-02T03:04:05Z`.
///
/// # Errors
///
/// [`WorkflowError::Value`] outside the years 0 to 9999.
pub fn rfc3339(time: SystemTime) -> Result<String, WorkflowError> {
    let time = Rfc3339::try_from(time);
    time.map(|time| time.to_string()).map_err(|_error| WorkflowError::Value { want: TIME })
}

/// Reads a time as RFC 3339 writes it, in any zone.
///
/// # Errors
///
/// [`WorkflowError::Value`] if the text is none.
pub fn parse(text: &str) -> Result<SystemTime, WorkflowError> {
    let time = text.parse::<Rfc3339>().and_then(SystemTime::try_from);
    time.map_err(|_error| WorkflowError::Value { want: TIME })
}

const TIME: &str = "a time of the years 0 to 9999";
