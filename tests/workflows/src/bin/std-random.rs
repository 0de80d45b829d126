//! Conformance: random numbers of DON mode do not depend on what the node section draws.

use enclave_sdk::Serde;
use workflows::{Observed, go_rand::Source, median_or_123, perform_node_action};

fn main() {
    workflows::on_basic_trigger(|runtime| {
        let mut don = Source::new(runtime.random_seed()?.cast_signed());
        let first = don.next_u64();
        let agreed = runtime.in_node_mode(median_or_123()?, |node| {
            let output_thing = perform_node_action(node)?;
            if output_thing < 100 {
                let mut own = Source::new(node.random_seed()?.cast_signed());
                node.log(format!("***{}", own.next_u64()));
            }
            Ok(Serde(Observed { output_thing }))
        });
        agreed.wait()?;
        Ok(first.wrapping_add(don.next_u64()))
    });
}
