//! The request as a guest gets it (1.5).

use prost::encoding::{WireType, encode_key, encode_varint};
use protocol::base64;
use rand_core::OsRng;

use crate::{
    seeds,
    wire::{Malformed, fields, merged},
};

/// One run of a workflow as it was asked for: an encoded `sdk.v1alpha.ExecuteRequest` and whose it is.
#[derive(Clone)]
pub struct Request {
    execute: Vec<u8>,
    workflow_id: String,
    node_seed: i64,
    prehook_node_seed: i64,
}

/// The bytes are not an `ExecuteRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid request: not an ExecuteRequest")]
pub struct MalformedRequest;

/// A request with its phase known and the response size set.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The request for the guest's second argument.
    pub(crate) argument: Argument,
    /// Whether this is the pre-hook phase, which has its own timeout.
    pub(crate) is_prehook: bool,
}

/// The guest's second argument: a request in base64.
///
/// Only the request is kept; its text is made piece by piece when the guest asks, so that a large
/// one neither exists twice nor holds a thread for long.
pub(crate) struct Argument(Vec<u8>);

impl Argument {
    /// The length of the text in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        self.0.len().div_ceil(3).saturating_mul(4)
    }

    /// The piece of the text with this index; all but the last have [`Argument::PIECE_BYTES`].
    pub(crate) fn piece(&self, index: usize) -> Option<String> {
        self.0.chunks(Self::PIECE_BYTES / 4 * 3).nth(index).map(base64::encode)
    }

    /// Well below a millisecond of work, and a multiple of four, so that pieces join.
    pub(crate) const PIECE_BYTES: usize = 128 * 1024;
}

impl Request {
    /// Takes an encoded request. Runs with equal workflow ids share one pool of calls in flight; an
    /// empty id shares with nobody.
    ///
    /// The node seed is drawn here, from the system.
    #[must_use]
    pub fn new(execute: Vec<u8>, workflow_id: impl Into<String>) -> Self {
        let node_seed = seeds::node_seed(&mut OsRng);
        let prehook_node_seed = seeds::node_seed(&mut OsRng);
        Self { execute, workflow_id: workflow_id.into(), node_seed, prehook_node_seed }
    }

    /// Replaces the drawn node seeds, to repeat a recorded run: that of the pre-hook a router may
    /// run first, and that of the run itself.
    #[must_use]
    pub fn with_node_seeds(self, prehook: i64, node_seed: i64) -> Self {
        Self { node_seed, prehook_node_seed: prehook, ..self }
    }

    /// The pre-hook for a trigger, with the same trigger and, as in the reference, without the
    /// configuration. `None` if this is no trigger.
    pub(crate) fn prehook(&self) -> Result<Option<Self>, MalformedRequest> {
        let Some(trigger) = merged(&self.execute, TRIGGER)? else { return Ok(None) };
        let mut execute = Vec::new();
        encode_key(PREHOOK, WireType::LengthDelimited, &mut execute);
        encode_varint(u64::try_from(trigger.len()).unwrap_or(u64::MAX), &mut execute);
        execute.extend_from_slice(&trigger);
        let node_seed = self.prehook_node_seed;
        Ok(Some(Self { execute, node_seed, ..self.clone() }))
    }

    /// The encoded request, without a response size of ours.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.execute
    }

    pub(crate) fn workflow_id(&self) -> &str {
        &self.workflow_id
    }

    pub(crate) fn node_seed(&self) -> i64 {
        self.node_seed
    }

    /// Sets the response size and reads the phase, leaving every other byte as it is, so that
    /// fields unknown here reach the guest.
    ///
    /// The size goes where the reference writes it: behind the configuration.
    pub(crate) fn prepare(self, response_bytes: u64) -> Result<Prepared, MalformedRequest> {
        let mut request = Vec::with_capacity(self.execute.len().saturating_add(11));
        let mut is_sized = false;
        let mut is_prehook = false;
        for field in fields(&self.execute) {
            let field = field?;
            if field.number != CONFIG && !is_sized {
                is_sized = true;
                put_size(&mut request, response_bytes);
            }
            match field.number {
                RESPONSE_SIZE => continue,
                SUBSCRIBE | TRIGGER => is_prehook = false,
                PREHOOK => is_prehook = true,
                _ => {}
            }
            request.extend_from_slice(field.whole);
        }
        if !is_sized {
            put_size(&mut request, response_bytes);
        }
        Ok(Prepared { argument: Argument(request), is_prehook })
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("bytes", &self.execute.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Argument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Argument").field("bytes", &self.0.len()).finish_non_exhaustive()
    }
}

impl From<Malformed> for MalformedRequest {
    fn from(_error: Malformed) -> Self {
        Self
    }
}

fn put_size(request: &mut Vec<u8>, response_bytes: u64) {
    encode_key(RESPONSE_SIZE, WireType::Varint, request);
    encode_varint(response_bytes, request);
}

const CONFIG: u32 = 1;
const SUBSCRIBE: u32 = 2;
const TRIGGER: u32 = 3;
const RESPONSE_SIZE: u32 = 4;
const PREHOOK: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(execute: &[u8]) -> (Vec<u8>, bool) {
        let prepared = Request::new(execute.to_vec(), "w").prepare(5_242_880).unwrap();
        (prepared.argument.0, prepared.is_prehook)
    }

    #[test]
    fn pieces_of_an_argument_join_to_its_base64() {
        for size in [0, 1, 2, 3, 98_303, 98_304, 98_305, 200_000] {
            let argument = Argument((0..size).map(|n: u32| n.to_le_bytes()[0]).collect());
            let pieces: Vec<_> = (0..).map_while(|index| argument.piece(index)).collect();
            assert!(pieces.iter().rev().skip(1).all(|piece| piece.len() == Argument::PIECE_BYTES));
            assert_eq!(pieces.concat(), base64::encode(&argument.0), "{size}");
            assert_eq!(pieces.concat().len(), argument.text_bytes());
        }
    }

    #[test]
    fn the_size_follows_the_configuration() {
        let bytes = b"\x0a\x06config\x12\x00";
        assert_eq!(prepared(bytes).0, b"\x0a\x06config\x20\x80\x80\xc0\x02\x12\x00");
        assert_eq!(prepared(b"\x12\x00").0, b"\x20\x80\x80\xc0\x02\x12\x00");
        assert_eq!(prepared(b"").0, b"\x20\x80\x80\xc0\x02");
        assert_eq!(prepared(b"\x0a\x01c").0, b"\x0a\x01c\x20\x80\x80\xc0\x02");
    }

    #[test]
    fn the_callers_own_size_does_not_count_wherever_it_stands() {
        let bytes = b"\x20\x01\x12\x00\x20\xff\x01";
        assert_eq!(prepared(bytes).0, b"\x20\x80\x80\xc0\x02\x12\x00");
    }

    #[test]
    fn unknown_fields_reach_the_guest() {
        let bytes = b"\x12\x00\x9a\x06\x03abc\x30\x01";
        assert_eq!(prepared(bytes).0, b"\x20\x80\x80\xc0\x02\x12\x00\x9a\x06\x03abc\x30\x01");
    }

    #[test]
    fn the_last_phase_counts() {
        assert!(prepared(b"\x2a\x00").1);
        assert!(prepared(b"\x12\x00\x2a\x00").1);
        assert!(!prepared(b"\x2a\x00\x1a\x00").1);
        assert!(!prepared(b"").1);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [&b"\x0a"[..], b"\x0a\x05abc", b"\x00", b"\x0f", b"\x12\x80", b"\xff"] {
            let prepared = Request::new(bytes.to_vec(), "w").prepare(1);
            assert_eq!(prepared.err(), Some(MalformedRequest), "{bytes:x?}");
        }
    }
}
