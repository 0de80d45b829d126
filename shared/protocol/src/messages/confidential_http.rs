//! Package `capabilities.networking.confidentialhttp.v1alpha`: requests with secrets in templates.

use std::collections::BTreeMap;

use super::well_known::Duration;

message! {
    /// A request and the secrets its templates name.
    ConfidentialHttpRequest =
        "capabilities.networking.confidentialhttp.v1alpha.ConfidentialHTTPRequest"
    {
        1 vault_don_secrets: (message, repeated) Vec<SecretIdentifier>,
        2 request: (message, optional) Option<HttpRequest>,
    }
}

message! {
    /// The name of one secret.
    SecretIdentifier = "capabilities.networking.confidentialhttp.v1alpha.SecretIdentifier" {
        1 key: (string) String,
        2 namespace: (string) String,
        3 owner: (string, optional) Option<String>,
    }
}

message! {
    /// A request whose texts may hold templates.
    opaque HttpRequest = "capabilities.networking.confidentialhttp.v1alpha.HTTPRequest" {
        1 url: (string) String,
        2 method: (string) String,
        4 multi_headers: (btree_map(string, message)) BTreeMap<String, HeaderValues>,
        5 template_public_values: (btree_map(string, string)) BTreeMap<String, String>,
        6 custom_root_ca_cert_pem: (bytes) Vec<u8>,
        7 timeout: (message, optional) Option<Duration>,
        9 encrypt_output: (bool) bool,
        /// The body of a request.
        oneof body: Body {
            3 body_string: Text(string) String,
            8 body_bytes: Bytes(bytes) Vec<u8>,
        }
    }
}

message! {
    /// The answer to a request.
    opaque HttpResponse = "capabilities.networking.confidentialhttp.v1alpha.HTTPResponse" {
        1 status_code: (uint32) u32,
        2 body: (bytes) Vec<u8>,
        3 multi_headers: (btree_map(string, message)) BTreeMap<String, HeaderValues>,
    }
}

message! {
    /// All values of one header.
    opaque HeaderValues = "capabilities.networking.confidentialhttp.v1alpha.HeaderValues" {
        1 values: (string, repeated) Vec<String>,
    }
}
