//! A relay node: checks the enclave, serves secrets and capabilities, signs.
