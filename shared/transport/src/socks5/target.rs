//! What a tunnel leads to, as the client names it.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{IPV4, IPV6, NAME};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host, unresolved if it is a name.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Ip(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// A host: an address, or a name for the other side to resolve.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name.
    Name(Name),
}

impl FromStr for Host {
    type Err = NameError;

    /// Reads an address, in brackets or not, or else a name.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match inner.unwrap_or(text).parse() {
            Ok(address) => Ok(Self::Ip(address)),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

/// A host name: 1 to 253 letters, digits, hyphens, underscores and dots.
///
/// Nothing else can be in it, so it may stand in a log line and in a resolver's argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if text.is_empty() || text.len() > NAME_LIMIT_BYTES || !text.bytes().all(allowed) {
            return Err(NameError);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The text is no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host name is 1 to 253 letters, digits, hyphens, underscores and dots")]
pub struct NameError;

/// Why no target could be read.
pub(super) enum TargetError {
    /// The stream ended or broke.
    Io(io::Error),
    /// The kind of address is not known.
    Kind(u8),
    /// The name is none.
    Name,
}

impl From<io::Error> for TargetError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Target {
    /// Appends kind, address and port.
    pub(super) fn write(&self, message: &mut Vec<u8>) {
        match &self.host {
            Host::Ip(IpAddr::V4(address)) => {
                message.push(IPV4);
                message.extend(address.octets());
            }
            Host::Ip(IpAddr::V6(address)) => {
                message.push(IPV6);
                message.extend(address.octets());
            }
            Host::Name(name) => {
                message.push(NAME);
                // A `Name` is shorter than 256 bytes.
                message.push(u8::try_from(name.0.len()).unwrap_or(u8::MAX));
                message.extend(name.0.as_bytes());
            }
        }
        message.extend(self.port.to_be_bytes());
    }

    /// Reads kind, address and port.
    pub(super) async fn read(
        stream: &mut (impl AsyncRead + Unpin + ?Sized),
    ) -> Result<Self, TargetError> {
        let host = match stream.read_u8().await? {
            IPV4 => Some(Host::Ip(Ipv4Addr::from(stream.read_u32().await?).into())),
            IPV6 => Some(Host::Ip(Ipv6Addr::from(stream.read_u128().await?).into())),
            NAME => {
                let mut bytes = vec![0; stream.read_u8().await?.into()];
                stream.read_exact(&mut bytes).await?;
                let text = String::from_utf8(bytes).ok();
                text.and_then(|text| text.parse().ok()).map(Host::Name)
            }
            other => return Err(TargetError::Kind(other)),
        };
        // The port is read first: an answer to a bad name then finds nothing unread behind it.
        let port = stream.read_u16().await?;
        Ok(Self { host: host.ok_or(TargetError::Name)?, port })
    }
}

/// Longest host name in text form (RFC 1035 section 2.3.4).
const NAME_LIMIT_BYTES: usize = 253;
