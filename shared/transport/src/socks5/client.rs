//! The enclave's side.

use std::{io, time::Duration};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    NO_AUTHENTICATION, PASSWORD, PASSWORD_VERSION, Profile, Reply, Target, VERSION,
    target::TargetError,
};
use crate::Stream;

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The exchange, which includes resolving and dialing at the server, took too long.
    #[error("the tunnel was not opened in time")]
    TimedOut,
    /// The server hung up in the middle of a message.
    #[error("the server hung up")]
    Truncated,
    /// The connection to the server broke.
    #[error("the connection broke")]
    Io(#[source] io::Error),
    /// A message has another version.
    #[error("unknown protocol version {got}")]
    Version {
        /// The byte in its place.
        got: u8,
    },
    /// The server does not ask for a profile.
    #[error("the server chose method {got}")]
    Method {
        /// The method.
        got: u8,
    },
    /// The server does not know the profile.
    #[error("the server refused the profile")]
    Profile,
    /// The server refused the request or failed to serve it.
    #[error("the server answered: {0}")]
    Refused(Reply),
    /// The server's answer has an address that cannot be read.
    #[error("malformed answer")]
    Malformed,
}

/// Opens a tunnel to `target` under `profile`; the stream's further bytes are the tunnel's.
///
/// # Errors
///
/// [`ConnectError`]; close the connection then.
pub async fn connect(
    stream: &mut dyn Stream,
    profile: Profile,
    target: &Target,
    timeout: Duration,
) -> Result<(), ConnectError> {
    match tokio::time::timeout(timeout, negotiate(stream, profile, target)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::TimedOut),
    }
}

async fn negotiate(
    stream: &mut dyn Stream,
    profile: Profile,
    target: &Target,
) -> Result<(), ConnectError> {
    stream.write_all(&[VERSION, 2, NO_AUTHENTICATION, PASSWORD]).await?;
    stream.flush().await?;
    expect_version(stream, VERSION).await?;
    match stream.read_u8().await? {
        PASSWORD => {}
        got => return Err(ConnectError::Method { got }),
    }

    stream.write_all(&credentials(profile)).await?;
    stream.flush().await?;
    expect_version(stream, PASSWORD_VERSION).await?;
    if stream.read_u8().await? != 0 {
        return Err(ConnectError::Profile);
    }

    let mut message = vec![VERSION, 1, 0];
    target.write(&mut message);
    stream.write_all(&message).await?;
    stream.flush().await?;
    expect_version(stream, VERSION).await?;
    let reply = Reply::from(stream.read_u8().await?);
    if reply != Reply::Succeeded {
        return Err(ConnectError::Refused(reply));
    }
    let _reserved = stream.read_u8().await?;
    match Target::read(stream).await {
        Ok(_bound) => Ok(()),
        Err(TargetError::Io(error)) => Err(error.into()),
        Err(TargetError::Kind(_) | TargetError::Name) => Err(ConnectError::Malformed),
    }
}

fn credentials(profile: Profile) -> Vec<u8> {
    let name = profile.name().as_bytes();
    // A profile's name is shorter than 256 bytes.
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    let mut message = vec![PASSWORD_VERSION];
    for _ in ["user", "password"] {
        message.push(length);
        message.extend(name);
    }
    message
}

async fn expect_version(stream: &mut dyn Stream, want: u8) -> Result<(), ConnectError> {
    let got = stream.read_u8().await?;
    if got == want { Ok(()) } else { Err(ConnectError::Version { got }) }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Io(error) }
    }
}
