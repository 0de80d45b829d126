//! Where a URL leads, without printing where it leads exactly (W-05).

use std::{fmt, net::Ipv4Addr};

/// An absolute `http` or `https` URL, taken apart.
///
/// Printed as scheme and host only: paths and queries hold tokens, and so may the port's neighbour.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    scheme: Scheme,
    destination: Destination,
    path_and_query: String,
}

/// The scheme of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

/// A host and a port. The host is a lower-case name or an IPv4 address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The host, without a dot at its end.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a text is not the URL of something that could be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It holds a user name or a password.
    #[error("the URL holds credentials")]
    Credentials,
    /// It names no host, or one that is neither a host name nor an IPv4 address.
    #[error("the URL names no host that can be reached")]
    Host,
    /// It is longer than a server would take.
    #[error("the URL is longer than {URL_LIMIT_BYTES} bytes")]
    Long,
    /// The port is no number from 1 to 65535.
    #[error("the port of the URL is not a number from 1 to 65535")]
    Port,
    /// There is no scheme, or another than `http` and `https`.
    #[error("the scheme of the URL is not http or https")]
    Scheme,
}

impl Url {
    /// Takes a URL apart. White space around it is dropped, a fragment is cut off, and bytes that may
    /// not stand in a path or query are escaped.
    ///
    /// # Errors
    ///
    /// [`UrlError`], which holds nothing of the URL.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.len() > URL_LIMIT_BYTES {
            return Err(UrlError::Long);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let scheme = Scheme::parse(scheme).ok_or(UrlError::Scheme)?;
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        let destination = Destination::parse(authority, scheme.port())?;
        Ok(Self { scheme, destination, path_and_query: escape(path) })
    }

    /// The scheme.
    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host and the port.
    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The path and the query, starting with a slash.
    pub(crate) fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// What a request's `Host` header says: the port only where it is not the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let Destination { host, port } = &self.destination;
        if *port == self.scheme.port() { host.clone() } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.destination.host)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("https") {
            Some(Self::Https)
        } else if text.eq_ignore_ascii_case("http") {
            Some(Self::Http)
        } else {
            None
        }
    }

    /// The port where a URL names none.
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl Destination {
    /// Reads `host:port` or a host alone.
    ///
    /// # Errors
    ///
    /// [`UrlError::Host`] or [`UrlError::Port`].
    pub fn parse(authority: &str, default_port: u16) -> Result<Self, UrlError> {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port),
            None => (authority, ""),
        };
        let port = if port.is_empty() { default_port } else { parse_port(port)? };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if !is_name(&host) {
            return Err(UrlError::Host);
        }
        Ok(Self { host, port })
    }

    /// The host as an address, if it is one.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.host.parse().ok()
    }
}

fn parse_port(text: &str) -> Result<u16, UrlError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.trim_start_matches('0').parse().ok().filter(|port| digits && *port > 0);
    port.ok_or(UrlError::Port)
}

/// Whether this is a host name or an IPv4 address in its usual form. Names whose last label is a
/// number are addresses to some resolvers (`127.1`, `0x7f000001`), so only the usual form is taken.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let inside = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (1..=63).contains(&label.len()) && inside
    };
    let last = host.rsplit('.').next().unwrap_or(host);
    let looks_numeric = last.starts_with(|c: char| c.is_ascii_digit());
    let is_address = host.parse::<Ipv4Addr>().is_ok();
    host.len() <= 253 && host.split('.').all(is_label) && (is_address || !looks_numeric)
}

/// Makes a path and query that may stand in a request line.
fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len().saturating_add(1));
    if !path.starts_with('/') {
        escaped.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b'!'
            | b'$'
            | b'%'..=b';'
            | b'='
            | b'?'..=b'Z'
            | b'['
            | b']'
            | b'_'
            | b'a'..=b'z'
            | b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Longer than any server takes.
pub(crate) const URL_LIMIT_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Scheme, String, u16, String) {
        let url = Url::parse(text).unwrap();
        let Destination { host, port } = url.destination().clone();
        (url.scheme(), host, port, url.path_and_query().to_owned())
    }

    #[test]
    fn urls_are_taken_apart() {
        let https = |host: &str, port, path: &str| (Scheme::Https, host.into(), port, path.into());
        assert_eq!(
            parts(" https://API.example.com./v1?a=b#x "),
            https("api.example.com", 443, "/v1?a=b")
        );
        assert_eq!(parts("HTTPS://a.b:0080?q"), https("a.b", 80, "/?q"));
        assert_eq!(parts("https://a.b:"), https("a.b", 443, "/"));
        assert_eq!(parts("http://10.0.0.1"), (Scheme::Http, "10.0.0.1".into(), 80, "/".into()));
        assert_eq!(
            parts("https://a/b c\u{e9}\r\nX: y"),
            https("a", 443, "/b%20c%C3%A9%0D%0AX:%20y")
        );
    }

    #[test]
    fn what_cannot_be_reached_is_refused() {
        let cases = [
            ("", UrlError::Scheme),
            ("example.com/path", UrlError::Scheme),
            ("ftp://example.com", UrlError::Scheme),
            ("https://", UrlError::Host),
            ("https:///path", UrlError::Host),
            ("https://:443/", UrlError::Host),
            ("https://user:password@example.com", UrlError::Credentials),
            ("https://user@example.com", UrlError::Credentials),
            ("https://good.example\\@evil.example/", UrlError::Credentials),
            ("https://good.example\\.evil.example/", UrlError::Host),
            ("https://[::1]/", UrlError::Port),
            ("https://[::ffff:10.0.0.1]:443/", UrlError::Port),
            ("https://b\u{fc}cher.example", UrlError::Host),
            ("https://a%2eb/", UrlError::Host),
            ("https://a..b/", UrlError::Host),
            ("https://a:0/", UrlError::Port),
            ("https://a:65536/", UrlError::Port),
            ("https://a:+443/", UrlError::Port),
            ("https://a:443:443/", UrlError::Port),
        ];
        for (url, error) in cases {
            assert_eq!(Url::parse(url).unwrap_err(), error, "{url}");
        }
        let long = format!("https://a/{}", "x".repeat(URL_LIMIT_BYTES));
        assert_eq!(Url::parse(&long).unwrap_err(), UrlError::Long);
    }

    #[test]
    fn unusual_spellings_of_addresses_are_refused() {
        for host in ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "1.2.3.4.5", "a.0x7f"] {
            assert_eq!(Url::parse(&format!("https://{host}/")).unwrap_err(), UrlError::Host);
        }
    }

    #[test]
    fn w05_only_scheme_and_host_are_printed() {
        let url = Url::parse("https://api.example:443/key/abc?token=secret").unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://api.example Url(https://api.example)");
    }
}
