//! What calls and waits have in common: a message in, a message or an error text out.

use std::fmt;

use protocol::messages::{self, DecodeMessageError, Message};
use wasmtime::Caller;
use zeroize::Zeroizing;

use crate::{
    memory::{self, ReadError},
    state::{State, enter, guest},
};

/// A buffer in the guest's memory, as the guest gave it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    pub(super) ptr: i32,
    pub(super) len: i32,
}

/// Why a guest's message was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeError {
    /// It is not where the guest says.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is longer than any message may be.
    #[error("message of {got} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// Bytes the guest announced.
        got: i32,
        /// Bytes allowed.
        limit: u64,
    },
    /// It is not the message it should be.
    #[error("proto: cannot parse invalid wire-format data")]
    Malformed,
}

impl From<DecodeMessageError> for TakeError {
    fn from(_error: DecodeMessageError) -> Self {
        Self::Malformed
    }
}

/// Reads and decodes a message of at most `limit` bytes.
pub(super) fn take<M: Message>(
    caller: &mut Caller<'_, State>,
    message: Buffer,
    limit: impl Fn(&State) -> u64,
) -> wasmtime::Result<Result<M, TakeError>> {
    let (memory, state) = enter(caller)?;
    Ok(decode(memory, state, message, limit(state)))
}

fn decode<M: Message>(
    memory: &[u8],
    state: &mut State,
    message: Buffer,
    limit: u64,
) -> Result<M, TakeError> {
    let bytes = memory::read(memory, message.ptr, message.len)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > limit) {
        return Err(TakeError::TooLarge { got: message.len, limit });
    }
    state.meter.took(bytes.len());
    Ok(messages::decode(bytes)?)
}

/// Writes a message into the guest's memory, or an error text if it does not fit. The copy on the way
/// is wiped: answers hold secrets.
pub(super) fn give(
    caller: &mut Caller<'_, State>,
    answer: Option<&impl Message>,
    response: Buffer,
) -> wasmtime::Result<i64> {
    let (memory, state) = guest(caller)?;
    let written = answer.and_then(|answer| {
        let bytes = Zeroizing::new(messages::encode(answer));
        usize::try_from(memory::write(memory, &bytes, response.ptr, response.len)).ok()
    });
    if let Some(size) = written {
        state.meter.gave(size);
        return Ok(i64::try_from(size).unwrap_or(-1));
    }
    Ok(memory::write_error(memory, "response buffer too small", response.ptr, response.len))
}

/// Hands an error text to the guest and notes it for the host.
pub(super) fn fail(
    caller: &mut Caller<'_, State>,
    error: &impl fmt::Display,
    response: Buffer,
) -> wasmtime::Result<i64> {
    let (memory, _state) = guest(caller)?;
    let text = error.to_string();
    tracing::debug!(bytes = text.len(), "import failed");
    Ok(memory::write_error(memory, &text, response.ptr, response.len))
}

/// Longest message that asks for secrets or waits for ids, in bytes: it needs a few each, and decoded it
/// takes up to 9 MiB.
pub(super) const CONTROL_BYTES: u64 = 256 * 1024;
