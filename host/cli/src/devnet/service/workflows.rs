//! The server of workflow binaries: `PUT`, `GET` and `HEAD /artifacts/{sha256}/binary.wasm`.
//!
//! An artifact is named by the hash of its bytes, so what is stored under a name never changes.
//! Everybody on the machine may store and fetch: a binary is no secret, and the enclave checks the hash
//! that the committee signed.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path as Captured, State as Shared},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use protocol::limits::BINARY_BYTES;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use transport::http::{BodyError, read_body, serve};

use super::LIMITS;
use crate::{
    exit::{Exit, Failure, OrFail as _},
    files::{self, Readers},
    process::{self, ProcessArgs},
};

/// Serve workflow binaries; a part of the devnet.
#[derive(Debug, clap::Args)]
pub(crate) struct Workflows {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    folder: PathBuf,
    #[command(flatten)]
    process: ProcessArgs,
}

impl Workflows {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let shutdown = self.process.start()?;
        files::create_folder(&self.folder)
            .or_fail(Exit::Input, || format!("{} cannot be made", self.folder.display()))?;
        let listener = process::listen("workflows", self.listen).await?;
        let role = async {
            serve(Box::new(listener), router(self.folder), LIMITS, shutdown.clone())
                .await
                .or_fail(Exit::Internal, || "the workflow server cannot run")
        };
        process::until_stopped(role, &shutdown).await
    }
}

/// The path under which a binary is served.
pub(crate) fn path(sha256: &[u8; 32]) -> String {
    format!("/artifacts/{}/binary.wasm", hex::encode(sha256))
}

/// The longest binary that is stored, in bytes: the enclave fetches none that is longer.
#[expect(clippy::cast_possible_truncation, reason = "20 MiB fits into 32 bits")]
pub(crate) const LONGEST_BINARY_BYTES: usize = BINARY_BYTES as usize;

/// Why a binary is not stored or not there.
#[derive(Debug, thiserror::Error)]
enum ArtifactError {
    #[error("an artifact is named by the 64 lower-case hexadecimal digits of its SHA-256")]
    Name,
    #[error("there is no such artifact")]
    Missing,
    #[error("{0}")]
    Body(#[from] BodyError),
    #[error("the bytes hash to {got}")]
    Hash { got: String },
    #[error("there is no room for another binary; start the devnet again to empty its server")]
    Full,
    #[error("the file cannot be read or written")]
    File(#[from] io::Error),
}

struct Store {
    folder: PathBuf,
    /// Bytes stored so far. Held while a binary is written, so that the sum is right.
    stored_bytes: Mutex<u64>,
}

fn router(folder: PathBuf) -> Router {
    let stored_bytes = Mutex::new(stored(&folder).unwrap_or(0));
    let route = get(fetch).put(store);
    Router::new()
        .route("/artifacts/{sha256}/binary.wasm", route)
        .with_state(Arc::new(Store { folder, stored_bytes }))
}

async fn fetch(
    Shared(store): Shared<Arc<Store>>,
    Captured(name): Captured<String>,
) -> Result<Response, ArtifactError> {
    let path = store.path(&name)?;
    match tokio::fs::read(path).await {
        Ok(bytes) => {
            Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ArtifactError::Missing),
        Err(error) => Err(error.into()),
    }
}

async fn store(
    Shared(store): Shared<Arc<Store>>,
    Captured(name): Captured<String>,
    body: Body,
) -> Result<StatusCode, ArtifactError> {
    let path = store.path(&name)?;
    let bytes = read_body(body, LONGEST_BINARY_BYTES, BODY_TIMEOUT).await?;
    let got = hex::encode(Sha256::digest(&bytes));
    if got != name {
        return Err(ArtifactError::Hash { got });
    }
    let mut stored_bytes = store.stored_bytes.lock().await;
    if tokio::fs::try_exists(&path).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let sum = stored_bytes.saturating_add(bytes.len() as u64);
    if sum > STORE_BYTES {
        return Err(ArtifactError::Full);
    }
    let write = move || files::write(&path, &bytes, Readers::Owner);
    tokio::task::spawn_blocking(write).await.map_err(io::Error::other)??;
    *stored_bytes = sum;
    Ok(StatusCode::CREATED)
}

impl Store {
    /// Where an artifact is. A name is hexadecimal digits only, so it cannot lead elsewhere.
    fn path(&self, name: &str) -> Result<PathBuf, ArtifactError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if name.len() != 64 || !name.bytes().all(is_digit) {
            return Err(ArtifactError::Name);
        }
        Ok(self.folder.join(name))
    }
}

fn stored(folder: &Path) -> io::Result<u64> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

impl IntoResponse for ArtifactError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Name | Self::Hash { .. } | Self::Body(BodyError::Broken) => {
                StatusCode::BAD_REQUEST
            }
            Self::Missing => StatusCode::NOT_FOUND,
            Self::Body(BodyError::TimedOut) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::File(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if let Self::File(error) = &self {
            tracing::error!(%error, "a binary cannot be read or written");
        }
        (status, self.to_string()).into_response()
    }
}

const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What a devnet stores in all.
const STORE_BYTES: u64 = 1024 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;
    use tokio_util::sync::CancellationToken;
    use transport::TcpListen;

    use super::*;
    use crate::http::Peer;

    /// A server that runs as long as the guard is held.
    async fn server() -> (Peer, tempfile::TempDir, tokio_util::sync::DropGuard) {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListen::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local();
        let shutdown = CancellationToken::new();
        let routes = router(folder.path().to_owned());
        tokio::spawn(serve(Box::new(listener), routes, LIMITS, shutdown.clone()));
        (Peer { name: "the server", address }, folder, shutdown.drop_guard())
    }

    async fn status(peer: &Peer, method: Method, path: &str, body: &[u8]) -> u16 {
        let answer = peer.ask(method, path, None, Bytes::copy_from_slice(body)).await.unwrap();
        answer.status().as_u16()
    }

    #[tokio::test]
    async fn what_is_put_is_served_under_its_hash() {
        let (peer, _folder, _guard) = server().await;
        let path = path(&Sha256::digest(b"wasm").into());
        assert_eq!(status(&peer, Method::HEAD, &path, b"").await, 404);
        assert_eq!(status(&peer, Method::PUT, &path, b"wasm").await, 201);
        assert_eq!(status(&peer, Method::PUT, &path, b"wasm").await, 204);
        assert_eq!(status(&peer, Method::HEAD, &path, b"").await, 200);
        let answer = peer.ask(Method::GET, &path, None, Bytes::new()).await.unwrap();
        assert_eq!(answer.body().as_ref(), b"wasm");
    }

    #[tokio::test]
    async fn bytes_of_another_hash_are_refused() {
        let (peer, folder, _guard) = server().await;
        let path = path(&Sha256::digest(b"wasm").into());
        assert_eq!(status(&peer, Method::PUT, &path, b"wasn").await, 400);
        assert_eq!(status(&peer, Method::GET, &path, b"").await, 404);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_binary_that_no_enclave_fetches_is_refused() {
        let (peer, _folder, _guard) = server().await;
        let long = vec![0; LONGEST_BINARY_BYTES + 1];
        let path = path(&Sha256::digest(&long).into());
        assert_eq!(status(&peer, Method::PUT, &path, &long).await, 413);
    }

    #[tokio::test]
    async fn a_name_that_is_no_hash_is_refused() {
        let (peer, _folder, _guard) = server().await;
        for name in ["..", "%2e%2e%2fdevnet.json", &"A".repeat(64), &"a".repeat(63)] {
            let path = format!("/artifacts/{name}/binary.wasm");
            assert_eq!(status(&peer, Method::GET, &path, b"").await, 400, "{name}");
        }
        assert_eq!(status(&peer, Method::GET, "/devnet.json", b"").await, 404);
    }

    #[tokio::test]
    async fn a_full_store_refuses_and_keeps_serving() {
        let folder = tempfile::tempdir().unwrap();
        let full =
            Store { folder: folder.path().to_owned(), stored_bytes: Mutex::new(STORE_BYTES) };
        let name = hex::encode(Sha256::digest(b"wasm"));
        let refused = store(Shared(Arc::new(full)), Captured(name), Body::from("wasm")).await;
        assert!(matches!(refused, Err(ArtifactError::Full)));
    }
}
