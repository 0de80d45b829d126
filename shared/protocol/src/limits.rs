//! Every limit of the protocol, with its reason (relay-protocol 14, enclave-and-host 16).
//!
//! A number that a peer relies on is the peer's; that is its reason, and it is said so. Limits of
//! attestation documents stand with their checks in the attestation crate. Times nest: a relay node
//! gives up before the enclave's attempt at the gateway ends, the gateway's handler before the
//! gateway, and a gateway's grace period plus the usual time for an answer is shorter than that
//! attempt.

use std::time::Duration;

// What crosses a border.

/// A JSON-RPC id: the gateway's own limit, which bounds what it keeps for each open request. A UUID
/// takes 36.
pub const RPC_ID_BYTES: usize = 200;

/// What a gateway answers: the enclave's own limit, because it holds the answer in memory as a whole.
pub const GATEWAY_ANSWER_BYTES: usize = 10 * 1024 * 1024;

/// What a user sends a gateway: the job specification's field. Params with a document take some
/// ten thousand, so most of it is for what is asked.
pub const GATEWAY_REQUEST_BYTES: usize = 100_000;

/// One frame between gateway and relay node, either way: the job specification's field. A call that
/// fits into a gateway request fits into a frame.
pub const NODE_FRAME_BYTES: usize = 100_000;

/// What a host takes for `/requests` and `/config`, and an enclave from its host (W-20): a batch of
/// requests that each carry the largest public data and shares.
pub const INBOUND_BODY_BYTES: usize = 64 * 1024 * 1024;

/// What an enclave answers to a node: what nodes read, so a longer answer would be lost.
pub const ENCLAVE_ANSWER_BYTES: usize = 10 * 1024 * 1024;

/// What a host reads of an enclave's memory estimate, which is some fifty bytes: the host's own limit.
pub const MEMORY_ESTIMATE_BYTES: usize = 64 * 1024;

/// The message that is signed as it is; longer ones are hashed first. Signers and verifiers have to
/// agree on it. Ours are hashes of 32 bytes.
pub const SHORT_MESSAGE_BYTES: usize = 1024;

/// The ciphertext of one secret in the vault, before encoding: the vault's setting.
pub const VAULT_CIPHERTEXT_BYTES: usize = 2048;

/// Secrets in one request to the vault: its own limit, because it answers one request in one round.
pub const VAULT_BATCH: usize = 10;

// Quorum.

/// Signature checks that one bundle or batch may cost for each member of the committee. A bundle of
/// honest gateways holds one entry for each member and costs one check each; faulty members can make
/// the others cost one check for each of them. More is noise, and noise must cost what its size costs.
pub const CHECKS_PER_MEMBER: usize = 128;

/// One field in the text of a failed quorum: the text is compared by tests of peers.
pub const DIAGNOSTIC_FIELD_BYTES: usize = 160;

/// One list in the text of a failed quorum: the text is compared by tests of peers.
pub const DIAGNOSTIC_LIST_BYTES: usize = 4096;

// The gateway.

/// The time for a request at a gateway, unless its job says otherwise: an enclave waits no longer.
pub const GATEWAY_TIMEOUT: Duration = GATEWAY_ATTEMPT_TIMEOUT;

/// By how much a gateway's handler gives up before the gateway, so that its own error is sent.
pub const GATEWAY_HANDLER_MARGIN: Duration = Duration::from_secs(1);

/// The time for handing a request to all relay nodes: a third of an attempt, so that one node that
/// does not read leaves the others time to answer.
pub const NODE_SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a gateway waits for more than F + 1 answers once it has these: as the reference does. With
/// the usual time for an answer it is shorter than an enclave's attempt.
pub const QUORUM_GRACE: Duration = Duration::from_secs(10);

/// How often a gateway looks for requests whose time is over: as late as that a timeout may be.
pub const GATEWAY_SWEEP: Duration = Duration::from_secs(1);

/// Answers of one relay node per second, and at once: the reference's settings. An enclave that calls
/// often enough to need more meets its own limits first.
pub const NODE_RATE: (u32, u32) = (10, 10);

/// Answers of all relay nodes per second, and at once: the reference's settings.
pub const GLOBAL_RATE: (u32, u32) = (50, 10);

/// Errors of relay nodes that a gateway logs for one request: enough to see whether they are one.
pub const NODE_ERROR_SAMPLES: usize = 5;

/// A handshake between gateway and relay node, each of its steps at the node, and each frame that the node
/// sends: both stand in data centres, and who takes longer is dialled again. The reference's gateway gives
/// one second to each; a busy machine may need more.
pub const NODE_LINK_TIMEOUT: Duration = Duration::from_secs(5);

/// How far the clocks of gateway and relay node may be apart before the node says so in its log: the
/// reference's tolerance.
pub const NODE_LINK_SKEW: Duration = Duration::from_secs(5);

/// How often a link between gateway and relay node is tried: shorter than what firewalls between them
/// forget.
pub const NODE_LINK_HEARTBEAT: Duration = Duration::from_secs(20);

/// The challenge that a relay node signs: longer than the reference's 10 bytes, so that none repeats.
pub const NODE_CHALLENGE_BYTES: usize = 32;

// The relay node.

/// One call at a relay node: five seconds less than an enclave's attempt, so that the gateway can
/// collect what the slowest node answers. The reference gives 60 s, which outlives the attempt.
pub const RELAY_CALL_TIMEOUT: Duration = Duration::from_secs(25);

/// How long a relay node waits for an execution to register: the reference's wait, longer than the
/// pause that an enclave makes for it.
pub const EXECUTION_WAIT: Duration = Duration::from_secs(5);

// The enclave.

/// One attempt at a gateway: the reference's own, on which the gateway's times rest.
pub const GATEWAY_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause before the next gateway is tried: the reference's, long enough for one that restarts.
pub const GATEWAY_FAILOVER_PAUSE: Duration = Duration::from_secs(5);

/// The age at which a new key replaces a key for new requests: the reference's.
pub const KEY_ROTATION: Duration = Duration::from_secs(12 * 60 * 60);

/// The age at which a key opens nothing more: twice the rotation, so a request has half a day.
pub const KEY_EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often expired keys are looked for: how much longer than it should a key may lie in memory.
pub const KEY_SWEEP: Duration = Duration::from_secs(30);

/// How long a request stays bound to its key, and how many are: the reference's numbers. An hour is
/// longer than any execution, and so many bindings take some ten megabytes.
pub const KEY_PIN: (Duration, usize) = (Duration::from_secs(60 * 60), 100_000);

/// How long a document over the enclave's keys is used again: all nodes ask at once, and the device
/// makes documents one after the other.
pub const KEY_DOCUMENT_AGE: Duration = Duration::from_secs(5);

/// How many executed requests are remembered: as many as a busy enclave executes while a key lives.
pub const LEDGER_ENTRIES: usize = 500_000;

/// How long a vote for a configuration counts: nodes see a change of membership within minutes of each
/// other.
pub const CONFIG_VOTE_AGE: Duration = Duration::from_secs(10 * 60);

/// A workflow binary as it is fetched, still compressed: the reference's. A Go workflow takes some
/// fifteen megabytes before compression.
pub const BINARY_BYTES: u64 = 20 * 1024 * 1024;

/// The time for finding and fetching a binary: the largest one over three megabits a second.
pub const BINARY_FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// Room for binaries that were fetched: a dozen of the largest.
pub const BINARY_CACHE_BYTES: u64 = 256 * 1024 * 1024;

/// The time before an execution in which its handler may register at the relay nodes: the reference's.
pub const WORKFLOW_GRACE_PERIOD: Duration = Duration::from_secs(2);

/// The time for a whole execution: the reference host's own.
pub const EXECUTION_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// How long an execution goes on that nobody waits for: a host that restarts collects the signatures anew
/// for [`BATCH_WINDOW`], and nodes come back after the pauses of [`ENCLAVE_ATTEMPTS`].
pub const ABANDONED_RUN_GRACE: Duration = Duration::from_secs(30);

/// What a workflow answers, unless its request says otherwise: the reference host's own.
pub const WORKFLOW_ANSWER_BYTES: u64 = 5 * 1024 * 1024;

/// The memory of one workflow: the reference host's own; whole megabytes of 10^6 bytes count.
pub const WORKFLOW_MEMORY_BYTES: u64 = 128_000_000;

/// Lines a workflow may log, and the bytes of each: the reference host's own.
pub const WORKFLOW_LOG: (usize, usize) = (10_000, 1024 * 1024);

/// One metric of a workflow, encoded: the reference host's own.
pub const METRIC_BYTES: usize = 4096;

/// The name of a metric: the reference host's own.
pub const METRIC_NAME_BYTES: usize = 128;

/// Labels of a metric: the reference host's own.
pub const METRIC_LABELS: usize = 10;

/// The value of one label of a metric: the reference host's own. Its name has no limit of its own.
pub const METRIC_LABEL_BYTES: usize = 256;

/// The answer to an http-action: the reference's, a thousand kilobytes of 1,024.
pub const HTTP_ACTION_BYTES: usize = 1_024_000;

/// The time for an http-action that names none: the reference's.
pub const HTTP_ACTION_TIMEOUT: Duration = Duration::from_secs(30);

// The enclave's host.

/// How long a host waits for the signatures of a quorum: the reference's. Nodes reach the same step of
/// an execution within seconds of each other.
pub const BATCH_WINDOW: Duration = Duration::from_secs(20);

/// How long a host keeps an answer for nodes that come late: validators refuse a document older than
/// five minutes, and one minute is left for the way (W-59).
pub const BATCH_AGE: Duration = Duration::from_secs(4 * 60);

/// A host's time for a request's headers: the reference's. A connection on which none come has it too, where
/// the reference gives two minutes.
pub const HOST_HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// A host's time for a request's body: the reference's. The largest takes half a megabyte a second.
pub const HOST_BODY_TIMEOUT: Duration = Duration::from_secs(2 * 60);

/// One call of a host at its enclave that is no execution: the time that the reference gives a call.
pub const ENCLAVE_CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a host finishes what it began when it is told to stop: the reference's, within the thirty
/// seconds that supervisors give.
pub const HOST_SHUTDOWN: Duration = Duration::from_secs(25);

/// A SOCKS handshake, and the connection it asks for: the reference's, for each.
pub const EGRESS_TIMEOUT: Duration = Duration::from_secs(10);

/// The parent machine on vsock, which is AWS's number for it, and its egress port there, which enclaves
/// of the reference dial.
pub const PARENT: (u32, u32) = (3, 5001);

// The nodes that ask an enclave.

/// One request for an enclave's keys: the reference's; the enclave has them ready.
pub const PUBLIC_KEYS_TIMEOUT: Duration = Duration::from_secs(5);

/// Attempts at an enclave, and the first pause between them, which doubles: the reference's. A
/// host that restarts is there again by the third.
pub const ENCLAVE_ATTEMPTS: (u32, Duration) = (3, Duration::from_secs(2));

#[cfg(test)]
mod tests {
    use crypto::sign::{Domain, payload};

    use super::*;

    #[test]
    fn a_short_message_is_what_the_signatures_take_for_one() {
        // Behind a short message's length stands the message, behind a long one's mark its hash.
        let length = |message: usize| payload(Domain::RelayResponse, &vec![0; message]).len();
        let frame = length(0);
        assert_eq!(length(SHORT_MESSAGE_BYTES), frame + SHORT_MESSAGE_BYTES);
        assert_eq!(length(SHORT_MESSAGE_BYTES + 1), frame - 8 + 32);
    }

    #[test]
    fn times_nest() {
        assert!(RELAY_CALL_TIMEOUT < GATEWAY_ATTEMPT_TIMEOUT);
        assert!(GATEWAY_TIMEOUT <= GATEWAY_ATTEMPT_TIMEOUT);
        assert!(QUORUM_GRACE + Duration::from_secs(5) < GATEWAY_ATTEMPT_TIMEOUT);
        assert!(NODE_SEND_TIMEOUT + GATEWAY_HANDLER_MARGIN < GATEWAY_TIMEOUT);
        assert!(WORKFLOW_GRACE_PERIOD < EXECUTION_WAIT);
        let (attempts, pause) = ENCLAVE_ATTEMPTS;
        let pauses: Duration = (1..attempts).map(|attempt| pause * 2_u32.pow(attempt - 1)).sum();
        assert!(BATCH_WINDOW + pauses < ABANDONED_RUN_GRACE);
        assert!(KEY_ROTATION * 2 <= KEY_EXPIRY && KEY_PIN.0 < KEY_EXPIRY);
    }
}
