//! What the conformance guests have in common.

pub mod go_rand;

use enclave_sdk::{
    Consensus, NodeRuntime, Promise, Runtime, Serde, Setup, ToValue, Trigger, WorkflowError,
    consensus::Aggregation,
    messages::{
        Message,
        conformance::{action_and_trigger, basic_action, basic_trigger, node_action},
        sdk::TRIGGER,
    },
};

/// What the nodes agree on in several tests, under the name the recordings have.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Observed {
    /// What the node's action answered.
    pub output_thing: i32,
}

/// The trigger of the conformance tests.
pub fn basic_trigger(name: &str, number: i32) -> Trigger<basic_trigger::Outputs> {
    let config = basic_trigger::Config { name: name.to_owned(), number };
    trigger(basic_trigger::CAPABILITY, &config)
}

/// Their other trigger.
pub fn action_trigger(name: &str, number: i32) -> Trigger<action_and_trigger::TriggerEvent> {
    let config = action_and_trigger::Config { name: name.to_owned(), number };
    trigger(action_and_trigger::CAPABILITY, &config)
}

/// A workflow with one handler on the first trigger.
pub fn on_basic_trigger<V: ToValue>(
    handler: impl Fn(&Runtime<'_>) -> Result<V, WorkflowError> + 'static,
) {
    enclave_sdk::run(|setup: &mut Setup<'_>| {
        setup.on(basic_trigger("name", 100), move |runtime, _event| handler(runtime));
        Ok(())
    });
}

/// Starts the action of the conformance tests.
pub fn perform_action<'s>(
    runtime: &Runtime<'s>,
    input_thing: bool,
) -> Promise<'s, basic_action::Outputs> {
    let inputs = basic_action::Inputs { input_thing };
    runtime.call(basic_action::CAPABILITY, basic_action::PERFORM_ACTION, &inputs)
}

/// Has a node perform its action.
pub fn perform_node_action(node: &NodeRuntime<'_>) -> Result<i32, WorkflowError> {
    let inputs = node_action::NodeInputs { input_thing: true };
    let outputs: node_action::NodeOutputs =
        node.call(node_action::CAPABILITY, node_action::PERFORM_ACTION, &inputs).wait()?;
    Ok(outputs.output_thing)
}

/// The median of what the nodes' actions answer, or 123.
pub fn median_or_123() -> Result<Consensus<Serde<Observed>>, WorkflowError> {
    Consensus::fields([("OutputThing", Aggregation::Median)])
        .or(Serde(Observed { output_thing: 123 }))
}

fn trigger<P: Message>(capability: &str, config: &impl Message) -> Trigger<P> {
    Trigger::new(capability, TRIGGER, config)
}
