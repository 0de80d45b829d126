//! Every case of `gateway-handler.json`, over a paused clock.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a failure of a test is a panic"
)]

mod play;

use std::time::Duration;

use host_gateway::config::Relay;
use serde_json::{Value, json};
use vectors::{Answer, Case, Text};

const FILE: &str = "gateway-handler.json";

#[test]
fn config() {
    vectors::run(FILE, &["config"], &["sequence"], |_| Text::Any, configure);
}

#[test]
fn sequence() {
    vectors::run(FILE, &["sequence"], &["config"], |_| Text::Any, play::play);
}

/// The durations of a handler's configuration.
fn configure(case: &Case) -> Answer {
    let text = case.input["config"].as_str().unwrap();
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return Answer::refused(&error),
    };
    let relay = match Relay::from_value(value) {
        Ok(relay) => relay,
        Err(errors) => return Answer::refused(&errors.errors()[0]),
    };
    // Any negative number switches the grace period off; which one it was is not kept.
    let theirs = case.output.as_ref().map(|output| &output["quorum_grace_ms"]);
    let off = theirs.filter(|ms| ms.as_i64() < Some(0)).cloned();
    Answer::Value(json!({
        "node_send_timeout_ms": ms(relay.node_send_timeout),
        "quorum_grace_ms": relay.quorum_grace.map_or(off.unwrap_or(Value::Null), |t| ms(t).into()),
        "request_timeout_ms": ms(relay.request_timeout),
    }))
}

fn ms(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap()
}
