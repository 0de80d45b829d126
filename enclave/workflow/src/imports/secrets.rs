//! `get_secrets` and `await_secrets` (2.6, 2.7).

use std::sync::Arc;

use prost::Message as _;
use protocol::messages::sdk::{
    AwaitSecretsRequest, AwaitSecretsResponse, GetSecretsRequest, SecretResponse, SecretResponses,
};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Caller;

use super::exchange::{Buffer, CONTROL_BYTES, TakeError, fail, give, take};
use crate::{
    Services,
    calls::{Room, StartError, Taken},
    state::{SecretsAnswer, State},
};

/// Why a request for secrets is refused, in the words guests match on.
#[derive(Debug, thiserror::Error)]
enum GetError {
    #[error("error calling proto unmarshal: {}", TakeError::Malformed)]
    Malformed,
    #[error("error calling wasmRead: {0}")]
    Take(TakeError),
    #[error("error calling getSecretsAsync: {0}")]
    Start(#[from] StartError),
}

/// Why a wait fails, in the words guests match on.
#[derive(Debug, thiserror::Error)]
enum AwaitError<'t> {
    #[error("{}", TakeError::Malformed)]
    Malformed,
    #[error("error reading from wasm {0}")]
    Take(TakeError),
    #[error("failed to get call from store : {0}")]
    Unknown(i32),
    #[error("failed to get secrets for call {id}: {text}")]
    Failed { id: i32, text: &'t str },
}

/// Starts a request and returns 0, or writes an error text and returns its negative length.
pub(super) async fn get(
    caller: &mut Caller<'_, State>,
    request: Buffer,
    response: Buffer,
) -> wasmtime::Result<i64> {
    let size = usize::try_from(request.len).unwrap_or_default();
    let request: GetSecretsRequest = match take(caller, request, |_state| CONTROL_BYTES)? {
        Ok(request) => request,
        Err(TakeError::Malformed) => return fail(caller, &GetError::Malformed, response),
        Err(error) => return fail(caller, &GetError::Take(error), response),
    };
    let permit = Arc::clone(&caller.data().pending).acquire_owned().await?;
    let state = caller.data_mut();
    let id = request.callback_id;
    let started = state.held.take(size).ok_or(StartError::NoRoom).and_then(|held| {
        let services = Arc::clone(&state.services);
        let call = answer(services, request, held, state.held.clone(), permit);
        state.secrets.start(id, Box::pin(call))
    });
    match started {
        Ok(()) => Ok(0),
        Err(error) => fail(caller, &GetError::Start(error), response),
    }
}

/// Waits for requests in the order of their ids and writes all answers, or an error text.
///
/// A request that failed as a whole fails every wait for it in the same words.
pub(super) async fn wait(
    caller: &mut Caller<'_, State>,
    request: Buffer,
    response: Buffer,
) -> wasmtime::Result<i64> {
    let ids: AwaitSecretsRequest = match take(caller, request, |_state| CONTROL_BYTES)? {
        Ok(ids) => ids,
        Err(TakeError::Malformed) => return fail(caller, &AwaitError::Malformed, response),
        Err(error) => return fail(caller, &AwaitError::Take(error), response),
    };
    let mut answers = Some(AwaitSecretsResponse::default());
    let mut held = Vec::new();
    for id in ids.ids {
        let kept = match outcome(caller, id).await {
            Some(Ok(kept)) => kept,
            Some(Err(text)) => {
                return fail(caller, &AwaitError::Failed { id, text: text.as_str() }, response);
            }
            None => return fail(caller, &AwaitError::Unknown(id), response),
        };
        match (kept.read(), &mut answers) {
            (Some((responses, taken)), Some(answers)) => {
                held.push(taken);
                drop(answers.responses.insert(id, SecretResponses { responses }));
            }
            (None, _) => answers = None,
            (Some(_), None) => {}
        }
    }
    give(caller, answers.as_ref(), response)
}

/// Waits for one request; `None` if there is none with this id. A failure is remembered.
async fn outcome(caller: &mut Caller<'_, State>, id: i32) -> Option<SecretsAnswer> {
    if let Some(text) = caller.data().failed_secrets.get(&id) {
        return Some(Err(text.clone()));
    }
    let call = caller.data_mut().secrets.take(id)?;
    let answer = call.finished().await;
    if let Err(text) = &answer {
        caller.data_mut().failed_secrets.insert(id, text.clone());
    }
    Some(answer)
}

/// One request from start to kept answer; permit and room are given back when it is finished.
async fn answer(
    services: Arc<dyn Services>,
    request: GetSecretsRequest,
    held: Taken,
    room: Room,
    permit: OwnedSemaphorePermit,
) -> SecretsAnswer {
    let responses = services.secrets(request).await;
    drop((permit, held));
    let responses = responses?;
    let size = responses.iter().map(SecretResponse::encoded_len).sum::<usize>();
    Ok(room.keep(responses, size))
}
