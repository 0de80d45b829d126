//! The exact words and exit codes of the tools: the transcripts of `tests/cli`.
//!
//! `TRYCMD=overwrite cargo test -p e2e --test cli` writes what the tools say now into them; the
//! difference is then read before it is committed.
#![cfg(test)]

use e2e::programs::{program, root};

#[test]
fn the_tools_say_and_return_what_the_transcripts_hold() {
    let cases = trycmd::TestCases::new();
    for tool in ["enclavectl", "enclave-emulator", "enclave-server"] {
        cases.register_bin(tool, program(tool));
    }
    cases.case(root().join("tests/cli/*.trycmd").to_str().unwrap());
}
