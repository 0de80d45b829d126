//! Conformance: keeps the node runtime and uses it after the node section.

use enclave_sdk::Consensus;
use workflows::perform_node_action;

fn main() {
    workflows::on_basic_trigger(|runtime| {
        let mut kept = None;
        let agreed = runtime.in_node_mode(Consensus::identical(), |node| {
            kept = Some(*node);
            Ok("hi".to_owned())
        });
        agreed.wait()?;
        perform_node_action(&kept.ok_or("the section did not run")?)
    });
}
