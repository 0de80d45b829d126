//! The handshake by which a relay node proves its key to a gateway: both halves, without a socket.
//!
//! The reference does not specify its own, so this one is ours. A node dials the gateway's node
//! port, opens a WebSocket, and three frames follow:
//!
//! ```text
//! gateway -> node   text  {"gateway": id, "challenge": 64 hex digits, "time": Unix time in ms}
//! node -> gateway   text  {"node": 64 hex digits, "signature": 128 hex digits}
//! gateway -> node   ping: the node is taken, JSON-RPC frames may follow;
//!                   or a close frame with code 1008 and a word of [`CheckError::word`]
//! ```
//!
//! The signature has the domain [`Domain::GatewayNode`] and covers a hash of the gateway's id, the
//! challenge and the node's key, each with its length. A node signs only for the gateway that it is
//! configured to dial, so that no other gateway can borrow its answer. A challenge is used once:
//! [`Challenge::check`] takes it by value, and a late or repeated answer meets another one. `time` is
//! not signed and decides nothing; a node compares it with its own clock and says so in its log,
//! because attestation documents are judged by that clock.
//!
//! What is proven is who opened the link, not that every later frame comes from there; the link has
//! no encryption of its own. Nothing rests on it but fairness: an answer counts in the enclave only
//! by the signatures inside it.

use std::time::{Duration, SystemTime};

use crypto::sign::{Domain, Signature, SignatureError, SignerKey, SignerKeyError, SigningKey};

use crate::{
    hash::Canonical,
    json::{self, DecodeError},
    limits::NODE_CHALLENGE_BYTES,
};

wire! {
    /// The gateway's frame, as it is on the wire.
    ChallengeFrame {
        /// The gateway's id.
        gateway: String = "gateway";
        /// 32 random bytes in hexadecimal digits.
        challenge: String = "challenge";
        /// The gateway's clock, in milliseconds since 1970.
        time: u64 = "time";
    }
}

wire! {
    /// The node's frame, as it is on the wire.
    AnswerFrame {
        /// The node's public key in hexadecimal digits.
        node: String = "node";
        /// Its signature in hexadecimal digits.
        signature: String = "signature";
    }
}

/// The gateway's half: one challenge, good for one answer.
#[derive(Debug)]
pub struct Challenge {
    gateway: String,
    nonce: [u8; NODE_CHALLENGE_BYTES],
    time_ms: u64,
}

/// What a node has to send, and what it learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The text of the answering frame.
    pub frame: String,
    /// The gateway's clock.
    pub gateway_time: SystemTime,
}

/// Why a node does not answer a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The challenge is not 64 hexadecimal digits.
    #[error("the challenge is not 64 hexadecimal digits")]
    Challenge,
    /// The frame is not the JSON form of a challenge.
    #[error("the gateway's frame is no challenge")]
    Decode(#[from] DecodeError),
    /// The frame is too long to be a challenge.
    #[error("the gateway's frame has {got} bytes, at most {FRAME_BYTES} are read")]
    Long {
        /// Its length in bytes.
        got: usize,
    },
    /// Another gateway asks than the one that was dialled.
    #[error("the gateway is not the one that is configured")]
    OtherGateway,
    /// The gateway's clock cannot be expressed.
    #[error("the gateway's time is out of range")]
    Time,
}

/// Why a gateway does not take a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The frame is not the JSON form of an answer.
    #[error("the node's frame is no answer")]
    Decode(#[from] DecodeError),
    /// The frame is too long to be an answer.
    #[error("the node's frame has {got} bytes, at most {FRAME_BYTES} are read")]
    Long {
        /// Its length in bytes.
        got: usize,
    },
    /// The node's key is no key.
    #[error("the node's key is no signer key")]
    Key(#[from] SignerKeyError),
    /// The signature is not 128 hexadecimal digits.
    #[error("the signature is not 128 hexadecimal digits")]
    SignatureForm,
    /// The node did not sign this challenge for this gateway.
    #[error("the signature does not answer this challenge")]
    Signature(#[from] SignatureError),
    /// The key belongs to no member.
    #[error("{node} is not a member")]
    UnknownNode {
        /// The key.
        node: Box<SignerKey>,
    },
}

impl Challenge {
    /// A challenge of the gateway with this id.
    ///
    /// `nonce` is 32 fresh random bytes; a challenge that was used before lets its answer in again.
    #[must_use]
    pub fn new(gateway: &str, nonce: [u8; NODE_CHALLENGE_BYTES], now: SystemTime) -> Self {
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        Self { gateway: gateway.to_owned(), nonce, time_ms }
    }

    /// The text of the first frame.
    #[must_use]
    pub fn frame(&self) -> String {
        text(&ChallengeFrame {
            gateway: self.gateway.clone(),
            challenge: hex::encode(self.nonce),
            time: self.time_ms,
        })
    }

    /// Reads the node's frame and names the member that sent it.
    ///
    /// # Errors
    ///
    /// The first [`CheckError`] met: length, form, key, membership, signature. A stranger's signature
    /// is not looked at.
    pub fn check(self, frame: &[u8], members: &[SignerKey]) -> Result<SignerKey, CheckError> {
        let got = frame.len();
        if got > FRAME_BYTES {
            return Err(CheckError::Long { got });
        }
        let AnswerFrame { node, signature } = json::from_slice(frame)?;
        let node: SignerKey = node.parse()?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(signature, &mut bytes).map_err(|_error| CheckError::SignatureForm)?;
        if !members.contains(&node) {
            return Err(CheckError::UnknownNode { node: Box::new(node) });
        }
        let message = message(&self.gateway, &self.nonce, &node);
        node.verify(Domain::GatewayNode, &message, &Signature::from_slice(&bytes)?)?;
        Ok(node)
    }
}

impl CheckError {
    /// The word that the node hears, as the reason of a close frame.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Decode(_) | Self::Long { .. } | Self::Key(_) | Self::SignatureForm => {
                "not an answer"
            }
            Self::Signature(_) => "wrong signature",
            Self::UnknownNode { .. } => "unknown node",
        }
    }
}

/// The node's half: answers a challenge of the gateway with this id.
///
/// # Errors
///
/// The first [`AnswerError`] met; nothing is signed then.
pub fn answer(frame: &[u8], gateway: &str, key: &SigningKey) -> Result<Proof, AnswerError> {
    let got = frame.len();
    if got > FRAME_BYTES {
        return Err(AnswerError::Long { got });
    }
    let challenge: ChallengeFrame = json::from_slice(frame)?;
    if challenge.gateway != gateway {
        return Err(AnswerError::OtherGateway);
    }
    let mut nonce = [0; NODE_CHALLENGE_BYTES];
    hex::decode_to_slice(challenge.challenge, &mut nonce)
        .map_err(|_error| AnswerError::Challenge)?;
    let gateway_time = SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(challenge.time))
        .ok_or(AnswerError::Time)?;
    let node = key.public();
    let signature = key.sign(Domain::GatewayNode, &message(gateway, &nonce, &node));
    let signature = hex::encode(signature.as_bytes());
    let frame = text(&AnswerFrame { node: node.to_string(), signature });
    Ok(Proof { frame, gateway_time })
}

/// What a node signs. The three fields follow their lengths, so no two links share a message.
fn message(gateway: &str, nonce: &[u8; NODE_CHALLENGE_BYTES], node: &SignerKey) -> [u8; 32] {
    Canonical::of("GatewayNodeLink").field(gateway).field(nonce).field(node.as_bytes()).finish()
}

fn text<T: json::Wire>(frame: &T) -> String {
    // The writer writes UTF-8 only.
    String::from_utf8(json::to_vec(frame)).unwrap_or_default()
}

/// The longest frame of a handshake, in bytes: twice what an answer takes, with room for an id.
pub const FRAME_BYTES: usize = 1024;

/// The longest id of a gateway, in bytes: with every character escaped it still fits a frame.
pub const GATEWAY_ID_BYTES: usize = 128;

#[cfg(test)]
mod tests;
