//! What whoever holds the token may do: put secrets in, and see their names.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State as Shared},
    response::{IntoResponse, Response},
};
use crypto::{
    address::Address,
    tdh2::{Ciphertext, CiphertextError, Label},
};
use http::{HeaderMap, StatusCode, header};
use protocol::limits::VAULT_CIPHERTEXT_BYTES;
use sha2::{Digest as _, Sha256};
use transport::http::{BodyError, read_body};

use super::{State, json};
use crate::vault::service::{
    StoreError,
    store::{NameError, SecretName},
};

/// Why a secret is not put in, or names are not shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum OperatorError {
    #[error("the token is wrong or missing")]
    Token,
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("a ciphertext has at most {VAULT_CIPHERTEXT_BYTES} bytes: {0}")]
    Body(#[from] BodyError),
    #[error("the ciphertext is not valid for this vault: {0}")]
    Ciphertext(#[from] CiphertextError),
    #[error("the ciphertext's label is not the owner's")]
    Label,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the secret may not have been written")]
    Interrupted,
}

/// The names of all secrets.
#[derive(serde::Serialize)]
struct Names {
    secrets: Vec<Name>,
}

#[derive(serde::Serialize)]
struct Name {
    owner: String,
    namespace: String,
    name: String,
}

/// `GET /secrets`.
pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
) -> Result<Response, OperatorError> {
    state.allow(&headers)?;
    let names = state.store().names().map(Name::from).collect();
    Ok(json(&Names { secrets: names }))
}

/// `PUT /secrets/{owner}/{namespace}/{name}`.
pub(super) async fn put(
    Shared(state): Shared<Arc<State>>,
    Path((owner, namespace, name)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, OperatorError> {
    state.allow(&headers)?;
    let name = SecretName::new(&owner, &namespace, &name)?;
    let ciphertext = read_body(body, VAULT_CIPHERTEXT_BYTES, BODY_TIMEOUT).await?;
    let parsed = Ciphertext::parse(&ciphertext, &state.key)?;
    let label = Label::of_owner(&Address::from(*name.owner.as_bytes()));
    if label != Ok(parsed.label()) {
        return Err(OperatorError::Label);
    }
    // The disk is waited for elsewhere than among the tasks that answer members.
    let written = tokio::task::spawn_blocking(move || state.store().put(name, ciphertext.to_vec()));
    written.await.map_err(|_panic| OperatorError::Interrupted)??;
    Ok(StatusCode::NO_CONTENT)
}

impl State {
    fn allow(&self, headers: &HeaderMap) -> Result<(), OperatorError> {
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer "));
        // Hashes are compared, so the time it takes tells nothing about the token.
        let is_same = |token: &str| <[u8; 32]>::from(Sha256::digest(token)) == self.token_sha256;
        if token.is_some_and(is_same) { Ok(()) } else { Err(OperatorError::Token) }
    }
}

impl From<&SecretName> for Name {
    fn from(name: &SecretName) -> Self {
        let SecretName { owner, namespace, name } = name;
        Self { owner: owner.to_string(), namespace: namespace.clone(), name: name.clone() }
    }
}

impl IntoResponse for OperatorError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Body(BodyError::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Name(_) | Self::Body(_) | Self::Ciphertext(_) | Self::Label => {
                StatusCode::BAD_REQUEST
            }
            Self::Store(StoreError::Full { .. }) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Store(_) | Self::Interrupted => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}

const BODY_TIMEOUT: Duration = Duration::from_secs(10);
