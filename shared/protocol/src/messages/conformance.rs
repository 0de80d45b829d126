//! The capabilities of the conformance tests, one package each.

/// Package `capabilities.internal.basicaction.v1`.
pub mod basic_action {
    /// The capability.
    pub const CAPABILITY: &str = "basic-test-action@1.0.0";

    /// Its only method: [`Inputs`] to [`Outputs`].
    pub const PERFORM_ACTION: &str = "PerformAction";

    message! {
        /// What the action is given.
        Inputs = "capabilities.internal.basicaction.v1.Inputs" {
            1 input_thing: (bool) bool,
        }
    }

    message! {
        /// What the action answers.
        Outputs = "capabilities.internal.basicaction.v1.Outputs" {
            1 adapted_thing: (string) String,
        }
    }
}

/// Package `capabilities.internal.nodeaction.v1`.
pub mod node_action {
    /// The capability.
    pub const CAPABILITY: &str = "basic-test-node-action@1.0.0";

    /// Its only method: [`NodeInputs`] to [`NodeOutputs`].
    pub const PERFORM_ACTION: &str = "PerformAction";

    message! {
        /// What the action is given.
        NodeInputs = "capabilities.internal.nodeaction.v1.NodeInputs" {
            1 input_thing: (bool) bool,
        }
    }

    message! {
        /// What the action answers.
        NodeOutputs = "capabilities.internal.nodeaction.v1.NodeOutputs" {
            1 output_thing: (int32) i32,
        }
    }
}

/// Package `capabilities.internal.basictrigger.v1`.
pub mod basic_trigger {
    /// The capability: [`Config`] to [`Outputs`].
    pub const CAPABILITY: &str = "basic-test-trigger@1.0.0";

    message! {
        /// How the trigger is set up.
        Config = "capabilities.internal.basictrigger.v1.Config" {
            1 name: (string) String,
            2 number: (int32) i32,
        }
    }

    message! {
        /// What the trigger fires with.
        Outputs = "capabilities.internal.basictrigger.v1.Outputs" {
            1 cool_output: (string) String,
        }
    }
}

/// Package `capabilities.internal.actionandtrigger.v1`.
pub mod action_and_trigger {
    /// The capability; as a trigger [`Config`] to [`TriggerEvent`].
    pub const CAPABILITY: &str = "basic-test-action-trigger@1.0.0";

    /// Its only method: [`Input`] to [`Output`].
    pub const ACTION: &str = "Action";

    message! {
        /// What the action is given.
        Input = "capabilities.internal.actionandtrigger.v1.Input" {
            1 name: (string) String,
        }
    }

    message! {
        /// What the action answers.
        Output = "capabilities.internal.actionandtrigger.v1.Output" {
            1 welcome: (string) String,
        }
    }

    message! {
        /// How the trigger is set up.
        Config = "capabilities.internal.actionandtrigger.v1.Config" {
            1 name: (string) String,
            2 number: (int32) i32,
        }
    }

    message! {
        /// What the trigger fires with.
        TriggerEvent = "capabilities.internal.actionandtrigger.v1.TriggerEvent" {
            1 cool_output: (string) String,
        }
    }
}
