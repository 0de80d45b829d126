//! What a case gives.

use std::collections::BTreeMap;

use serde_json::Value;
use vectors::Answer;

/// The input of a case.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pub(crate) request: String,
    pub(crate) local_don: LocalDon,
    pub(crate) registry: Registry,
    pub(crate) executions: Vec<Execution>,
    pub(crate) validator: String,
    pub(crate) require_bft_quorum: bool,
    pub(crate) node_seed: String,
    pub(crate) settings: Option<Settings>,
    pub(crate) now_ms: u64,
}

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocalDon {
    pub(crate) error: Option<String>,
    #[serde(rename = "id")]
    _id: Option<u32>,
    #[serde(default)]
    pub(crate) f: u32,
    #[serde(default)]
    pub(crate) members: Vec<String>,
}

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registry {
    pub(crate) dons: Option<Vec<u32>>,
    pub(crate) dons_error: Option<String>,
    pub(crate) config_error: Option<String>,
    #[serde(default)]
    pub(crate) configs: BTreeMap<u32, Config>,
}

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) default_config_hex: Option<String>,
    /// The readable form, of which only the roots are read.
    #[serde(default)]
    pub(crate) enclaves: Vec<Enclave>,
}

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enclave {
    pub(crate) ca_roots_pem: Option<String>,
    #[serde(rename = "trusted_values")]
    _trusted_values: Option<Vec<String>>,
}

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Execution {
    pub(crate) workflow_id: String,
    pub(crate) execution_id: String,
    #[serde(default)]
    pub(crate) workflow_owner: String,
    #[serde(default)]
    pub(crate) workflow_name: String,
    #[serde(default)]
    pub(crate) phase_id: String,
    #[serde(default)]
    pub(crate) org_id: String,
    pub(crate) registered_at_ms: u64,
    pub(crate) removed_at_ms: Option<u64>,
    pub(crate) restrictions_hex: Option<String>,
    /// The readable form.
    #[serde(rename = "restrictions")]
    _restrictions: Option<Value>,
    #[serde(default)]
    pub(crate) vault: Stub,
    #[serde(default)]
    pub(crate) capability: Stub,
}

/// What a vault or a capability does when it is asked.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stub {
    pub(crate) after_ms: Option<u64>,
    pub(crate) error: Option<Value>,
    #[serde(default)]
    pub(crate) hangs: bool,
    #[serde(default)]
    pub(crate) no_capability: bool,
    pub(crate) other_type: Option<String>,
    pub(crate) panic: Option<String>,
    pub(crate) response_hex: Option<String>,
    /// The readable form.
    #[serde(rename = "response")]
    _response: Option<Value>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) global: Global,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Global {
    #[serde(rename = "PropagateOrgIDInRequestMetadata")]
    pub(crate) passes_org_on: String,
}

/// Texts here are UTF-8, so a capability cannot fail with any other.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TextError {
    #[error("the text is not UTF-8")]
    NotUtf8,
}

impl From<TextError> for Answer {
    fn from(error: TextError) -> Self {
        Self::refused(&error)
    }
}

impl Input {
    pub(crate) fn read(input: &Value) -> Self {
        serde_json::from_value(input.clone()).unwrap()
    }

    pub(crate) fn is_passthrough(&self) -> bool {
        match self.validator.as_str() {
            "passthrough" => true,
            "nitro" => false,
            other => panic!("unknown validator {other}"),
        }
    }

    pub(crate) fn passes_org_on(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.global.passes_org_on == "true")
    }

    pub(crate) fn has_text_outside_utf8(&self) -> bool {
        let mut errors = self.executions.iter().filter_map(|e| e.capability.error.as_ref());
        errors.any(|error| vectors::model::text(error).is_err())
    }

    /// Whether the reference finds the execution only because it joins the two ids to one text.
    pub(crate) fn joins_ids(&self) -> bool {
        let joined = |e: &Execution| format!("{}.{}", e.workflow_id, e.execution_id);
        self.executions.iter().any(|e| joined(e).matches('.').count() > 1)
    }

    /// The root that applies: the last of the first text with one. A relay node has one root; of two
    /// in one text the reference takes either.
    pub(crate) fn root_pem(&self) -> Option<&str> {
        let config = self.registry.configs.get(self.registry.dons.as_ref()?.first()?)?;
        config.enclaves.iter().find_map(|enclave| enclave.ca_roots_pem.as_deref())
    }
}
