//! Conformance: DON mode, node mode and back, reading the time in each.

use enclave_sdk::{
    Consensus, WorkflowError,
    messages::conformance::node_action::{CAPABILITY, NodeInputs, NodeOutputs, PERFORM_ACTION},
    value::{from_value, to_value},
};
use workflows::perform_action;

/// What the nodes agree on, under the name the recording has.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Observed {
    output_thing: i32,
}

fn main() {
    workflows::on_basic_trigger(|runtime| {
        runtime.now()?;
        let don = perform_action(runtime, true).wait()?.adapted_thing;
        let consensus = Consensus::fields([("OutputThing", Consensus::median())])
            .or(to_value(&Observed { output_thing: 123 })?)?;
        let agreed = runtime.in_node_mode(consensus, |node| {
            node.now()?;
            let inputs = NodeInputs { input_thing: true };
            let outputs: NodeOutputs = node.call(CAPABILITY, PERFORM_ACTION, &inputs).wait()?;
            to_value(&Observed { output_thing: outputs.output_thing })
        });
        runtime.now()?;
        let agreed: Observed = from_value(agreed.wait()?)?;
        Ok::<_, WorkflowError>(format!("{don}{}", agreed.output_thing))
    });
}
