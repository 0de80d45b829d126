//! Package `sdk.v1alpha`: what a workflow and its host say to each other.

use std::collections::BTreeMap;

use super::{
    values::Value,
    well_known::{Any, Empty},
};

/// The method of all triggers there are.
pub const TRIGGER: &str = "Trigger";

message! {
    /// What one run of a workflow is asked to do.
    ExecuteRequest = "sdk.v1alpha.ExecuteRequest" {
        1 config: (bytes) Vec<u8>,
        4 max_response_size: (uint64) u64,
        /// The phase of a run.
        oneof request: Phase {
            2 subscribe: Subscribe(message) Empty,
            3 trigger: Trigger(message) Trigger,
            5 pre_hook: PreHook(message) Trigger,
        }
    }
}

message! {
    /// What one run of a workflow answers.
    ExecutionResult = "sdk.v1alpha.ExecutionResult" {
        /// The answer of a run.
        oneof result: Outcome {
            1 value: Value(message) Value,
            2 error: Error(string) String,
            3 trigger_subscriptions: TriggerSubscriptions(message) TriggerSubscriptionRequest,
            4 restrictions: Restrictions(message) Restrictions,
        }
    }
}

message! {
    /// A trigger that fired, by the index of its subscription.
    Trigger = "sdk.v1alpha.Trigger" {
        1 id: (uint64) u64,
        2 payload: (message, optional) Option<Any>,
    }
}

message! {
    /// One trigger that a workflow wants.
    TriggerSubscription = "sdk.v1alpha.TriggerSubscription" {
        1 id: (string) String,
        2 payload: (message, optional) Option<Any>,
        3 method: (string) String,
        4 requirements: (message, optional) Option<Requirements>,
        5 pre_hook: (bool) bool,
    }
}

message! {
    /// All triggers that a workflow wants.
    TriggerSubscriptionRequest = "sdk.v1alpha.TriggerSubscriptionRequest" {
        1 subscriptions: (message, repeated) Vec<TriggerSubscription>,
    }
}

message! {
    /// A call of a capability.
    CapabilityRequest = "sdk.v1alpha.CapabilityRequest" {
        1 id: (string) String,
        2 payload: (message, optional) Option<Any>,
        3 method: (string) String,
        4 callback_id: (int32) i32,
    }
}

message! {
    /// The answer of a capability.
    CapabilityResponse = "sdk.v1alpha.CapabilityResponse" {
        /// The answer of a capability.
        oneof response: CapabilityOutcome {
            1 payload: Payload(message) Any,
            2 error: Error(string) String,
        }
    }
}

message! {
    /// The calls whose answers a workflow waits for.
    AwaitCapabilitiesRequest = "sdk.v1alpha.AwaitCapabilitiesRequest" {
        1 ids: (int32, repeated) Vec<i32>,
    }
}

message! {
    /// Answers by callback id.
    AwaitCapabilitiesResponse = "sdk.v1alpha.AwaitCapabilitiesResponse" {
        1 responses: (btree_map(int32, message)) BTreeMap<i32, CapabilityResponse>,
    }
}

message! {
    /// A request for secrets.
    GetSecretsRequest = "sdk.v1alpha.GetSecretsRequest" {
        1 requests: (message, repeated) Vec<SecretRequest>,
        2 callback_id: (int32) i32,
    }
}

message! {
    /// The name of one secret.
    SecretRequest = "sdk.v1alpha.SecretRequest" {
        1 id: (string) String,
        2 namespace: (string) String,
    }
}

message! {
    /// The secret requests whose answers a workflow waits for.
    AwaitSecretsRequest = "sdk.v1alpha.AwaitSecretsRequest" {
        1 ids: (int32, repeated) Vec<i32>,
    }
}

message! {
    /// Answers by callback id.
    AwaitSecretsResponse = "sdk.v1alpha.AwaitSecretsResponse" {
        1 responses: (btree_map(int32, message)) BTreeMap<i32, SecretResponses>,
    }
}

message! {
    /// The answers to one request for secrets, in its order.
    SecretResponses = "sdk.v1alpha.SecretResponses" {
        1 responses: (message, repeated) Vec<SecretResponse>,
    }
}

message! {
    /// The answer for one secret.
    SecretResponse = "sdk.v1alpha.SecretResponse" {
        /// The answer for one secret.
        oneof response: SecretOutcome {
            1 secret: Secret(message) Secret,
            2 error: Error(message) SecretError,
        }
    }
}

message! {
    /// A secret in the clear; it is wiped when dropped and cannot be printed.
    opaque Secret = "sdk.v1alpha.Secret" {
        1 id: (string) String,
        2 namespace: (string) String,
        3 owner: (string) String,
        4 value: (string) String,
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.value);
    }
}

message! {
    /// Why a secret is not there.
    SecretError = "sdk.v1alpha.SecretError" {
        1 id: (string) String,
        2 namespace: (string) String,
        3 owner: (string) String,
        4 error: (string) String,
    }
}

message! {
    /// A report to be signed.
    ReportRequest = "sdk.v1alpha.ReportRequest" {
        1 encoded_payload: (bytes) Vec<u8>,
        2 encoder_name: (string) String,
        3 signing_algo: (string) String,
        4 hashing_algo: (string) String,
    }
}

message! {
    /// A signed report.
    ReportResponse = "sdk.v1alpha.ReportResponse" {
        1 config_digest: (bytes) Vec<u8>,
        2 seq_nr: (uint64) u64,
        3 report_context: (bytes) Vec<u8>,
        4 raw_report: (bytes) Vec<u8>,
        5 sigs: (message, repeated) Vec<AttributedSignature>,
    }
}

message! {
    /// One signature of a report and the index of its signer.
    AttributedSignature = "sdk.v1alpha.AttributedSignature" {
        1 signature: (bytes) Vec<u8>,
        2 signer_id: (uint32) u32,
    }
}

message! {
    /// What a handler requires of the place it runs in.
    Requirements = "sdk.v1alpha.Requirements" {
        1 tee: (message, optional) Option<Tee>,
    }
}

message! {
    /// The enclaves in which a handler may run.
    Tee = "sdk.v1alpha.Tee" {
        /// Which enclaves a handler accepts.
        oneof item: TeeItem {
            1 any_regions: AnyRegions(message) Regions,
            2 tee_types_and_regions: TypesAndRegions(message) TeeTypesAndRegions,
        }
    }
}

message! {
    /// Regions by name.
    Regions = "sdk.v1alpha.Regions" {
        1 regions: (string, repeated) Vec<String>,
    }
}

message! {
    /// Enclave types, each with its regions.
    TeeTypesAndRegions = "sdk.v1alpha.TeeTypesAndRegions" {
        1 tee_type_and_regions: (message, repeated) Vec<TeeTypeAndRegions>,
    }
}

message! {
    /// One enclave type with its regions.
    TeeTypeAndRegions = "sdk.v1alpha.TeeTypeAndRegions" {
        1 r#type: (enumeration(TeeType)) i32,
        3 regions: (string, repeated) Vec<String>,
    }
}

message! {
    /// What a pre-hook allows the run that follows.
    Restrictions = "sdk.v1alpha.Restrictions" {
        1 secrets: (message, optional) Option<SecretsRestrictions>,
        2 capabilities: (message, optional) Option<CapabilityRestrictions>,
    }
}

message! {
    /// The capability calls that are allowed.
    CapabilityRestrictions = "sdk.v1alpha.CapabilityRestrictions" {
        1 restrictions: (message, repeated) Vec<CapabilityRestriction>,
        2 max_total_calls: (uint32) u32,
        3 r#type: (enumeration(CapabilityRestrictionType)) i32,
    }
}

message! {
    /// One rule about capability calls.
    CapabilityRestriction = "sdk.v1alpha.CapabilityRestriction" {
        /// One rule about capability calls.
        oneof restriction: CapabilityRule {
            1 method: Method(message) MethodRestriction,
        }
    }
}

message! {
    /// How often one method may be called.
    MethodRestriction = "sdk.v1alpha.MethodRestriction" {
        1 id: (string) String,
        2 method: (string) String,
        3 max_calls: (uint32) u32,
    }
}

message! {
    /// The secrets that may be read. The schema's own name lacks a letter.
    SecretsRestrictions = "sdk.v1alpha.SecretsRestritions" {
        1 restrictions: (message, repeated) Vec<SecretRestriction>,
        2 max_secrets: (uint32) u32,
    }
}

message! {
    /// One rule about secrets.
    SecretRestriction = "sdk.v1alpha.SecretRestriction" {
        /// One rule about secrets.
        oneof restriction: SecretRule {
            1 exact_secret: ExactSecret(message) Secret,
            2 prefixed_secret: PrefixedSecret(message) SecretPrefixRestriction,
        }
    }
}

message! {
    /// How many secrets with one prefix may be read.
    SecretPrefixRestriction = "sdk.v1alpha.SecretPrefixRestriction" {
        1 prefix: (string) String,
        2 namespace: (string) String,
        3 max_secrets: (uint32) u32,
    }
}

enumeration! {
    /// The mode in which a part of a workflow runs.
    Mode {
        0 Unspecified,
        1 Don,
        2 Node,
    }
}

enumeration! {
    /// A type of enclave.
    TeeType {
        0 Unspecified,
        1 AwsNitro,
    }
}

enumeration! {
    /// Whether calls without a rule are allowed.
    CapabilityRestrictionType {
        0 Closed,
        1 Open,
    }
}
