//! Asks a service every minute how it is, with a secret in a header.
//!
//! A cron trigger, a secret, and an http-action of the enclave itself: nobody outside of it sees the
//! secret.

use std::time::Duration;

use enclave_sdk::{Enclave, EnclaveRuntime, Setup, WorkflowError, http, trigger};
use serde::Deserialize;

/// What the owner configures, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// When to ask: the first field counts seconds.
    schedule: String,
    /// Whom.
    url: String,
}

/// What the service answers.
#[derive(Deserialize)]
struct Status {
    state: String,
    waiting: u32,
}

fn main() {
    enclave_sdk::run(init);
}

fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
    let config: Config = setup.runtime().config_json()?;
    setup.on_in(Enclave::any(), trigger::cron(config.schedule), move |runtime, _event| {
        ask(runtime, &config.url)
    });
    Ok(())
}

fn ask(runtime: &EnclaveRuntime<'_>, url: &str) -> Result<String, WorkflowError> {
    let token = runtime.secret("STATUS_TOKEN")?;
    let request = http::Request::get(url)
        .header("Authorization", format!("Bearer {}", token.expose()))
        .timeout(Duration::from_secs(5));
    let response = runtime.http(request).wait()?.success()?;
    let Status { state, waiting } = response.json()?;
    if waiting > 100 {
        runtime.warn("many are waiting", &[("waiting", &waiting)]);
    }
    Ok(format!("{state}, {waiting} waiting"))
}
