//! Has every node ask for a price, and all nodes agree on the median.
//!
//! Node mode: what a node sees there may differ from what others see, until they agree.

use enclave_sdk::{
    Consensus, NodeRuntime, Serde, Setup, WorkflowError, consensus::Aggregation, http, trigger,
};
use serde::{Deserialize, Serialize};

/// What the owner configures, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// When to ask.
    schedule: String,
    /// Whom.
    url: String,
}

/// What a node observes, what all agree on, and the result.
#[derive(Deserialize, Serialize)]
struct Quote {
    symbol: String,
    price: f64,
}

fn main() {
    enclave_sdk::run(init);
}

fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
    let Config { schedule, url } = setup.runtime().config_json()?;
    setup.on(trigger::cron(schedule), move |runtime, _event| {
        let fields = [("symbol", Aggregation::Identical), ("price", Aggregation::Median)];
        let agreed =
            runtime.in_node_mode(Consensus::fields(fields), |node| observe(node, &url).map(Serde));
        let Serde(quote): Serde<Quote> = agreed.wait()?;
        runtime.info("agreed", &[("symbol", &quote.symbol), ("price", &quote.price)]);
        Ok(Serde(quote))
    });
    Ok(())
}

/// One node's view.
fn observe(node: &NodeRuntime<'_>, url: &str) -> Result<Quote, WorkflowError> {
    let quote: Quote = node.http(http::Request::get(url)).wait()?.success()?.json()?;
    if !quote.price.is_finite() || quote.price <= 0.0 {
        return Err("the price is no price".into());
    }
    Ok(quote)
}
