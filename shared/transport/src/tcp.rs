//! TCP between two processes of one machine or network.

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::{TcpListener, TcpStream};

use crate::{Accepted, BoxFuture, BoxStream, Dial, DialError, Endpoint, Listen};

/// Dials one TCP address.
#[derive(Clone, Copy, Debug)]
pub struct TcpDialer {
    address: SocketAddr,
    timeout: Duration,
}

impl TcpDialer {
    /// Connections to `address`, each opened within `timeout` or not at all.
    #[must_use]
    pub const fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self { address, timeout }
    }

    /// As [`Dial::dial`], with the concrete type.
    ///
    /// # Errors
    ///
    /// [`DialError`], by what the caller can do about it.
    pub async fn connect(&self) -> Result<TcpStream, DialError> {
        let endpoint = Endpoint::Tcp(self.address);
        let connected = tokio::time::timeout(self.timeout, TcpStream::connect(self.address)).await;
        let Ok(connected) = connected else { return Err(DialError::TimedOut { endpoint }) };
        connected
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|source| DialError::new(endpoint, source))
    }
}

impl Dial for TcpDialer {
    fn endpoint(&self) -> Endpoint {
        Endpoint::Tcp(self.address)
    }

    fn dial(&self) -> BoxFuture<'_, Result<BoxStream, DialError>> {
        Box::pin(async { Ok(Box::new(self.connect().await?) as BoxStream) })
    }
}

/// Listens at one TCP address.
#[derive(Debug)]
pub struct TcpListen {
    listener: TcpListener,
    local: SocketAddr,
}

impl TcpListen {
    /// Listens at `address`; port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// What the system reports, such as an address in use.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { local: listener.local_addr()?, listener })
    }

    /// The address bound, with the port the system chose.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }
}

impl Listen for TcpListen {
    fn endpoint(&self) -> Endpoint {
        Endpoint::Tcp(self.local)
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>> {
        Box::pin(async {
            let (stream, peer) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Accepted { stream: Box::new(stream), peer: Endpoint::Tcp(peer) })
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn bytes_arrive_over_loopback() {
        let mut listener = TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let dialer = TcpDialer::new(listener.local(), SECOND);
        let (client, server) = tokio::join!(dialer.dial(), listener.accept());
        client.unwrap().write_all(b"hello").await.unwrap();
        let mut text = String::new();
        server.unwrap().stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let listener = TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let dialer = TcpDialer::new(listener.local(), SECOND);
        drop(listener);
        assert!(matches!(dialer.connect().await, Err(DialError::Refused { .. })));
    }
}
