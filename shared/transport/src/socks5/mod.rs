//! SOCKS5 as the enclave and its host speak it (section 10.7; RFC 1928, RFC 1929).
//!
//! ```text
//! client                               server
//! 05 02 00 02                    →
//!                                ←     05 02                     user name and password
//! 01 len profile len profile     →
//!                                ←     01 00                     the profile is known
//! 05 01 00 type address port     →                               names are not resolved
//!                                ←     05 reply 00 01 address port
//! bytes                          ↔     bytes
//! ```
//!
//! The user name is a [`Profile`]: it selects a policy and is no secret. Every message has a
//! greatest length given by one length byte, so nothing here grows with what the peer announces. The
//! caller gives one deadline for a whole exchange.

mod client;
mod server;
mod target;
#[cfg(test)]
mod tests;

pub use client::{ConnectError, connect};
pub use server::{AcceptError, Request, accept, reply};
pub use target::{Host, Name, NameError, Target};

/// The policy a tunnel is opened under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// A destination the workflow chose: public addresses only.
    Public,
    /// A destination the operator configured.
    Configured,
    /// A fixture of a test image.
    Test,
}

impl Profile {
    /// The user name, which is also the password.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Public => "public",
            Self::Test => "test",
        }
    }

    fn of(user: &[u8], password: &[u8]) -> Option<Self> {
        let profiles = [Self::Public, Self::Configured, Self::Test];
        profiles.into_iter().find(|profile| user == profile.name().as_bytes() && user == password)
    }
}

/// The server's answer to a request (RFC 1928 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reply {
    /// The tunnel stands.
    #[error("succeeded")]
    Succeeded,
    /// The server failed.
    #[error("general failure")]
    GeneralFailure,
    /// The server's policy forbids it.
    #[error("not allowed by policy")]
    NotAllowed,
    /// No route leads to the network.
    #[error("network unreachable")]
    NetworkUnreachable,
    /// The name does not resolve, or the host does not answer.
    #[error("host unreachable")]
    HostUnreachable,
    /// The host refuses the connection.
    #[error("connection refused")]
    ConnectionRefused,
    /// The packet's life ended on the way.
    #[error("time to live expired")]
    TtlExpired,
    /// The server does not know the command.
    #[error("command not supported")]
    CommandNotSupported,
    /// The server does not know the kind of address.
    #[error("address type not supported")]
    AddressTypeNotSupported,
    /// A code that the standard leaves open.
    #[error("reply {0:#04x}")]
    Other(u8),
}

impl Reply {
    /// The byte on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::GeneralFailure => 1,
            Self::NotAllowed => 2,
            Self::NetworkUnreachable => 3,
            Self::HostUnreachable => 4,
            Self::ConnectionRefused => 5,
            Self::TtlExpired => 6,
            Self::CommandNotSupported => 7,
            Self::AddressTypeNotSupported => 8,
            Self::Other(code) => code,
        }
    }
}

impl From<u8> for Reply {
    fn from(code: u8) -> Self {
        match code {
            0 => Self::Succeeded,
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            other => Self::Other(other),
        }
    }
}

/// Protocol version of every message but the two of the password exchange.
const VERSION: u8 = 5;

/// Version of the password exchange (RFC 1929).
const PASSWORD_VERSION: u8 = 1;

/// Authentication methods: none, user name and password, nothing acceptable.
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const NOTHING_ACCEPTABLE: u8 = 0xff;

/// Kinds of address.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
