//! Where a bridge is, and what its ingress wants to see.

use std::{fmt, str::FromStr};

use http::{HeaderName, HeaderValue};
use reqwest::Url;

/// The address of a bridge: `http` or `https`, with or without a path before the bridge's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Url,
    auth: Option<AuthHeader>,
}

/// Why a text is no address of a bridge. The text is not repeated, it may hold credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no URL.
    #[error("the bridge's address is no URL")]
    Url,
    /// The scheme is another.
    #[error("the bridge's address does not begin with http:// or https://")]
    Scheme,
    /// It has credentials, a query or a fragment.
    #[error("the bridge's address has credentials, a query or a fragment")]
    Parts,
}

/// A header that an ingress in front of bridges asks for. Its value is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthHeader {
    name: HeaderName,
    value: HeaderValue,
}

/// The text is no `name: value`. It is not repeated (W-39, W-50).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header is written as `name: value`")]
pub struct AuthHeaderError;

impl Address {
    /// Sends this header with every request.
    #[must_use]
    pub fn with_auth(mut self, auth: AuthHeader) -> Self {
        self.auth = Some(auth);
        self
    }

    /// A path of the bridge.
    pub(super) fn join(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{path}"));
        url.set_query(query);
        url
    }

    pub(super) fn auth(&self) -> Option<(&HeaderName, &HeaderValue)> {
        self.auth.as_ref().map(|auth| (&auth.name, &auth.value))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let url: Url = text.parse().map_err(|_error| AddressError::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(AddressError::Scheme);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Parts);
        }
        Ok(Self { url, auth: None })
    }
}

impl FromStr for AuthHeader {
    type Err = AuthHeaderError;

    /// Splits at the first colon: the value may hold others (W-39).
    fn from_str(text: &str) -> Result<Self, AuthHeaderError> {
        let (name, value) = text.split_once(':').ok_or(AuthHeaderError)?;
        let name = name.trim().parse().map_err(|_error| AuthHeaderError)?;
        let mut value: HeaderValue = value.trim().parse().map_err(|_error| AuthHeaderError)?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.url)
    }
}

impl fmt::Debug for AuthHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthHeader({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_address() {
        let join = |text: &str| {
            let address: Address = text.parse().unwrap();
            address.join("publicKeys", Some("requestID=00")).to_string()
        };
        assert_eq!(join("http://127.0.0.1:8080"), "http://127.0.0.1:8080/publicKeys?requestID=00");
        assert_eq!(join("https://b.example/x/"), "https://b.example/x/publicKeys?requestID=00");
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for (text, expected) in [
            ("127.0.0.1:8080", AddressError::Url),
            ("ftp://b.example", AddressError::Scheme),
            ("https://user:pass@b.example", AddressError::Parts),
            ("https://b.example/?key=1", AddressError::Parts),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err(), expected, "{text}");
            assert!(!expected.to_string().contains(text));
        }
    }

    #[test]
    fn w_39_a_header_may_hold_colons_and_is_never_printed() {
        let auth: AuthHeader = "x-api-key: a:b".parse().unwrap();
        assert_eq!(auth.value, "a:b");
        assert_eq!(format!("{auth:?}"), "AuthHeader(x-api-key)");
        for text in ["secret", "bad name: secret", "x: sec\nret"] {
            let error = text.parse::<AuthHeader>().unwrap_err();
            assert!(!error.to_string().contains("sec"));
        }
    }
}
