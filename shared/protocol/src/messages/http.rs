//! Package `capabilities.networking.http.v1alpha`: http-actions and the http trigger.

use std::collections::BTreeMap;

use super::well_known::Duration;

/// The capability that sends requests.
pub const ACTIONS: &str = "http-actions@1.0.0-alpha";

/// Its only method: [`Request`] to [`Response`].
pub const SEND_REQUEST: &str = "SendRequest";

/// The capability that fires on requests from outside: [`Config`] to [`Payload`].
pub const TRIGGERS: &str = "http-trigger@1.0.0-alpha";

message! {
    /// A request to be sent; not printed, because headers and query may hold secrets.
    opaque Request = "capabilities.networking.http.v1alpha.Request" {
        1 url: (string) String,
        2 method: (string) String,
        3 headers: (btree_map(string, string)) BTreeMap<String, String>,
        4 body: (bytes) Vec<u8>,
        5 timeout: (message, optional) Option<Duration>,
        6 cache_settings: (message, optional) Option<CacheSettings>,
        7 multi_headers: (btree_map(string, message)) BTreeMap<String, HeaderValues>,
        8 mtls: (message, optional) Option<MtlsAuth>,
    }
}

message! {
    /// The answer to a request; not printed, because it may hold secrets.
    opaque Response = "capabilities.networking.http.v1alpha.Response" {
        1 status_code: (uint32) u32,
        2 headers: (btree_map(string, string)) BTreeMap<String, String>,
        3 body: (bytes) Vec<u8>,
        4 multi_headers: (btree_map(string, message)) BTreeMap<String, HeaderValues>,
    }
}

message! {
    /// All values of one header.
    opaque HeaderValues = "capabilities.networking.http.v1alpha.HeaderValues" {
        1 values: (string, repeated) Vec<String>,
    }
}

message! {
    /// Whether an answer may come from or go into a cache.
    CacheSettings = "capabilities.networking.http.v1alpha.CacheSettings" {
        1 store: (bool) bool,
        2 max_age: (message, optional) Option<Duration>,
    }
}

message! {
    /// The client's own key and certificate; the key is wiped when dropped.
    opaque MtlsAuth = "capabilities.networking.http.v1alpha.MtlsAuth" {
        1 private_key: (bytes) Vec<u8>,
        2 certificate: (bytes) Vec<u8>,
    }
}

impl Drop for MtlsAuth {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.private_key);
    }
}

message! {
    /// Who may fire a trigger.
    Config = "capabilities.networking.http.v1alpha.Config" {
        1 authorized_keys: (message, repeated) Vec<AuthorizedKey>,
    }
}

message! {
    /// A trigger's input, JSON text, and who fired it.
    Payload = "capabilities.networking.http.v1alpha.Payload" {
        1 input: (bytes) Vec<u8>,
        2 key: (message, optional) Option<AuthorizedKey>,
    }
}

message! {
    /// A key that may fire a trigger.
    AuthorizedKey = "capabilities.networking.http.v1alpha.AuthorizedKey" {
        1 r#type: (enumeration(KeyType)) i32,
        2 public_key: (string) String,
    }
}

enumeration! {
    /// A type of key.
    KeyType {
        0 Unspecified,
        1 EcdsaEvm,
    }
}
