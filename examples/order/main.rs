//! Answers HTTP requests: adds an order up.
//!
//! An http trigger, whose input is JSON, and a result with members.

use enclave_sdk::{Serde, Setup, WorkflowError, trigger};
use serde::{Deserialize, Serialize};

/// What the owner configures, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Whose signed requests are taken: EVM addresses.
    keys: Vec<String>,
}

/// What a request says.
#[derive(Deserialize)]
struct Order {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    price_cents: u64,
    quantity: u64,
}

/// What is answered.
#[derive(Serialize)]
struct Bill {
    items: usize,
    total_cents: u64,
}

fn main() {
    enclave_sdk::run(init);
}

fn init(setup: &mut Setup<'_>) -> Result<(), WorkflowError> {
    let config: Config = setup.runtime().config_json()?;
    setup.on(trigger::http(config.keys), |runtime, event| {
        let order: Order = trigger::input(&event)?;
        let bill = bill(&order)?;
        runtime.info("added up", &[("items", &bill.items)]);
        Ok(Serde(bill))
    });
    Ok(())
}

/// An error is a result too: the caller reads its text.
fn bill(order: &Order) -> Result<Bill, WorkflowError> {
    if order.items.is_empty() {
        return Err("the order is empty".into());
    }
    let total = order.items.iter().try_fold(0_u64, |total, item| {
        total.checked_add(item.price_cents.checked_mul(item.quantity)?)
    });
    let total_cents = total.ok_or("the order is too large")?;
    Ok(Bill { items: order.items.len(), total_cents })
}

/// `cargo test --target host-tuple` runs these without a host.
#[cfg(test)]
mod tests {
    use enclave_sdk::testing::{Double, Run};

    use super::*;

    fn order(input: &str) -> Run {
        let double = Double::new().config(r#"{"keys": []}"#);
        let event = trigger::Http { input: input.into(), ..trigger::Http::default() };
        double.trigger(init, 0, &event)
    }

    #[test]
    fn an_order_without_items_is_refused() {
        assert_eq!(order(r#"{"items": []}"#).error(), Some("the order is empty"));
    }

    #[test]
    fn an_order_that_no_number_holds_is_refused() {
        let run = order(r#"{"items": [{"price_cents": 18446744073709551615, "quantity": 2}]}"#);
        assert_eq!(run.error(), Some("the order is too large"));
    }

    #[test]
    fn what_is_no_order_is_refused() {
        assert_eq!(order("[1]").error(), Some("the input is not the expected JSON"));
    }
}
