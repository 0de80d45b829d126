//! Package `workflows.v2`: what a workflow tells its owner.

use std::collections::BTreeMap;

message! {
    /// A number that a workflow measured; the field names are the schema's.
    WorkflowUserMetric = "workflows.v2.WorkflowUserMetric" {
        1 cre_info: (message, optional) Option<CreInfo>,
        2 workflow: (message, optional) Option<WorkflowKey>,
        3 workflow_execution_id: (string) String,
        4 timestamp: (string) String,
        5 name: (string) String,
        6 value: (double) f64,
        7 r#type: (enumeration(UserMetricType)) i32,
        8 labels: (btree_map(string, string)) BTreeMap<String, String>,
    }
}

message! {
    /// A line that a workflow logged.
    WorkflowUserLog = "workflows.v2.WorkflowUserLog" {
        1 cre_info: (message, optional) Option<CreInfo>,
        2 workflow: (message, optional) Option<WorkflowKey>,
        3 workflow_execution_id: (string) String,
        4 timestamp: (string) String,
        5 msg: (string) String,
        6 labels: (btree_map(string, string)) BTreeMap<String, String>,
    }
}

message! {
    /// Whose workflow it is.
    WorkflowKey = "workflows.v2.WorkflowKey" {
        1 workflow_owner: (string) String,
        2 workflow_name: (string) String,
        3 workflow_id: (string) String,
        4 organization_id: (string) String,
    }
}

message! {
    /// The node and the DON that ran it.
    CreInfo = "workflows.v2.CreInfo" {
        1 don_id: (int32) i32,
        2 don_f: (int32) i32,
        3 don_n: (int32) i32,
        4 p2p_id: (string) String,
        5 workflow_registry_address: (string) String,
        6 workflow_registry_version: (string) String,
        7 workflow_registry_chain: (string) String,
        8 engine_version: (string) String,
        9 capabilities_registry_version: (string) String,
        10 don_version: (string) String,
        11 workflow_source: (string) String,
    }
}

enumeration! {
    /// How a metric's numbers are to be read.
    UserMetricType {
        0 Unspecified,
        1 Counter,
        2 Gauge,
    }
}
