//! The enclave's host: batches signed requests, forwards over vsock, egress by policy.
