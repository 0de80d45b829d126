//! vsock: the hypervisor's sockets, or their emulation over loopback TCP.
//!
//! A program's `main` reads `VSOCK_BACKEND` and `ENCLAVE_CID` and hands their values to
//! [`Vsock::parse`]; from there on nobody asks which of the two it is.

use std::{io, sync::Arc, time::Duration};

use tokio_vsock::{VsockAddr, VsockListener, VsockStream};

use crate::{
    Accepted, BoxFuture, BoxStream, Dial, DialError, Emulation, Endpoint, Listen, PortError,
    TcpDialer, TcpListen,
};

/// The host, as its enclaves see it.
pub const HOST_CID: u32 = 3;

/// Every machine: what a listener binds to.
pub const ANY_CID: u32 = u32::MAX;

/// How vsock addresses are reached.
#[derive(Clone, Debug)]
pub enum Vsock {
    /// The device of a Nitro host or enclave.
    Device,
    /// Loopback TCP, by the port formula of section 11.
    Emulated(Emulation),
}

impl Vsock {
    /// Reads the values of `VSOCK_BACKEND` and `ENCLAVE_CID`, where they are set.
    ///
    /// Without `VSOCK_BACKEND` it is the device. `ENCLAVE_CID` counts only with `tcp` and is 16 when
    /// unset, as the section says.
    ///
    /// # Errors
    ///
    /// - [`VsockConfigError::Backend`] if the first is neither empty nor `tcp`.
    /// - [`VsockConfigError::EnclaveCid`] if the second is no usable context id.
    pub fn parse(
        backend: Option<&str>,
        enclave_cid: Option<&str>,
    ) -> Result<Self, VsockConfigError> {
        match backend {
            None | Some("") => return Ok(Self::Device),
            Some("tcp") => {}
            Some(_) => return Err(VsockConfigError::Backend),
        }
        let cid = match enclave_cid {
            None | Some("") => DEFAULT_ENCLAVE_CID,
            Some(text) => text.parse().map_err(|_digits| VsockConfigError::EnclaveCid)?,
        };
        // The two that section 11 replaces by the enclave's, and those that name no machine.
        if cid <= HOST_CID || cid == ANY_CID {
            return Err(VsockConfigError::EnclaveCid);
        }
        Ok(Self::Emulated(Emulation::new(cid)))
    }

    /// A dialer to a port of a machine; each connection is opened within `timeout`.
    ///
    /// # Errors
    ///
    /// [`PortError`] if the emulation has no TCP port for it.
    pub fn dialer(
        &self,
        cid: u32,
        port: u32,
        timeout: Duration,
    ) -> Result<Arc<dyn Dial>, PortError> {
        Ok(match self {
            Self::Device => Arc::new(VsockDialer { cid, port, timeout }),
            Self::Emulated(tcp) => Arc::new(TcpDialer::new(tcp.dialed(cid, port)?, timeout)),
        })
    }

    /// Listens at a port of this machine, for every other machine.
    ///
    /// # Errors
    ///
    /// - [`VsockListenError::Port`] if the emulation has no TCP port for it.
    /// - [`VsockListenError::Bind`] if the port is in use or there is no device.
    pub async fn listen(&self, port: u32) -> Result<Box<dyn Listen>, VsockListenError> {
        match self {
            Self::Device => {
                let listener = VsockListener::bind(VsockAddr::new(ANY_CID, port))?;
                Ok(Box::new(VsockListen { listener, port }))
            }
            Self::Emulated(tcp) => {
                Ok(Box::new(TcpListen::bind(tcp.listened(ANY_CID, port)?).await?))
            }
        }
    }
}

/// Why the environment names no way to reach vsock addresses.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VsockConfigError {
    /// `VSOCK_BACKEND` is neither empty nor `tcp`.
    #[error("VSOCK_BACKEND must be unset or `tcp`")]
    Backend,
    /// `ENCLAVE_CID` is no context id an enclave can have.
    #[error("ENCLAVE_CID must be a decimal number between 4 and 4294967294")]
    EnclaveCid,
}

/// Why a vsock port cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum VsockListenError {
    /// The emulation has no TCP port for it.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The system refuses.
    #[error("cannot listen")]
    Bind(#[from] io::Error),
}

/// Dials one vsock address.
#[derive(Clone, Copy, Debug)]
struct VsockDialer {
    cid: u32,
    port: u32,
    timeout: Duration,
}

impl Dial for VsockDialer {
    fn endpoint(&self) -> Endpoint {
        Endpoint::Vsock { cid: self.cid, port: self.port }
    }

    fn dial(&self) -> BoxFuture<'_, Result<BoxStream, DialError>> {
        Box::pin(async {
            let connect = VsockStream::connect(VsockAddr::new(self.cid, self.port));
            match tokio::time::timeout(self.timeout, connect).await {
                Ok(Ok(stream)) => Ok(Box::new(stream) as BoxStream),
                Ok(Err(source)) => Err(DialError::new(self.endpoint(), source)),
                Err(_) => Err(DialError::TimedOut { endpoint: self.endpoint() }),
            }
        })
    }
}

/// Listens at one vsock port.
#[derive(Debug)]
struct VsockListen {
    listener: VsockListener,
    port: u32,
}

impl Listen for VsockListen {
    fn endpoint(&self) -> Endpoint {
        Endpoint::Vsock { cid: ANY_CID, port: self.port }
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>> {
        Box::pin(async {
            let (stream, peer) = self.listener.accept().await?;
            let peer = Endpoint::Vsock { cid: peer.cid(), port: peer.port() };
            Ok(Accepted { stream: Box::new(stream), peer })
        })
    }
}

/// What `nitro-cli` and the tests of peers give an enclave unless told otherwise (section 11).
const DEFAULT_ENCLAVE_CID: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_the_default() {
        assert!(matches!(Vsock::parse(None, None), Ok(Vsock::Device)));
        assert!(matches!(Vsock::parse(Some(""), Some("junk")), Ok(Vsock::Device)));
    }

    #[test]
    fn emulation_uses_cid_16_unless_told() {
        let endpoint = |vsock: Vsock| {
            let second = Duration::from_secs(1);
            vsock.dialer(HOST_CID, 5001, second).unwrap().endpoint().to_string()
        };
        assert_eq!(endpoint(Vsock::parse(Some("tcp"), None).unwrap()), "127.0.0.1:31001");
        assert_eq!(endpoint(Vsock::parse(Some("tcp"), Some("17")).unwrap()), "127.0.0.1:32001");
    }

    #[test]
    fn an_unknown_backend_is_refused() {
        assert_eq!(Vsock::parse(Some("udp"), None).unwrap_err(), VsockConfigError::Backend);
    }

    #[test]
    fn an_impossible_enclave_cid_is_refused() {
        for text in ["x", "-1", "0", "1", "2", "3", "4294967295", "4294967296"] {
            let error = Vsock::parse(Some("tcp"), Some(text)).unwrap_err();
            assert_eq!(error, VsockConfigError::EnclaveCid, "{text}");
        }
    }

    #[tokio::test]
    async fn a_port_in_use_cannot_be_listened_at() {
        let free = TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap().local().port();
        // Any port above 24000 is `cid * 1000 + port + 10000` of some enclave.
        let (cid, port) = ((u32::from(free) - 10_000) / 1000, u32::from(free) % 1000);
        let vsock = Vsock::Emulated(Emulation::new(cid));
        let _held = vsock.listen(port).await.unwrap();
        assert!(matches!(vsock.listen(port).await, Err(VsockListenError::Bind(_))));
    }
}
