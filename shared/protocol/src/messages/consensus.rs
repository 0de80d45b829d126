//! The part of package `sdk.v1alpha` that the consensus capability reads.

use std::collections::BTreeMap;

use super::values::Value;

/// The capability by which nodes agree.
pub const CAPABILITY: &str = "consensus@1.0.0-alpha";

/// Its method that aggregates observations: [`SimpleConsensusInputs`] to [`Value`].
pub const SIMPLE: &str = "Simple";

/// Its method that signs: [`ReportRequest`](super::sdk::ReportRequest) to
/// [`ReportResponse`](super::sdk::ReportResponse).
pub const REPORT: &str = "Report";

message! {
    /// One node's observation and how observations are to be aggregated.
    SimpleConsensusInputs = "sdk.v1alpha.SimpleConsensusInputs" {
        3 descriptors: (message, optional) Option<ConsensusDescriptor>,
        4 default: (message, optional) Option<Value>,
        /// What a node observed.
        oneof observation: Observation {
            1 value: Value(message) Value,
            2 error: Error(string) String,
        }
    }
}

message! {
    /// How to aggregate a value or the members of a map.
    ConsensusDescriptor = "sdk.v1alpha.ConsensusDescriptor" {
        /// How to aggregate.
        oneof descriptor: Descriptor {
            1 aggregation: Aggregation(enumeration(AggregationType)) i32,
            2 fields_map: FieldsMap(message) FieldsMap,
        }
    }
}

message! {
    /// A descriptor for each member of a map.
    FieldsMap = "sdk.v1alpha.FieldsMap" {
        1 fields: (btree_map(string, message)) BTreeMap<String, ConsensusDescriptor>,
    }
}

enumeration! {
    /// A way to aggregate observations.
    AggregationType {
        0 Unspecified,
        1 Median,
        2 Identical,
        3 CommonPrefix,
        4 CommonSuffix,
        5 FrequencyList,
    }
}
