//! Runs one workflow in wasmtime, bounded, with no network of its own.
