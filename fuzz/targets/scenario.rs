//! Recorded scenarios.
//!
//! Holds: a file is one or it is refused; of the scenarios in one no two have the same name.
//!
//! Memory: 64 times. In a list of empty texts each has three bytes and takes 24, three times that while the
//! list grows; a call or a step has more bytes for what it takes.

#![no_main]

use std::collections::BTreeSet;

use enclave_workflow::scenario::Recording;
use fuzz::Bound;

libfuzzer_sys::fuzz_target!(|input: &[u8]| BOUND.hold(input, || {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(recording) = Recording::parse(text) else { return };
    let names: BTreeSet<_> = recording.scenarios.iter().map(|scenario| &scenario.name).collect();
    assert_eq!(names.len(), recording.scenarios.len());
}));

const BOUND: Bound = Bound { times: 64, plus: 8192 };
