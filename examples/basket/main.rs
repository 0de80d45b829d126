//! Values a basket: asks for all prices side by side, and has the nodes sign what they come to.
//!
//! Calls that are started first and awaited later, log lines with levels and fields, a metric, and a
//! signed report.

use enclave_sdk::{
    Metric, Promise, Runtime, Serde, Setup, WorkflowError,
    log::Level,
    messages::devnet::price_feed::{CAPABILITY, LATEST, LatestRequest, LatestResponse},
    report, trigger,
};
use serde::{Deserialize, Serialize};

/// What the owner configures, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// When to value it.
    schedule: String,
    /// How much of what.
    basket: Vec<Position>,
}

#[derive(Deserialize)]
struct Position {
    symbol: String,
    amount: f64,
}

/// The result.
#[derive(Serialize)]
struct Signed {
    cents: u64,
    signatures: usize,
}

fn main() {
    enclave_sdk::run(init);
}

fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
    let Config { schedule, basket } = setup.runtime().config_json()?;
    setup.log_from(Level::Info);
    setup.on(trigger::cron(schedule), move |runtime, _event| {
        let value = value(runtime, &basket)?;
        // A metric that the host does not take need not end the run.
        if let Err(error) = runtime.metric(Metric::gauge("basket_value", value)) {
            runtime.warn("no metric", &[("error", &error)]);
        }
        let cents = (value * 100.0).round() as u64;
        let report = runtime.report(report::Request::evm(word(cents))).wait()?;
        Ok(Serde(Signed { cents, signatures: report.signatures().len() }))
    });
    Ok(())
}

fn value(runtime: &Runtime<'_>, basket: &[Position]) -> Result<f64, WorkflowError> {
    // All calls are on their way before the first one is waited for.
    let asked: Vec<_> = basket.iter().map(|held| (held, price(runtime, &held.symbol))).collect();
    let mut value = 0.0;
    for (held, price) in asked {
        let price = price.wait()?;
        runtime.debug("not written", &[("symbol", &held.symbol)]);
        runtime.info("priced", &[("symbol", &held.symbol), ("price", &price)]);
        value += held.amount * price;
    }
    Ok(value)
}

/// Starts a call. What is waited for is a number, not the capability's message.
fn price<'s>(runtime: &Runtime<'s>, symbol: &str) -> Promise<'s, f64> {
    let request = LatestRequest { symbol: symbol.to_owned() };
    let latest = runtime.call::<LatestResponse>(CAPABILITY, LATEST, &request);
    latest.map(|latest| latest.price.parse().map_err(WorkflowError::new))
}

/// A number as contracts of EVM chains take it.
fn word(number: u64) -> Vec<u8> {
    [&[0; 24][..], &number.to_be_bytes()].concat()
}
