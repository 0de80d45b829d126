//! What a signature is for (relay-protocol 6.1).

use sha2::{Digest as _, Sha256};

/// What is signed. A signature for one purpose never counts for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// A workflow node's compute request, checked by the enclave and again by relay nodes.
    ComputeRequest,
    /// A vote for a new enclave configuration.
    ConfigVote,
    /// A relay node's proof to the gateway that it holds its key. Ours: the reference has no such domain.
    GatewayNode,
    /// A relay node's answer to the enclave.
    RelayResponse,
}

impl Domain {
    /// The prefix inside the payload. The underscore at its end belongs to it.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::ComputeRequest => "CONFIDENTIAL_COMPUTE_PAYLOAD_",
            Self::ConfigVote => "CONFIDENTIAL_COMPUTE_CONFIG_UPDATE_",
            Self::GatewayNode => "CONFIDENTIAL_RELAY_GATEWAY_NODE_",
            Self::RelayResponse => "CONFIDENTIAL_RELAY_PAYLOAD_",
        }
    }
}

/// The bytes that are signed for `message` under the prefix of `domain`.
#[must_use]
pub fn payload(domain: Domain, message: &[u8]) -> Vec<u8> {
    payload_with_prefix(domain.prefix(), message)
}

/// `64 spaces ‖ "ragep2p arbitrary message signing" ‖ 0 ‖ LP(prefix) ‖ body`, where `LP(b)` is the length
/// as big-endian `u64`, then `b`. The body is `0 ‖ LP(message)`, or `1 ‖ SHA-256(message)` for more than
/// 1,024 bytes.
///
/// Protocols use [`payload`]; a prefix that is not a [`Domain`] is for tools that speak for other systems.
#[must_use]
pub fn payload_with_prefix(prefix: &str, message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(FRAME_BYTES.saturating_add(prefix.len()));
    payload.extend_from_slice(&[b' '; 64]);
    payload.extend_from_slice(CONTEXT);
    payload.push(0);
    push_with_length(&mut payload, prefix.as_bytes());
    if message.len() <= LONGEST_PLAIN_MESSAGE_BYTES {
        payload.push(0);
        push_with_length(&mut payload, message);
    } else {
        payload.push(1);
        payload.extend_from_slice(&Sha256::digest(message));
    }
    payload
}

fn push_with_length(payload: &mut Vec<u8>, bytes: &[u8]) {
    payload.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    payload.extend_from_slice(bytes);
}

const CONTEXT: &[u8] = b"ragep2p arbitrary message signing";

/// Longer messages are hashed; fixed by the reference.
const LONGEST_PLAIN_MESSAGE_BYTES: usize = 1024;

/// What surrounds the prefix when the message is a 32-byte hash, as all of ours are.
const FRAME_BYTES: usize = 64 + 33 + 1 + 8 + 1 + 8 + 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_have_the_payload_sizes_of_the_specification() {
        let size = |domain| payload(domain, &[0; 32]).len();
        assert_eq!(size(Domain::RelayResponse), 174);
        assert_eq!(size(Domain::ComputeRequest), 176);
        assert_eq!(size(Domain::ConfigVote), 182);
        assert_eq!(size(Domain::GatewayNode), 179);
    }

    #[test]
    fn one_byte_over_the_limit_is_hashed() {
        let plain = payload(Domain::RelayResponse, &[7; 1024]);
        let hashed = payload(Domain::RelayResponse, &[7; 1025]);
        assert_eq!(plain.len(), 64 + 33 + 1 + 8 + 27 + 1 + 8 + 1024);
        assert_eq!(hashed.len(), 64 + 33 + 1 + 8 + 27 + 1 + 32);
        assert_eq!((plain[133], hashed[133]), (0, 1));
    }

    #[test]
    fn no_two_splits_of_prefix_and_message_share_a_payload() {
        assert_ne!(payload_with_prefix("ab", b"c"), payload_with_prefix("a", b"bc"));
    }
}
