//! Rust SDK for workflow authors (wasm32-wasip1).
