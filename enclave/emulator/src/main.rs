//! The enclave server with a mock NSM, for one machine without Nitro.
fn main() {}
