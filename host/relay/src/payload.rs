//! The call inside the params of a capability call (relay-protocol 9.5, steps 7 and 8).

use protocol::{
    base64::{self, Base64Error},
    messages::{self, DecodeMessageError, Message, sdk::CapabilityRequest},
    proto::{self, WireError},
    relay::CapabilityRequestParams,
};

/// A call of a capability, as decoded and as it is passed on.
#[derive(Debug)]
pub(crate) struct Payload {
    /// The fields that are known.
    pub(crate) request: CapabilityRequest,
    /// The deterministic encoding, with fields that are not.
    pub(crate) encoded: Vec<u8>,
}

/// Why a payload is not the call that the params announce.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PayloadError {
    /// The text is not base64.
    #[error("failed to decode payload: {0}")]
    Base64(#[from] Base64Error),
    /// The bytes are not a call.
    #[error("failed to unmarshal capability request: {0}")]
    Malformed(#[from] MessageError),
    /// It calls another capability than the params say; the reference does not compare them.
    #[error("capability_id is not the one of the payload")]
    CapabilityId,
    /// It is another call of the execution than the params say; the reference does not compare them.
    #[error("reference_id is not the callback id of the payload")]
    ReferenceId,
}

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MessageError {
    /// They are no message of its fields.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// They nest deeper than messages are read.
    #[error(transparent)]
    Decode(#[from] DecodeMessageError),
}

/// Decodes a message from outside and gives it its deterministic encoding, unknown fields kept.
pub(crate) fn decode<M: Message>(bytes: &[u8]) -> Result<(M, Vec<u8>), MessageError> {
    let encoded = proto::canonical(M::schema(), bytes)?;
    Ok((messages::decode(&encoded)?, encoded))
}

impl Payload {
    pub(crate) fn decode(text: &str) -> Result<Self, PayloadError> {
        let (request, encoded) = decode(&base64::decode(text)?)?;
        Ok(Self { request, encoded })
    }

    /// Holds the call to the params that a node signs its answer with.
    pub(crate) fn compare(&self, params: &CapabilityRequestParams) -> Result<(), PayloadError> {
        if self.request.id != params.capability_id {
            return Err(PayloadError::CapabilityId);
        }
        if self.request.callback_id.to_string() != params.reference_id {
            return Err(PayloadError::ReferenceId);
        }
        Ok(())
    }
}
