//! The settings of the workflow application (enclave-and-host 6.3).

use std::{sync::Arc, time::Duration};

use crypto::{secret::SecretText, sign::SigningKey};
use serde::Deserializer;
use zeroize::Zeroizing;

use crate::{
    json::{self, Context, DecodeError, Wire, Writer},
    limits,
    time::GoDuration,
};

wire! {
    /// Settings as an operator writes them, unchecked.
    WorkflowSettings {
        /// The key for the storage service, as hexadecimal digits. Shared, so that a clone of the
        /// settings is no second copy of it.
        storage_key: Arc<SecretText> = "storageKey";
        /// The storage service, as `host:port`.
        storage_service_url: String = "storageServiceUrl";
        /// Whether the storage service speaks TLS.
        storage_service_tls: bool = "storageServiceTls", omit;
        /// Gateways, separated by commas.
        gateway_url: String = "gatewayUrl";
        /// The largest workflow binary, in bytes.
        max_binary_size: i64 = "maxBinarySize", omit;
        /// The time for fetching a binary.
        binary_fetch_timeout: GoDuration = "binaryFetchTimeout", omit;
        /// Room for binaries that were fetched, in bytes.
        max_cache_bytes: i64 = "maxCacheBytes", omit;
        /// The time for a request of an http-action that names none.
        request_timeout: GoDuration = "requestTimeout", omit;
        /// The time for one attempt at a gateway.
        gateway_request_timeout: GoDuration = "gatewayRequestTimeout", omit;
        /// The time for a whole execution.
        execution_timeout: GoDuration = "executionTimeout", omit;
        /// The time before an execution in which its handler may register; negative for none.
        workflow_grace_period: GoDuration = "workflowGracePeriod", omit;
    }
}

impl Wire for Arc<SecretText> {
    fn write(&self, out: &mut Writer) {
        out.text(self.expose());
    }

    fn read<'de, D: Deserializer<'de>>(input: D, context: &Context) -> Result<Self, D::Error> {
        String::read(input, context).map(|text| Self::new(text.into()))
    }

    fn is_empty(&self) -> bool {
        SecretText::is_empty(self)
    }
}

/// Settings that can work, with every default filled in.
#[derive(Debug)]
pub struct Settings {
    /// The key for the storage service.
    pub storage_key: SigningKey,
    /// The storage service, as `host:port`.
    pub storage_service: String,
    /// Whether the storage service speaks TLS.
    pub storage_service_tls: bool,
    /// Gateways, at least one, as they were written.
    pub gateways: Vec<String>,
    /// The largest workflow binary, in bytes.
    pub max_binary_bytes: u64,
    /// The time for fetching a binary.
    pub binary_fetch_timeout: Duration,
    /// Room for binaries that were fetched, in bytes.
    pub max_cache_bytes: u64,
    /// The time for a request of an http-action that names none.
    pub request_timeout: Duration,
    /// The time for one attempt at a gateway; none leaves it to the program's own default.
    pub gateway_request_timeout: Option<Duration>,
    /// The time for a whole execution; none leaves it to the runtime's default.
    pub execution_timeout: Option<Duration>,
    /// The time before an execution in which its handler may register.
    pub workflow_grace_period: Duration,
}

/// Why settings cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The text is not the JSON of settings.
    #[error("parsing settings: {0}")]
    Decode(#[from] DecodeError),
    /// Settings that must be there are not.
    #[error("missing required settings: {}", .0.join(", "))]
    Missing(Vec<&'static str>),
    /// The storage key is neither a 32-byte seed nor a 64-byte key in hexadecimal digits, or its
    /// halves do not belong together.
    #[error("storageKey must be a 32-byte seed or a 64-byte ed25519 key, hex-encoded")]
    StorageKey,
    /// The storage service is not `host:port`.
    #[error("storageServiceUrl must be host:port")]
    StorageService,
    /// The list of gateways has no entry.
    #[error("no gateway URLs configured")]
    NoGateway,
}

impl WorkflowSettings {
    /// Decodes settings and looks whether the required ones are there.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Decode`] or [`SettingsError::Missing`].
    pub fn decode(text: &[u8]) -> Result<Self, SettingsError> {
        // The reference reads `null` as settings in which everything is missing.
        let settings = json::from_slice::<Option<Self>>(text)?.unwrap_or_default();
        let required = [
            ("storageKey", settings.storage_key.is_empty()),
            ("storageServiceUrl", settings.storage_service_url.is_empty()),
            ("gatewayUrl", settings.gateway_url.is_empty()),
        ];
        let missing: Vec<_> =
            required.iter().filter(|(_name, is_empty)| *is_empty).map(|(name, _)| *name).collect();
        if missing.is_empty() { Ok(settings) } else { Err(SettingsError::Missing(missing)) }
    }
}

impl Settings {
    /// Decodes and checks settings as a whole, so that they apply as a whole or not at all (W-24).
    ///
    /// Zero and what is not there mean the default; so do negative sizes and timeouts.
    ///
    /// # Errors
    ///
    /// The first [`SettingsError`] in the order of its variants.
    pub fn decode(text: &[u8]) -> Result<Self, SettingsError> {
        let wire = WorkflowSettings::decode(text)?;
        let storage_key = storage_key(wire.storage_key.expose())?;
        let storage_service = wire.storage_service_url.trim();
        let has_port = storage_service.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !has_port {
            return Err(SettingsError::StorageService);
        }
        let gateways: Vec<_> = gateways(&wire.gateway_url).map(str::to_owned).collect();
        if gateways.is_empty() {
            return Err(SettingsError::NoGateway);
        }
        let bytes = |value: i64, default: u64| {
            u64::try_from(value).ok().filter(|bytes| *bytes > 0).unwrap_or(default)
        };
        let grace = wire.workflow_grace_period;
        Ok(Self {
            storage_key,
            storage_service: storage_service.to_owned(),
            storage_service_tls: wire.storage_service_tls,
            gateways,
            max_binary_bytes: bytes(wire.max_binary_size, limits::BINARY_BYTES),
            binary_fetch_timeout: wire
                .binary_fetch_timeout
                .positive()
                .unwrap_or(limits::BINARY_FETCH_TIMEOUT),
            max_cache_bytes: bytes(wire.max_cache_bytes, limits::BINARY_CACHE_BYTES),
            request_timeout: wire.request_timeout.positive().unwrap_or(limits::HTTP_ACTION_TIMEOUT),
            gateway_request_timeout: wire.gateway_request_timeout.positive(),
            execution_timeout: wire.execution_timeout.positive(),
            workflow_grace_period: match grace.nanos {
                0 => limits::WORKFLOW_GRACE_PERIOD,
                _ => grace.positive().unwrap_or_default(),
            },
        })
    }
}

/// The entries of a list of gateways: between commas, trimmed, empty ones left out.
pub fn gateways(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|url| !url.is_empty())
}

fn storage_key(text: &str) -> Result<SigningKey, SettingsError> {
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    // The decoder's own error names a digit of the key.
    let bytes = hex::decode(digits).ok().map(Zeroizing::new).ok_or(SettingsError::StorageKey)?;
    let (seed, public) = bytes.split_first_chunk::<32>().ok_or(SettingsError::StorageKey)?;
    let key = SigningKey::from_seed(seed);
    if public.is_empty() || public == key.public().as_bytes() {
        Ok(key)
    } else {
        Err(SettingsError::StorageKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "0x0101010101010101010101010101010101010101010101010101010101010101";

    fn settings(members: &str) -> Result<Settings, SettingsError> {
        let text = format!(
            r#"{{"storageKey":"{SEED}","storageServiceUrl":"storage:443","gatewayUrl":" http://a, ,https://b:1 ",{members}"x":0}}"#
        );
        Settings::decode(text.as_bytes())
    }

    #[test]
    fn what_is_not_there_has_its_default() {
        let settings = settings("").unwrap();
        assert_eq!(settings.gateways, ["http://a", "https://b:1"]);
        assert_eq!(settings.max_binary_bytes, 20 * 1024 * 1024);
        assert_eq!(settings.binary_fetch_timeout, Duration::from_secs(60));
        assert_eq!(settings.max_cache_bytes, 256 * 1024 * 1024);
        assert_eq!(settings.request_timeout, Duration::from_secs(30));
        assert_eq!(settings.workflow_grace_period, Duration::from_secs(2));
        assert_eq!((settings.execution_timeout, settings.gateway_request_timeout), (None, None));
        assert_eq!(settings.storage_key.public(), SigningKey::from_seed(&[1; 32]).public());
    }

    #[test]
    fn w_24_zero_and_less_restore_the_default() {
        let zero = r#""maxBinarySize":-1,"binaryFetchTimeout":"-2s","requestTimeout":0,"maxCacheBytes":0,"#;
        let settings = settings(zero).unwrap();
        assert_eq!(settings.max_binary_bytes, limits::BINARY_BYTES);
        assert_eq!(settings.binary_fetch_timeout, limits::BINARY_FETCH_TIMEOUT);
        assert_eq!(settings.request_timeout, limits::HTTP_ACTION_TIMEOUT);
        assert_eq!(settings.max_cache_bytes, limits::BINARY_CACHE_BYTES);
    }

    #[test]
    fn a_negative_grace_period_is_none() {
        let settings =
            settings(r#""workflowGracePeriod":"-1s","executionTimeout":"80s","#).unwrap();
        assert_eq!(settings.workflow_grace_period, Duration::ZERO);
        assert_eq!(settings.execution_timeout, Some(Duration::from_secs(80)));
    }

    #[test]
    fn a_full_key_must_belong_to_its_seed() {
        let key = SigningKey::from_seed(&[1; 32]);
        let full = format!("{}{}", "01".repeat(32), key.public());
        assert_eq!(storage_key(&full).unwrap().public(), key.public());
        let foreign = format!("{}{}", "02".repeat(32), key.public());
        for text in [foreign.as_str(), "01", "zz", &"01".repeat(33), &"01".repeat(31), "0x", ""] {
            assert_eq!(storage_key(text).unwrap_err(), SettingsError::StorageKey, "{text}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_whole() {
        let with = |key: &str, service: &str, gateway: &str| {
            let text = format!(
                r#"{{"storageKey":"{key}","storageServiceUrl":"{service}","gatewayUrl":"{gateway}"}}"#
            );
            Settings::decode(text.as_bytes()).unwrap_err()
        };
        assert_eq!(with("k", "h:1", "g"), SettingsError::StorageKey);
        for service in ["host", "host:", ":1", "host:0", "host:65536", "https://host"] {
            assert_eq!(with(SEED, service, "g"), SettingsError::StorageService, "{service}");
        }
        assert_eq!(with(SEED, "h:1", ", ,"), SettingsError::NoGateway);
        let missing = SettingsError::Missing(vec!["storageKey", "gatewayUrl"]);
        assert_eq!(with("", "h:1", ""), missing);
        assert!(matches!(Settings::decode(b"[]"), Err(SettingsError::Decode(_))));
    }

    #[test]
    fn no_text_holds_the_key() {
        let text = r#"{"storageKey":"hunter2","storageServiceUrl":"h:1","gatewayUrl":"g"}"#;
        let error = Settings::decode(text.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let wire = WorkflowSettings::decode(text.as_bytes()).unwrap();
        assert!(!format!("{wire:?}").contains("hunter2"));
    }
}
