//! The answers of the reference implementation, file by file.
#![cfg(test)]

mod build;
mod hashes;
mod json_canonical;
mod ocr_attestation;
mod params_validation;
mod proto_json;
mod quorum;
mod wasm_protocol;
