//! Every limit of the protocol, with its reason (relay-protocol 14, enclave-and-host 16).
//!
//! Where peers rely on a number it is theirs. Limits of attestation documents stand with their
//! checks in the attestation crate. Times nest: a relay node gives up before the enclave's attempt
//! at the gateway ends, the gateway's handler before the gateway, and a gateway's grace period plus
//! the usual time for an answer is shorter than that attempt.

use std::time::Duration;

// What crosses a border.

/// A JSON-RPC id: what the gateway keeps for each open request. A UUID takes 36.
pub const RPC_ID_BYTES: usize = 200;

/// What a gateway answers: the enclave holds it in memory as a whole.
pub const GATEWAY_ANSWER_BYTES: usize = 10 * 1024 * 1024;

/// What a user sends a gateway: the job specification's field.
pub const GATEWAY_REQUEST_BYTES: usize = 100_000;

/// One frame between gateway and relay node, either way: the job specification's field. A call that
/// fits into a gateway request fits into a frame.
pub const NODE_FRAME_BYTES: usize = 100_000;

/// What a host takes for `/requests` and `/config`, and an enclave from its host (W-20): a batch of
/// requests that each carry the largest public data and shares.
pub const INBOUND_BODY_BYTES: usize = 64 * 1024 * 1024;

/// What an enclave answers to a node.
pub const ENCLAVE_ANSWER_BYTES: usize = 10 * 1024 * 1024;

/// What a host reads of an enclave's memory estimate, which is some fifty bytes.
pub const MEMORY_ESTIMATE_BYTES: usize = 64 * 1024;

/// The message that is signed as it is; longer ones are hashed first. Ours are hashes of 32 bytes.
pub const SHORT_MESSAGE_BYTES: usize = 1024;

/// The ciphertext of one secret in the vault, before encoding.
pub const VAULT_CIPHERTEXT_BYTES: usize = 2048;

/// Secrets in one request to the vault.
pub const VAULT_BATCH: usize = 10;

// Quorum.

/// Signature checks that one bundle may cost for each member of the committee. A bundle of honest
/// gateways holds one entry for each member and costs one check each; faulty members can make the
/// others cost one check for each of them. More is noise, and noise must cost what its size costs.
pub const CHECKS_PER_MEMBER: usize = 128;

/// One field in the text of a failed quorum.
pub const DIAGNOSTIC_FIELD_BYTES: usize = 160;

/// One list in the text of a failed quorum.
pub const DIAGNOSTIC_LIST_BYTES: usize = 4096;

// The gateway.

/// The time for a request at a gateway, unless its job says otherwise.
pub const GATEWAY_TIMEOUT: Duration = Duration::from_secs(30);

/// The shortest time a job may give a request.
pub const GATEWAY_TIMEOUT_MIN: Duration = Duration::from_secs(5);

/// By how much a gateway's handler gives up before the gateway, so that its own error is sent.
pub const GATEWAY_HANDLER_MARGIN: Duration = Duration::from_secs(1);

/// The time for handing a request to all relay nodes.
pub const NODE_SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a gateway waits for more than F + 1 answers once it has these.
pub const QUORUM_GRACE: Duration = Duration::from_secs(10);

/// How often a gateway looks for requests whose time is over.
pub const GATEWAY_SWEEP: Duration = Duration::from_secs(1);

/// Answers of one relay node per second, and at once.
pub const NODE_RATE: (u32, u32) = (10, 10);

/// Answers of all relay nodes per second, and at once.
pub const GLOBAL_RATE: (u32, u32) = (50, 10);

/// Errors of relay nodes that a gateway logs for one request.
pub const NODE_ERROR_SAMPLES: usize = 5;

/// A longer error of a relay node is cut in the log, to one byte less and two points.
pub const NODE_ERROR_BYTES: usize = 200;

/// A gateway's ports for users and for relay nodes.
pub const GATEWAY_PORTS: (u16, u16) = (5002, 5003);

/// The handshake, each read and each write between gateway and relay node.
pub const NODE_LINK_TIMEOUT: Duration = Duration::from_secs(1);

/// How far a relay node's clock may be off when it proves its key.
pub const NODE_LINK_SKEW: Duration = Duration::from_secs(5);

/// How often a link between gateway and relay node is tried.
pub const NODE_LINK_HEARTBEAT: Duration = Duration::from_secs(20);

/// The challenge that a relay node signs: longer than the reference's 10 bytes, so that none repeats.
pub const NODE_CHALLENGE_BYTES: usize = 32;

// The relay node.

/// One call at a relay node. The reference gives 60 s, which outlives the enclave's attempt.
pub const RELAY_CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a relay node waits for an execution to register.
pub const EXECUTION_WAIT: Duration = Duration::from_secs(5);

/// A call of a capability.
pub const CAPABILITY_TIMEOUT: Duration = Duration::from_secs(3 * 60);

/// How much longer than its timeout a remote capability request is remembered.
pub const REMOTE_CAPABILITY_MARGIN: Duration = Duration::from_secs(10);

// The enclave.

/// One attempt at a gateway.
pub const GATEWAY_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause before the next gateway is tried.
pub const GATEWAY_FAILOVER_PAUSE: Duration = Duration::from_secs(5);

/// The age at which a new key replaces a key for new requests.
pub const KEY_ROTATION: Duration = Duration::from_secs(12 * 60 * 60);

/// The age at which a key opens nothing more: twice the rotation, so a request has half a day.
pub const KEY_EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often expired keys are looked for.
pub const KEY_SWEEP: Duration = Duration::from_secs(30);

/// How long a request stays bound to its key, and how many are.
pub const KEY_PIN: (Duration, usize) = (Duration::from_secs(60 * 60), 100_000);

/// How long a document over the enclave's keys is used again.
pub const KEY_DOCUMENT_AGE: Duration = Duration::from_secs(5);

/// How long an executed request is remembered: as long as a key that could open it lives.
pub const LEDGER_AGE: Duration = KEY_EXPIRY;

/// How many executed requests are remembered.
pub const LEDGER_ENTRIES: usize = 500_000;

/// How long a vote for a configuration counts.
pub const CONFIG_VOTE_AGE: Duration = Duration::from_secs(10 * 60);

/// How far the clocks of enclave and validator may be apart.
pub const ATTESTATION_SKEW: Duration = Duration::from_secs(5 * 60);

/// A workflow binary as it is fetched, still compressed.
pub const BINARY_BYTES: u64 = 20 * 1024 * 1024;

/// The time for finding and fetching a binary.
pub const BINARY_FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// Room for binaries that were fetched.
pub const BINARY_CACHE_BYTES: u64 = 256 * 1024 * 1024;

/// The time before an execution in which its handler may register at the relay nodes.
pub const WORKFLOW_GRACE_PERIOD: Duration = Duration::from_secs(2);

/// The time for a whole execution.
pub const EXECUTION_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// What a workflow answers, unless its request says otherwise.
pub const WORKFLOW_ANSWER_BYTES: u64 = 5 * 1024 * 1024;

/// The memory of one workflow.
pub const WORKFLOW_MEMORY_BYTES: u64 = 128_000_000;

/// Lines a workflow may log, and the bytes of each.
pub const WORKFLOW_LOG: (usize, usize) = (10_000, 1024 * 1024);

/// The answer to an http-action.
pub const HTTP_ACTION_BYTES: usize = 1_024_000;

/// The time for an http-action that names none.
pub const HTTP_ACTION_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the token for the storage service is valid.
pub const STORAGE_TOKEN_AGE: Duration = Duration::from_secs(5 * 60);

// The enclave's host.

/// How long a host waits for the signatures of a quorum.
pub const BATCH_WINDOW: Duration = Duration::from_secs(20);

/// How long a host keeps an answer for nodes that come late.
pub const BATCH_AGE: Duration = Duration::from_secs(5 * 60);

/// A host's time for a request's headers, its body, its answer, and an idle connection.
pub const HOST_TIMEOUTS: [Duration; 4] = [
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(2 * 60),
];

/// How long a host finishes what it began when it is told to stop.
pub const HOST_SHUTDOWN: Duration = Duration::from_secs(25);

/// How often a host asks an enclave for its memory, and how long it waits.
pub const MEMORY_POLL: Duration = Duration::from_secs(30);

/// A SOCKS handshake, and the connection it asks for.
pub const EGRESS_TIMEOUT: Duration = Duration::from_secs(10);

/// The first and the longest pause between attempts to hand settings to an enclave.
pub const SETTINGS_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(2), Duration::from_secs(30));

/// The parent machine on vsock, and its egress port there.
pub const PARENT: (u32, u32) = (3, 5001);

// The nodes that ask an enclave.

/// One request to an enclave.
pub const ENCLAVE_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// One request for an enclave's keys.
pub const PUBLIC_KEYS_TIMEOUT: Duration = Duration::from_secs(5);

/// Attempts at an enclave, and the first pause between them, which doubles.
pub const ENCLAVE_ATTEMPTS: (u32, Duration) = (3, Duration::from_secs(2));

/// How long an enclave's keys are used again, usually and at most.
pub const PUBLIC_KEYS_AGE: (Duration, Duration) =
    (Duration::from_secs(5 * 60), Duration::from_secs(30 * 60));
