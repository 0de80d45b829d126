//! The program inside the enclave.
