//! The host's side.

use std::{io, net::SocketAddr, time::Duration};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    IPV4, NOTHING_ACCEPTABLE, PASSWORD, PASSWORD_VERSION, Profile, Reply, Target, VERSION,
    target::TargetError,
};
use crate::Stream;

/// What an authenticated client asks for: a tunnel to `target` under `profile`.
///
/// Answer it with [`reply`], once; after [`Reply::Succeeded`] the bytes are the tunnel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The policy the client claims.
    pub profile: Profile,
    /// Where the tunnel leads.
    pub target: Target,
}

/// Why a client got no further; it has been answered already where the protocol has an answer.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The exchange took too long.
    #[error("the client was too slow")]
    TimedOut,
    /// The client hung up in the middle of a message.
    #[error("the client hung up")]
    Truncated,
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[source] io::Error),
    /// A message has another version.
    #[error("unknown protocol version {got}")]
    Version {
        /// The byte in its place.
        got: u8,
    },
    /// The client does not offer user name and password.
    #[error("the client does not name a profile")]
    NoProfile,
    /// User name and password are not the same known profile.
    #[error("unknown profile")]
    UnknownProfile,
    /// Only CONNECT is served.
    #[error("command {got} is not served")]
    Command {
        /// The command.
        got: u8,
    },
    /// The kind of address is not known.
    #[error("unknown kind of address {got}")]
    AddressType {
        /// The kind.
        got: u8,
    },
    /// The host name is none.
    #[error("malformed host name")]
    Name,
}

/// Leads a new client up to its request.
///
/// Reads no byte beyond the request, and at most 1,040 bytes in all.
///
/// # Errors
///
/// [`AcceptError`]; close the connection then.
pub async fn accept(stream: &mut dyn Stream, timeout: Duration) -> Result<Request, AcceptError> {
    match tokio::time::timeout(timeout, negotiate(stream)).await {
        Ok(result) => result,
        Err(_) => Err(AcceptError::TimedOut),
    }
}

/// Answers a request. `bound` is the local address of the connection made, for a success.
///
/// # Errors
///
/// What the stream reports.
pub async fn reply(
    stream: &mut dyn Stream,
    reply: Reply,
    bound: Option<SocketAddr>,
) -> io::Result<()> {
    let mut message = vec![VERSION, reply.code(), 0, IPV4];
    match bound {
        Some(SocketAddr::V4(address)) => {
            message.extend(address.ip().octets());
            message.extend(address.port().to_be_bytes());
        }
        Some(SocketAddr::V6(_)) | None => message.extend([0; 6]),
    }
    stream.write_all(&message).await?;
    stream.flush().await
}

async fn negotiate(stream: &mut dyn Stream) -> Result<Request, AcceptError> {
    offer(stream).await?;
    let profile = authenticate(stream).await?;
    let target = request(stream).await?;
    Ok(Request { profile, target })
}

/// Message 1: the client's methods must include user name and password.
async fn offer(stream: &mut dyn Stream) -> Result<(), AcceptError> {
    expect_version(stream, VERSION).await?;
    let mut methods = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut methods).await?;
    if methods.contains(&PASSWORD) {
        return Ok(stream.write_all(&[VERSION, PASSWORD]).await?);
    }
    stream.write_all(&[VERSION, NOTHING_ACCEPTABLE]).await?;
    Err(AcceptError::NoProfile)
}

/// Message 2: user name and password are both the profile.
async fn authenticate(stream: &mut dyn Stream) -> Result<Profile, AcceptError> {
    expect_version(stream, PASSWORD_VERSION).await?;
    let mut user = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut user).await?;
    let mut password = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut password).await?;
    let profile = Profile::of(&user, &password);
    stream.write_all(&[PASSWORD_VERSION, u8::from(profile.is_none())]).await?;
    profile.ok_or(AcceptError::UnknownProfile)
}

/// Message 3: the kind of address is judged before the command, as peers expect.
async fn request(stream: &mut dyn Stream) -> Result<Target, AcceptError> {
    expect_version(stream, VERSION).await?;
    let command = stream.read_u8().await?;
    let _reserved = stream.read_u8().await?;
    match (Target::read(stream).await, command) {
        (Ok(target), CONNECT) => Ok(target),
        (Ok(_), got) => {
            let known = matches!(got, BIND | UDP_ASSOCIATE);
            let answer = if known { Reply::NotAllowed } else { Reply::CommandNotSupported };
            reply(stream, answer, None).await?;
            Err(AcceptError::Command { got })
        }
        (Err(TargetError::Kind(got)), _) => {
            reply(stream, Reply::AddressTypeNotSupported, None).await?;
            Err(AcceptError::AddressType { got })
        }
        (Err(TargetError::Name), _) => {
            reply(stream, Reply::HostUnreachable, None).await?;
            Err(AcceptError::Name)
        }
        (Err(TargetError::Io(error)), _) => Err(error.into()),
    }
}

async fn expect_version(stream: &mut dyn Stream, want: u8) -> Result<(), AcceptError> {
    let got = stream.read_u8().await?;
    if got == want { Ok(()) } else { Err(AcceptError::Version { got }) }
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Io(error) }
    }
}

/// Commands (RFC 1928 section 4).
const CONNECT: u8 = 1;
const BIND: u8 = 2;
const UDP_ASSOCIATE: u8 = 3;
