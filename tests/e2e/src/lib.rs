//! Nothing: this crate is its tests.
//!
//! | Test | Holds |
//! |---|---|
//! | `e2e` | whole paths over the real processes of a devnet |
//! | `cli` | the exact words and exit codes of `enclavectl` |
//! | `layers` | which crate may depend on which |
//! | `documents` | the form of the documents |
