//! TLS on a listener, with a certificate that a devnet makes for itself.

use std::{io, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use transport::{Accepted, BoxFuture, Endpoint, Listen, TcpListen, accept_each};

/// A listener whose connections have finished their TLS handshake.
#[derive(Debug)]
pub(crate) struct TlsListen {
    endpoint: Endpoint,
    shaken: mpsc::Receiver<Accepted>,
    /// Ends the handshakes with the listener.
    _stop: DropGuard,
}

/// Certificate and key that a server shows, both PEM, and the root that clients trust.
pub(crate) struct Identity {
    /// The root's certificate.
    pub(crate) ca_pem: String,
    /// The server's certificate.
    pub(crate) certificate_pem: String,
    /// The server's key.
    pub(crate) key_pem: String,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A certificate or a key is not PEM.
    #[error("the certificate or the key is not PEM")]
    Pem(#[from] pem::Error),
    /// A certificate and a key do not make a server.
    #[error("the certificate and the key do not belong together")]
    Server(#[from] rustls::Error),
    /// No certificate can be made.
    #[error("no certificate can be made")]
    Make(#[from] rcgen::Error),
}

impl Identity {
    /// Makes a root and a certificate for this machine: `127.0.0.1` and `localhost`.
    ///
    /// # Errors
    ///
    /// [`TlsError::Make`].
    pub(crate) fn generate() -> Result<Self, TlsError> {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(rcgen::DnType::CommonName, "devnet echo root");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(rcgen::DnType::CommonName, "devnet echo");
        server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &Issuer::from_params(&ca, &ca_key))?;
        Ok(Self { ca_pem, certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

/// What a server with this certificate and key says in a handshake.
///
/// # Errors
///
/// [`TlsError::Pem`] and [`TlsError::Server`].
pub(crate) fn server_config(certificate: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let key = PrivateKeyDer::from_pem_slice(key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain?, key)?;
    Ok(Arc::new(config))
}

impl TlsListen {
    /// Shakes hands with everybody who connects to `listener`, many at a time and each in
    /// [`HANDSHAKE_TIMEOUT`].
    pub(crate) fn new(listener: TcpListen, config: Arc<ServerConfig>) -> Self {
        let endpoint = listener.endpoint();
        let (sender, shaken) = mpsc::channel(HANDSHAKES);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let acceptor = TlsAcceptor::from(config);
        tokio::spawn(async move {
            let shake = |accepted| shake(acceptor.clone(), accepted, sender.clone());
            let ended =
                accept_each(Box::new(listener), HANDSHAKES, Duration::ZERO, &stopped, shake).await;
            if let Err(error) = ended {
                tracing::error!(%error, "no more connections");
            }
        });
        Self { endpoint, shaken, _stop: stop.drop_guard() }
    }
}

impl Listen for TlsListen {
    fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>> {
        Box::pin(async {
            self.shaken.recv().await.ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
        })
    }
}

async fn shake(acceptor: TlsAcceptor, accepted: Accepted, sender: mpsc::Sender<Accepted>) {
    let Accepted { stream, peer } = accepted;
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            // Nobody listens any more only if the server has ended.
            sender.send(Accepted { stream: Box::new(stream), peer }).await.ok();
        }
        Ok(Err(error)) => tracing::info!(%error, "handshake failed"),
        Err(_) => tracing::info!("handshake not finished in time"),
    }
}

const HANDSHAKES: usize = 64;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
