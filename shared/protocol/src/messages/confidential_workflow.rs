//! Package `capabilities.compute.confidentialworkflow.v1alpha`: one execution inside an enclave.

use super::sdk::{ExecuteRequest, ExecutionResult, Requirements, Restrictions, TeeTypeAndRegions};

message! {
    /// The execution that a workflow DON asks an enclave for: the public data of a compute request.
    WorkflowExecution = "capabilities.compute.confidentialworkflow.v1alpha.WorkflowExecution" {
        1 workflow_id: (string) String,
        2 binary_url: (string) String,
        3 binary_hash: (bytes) Vec<u8>,
        4 execute_request: (bytes) Vec<u8>,
        5 owner: (string) String,
        6 execution_id: (string) String,
        7 org_id: (string) String,
        8 requirements: (message, optional) Option<Requirements>,
        9 sdk_execute_request: (message, optional) Option<ExecuteRequest>,
        10 restrictions: (message, optional) Option<Restrictions>,
    }
}

message! {
    /// A call of the capability that runs workflows in enclaves.
    ConfidentialWorkflowRequest =
        "capabilities.compute.confidentialworkflow.v1alpha.ConfidentialWorkflowRequest"
    {
        1 vault_don_secrets: (message, repeated) Vec<SecretIdentifier>,
        2 execution: (message, optional) Option<WorkflowExecution>,
        3 binary_url: (string) String,
    }
}

message! {
    /// The name of one secret.
    SecretIdentifier = "capabilities.compute.confidentialworkflow.v1alpha.SecretIdentifier" {
        1 key: (string) String,
        2 namespace: (string, optional) Option<String>,
    }
}

message! {
    /// What an execution answers: the output of an enclave.
    ConfidentialWorkflowResponse =
        "capabilities.compute.confidentialworkflow.v1alpha.ConfidentialWorkflowResponse"
    {
        1 execution_result: (bytes) Vec<u8>,
        2 sdk_execution_result: (message, optional) Option<ExecutionResult>,
    }
}

message! {
    /// The enclaves a capability offers.
    ProvidedTeesResponse = "capabilities.compute.confidentialworkflow.v1alpha.ProvidedTeesResponse" {
        1 tee: (message, repeated) Vec<TeeTypeAndRegions>,
    }
}
