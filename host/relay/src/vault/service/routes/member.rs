//! What relay nodes do: open rounds, hand in shares, wait for the one answer.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State as Shared,
    response::{IntoResponse, Response},
};
use crypto::sign::SignerKey;
use http::{HeaderMap, StatusCode, header};
use protocol::{
    limits::VAULT_BATCH,
    messages::{
        self, DecodeMessageError,
        vault::{GetSecretsRequest, SecretRequest},
    },
};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};
use transport::http::{BodyError, read_body};

use super::{State, json};
use crate::vault::{
    service::{
        rounds::{ContributeError, OpenError, Progress, RoundId},
        store::SecretName,
    },
    wire::{self, Bytes, CIPHERTEXTS, CONTRIBUTIONS, Contribution, Opened, Opening, SignerError},
};

/// Why a member hears no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum MemberError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Signer(#[from] SignerError),
    #[error("the body is not in its form")]
    Form,
    #[error(transparent)]
    Request(#[from] DecodeMessageError),
    #[error("{got} secrets are asked for, the limit is {VAULT_BATCH}")]
    TooManySecrets { got: usize },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Contribute(#[from] ContributeError),
    #[error("too few members contributed in time")]
    RoundFailed,
}

/// `POST /ciphertexts`.
pub(super) async fn open(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, MemberError> {
    let (member, opening) = state.read::<Opening>(CIPHERTEXTS, &headers, body).await?;
    let request: GetSecretsRequest = messages::decode(&opening.request.0)?;
    let got = request.requests.len();
    if got > VAULT_BATCH {
        return Err(MemberError::TooManySecrets { got });
    }
    let id = id_of(&opening.round.0, &opening.request.0);
    let store = state.store();
    let look_up = |request: &SecretRequest| {
        let id = request.id.as_ref()?;
        let name = SecretName::new(&id.owner, &id.namespace, &id.key).ok()?;
        store.get(&name).map(<[u8]>::to_vec)
    };
    let ciphertexts = state.rounds().open(Instant::now(), id, member, request, look_up)?;
    let ciphertexts = ciphertexts.iter().cloned().map(|bytes| bytes.map(Bytes)).collect();
    Ok(json(&Opened { ciphertexts }))
}

/// `POST /contributions`.
pub(super) async fn contribute(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, MemberError> {
    let (member, contribution) = state.read::<Contribution>(CONTRIBUTIONS, &headers, body).await?;
    let id = id_of(&contribution.round.0, &contribution.request.0);
    let shares = contribution.shares.into_iter().map(|share| share.map(|bytes| bytes.0));
    state.rounds().contribute(Instant::now(), id, member, shares.collect())?;
    state.contributed.notify_waiters();
    let answer = state.answer(id).await.ok_or(MemberError::RoundFailed)?;
    Ok(([(header::CONTENT_TYPE, "application/x-protobuf")], answer.to_vec()).into_response())
}

impl State {
    /// Reads a body that a member signed.
    async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(SignerKey, T), MemberError> {
        let body = read_body(body, LONGEST_BODY_BYTES, BODY_TIMEOUT).await?;
        let member = wire::signer(path, headers, &body, &self.members)?;
        let value = serde_json::from_slice(&body).map_err(|_error| MemberError::Form)?;
        Ok((member, value))
    }

    /// Waits for the end of a round: its answer, if it has one.
    async fn answer(&self, id: RoundId) -> Option<Arc<[u8]>> {
        loop {
            // Listening begins before the look, so no contribution falls between the two.
            let mut contributed = std::pin::pin!(self.contributed.notified());
            contributed.as_mut().enable();
            let progress = self.rounds().progress(Instant::now(), id);
            match progress {
                Progress::Closed(answer) => return Some(answer),
                Progress::Failed => return None,
                // Either way, the round is looked at again.
                Progress::Waits(until) => drop(timeout_at(until, contributed).await),
            }
        }
    }
}

/// A round is one request of one purpose: a member that asks for something else under the same name
/// is alone in its round.
fn id_of(round: &[u8; 32], request: &[u8]) -> RoundId {
    (*round, Sha256::digest(request).into())
}

impl IntoResponse for MemberError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Signer(_) => StatusCode::UNAUTHORIZED,
            Self::Body(BodyError::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Contribute(ContributeError::Unknown) => StatusCode::NOT_FOUND,
            Self::Contribute(ContributeError::Equivocation) => StatusCode::CONFLICT,
            Self::Open(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::RoundFailed => StatusCode::GATEWAY_TIMEOUT,
            Self::Body(_)
            | Self::Form
            | Self::Request(_)
            | Self::TooManySecrets { .. }
            | Self::Contribute(_) => StatusCode::BAD_REQUEST,
        };
        (status, self.to_string()).into_response()
    }
}

/// Ten requests of three names and a key, and ten sealed shares, all in base64: about 20 KB.
const LONGEST_BODY_BYTES: usize = 64 * 1024;

const BODY_TIMEOUT: Duration = Duration::from_secs(10);
