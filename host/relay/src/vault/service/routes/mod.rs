//! The vault's routes. Every refusal is one sentence in plain text.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Router,
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use crypto::{secret::Secret, sign::SignerKey, tdh2::MasterPublicKey};
use http::{StatusCode, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::{rounds::Rounds, store::Store};
use crate::vault::wire::{CIPHERTEXTS, CONTRIBUTIONS};

mod member;
mod operator;

/// What all routes share.
pub(super) struct State {
    token_sha256: [u8; 32],
    key: MasterPublicKey,
    store: Mutex<Store>,
    rounds: Mutex<Rounds>,
    members: Vec<SignerKey>,
    /// Woken by every contribution.
    contributed: Notify,
}

impl State {
    pub(super) fn new(
        token: &Secret,
        key: MasterPublicKey,
        store: Store,
        rounds: Rounds,
        members: Vec<SignerKey>,
    ) -> Self {
        Self {
            token_sha256: Sha256::digest(token.expose()).into(),
            key,
            store: Mutex::new(store),
            rounds: Mutex::new(rounds),
            members,
            contributed: Notify::new(),
        }
    }

    // Both are whole after every change, so a panic elsewhere does not spoil them.

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/secrets", get(operator::list))
        .route("/secrets/{owner}/{namespace}/{name}", put(operator::put))
        .route(CIPHERTEXTS, post(member::open))
        .route(CONTRIBUTIONS, post(member::contribute))
        .with_state(state)
}

/// A value that is texts and lists only, so writing it does not fail.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
