//! Conformance: DON mode, node mode and back, reading the time in each.

use enclave_sdk::Serde;
use workflows::{Observed, median_or_123, perform_action, perform_node_action};

fn main() {
    workflows::on_basic_trigger(|runtime| {
        runtime.now()?;
        let don = perform_action(runtime, true).wait()?.adapted_thing;
        let agreed = runtime.in_node_mode(median_or_123()?, |node| {
            node.now()?;
            Ok(Serde(Observed { output_thing: perform_node_action(node)? }))
        });
        runtime.now()?;
        let Serde(agreed) = agreed.wait()?;
        Ok(format!("{don}{}", agreed.output_thing))
    });
}
