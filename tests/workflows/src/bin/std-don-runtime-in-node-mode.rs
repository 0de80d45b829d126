//! Conformance: uses the DON runtime inside a node section.

use enclave_sdk::Consensus;
use workflows::perform_action;

fn main() {
    workflows::on_basic_trigger(|runtime| {
        let agreed = runtime.in_node_mode(Consensus::identical(), |_node| {
            Ok(perform_action(runtime, true).wait()?.adapted_thing)
        });
        agreed.wait()
    });
}
