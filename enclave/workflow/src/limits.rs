//! What one run may use (wasm-abi 2.13), and what a binary may weigh (1.2).

use std::time::Duration;

use protocol::limits;

use crate::{AdmitError, Facts, admit};

/// What one run may use.
///
/// [`Limits::default`] holds the reference host's own defaults where it has one, and a bound of ours
/// where it has none. [`Limits::don`] holds what a workflow DON grants by its settings (W-18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for a subscribe or trigger run. Below [`Limits::GRAIN`] nothing runs at all.
    pub timeout: Duration,
    /// Time for a pre-hook run.
    pub prehook_timeout: Duration,
    /// Linear memory in bytes; whole megabytes of 10^6 count, at most what the engine's pool holds.
    pub memory_bytes: u64,
    /// Size of the response buffers the guest is told to make, in bytes.
    pub response_bytes: u64,
    /// One message from the guest to its host, in bytes: a call, a request for secrets, a wait.
    pub message_bytes: u64,
    /// The result, in bytes. The reference has no limit of its own here.
    pub result_bytes: u64,
    /// Capability calls and requests for secrets in flight, together, over all runs of a workflow.
    pub pending_calls: u32,
    /// Capability calls of one run.
    pub capability_calls: u32,
    /// Requests for secrets of one run.
    pub secret_calls: u32,
    /// What the host holds for a run, in bytes: requests in flight, and answers that the guest has not
    /// read yet. What an embedder needs to fetch an answer is its own to bound.
    pub held_bytes: u64,
    /// One log line, in bytes.
    pub log_line_bytes: u32,
    /// Log lines in DON mode; attempts count, also those refused for their length.
    pub log_lines_don: u32,
    /// Log lines in node mode, counted the same way.
    pub log_lines_node: u32,
    /// All log lines of a run, in bytes.
    pub log_bytes: u64,
    /// User metrics, or `None` where the gate is closed.
    pub metrics: Option<MetricLimits>,
    /// Subscriptions of one `poll_oneoff`.
    pub poll_subscriptions: u32,
}

/// What one user metric may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricLimits {
    /// The whole message, in bytes.
    pub payload_bytes: u32,
    /// Its name, in bytes.
    pub name_bytes: usize,
    /// Its labels.
    pub labels: usize,
    /// The value of one label, in bytes.
    pub label_value_bytes: usize,
}

/// What a workflow's binary may weigh (1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryLimits {
    /// As delivered, in bytes.
    pub compressed_bytes: u64,
    /// Once decompressed, in bytes.
    pub decompressed_bytes: u64,
    /// Functions.
    pub functions: u64,
    /// All code together, in bytes.
    pub code_bytes: u64,
    /// One function's code, in bytes.
    pub function_bytes: u64,
    /// What compiling may take, as [`crate::Survey::effort`] estimates it.
    pub effort: u64,
    /// What compiling one function may take.
    pub function_effort: u64,
}

impl Limits {
    /// The reference's grain of time: a shorter timeout ends a run before it starts, and a failure
    /// in the last grain before the deadline counts as the deadline (6.2, 6.4).
    pub const GRAIN: Duration = Duration::from_millis(100);

    /// The limits that a workflow DON's settings grant by default (2.13, second table).
    #[must_use]
    pub fn don() -> Self {
        Self {
            timeout: Duration::from_secs(5 * 60),
            memory_bytes: 100 * MB,
            result_bytes: 100_000,
            secret_calls: 5,
            log_line_bytes: 1_000,
            log_lines_don: 1_000,
            log_lines_node: 1_000,
            ..Self::default()
        }
    }

    /// The bytes of linear memory that the guest really gets: whole megabytes (2.13).
    pub(crate) fn memory(&self) -> u64 {
        self.memory_bytes.checked_div(MB).unwrap_or_default().saturating_mul(MB)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: limits::EXECUTION_TIMEOUT,
            prehook_timeout: Duration::from_secs(10),
            memory_bytes: limits::WORKFLOW_MEMORY_BYTES,
            response_bytes: limits::WORKFLOW_ANSWER_BYTES,
            // As much as a guest may be answered, it may ask.
            message_bytes: limits::WORKFLOW_ANSWER_BYTES,
            // A result of 6 MiB is accepted by the reference; an answer of the enclave carries it.
            result_bytes: 8 * MIB,
            pending_calls: 30,
            // Ids are never used twice, so each call leaves a trace for the rest of the run.
            capability_calls: 10_000,
            secret_calls: 10_000,
            // No guest can hold more than its memory.
            held_bytes: limits::WORKFLOW_MEMORY_BYTES,
            log_line_bytes: number(limits::WORKFLOW_LOG.1),
            log_lines_don: number(limits::WORKFLOW_LOG.0),
            log_lines_node: number(limits::WORKFLOW_LOG.0),
            // Nodes refuse an answer of more than 10 MiB, events included (W-16).
            log_bytes: 4 * MIB,
            metrics: None,
            poll_subscriptions: 128,
        }
    }
}

impl Default for MetricLimits {
    fn default() -> Self {
        Self { payload_bytes: 4096, name_bytes: 128, labels: 10, label_value_bytes: 256 }
    }
}

impl BinaryLimits {
    /// Whether a module that is there would be let in anew.
    pub(crate) fn admit(&self, facts: &Facts) -> Result<(), AdmitError> {
        admit::fits(facts.delivered_bytes, facts.module_bytes, self)?;
        Ok(facts.survey.fits(self)?)
    }
}

impl Default for BinaryLimits {
    fn default() -> Self {
        Self {
            compressed_bytes: limits::BINARY_BYTES,
            decompressed_bytes: 100 * MIB,
            functions: 100_000,
            code_bytes: 48 * MIB,
            function_bytes: MIB,
            effort: 64_000_000,
            function_effort: 2_000_000,
        }
    }
}

fn number(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

const MB: u64 = 1_000_000;
const MIB: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w_18_a_workflow_don_grants_less_than_the_enclave_could() {
        let (don, enclave) = (Limits::don(), Limits::default());
        assert!(don.timeout < enclave.timeout && don.memory_bytes < enclave.memory_bytes);
        assert!(don.log_line_bytes < enclave.log_line_bytes);
        assert!(don.log_lines_don < enclave.log_lines_don);
        assert_eq!((don.result_bytes, don.secret_calls), (100_000, 5));
    }

    #[test]
    fn memory_counts_in_whole_megabytes() {
        let memory = |memory_bytes| Limits { memory_bytes, ..Limits::default() }.memory();
        assert_eq!(memory(128_000_000), 128_000_000);
        assert_eq!(memory(7_999_999), 7_000_000);
        assert_eq!(memory(999_999), 0);
    }
}
