//! The seam: what dials and what listens, whatever carries the bytes.

use std::{fmt, io, pin::Pin};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::Endpoint;

/// A future on the heap, so that the traits of this module can be used behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Bytes in both directions; implemented by everything that is.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, whatever carries it.
pub type BoxStream = Box<dyn Stream>;

/// Opens connections to one endpoint.
pub trait Dial: fmt::Debug + Send + Sync {
    /// Where the connections lead.
    fn endpoint(&self) -> Endpoint;

    /// Opens a connection, within the limit the dialer was made with.
    ///
    /// # Errors
    ///
    /// [`DialError`], by what the caller can do about it.
    fn dial(&self) -> BoxFuture<'_, Result<BoxStream, DialError>>;
}

/// Accepts connections at one endpoint.
pub trait Listen: fmt::Debug + Send {
    /// Where it listens; a port the system chose is filled in.
    fn endpoint(&self) -> Endpoint;

    /// Waits for the next connection. Dropping the future loses none.
    ///
    /// # Errors
    ///
    /// What the system reports; most errors concern one connection, and the next call may succeed.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>>;
}

/// A connection that came in.
pub struct Accepted {
    /// Its bytes.
    pub stream: BoxStream,
    /// Who opened it, as far as the transport knows.
    pub peer: Endpoint,
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Why no connection was opened.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody listens there.
    #[error("{endpoint} refused the connection")]
    Refused {
        /// The endpoint dialed.
        endpoint: Endpoint,
    },
    /// There was no answer in time.
    #[error("{endpoint} did not answer in time")]
    TimedOut {
        /// The endpoint dialed.
        endpoint: Endpoint,
    },
    /// No such machine answers.
    #[error("{endpoint} is unreachable")]
    HostUnreachable {
        /// The endpoint dialed.
        endpoint: Endpoint,
    },
    /// No route leads there.
    #[error("no network leads to {endpoint}")]
    NetworkUnreachable {
        /// The endpoint dialed.
        endpoint: Endpoint,
    },
    /// Anything else the system reports.
    #[error("{endpoint} cannot be dialed")]
    Io {
        /// The endpoint dialed.
        endpoint: Endpoint,
        /// The system's word for it.
        source: io::Error,
    },
}

impl DialError {
    /// Sorts what the system reports.
    #[must_use]
    pub fn new(endpoint: Endpoint, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let kind = source.kind();
        // A vsock connection to a port nobody listens at ends in a reset (AF_VSOCK, virtio).
        if matches!(kind, Kind::ConnectionRefused | Kind::ConnectionReset) {
            Self::Refused { endpoint }
        } else if kind == Kind::TimedOut {
            Self::TimedOut { endpoint }
        } else if kind == Kind::HostUnreachable {
            Self::HostUnreachable { endpoint }
        } else if kind == Kind::NetworkUnreachable {
            Self::NetworkUnreachable { endpoint }
        } else {
            Self::Io { endpoint, source }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dial_errors_are_sorted_by_what_happened() {
        let sorted = |kind: io::ErrorKind| DialError::new(Endpoint::Memory, kind.into());
        assert!(matches!(sorted(io::ErrorKind::ConnectionReset), DialError::Refused { .. }));
        let network = sorted(io::ErrorKind::NetworkUnreachable);
        assert!(matches!(network, DialError::NetworkUnreachable { .. }));
        let host = sorted(io::ErrorKind::HostUnreachable);
        assert!(matches!(host, DialError::HostUnreachable { .. }));
        assert!(matches!(sorted(io::ErrorKind::TimedOut), DialError::TimedOut { .. }));
        assert!(matches!(sorted(io::ErrorKind::PermissionDenied), DialError::Io { .. }));
    }
}
