//! The HTTPS service that http-actions of a devnet talk to: it says what it was asked.
//!
//! A header's value is told as its SHA-256 only, and a query not at all, so that a workflow can prove
//! that it sent a secret and nobody can read it in the answer or in a log.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use transport::http::{BodyError, read_body, serve};
use zeroize::Zeroizing;

use super::{
    LIMITS,
    tls::{self, TlsListen},
};
use crate::{
    exit::{Exit, Failure, OrFail as _},
    files,
    process::{self, ProcessArgs},
};

/// Serve the HTTPS echo; a part of the devnet.
#[derive(Debug, clap::Args)]
pub(crate) struct Echo {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    certificate: PathBuf,
    #[arg(long)]
    key: PathBuf,
    #[command(flatten)]
    process: ProcessArgs,
}

impl Echo {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let shutdown = self.process.start()?;
        let certificate = files::read(&self.certificate, LONGEST_PEM_BYTES)?;
        let key = Zeroizing::new(files::read(&self.key, LONGEST_PEM_BYTES)?);
        let config = tls::server_config(&certificate, &key)
            .or_fail(Exit::Input, || self.certificate.display().to_string())?;
        let listener = process::listen("echo", self.listen).await?;
        let listener = TlsListen::new(listener, config);
        let role = async {
            serve(Box::new(listener), router(), LIMITS, shutdown.clone())
                .await
                .or_fail(Exit::Internal, || "the echo service cannot run")
        };
        process::until_stopped(role, &shutdown).await
    }
}

/// What was asked.
#[derive(Serialize)]
struct Asked {
    method: String,
    path: String,
    /// The SHA-256 of each header's value, in hexadecimal; of the last one, if there are several.
    headers: BTreeMap<String, String>,
    body_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

fn router() -> Router {
    Router::new().fallback(echo)
}

async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    match asked(&head, body).await {
        Ok(asked) => match serde_json::to_vec(&asked) {
            Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
        Err(BodyError::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(BodyError::TimedOut) => StatusCode::REQUEST_TIMEOUT.into_response(),
        Err(BodyError::Broken) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn asked(head: &http::request::Parts, body: Body) -> Result<Asked, BodyError> {
    let body = read_body(body, LONGEST_BODY_BYTES, BODY_TIMEOUT).await?;
    let is_shown = body.len() <= LONGEST_SHOWN_BYTES;
    Ok(Asked {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        headers: hashes(&head.headers),
        body_sha256: hex::encode(Sha256::digest(&body)),
        body: std::str::from_utf8(&body).ok().filter(|_| is_shown).map(str::to_owned),
    })
}

fn hashes(headers: &HeaderMap) -> BTreeMap<String, String> {
    let hash = |value: &http::HeaderValue| hex::encode(Sha256::digest(value.as_bytes()));
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), hash(value))).collect()
}

/// What is read of a body; larger ones are refused.
const LONGEST_BODY_BYTES: usize = 4 * 1024 * 1024;

/// What is repeated of a body; of larger ones the hash is told.
const LONGEST_SHOWN_BYTES: usize = 4 * 1024;

const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const LONGEST_PEM_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    };
    use serde_json::Value;
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;
    use tokio_util::sync::CancellationToken;
    use transport::{
        TcpListen,
        http::{ClientLimits, Connection},
    };

    use super::*;
    use crate::devnet::service::tls::Identity;

    const TEST_LIMITS: ClientLimits = ClientLimits {
        head_bytes: 16 * 1024,
        body_bytes: 1 << 20,
        timeout: Duration::from_secs(10),
    };

    async fn ask(request: http::Request<Bytes>) -> http::Response<Bytes> {
        let identity = Identity::generate().unwrap();
        let config =
            tls::server_config(identity.certificate_pem.as_bytes(), identity.key_pem.as_bytes());
        let listener = TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local();
        let listener = TlsListen::new(listener, config.unwrap());
        let shutdown = CancellationToken::new();
        let _guard = shutdown.clone().drop_guard();
        tokio::spawn(serve(Box::new(listener), router(), LIMITS, shutdown));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(identity.ca_pem.as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
        let mut connection = Connection::open(Box::new(stream), &TEST_LIMITS).await.unwrap();
        connection.send(request, &TEST_LIMITS).await.unwrap()
    }

    fn request(body: impl Into<Bytes>) -> http::Request<Bytes> {
        http::Request::post("/a/b?token=hunter2")
            .header(header::HOST, "127.0.0.1")
            .header(header::AUTHORIZATION, "Bearer hunter2")
            .body(body.into())
            .unwrap()
    }

    #[tokio::test]
    async fn a_header_is_told_by_its_hash_and_a_query_not_at_all() {
        let answer = ask(request("hello")).await;
        let text = std::str::from_utf8(answer.body()).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let json: Value = serde_json::from_str(text).unwrap();
        assert_eq!(json["method"], "POST");
        assert_eq!(json["path"], "/a/b");
        assert_eq!(json["body"], "hello");
        let hash = hex::encode(Sha256::digest("Bearer hunter2"));
        assert_eq!(json["headers"]["authorization"], hash);
    }

    #[tokio::test]
    async fn a_long_body_and_bytes_that_are_no_text_are_told_by_their_hash() {
        for body in [vec![b'a'; LONGEST_SHOWN_BYTES + 1], vec![0xff]] {
            let json: Value =
                serde_json::from_slice(ask(request(body.clone())).await.body()).unwrap();
            assert_eq!(json.get("body"), None);
            assert_eq!(json["body_sha256"], hex::encode(Sha256::digest(&body)));
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let answer = ask(request(vec![0; LONGEST_BODY_BYTES + 1])).await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
