//! The times of the handler (relay-protocol 10.2).

use std::time::Duration;

use host_config::{ConfigErrors, Keys};
use protocol::limits::{GATEWAY_TIMEOUT, NODE_SEND_TIMEOUT, QUORUM_GRACE};
use serde_json::Value;

/// How long the handler waits for what. The keys are those of a gateway job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relay {
    /// `requestTimeoutSec`: a request that is older is over. 30 s when absent or 0.
    pub request_timeout: Duration,
    /// `nodeSendTimeoutSec`: a node that has not taken a request by then does not get it. 10 s when
    /// absent or 0, and at most `request_timeout`.
    pub node_send_timeout: Duration,
    /// `quorumGraceMillis`: once F + 1 signed answers are there, more are waited for so long. 10 s when
    /// absent or 0, none when negative, and at most `request_timeout`.
    pub quorum_grace: Option<Duration>,
}

impl Relay {
    /// Reads the table of a configuration; `null` gives the defaults.
    ///
    /// # Errors
    ///
    /// [`ConfigErrors`] for unknown keys, other types, and times that are negative or longer than a
    /// day.
    pub fn from_value(value: Value) -> Result<Self, ConfigErrors> {
        let mut keys = Keys::of_json("relay", value);
        let relay = Self::read(&mut keys);
        keys.finish(Some(relay))
    }

    pub(super) fn read(keys: &mut Keys) -> Self {
        let request_sec = keys.number_or("relay.requestTimeoutSec", (0, DAY_SEC), 0);
        let send_sec = keys.number_or("relay.nodeSendTimeoutSec", (0, DAY_SEC), 0);
        let grace_ms = keys.number_or("relay.quorumGraceMillis", (-DAY_MS, DAY_MS), 0_i64);
        let request_timeout = seconds(request_sec).unwrap_or(GATEWAY_TIMEOUT);
        let node_send_timeout = seconds(send_sec).unwrap_or(NODE_SEND_TIMEOUT);
        let quorum_grace = match u64::try_from(grace_ms) {
            Ok(0) => Some(QUORUM_GRACE),
            Ok(ms) => Some(Duration::from_millis(ms)),
            Err(_negative) => None,
        };
        Self {
            request_timeout,
            node_send_timeout: node_send_timeout.min(request_timeout),
            quorum_grace: quorum_grace.map(|grace| grace.min(request_timeout)),
        }
    }
}

/// Zero stands for the default.
fn seconds(seconds: u64) -> Option<Duration> {
    Some(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// Nobody waits longer; a larger number is a mistake.
const DAY_SEC: u64 = 86_400;

const DAY_MS: i64 = 86_400_000;
