//! How a run ended and what it used.

use std::time::Duration;

use protocol::messages::{DecodeMessageError, decode, sdk::ExecutionResult};
use wasmtime::Trap;

use crate::{
    admit::Cause, imports::ResultTooLarge, request::MalformedRequest, stop::Stopped, wasi::Exit,
};

/// How a run ended, and what it used until then.
#[derive(Clone, Debug)]
pub struct Ended<E = RunError> {
    /// What it answered, or why it did not.
    pub result: Result<Outcome, E>,
    /// What it used, however it ended.
    pub metering: Metering,
}

/// What a run answered, which may be an error of the workflow's own.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The encoded `ExecutionResult`, as the guest sent it: a message of the schema, which may hold
    /// more than the schema knows.
    pub encoded: Vec<u8>,
}

impl<E> Ended<E> {
    /// Of something that never got as far as using anything.
    pub(crate) fn unused(error: impl Into<E>) -> Self {
        Self { result: Err(error.into()), metering: Metering::default() }
    }
}

impl Outcome {
    /// Decodes the result. A hostile one takes up to thirty times its size.
    ///
    /// # Errors
    ///
    /// [`DecodeMessageError::Malformed`] if messages nest deeper than 100 levels.
    pub fn decode(&self) -> Result<ExecutionResult, DecodeMessageError> {
        decode(&self.encoded)
    }
}

/// What one run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metering {
    /// From the place in the pool to the end.
    pub wall: Duration,
    /// Processor time of the guest and of its imports, by the clocks of the threads they ran on. What
    /// an embedder does beside the guest to answer a call is not in it.
    pub cpu: Duration,
    /// Largest size of the linear memory in bytes.
    pub peak_memory_bytes: u64,
    /// Imports called, those of WASI included.
    pub host_calls: u64,
    /// Bytes given to the guest: arguments and answers.
    pub bytes_in: u64,
    /// Bytes taken from the guest: messages, log lines, metrics and results.
    pub bytes_out: u64,
    /// Log lines and metrics that were dropped.
    pub dropped_events: u64,
}

impl Metering {
    /// What two runs used, one after the other.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        Self {
            wall: self.wall.saturating_add(later.wall),
            cpu: self.cpu.saturating_add(later.cpu),
            peak_memory_bytes: self.peak_memory_bytes.max(later.peak_memory_bytes),
            host_calls: self.host_calls.saturating_add(later.host_calls),
            bytes_in: self.bytes_in.saturating_add(later.bytes_in),
            bytes_out: self.bytes_out.saturating_add(later.bytes_out),
            dropped_events: self.dropped_events.saturating_add(later.dropped_events),
        }
    }
}

/// Why a run has no outcome. The texts are those peers match on (1.6, 6.2, 6.4, 6.5).
#[derive(Clone, Debug, thiserror::Error)]
pub enum RunError {
    /// The request is not one.
    #[error(transparent)]
    Request(#[from] MalformedRequest),
    /// Time was up, or the caller left.
    #[error("context deadline exceeded")]
    Deadline,
    /// The module could not be instantiated within the limits.
    #[error("error linking wasm: {0}")]
    Link(#[from] LinkError),
    /// The guest ended itself with a code that is not 0.
    #[error("{}", exit_text(*.0))]
    Exited(i32),
    /// The guest trapped.
    #[error("{0}")]
    Trap(Trap),
    /// The guest ended well, but sent no result.
    #[error("could not find response for execution")]
    NoResponse,
    /// The result is beyond the limit.
    #[error("result of {got} bytes exceeds the limit of {limit} bytes")]
    ResultTooLarge {
        /// Bytes sent.
        got: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A service or an import panicked. Only a message without data in it is repeated.
    #[error("panic during wasm execution: {0}")]
    Panicked(&'static str),
    /// The engine failed in a way no guest should be able to bring about.
    #[error("engine failure: {0}")]
    Engine(Cause),
}

/// Why an instance could not be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// The module declares more memory than the limit.
    #[error("memory minimum size of {pages} pages exceeds memory limits")]
    MemoryMinimum {
        /// Pages of 64 KiB that the module asks for.
        pages: u64,
    },
    /// Initialisation trapped: data or elements out of bounds, or a start function.
    #[error("{0}")]
    Trap(Trap),
    /// The engine refuses, usually for want of room.
    #[error("{0}")]
    Refused(Cause),
}

/// Whether the guest ended well, or why not.
pub(crate) fn ended(result: wasmtime::Result<()>) -> Result<(), RunError> {
    let Err(error) = result else { return Ok(()) };
    if error.is::<Stopped>() {
        return Err(RunError::Deadline);
    }
    if let Some(Exit(code)) = error.downcast_ref() {
        return if *code == 0 { Ok(()) } else { Err(RunError::Exited(*code)) };
    }
    if let Some(ResultTooLarge { got, limit }) = error.downcast_ref() {
        return Err(RunError::ResultTooLarge { got: *got, limit: *limit });
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => Err(RunError::Trap(*trap)),
        None => Err(RunError::Engine(error.into())),
    }
}

/// Why an instance could not be made; a start function may also end the run by itself.
pub(crate) fn not_linked(error: wasmtime::Error) -> RunError {
    match ended(Err(error)) {
        Err(RunError::Trap(trap)) => LinkError::Trap(trap).into(),
        Err(RunError::Engine(cause)) => LinkError::Refused(cause).into(),
        Err(other) => other,
        Ok(()) => RunError::NoResponse,
    }
}

/// The part of a panic that is safe to repeat: a literal has no data in it, a formatted one may.
pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> RunError {
    let text = payload.downcast_ref::<&'static str>();
    RunError::Panicked(text.copied().unwrap_or("message withheld"))
}

fn exit_text(code: i32) -> String {
    match code {
        110 => "invariant violation: error marshaling response".to_owned(),
        111 => "invariant violation: invalid request to runner".to_owned(),
        112 => "error executing runner".to_owned(),
        113 => "invariant violation: host errored during sendResponse".to_owned(),
        0..=125 => Exit(code).to_string(),
        _ => "exit with invalid exit status outside of [0..126)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_have_the_texts_peers_match_on() {
        let text = |code| RunError::Exited(code).to_string();
        assert_eq!(text(2), "Exited with i32 exit status 2");
        assert_eq!(text(110), "invariant violation: error marshaling response");
        assert_eq!(text(111), "invariant violation: invalid request to runner");
        assert_eq!(text(112), "error executing runner");
        assert_eq!(text(113), "invariant violation: host errored during sendResponse");
        for code in [126, 255, -1, i32::MIN] {
            assert_eq!(text(code), "exit with invalid exit status outside of [0..126)");
        }
    }

    #[test]
    fn only_a_literal_panic_is_repeated() {
        let literal = std::panic::catch_unwind(|| panic!("boom")).unwrap_err();
        assert_eq!(panicked(&*literal).to_string(), "panic during wasm execution: boom");
        let secret = "s3cr3t";
        let formatted = std::panic::catch_unwind(|| panic!("got {secret}")).unwrap_err();
        let text = panicked(&*formatted).to_string();
        assert_eq!(text, "panic during wasm execution: message withheld");
    }

    #[test]
    fn exit_zero_is_a_good_end() {
        assert!(ended(Err(Exit(0).into())).is_ok());
        assert!(matches!(ended(Err(Exit(9).into())), Err(RunError::Exited(9))));
        assert!(matches!(ended(Err(Stopped.into())), Err(RunError::Deadline)));
    }
}
