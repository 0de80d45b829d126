//! Conformance: asks for a secret inside a node section.

use enclave_sdk::Consensus;

fn main() {
    workflows::on_basic_trigger(|runtime| {
        let agreed = runtime.in_node_mode(Consensus::identical(), |_node| {
            Ok(runtime.secret("Foo")?.expose().to_owned())
        });
        agreed.wait()
    });
}
