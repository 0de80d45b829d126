//! The protobuf messages that cross a border.

/// A list of each message's name and a function of it: `check::<Message>` for `check`.
///
/// The position of a message is the byte by which an input chooses it, so new ones go to the end.
#[macro_export]
macro_rules! each_message {
    ($check:ident) => {
        $crate::each_message!($check:
            values::Value,
            sdk::ExecuteRequest,
            sdk::ExecutionResult,
            sdk::CapabilityRequest,
            sdk::CapabilityResponse,
            sdk::AwaitCapabilitiesRequest,
            sdk::AwaitCapabilitiesResponse,
            sdk::GetSecretsRequest,
            sdk::AwaitSecretsRequest,
            sdk::AwaitSecretsResponse,
            sdk::SecretResponses,
            sdk::Trigger,
            sdk::TriggerSubscriptionRequest,
            sdk::ReportRequest,
            sdk::ReportResponse,
            sdk::Requirements,
            sdk::Restrictions,
            capabilities::CapabilityResponse,
            confidential_http::ConfidentialHttpRequest,
            confidential_workflow::WorkflowExecution,
            confidential_workflow::ProvidedTeesResponse,
            consensus::SimpleConsensusInputs,
            consensus::ConsensusDescriptor,
            cron::Config,
            cron::Payload,
            http::Request,
            http::Response,
            http::Config,
            http::Payload,
            storage::DownloadArtifactRequest,
            storage::DownloadArtifactResponse,
            telemetry::WorkflowUserMetric,
            telemetry::WorkflowUserLog,
            telemetry::CreInfo,
            values::Map,
            values::List,
            values::BigInt,
            values::Decimal,
            vault::GetSecretsRequest,
            vault::GetSecretsResponse,
            well_known::Any,
            well_known::Empty,
            well_known::Timestamp,
            well_known::Duration,
        )
    };
    ($check:ident: $($package:ident::$message:ident,)*) => {
        &[$((
            <protocol::messages::$package::$message as protocol::messages::Message>::NAME,
            $check::<protocol::messages::$package::$message> as fn(&[u8]),
        )),*]
    };
}
