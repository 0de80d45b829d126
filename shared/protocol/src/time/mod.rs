//! Times and durations in the forms that Go writes.

mod duration;
mod rfc3339;

pub use duration::{GoDuration, ParseDurationError};
pub use rfc3339::{ParseTimeError, Rfc3339};
