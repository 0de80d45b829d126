//! Connections between two tasks of one process, for tests of whole roles.

use std::io;

use tokio::sync::mpsc;

use crate::{Accepted, BoxFuture, BoxStream, Dial, DialError, Endpoint, Listen};

/// Dials the [`MemoryListen`] it was made with.
#[derive(Clone, Debug)]
pub struct MemoryDialer(mpsc::Sender<tokio::io::DuplexStream>);

/// Accepts what its [`MemoryDialer`]s dial.
#[derive(Debug)]
pub struct MemoryListen(mpsc::Receiver<tokio::io::DuplexStream>);

/// A dialer and the listener it reaches.
///
/// Dialing fails like a closed port once the listener is dropped; accepting fails once every
/// dialer is.
#[must_use]
pub fn pair() -> (MemoryDialer, MemoryListen) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (MemoryDialer(sender), MemoryListen(receiver))
}

impl Dial for MemoryDialer {
    fn endpoint(&self) -> Endpoint {
        Endpoint::Memory
    }

    fn dial(&self) -> BoxFuture<'_, Result<BoxStream, DialError>> {
        Box::pin(async {
            let (near, far) = tokio::io::duplex(crate::BUFFER_BYTES);
            match self.0.send(far).await {
                Ok(()) => Ok(Box::new(near) as BoxStream),
                Err(_) => Err(DialError::Refused { endpoint: Endpoint::Memory }),
            }
        })
    }
}

impl Listen for MemoryListen {
    fn endpoint(&self) -> Endpoint {
        Endpoint::Memory
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>> {
        Box::pin(async {
            let stream = self.0.recv().await.ok_or(io::ErrorKind::NotConnected)?;
            Ok(Accepted { stream: Box::new(stream), peer: Endpoint::Memory })
        })
    }
}

/// Connections dialed and not yet accepted, like a socket's backlog.
const BACKLOG: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_listener_refuses_and_a_dropped_dialer_ends_it() {
        let (dialer, listener) = pair();
        drop(listener);
        assert!(matches!(dialer.dial().await, Err(DialError::Refused { .. })));

        let (dialer, mut listener) = pair();
        drop(dialer);
        assert_eq!(listener.accept().await.unwrap_err().kind(), io::ErrorKind::NotConnected);
    }
}
