//! Package `capabilities.scheduler.cron.v1`: the cron trigger.

use super::well_known::Timestamp;

/// The capability that fires by the clock: [`Config`] to [`Payload`].
pub const CAPABILITY: &str = "cron-trigger@1.0.0";

message! {
    /// When to fire.
    Config = "capabilities.scheduler.cron.v1.Config" {
        1 schedule: (string) String,
    }
}

message! {
    /// When the trigger was due.
    Payload = "capabilities.scheduler.cron.v1.Payload" {
        1 scheduled_execution_time: (message, optional) Option<Timestamp>,
    }
}

message! {
    /// When the trigger was due, as RFC 3339 text.
    LegacyPayload = "capabilities.scheduler.cron.v1.LegacyPayload" {
        1 scheduled_execution_time: (string) String,
    }
}
