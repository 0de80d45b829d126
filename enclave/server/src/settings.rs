//! What the host tells the workflow application: where gateways and storage are, and some limits
//! (enclave-and-host 6.3).
//!
//! Settings are checked as a whole, built as a whole and swapped in one step (W-24). Requests under
//! way keep those they began with.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use protocol::settings::{Settings, SettingsError, WorkflowSettings};

use crate::egress::{Destination, Url, UrlError};

/// The settings in force.
#[derive(Debug, Default)]
pub(crate) struct SettingsStore {
    current: RwLock<Option<Arc<Active>>>,
}

/// Settings with their URLs taken apart.
#[derive(Debug)]
pub(crate) struct Active {
    /// The settings.
    pub(crate) settings: Settings,
    /// Gateways, at least one.
    pub(crate) gateways: Vec<Url>,
    /// The storage service, which may be a private address.
    pub(crate) storage: Destination,
    /// How long an execution waits before it takes its room. None unless the host asks for it: a
    /// relay node waits for an execution by itself, so the reference's two seconds gain nothing.
    pub(crate) grace: Option<Duration>,
}

/// Why settings are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InjectError {
    /// The body is empty.
    #[error("settings request is empty")]
    Empty,
    /// A gateway is not a URL.
    #[error("gateway {index}: {source}")]
    Gateway {
        /// Its position in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: UrlError,
    },
    /// The settings are not settings, or not complete.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The storage service is not a host and a port.
    #[error("storageServiceUrl: {0}")]
    Storage(UrlError),
}

impl SettingsStore {
    /// The settings in force, if there are any.
    pub(crate) fn snapshot(&self) -> Option<Arc<Active>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the settings, all of them or none.
    ///
    /// # Errors
    ///
    /// [`InjectError`]; those in force stay.
    pub(crate) fn inject(&self, body: &[u8]) -> Result<(), InjectError> {
        if body.is_empty() {
            return Err(InjectError::Empty);
        }
        let active = Arc::new(Active::decode(body)?);
        tracing::info!(gateways = active.gateways.len(), "settings in force");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(active);
        Ok(())
    }
}

impl Active {
    fn decode(body: &[u8]) -> Result<Self, InjectError> {
        let settings = Settings::decode(body)?;
        let grace = WorkflowSettings::decode(body)?.workflow_grace_period.positive();
        let gateway = |(index, text): (usize, &String)| {
            let url = if text.contains("://") { Url::parse(text) } else { bare(text) };
            url.map_err(|source| InjectError::Gateway { index, source })
        };
        let gateways =
            settings.gateways.iter().enumerate().map(gateway).collect::<Result<_, _>>()?;
        let storage =
            Destination::parse(&settings.storage_service, 443).map_err(InjectError::Storage)?;
        Ok(Self { settings, gateways, storage, grace })
    }
}

/// A gateway without a scheme is reached without TLS.
fn bare(text: &str) -> Result<Url, UrlError> {
    Url::parse(&format!("http://{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(members: &str) -> String {
        let key = "00".repeat(31);
        format!(
            r#"{{"storageKey":"{key}01","storageServiceUrl":"storage.internal:9000",{members}}}"#
        )
    }

    fn refusal(store: &SettingsStore, body: &str) -> String {
        store.inject(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn every_gateway_is_taken_apart() {
        let store = SettingsStore::default();
        let body = with(r#""gatewayUrl":" https://a.example/x , b:81,, http://10.0.0.1 ""#);
        store.inject(body.as_bytes()).unwrap();
        let active = store.snapshot().unwrap();
        let shown: Vec<_> = active.gateways.iter().map(|url| url.authority()).collect();
        assert_eq!(shown, ["a.example", "b:81", "10.0.0.1"]);
        assert_eq!(active.storage, Destination { host: "storage.internal".to_owned(), port: 9000 });
    }

    #[test]
    fn w24_settings_apply_as_a_whole_or_not_at_all() {
        let store = SettingsStore::default();
        store.inject(with(r#""gatewayUrl":"a","requestTimeout":"7s""#).as_bytes()).unwrap();
        let before = store.snapshot().unwrap();
        for body in [
            with(r#""gatewayUrl":"ftp://a","requestTimeout":"9s""#),
            with(r#""gatewayUrl":",","requestTimeout":"9s""#),
            r#"{"storageKey":"zz","storageServiceUrl":"s:1","gatewayUrl":"a"}"#.to_owned(),
            r#"{"storageServiceUrl":"s:1","gatewayUrl":"a"}"#.to_owned(),
        ] {
            refusal(&store, &body);
            assert!(Arc::ptr_eq(&before, &store.snapshot().unwrap()), "{body}");
        }
    }

    #[test]
    fn w24_later_settings_replace_earlier_ones_and_zero_restores_the_default() {
        let store = SettingsStore::default();
        store.inject(with(r#""gatewayUrl":"a","requestTimeout":"7s""#).as_bytes()).unwrap();
        store.inject(with(r#""gatewayUrl":"b","requestTimeout":0"#).as_bytes()).unwrap();
        let active = store.snapshot().unwrap();
        assert_eq!(active.gateways[0].authority(), "b");
        assert_eq!(active.settings.request_timeout, protocol::limits::HTTP_ACTION_TIMEOUT);
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_repeated() {
        let store = SettingsStore::default();
        assert_eq!(refusal(&store, ""), "settings request is empty");
        assert_eq!(
            refusal(&store, "{}"),
            "missing required settings: storageKey, storageServiceUrl, gatewayUrl"
        );
        let text = refusal(&store, &with(r#""gatewayUrl":"a,https://user:hunter2@b""#));
        assert_eq!(text, "gateway 1: the URL holds credentials");
        let text = refusal(
            &store,
            r#"{"storageKey":"hunter2","storageServiceUrl":"s:1","gatewayUrl":"a"}"#,
        );
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn w45_there_is_no_grace_unless_it_is_asked_for() {
        let store = SettingsStore::default();
        let grace = |value: &str| {
            let body = with(&format!(r#""gatewayUrl":"a","workflowGracePeriod":{value}"#));
            store.inject(body.as_bytes()).unwrap();
            store.snapshot().unwrap().grace
        };
        assert_eq!(grace("0"), None);
        assert_eq!(grace(r#""-1s""#), None);
        assert_eq!(grace(r#""2s""#), Some(Duration::from_secs(2)));
    }

    #[test]
    fn nothing_prints_the_storage_key() {
        let store = SettingsStore::default();
        store.inject(with(r#""gatewayUrl":"a""#).as_bytes()).unwrap();
        let debug = format!("{store:?}");
        assert!(!debug.contains(&"00".repeat(8)), "{debug}");
    }
}
