//! Sends a secret to the one server that may have it, and asks a capability for a price.
//!
//! The result says what happened, and never what the secret is.

use enclave_sdk::{
    Enclave, EnclaveRuntime, Serde, Setup, WorkflowError, http,
    messages::devnet::price_feed::{CAPABILITY, LATEST, LatestRequest, LatestResponse},
    trigger,
};
use sha2::{Digest as _, Sha256};

/// What the owner configures, as JSON.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where the secret goes.
    url: String,
    /// What to ask the price of.
    #[serde(default = "default_symbol")]
    symbol: String,
    /// GET, or POST with a short body.
    #[serde(default = "default_method")]
    method: String,
    /// The name of the secret.
    #[serde(default = "default_secret")]
    secret: String,
    /// The header that carries it.
    #[serde(default = "default_header")]
    header: String,
    /// When to run.
    #[serde(default = "default_schedule")]
    schedule: String,
}

/// What the workflow answers.
#[derive(serde::Serialize)]
struct Summary {
    /// The server's status.
    status: u32,
    /// The size of the server's answer.
    body_bytes: usize,
    /// Whether the server has seen the secret: its answer holds the SHA-256 of the header's value.
    secret_arrived: bool,
    symbol: String,
    price: String,
    timestamp_ms: u64,
}

fn main() {
    enclave_sdk::run(init);
}

fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
    let config: Config = setup.runtime().config_json()?;
    let trigger = trigger::cron(config.schedule.clone());
    setup.on_in(Enclave::nitro(), trigger, move |runtime, _event| {
        summary(runtime, &config).map(Serde)
    });
    Ok(())
}

fn summary(runtime: &EnclaveRuntime<'_>, config: &Config) -> Result<Summary, WorkflowError> {
    let symbol = config.symbol.clone();
    let price = runtime.call::<LatestResponse>(CAPABILITY, LATEST, &LatestRequest { symbol });
    let secret = runtime.secret(&config.secret)?;
    let request = match config.method.as_str() {
        "GET" => http::Request::get(&config.url),
        "POST" => http::Request::post(&config.url, "hello"),
        _ => return Err("method is neither GET nor POST".into()),
    };
    let response = runtime.http(request.header(&config.header, secret.expose())).wait()?;
    let price = price.wait()?;
    runtime.log(format!("{} is at {}", price.symbol, price.price));
    Ok(Summary {
        status: response.status(),
        body_bytes: response.body().len(),
        secret_arrived: holds_digest(response.body(), secret.expose()),
        symbol: price.symbol,
        price: price.price,
        timestamp_ms: price.timestamp_ms,
    })
}

/// The devnet's echo service answers digests of the headers it got, never their values.
fn holds_digest(answer: &[u8], value: &str) -> bool {
    let digest: String = Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect();
    answer.windows(digest.len()).any(|window| window == digest.as_bytes())
}

fn default_symbol() -> String {
    "ETH-USD".to_owned()
}

fn default_method() -> String {
    "POST".to_owned()
}

fn default_secret() -> String {
    "API_KEY".to_owned()
}

fn default_header() -> String {
    "X-Api-Key".to_owned()
}

fn default_schedule() -> String {
    "0 */5 * * * *".to_owned()
}
