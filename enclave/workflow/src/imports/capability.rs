//! `call_capability` and `await_capabilities` (2.4, 2.5).

use std::sync::Arc;

use prost::Message as _;
use protocol::messages::sdk::{
    AwaitCapabilitiesRequest, AwaitCapabilitiesResponse, CapabilityOutcome, CapabilityRequest,
    CapabilityResponse,
};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Caller;

use super::exchange::{Buffer, CONTROL_BYTES, TakeError, fail, give, take};
use crate::{
    Services,
    calls::{Room, StartError, Taken},
    state::{CapabilityAnswer, State},
};

/// Why a call is refused, in the words guests match on.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("error calling proto unmarshal: {}", TakeError::Malformed)]
    Malformed,
    #[error("error calling wasmRead: {0}")]
    Take(TakeError),
    #[error("error calling callCapAsync: {0}")]
    Start(#[from] StartError),
}

/// Why a wait fails, in the words guests match on.
#[derive(Debug, thiserror::Error)]
enum AwaitError {
    #[error("{}", TakeError::Malformed)]
    Malformed,
    #[error("error reading from wasm {0}")]
    Take(TakeError),
    #[error("failed to get call from store : {0}")]
    Unknown(i32),
}

/// Starts a call and returns 0, or writes an error text into `response` and returns its negative
/// length. The older form has no buffer for it: there the text lands on the request.
pub(super) async fn call(
    caller: &mut Caller<'_, State>,
    request: Buffer,
    response: Buffer,
) -> wasmtime::Result<i64> {
    let taken = take(caller, request, |state| state.limits.message_bytes)?;
    let size = usize::try_from(request.len).unwrap_or_default();
    let request: CapabilityRequest = match taken {
        Ok(request) => request,
        Err(TakeError::Malformed) => return fail(caller, &CallError::Malformed, response),
        Err(error) => return fail(caller, &CallError::Take(error), response),
    };
    let permit = Arc::clone(&caller.data().pending).acquire_owned().await?;
    let state = caller.data_mut();
    let id = request.callback_id;
    let started = state.held.take(size).ok_or(StartError::NoRoom).and_then(|held| {
        let services = Arc::clone(&state.services);
        let call = answer(services, request, held, state.held.clone(), permit);
        state.capabilities.start(id, Box::pin(call))
    });
    match started {
        Ok(()) => Ok(0),
        Err(error) => fail(caller, &CallError::Start(error), response),
    }
}

/// Waits for calls in the order of their ids and writes all answers, or an error text.
///
/// Answers taken before a failure are gone, also when the buffer turns out to be too small.
pub(super) async fn wait(
    caller: &mut Caller<'_, State>,
    request: Buffer,
    response: Buffer,
) -> wasmtime::Result<i64> {
    let ids: AwaitCapabilitiesRequest = match take(caller, request, |_state| CONTROL_BYTES)? {
        Ok(ids) => ids,
        Err(TakeError::Malformed) => return fail(caller, &AwaitError::Malformed, response),
        Err(error) => return fail(caller, &AwaitError::Take(error), response),
    };
    let mut answers = Some(AwaitCapabilitiesResponse::default());
    let mut held = Vec::new();
    for id in ids.ids {
        let Some(call) = caller.data_mut().capabilities.take(id) else {
            return fail(caller, &AwaitError::Unknown(id), response);
        };
        match (call.finished().await.read(), &mut answers) {
            (Some((answer, taken)), Some(answers)) => {
                held.push(taken);
                drop(answers.responses.insert(id, answer));
            }
            (None, _) => answers = None,
            (Some(_), None) => {}
        }
    }
    give(caller, answers.as_ref(), response)
}

/// One call from start to kept answer; permit and room for the request are given back when it is
/// finished, not when it is awaited.
async fn answer(
    services: Arc<dyn Services>,
    request: CapabilityRequest,
    held: Taken,
    room: Room,
    permit: OwnedSemaphorePermit,
) -> CapabilityAnswer {
    let response = services.call_capability(request).await.unwrap_or_else(|text| {
        CapabilityResponse { response: Some(CapabilityOutcome::Error(text.into_string())) }
    });
    drop((permit, held));
    let size = response.encoded_len();
    room.keep(response, size)
}
