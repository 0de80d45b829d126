//! The address of a gateway's port for nodes.

use std::{fmt, str::FromStr};

use http::Uri;

/// Where a gateway takes nodes: `ws://HOST:PORT/PATH`.
///
/// There is no `wss`: the link carries signed results only, and whoever wants it hidden puts a tunnel
/// before the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayUrl(Uri);

/// The text is not `ws://HOST:PORT/PATH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway's address is not ws://HOST:PORT/PATH")]
pub struct ParseGatewayUrlError;

impl GatewayUrl {
    /// The host: a name or an IP address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// The port; 80 unless the text names one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(80)
    }

    /// What a WebSocket's opening request is made of.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0
    }
}

impl FromStr for GatewayUrl {
    type Err = ParseGatewayUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_error| ParseGatewayUrlError)?;
        let authority = uri.authority().ok_or(ParseGatewayUrlError)?;
        let has_user = authority.as_str().contains('@');
        if uri.scheme_str() != Some("ws") || authority.host().is_empty() || has_user {
            return Err(ParseGatewayUrlError);
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for GatewayUrl {
    /// Scheme, host and port; a path may name something private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws://{}:{}", self.0.host().unwrap_or_default(), self.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_found() {
        for (text, host, port) in [
            ("ws://127.0.0.1:5003/", "127.0.0.1", 5003),
            ("ws://gateway.example/node?x=1", "gateway.example", 80),
            ("ws://[::1]:9", "::1", 9),
        ] {
            let url: GatewayUrl = text.parse().unwrap();
            assert_eq!((url.host(), url.port()), (host, port), "{text}");
        }
    }

    #[test]
    fn w_05_a_url_is_shown_without_path_and_query() {
        let url: GatewayUrl = "ws://gateway.example/node?token=1".parse().unwrap();
        assert_eq!(url.to_string(), "ws://gateway.example:80");
    }

    #[test]
    fn other_addresses_are_refused() {
        for text in
            ["", "gateway:5003", "wss://g/", "http://g/", "ws:///", "ws://u:p@g/", "ws://a b"]
        {
            assert_eq!(text.parse::<GatewayUrl>(), Err(ParseGatewayUrlError), "{text}");
        }
    }
}
