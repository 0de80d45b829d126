//! Conformance: random numbers of DON mode do not depend on what the node section draws.

use enclave_sdk::{
    Consensus, WorkflowError,
    messages::conformance::node_action::{CAPABILITY, NodeInputs, NodeOutputs, PERFORM_ACTION},
    value::to_value,
};
use workflows::go_rand::Source;

/// What the nodes agree on, under the name the recording has.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Observed {
    output_thing: i32,
}

fn main() {
    workflows::on_basic_trigger(|runtime| {
        let mut don = Source::new(runtime.random_seed()?.cast_signed());
        let first = don.next_u64();
        let consensus = Consensus::fields([("OutputThing", Consensus::median())])
            .or(to_value(&Observed { output_thing: 123 })?)?;
        let agreed = runtime.in_node_mode(consensus, |node| {
            let inputs = NodeInputs { input_thing: true };
            let outputs: NodeOutputs = node.call(CAPABILITY, PERFORM_ACTION, &inputs).wait()?;
            if outputs.output_thing < 100 {
                let mut own = Source::new(node.random_seed().cast_signed());
                node.log(format!("***{}", own.next_u64()));
            }
            to_value(&Observed { output_thing: outputs.output_thing })
        });
        agreed.wait()?;
        Ok::<_, WorkflowError>(first.wrapping_add(don.next_u64()))
    });
}
